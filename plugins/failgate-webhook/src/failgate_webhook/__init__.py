"""Notifications as signed webhooks: the plugin value. The signature is `signature.py`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

import msgspec

from failgate.plugin import (
    Clock,
    Destination,
    Host,
    NoSettings,
    Notification,
    Outbound,
    Plugin,
    Provides,
    post_to,
    to_rfc3339,
)
from failgate_webhook.signature import headers_of

__all__ = ["Webhook", "body_of", "plugin"]


class Webhook:
    """A `Notifier` that posts JSON to a URL, signed with the destination's secrets."""

    addressing: Literal["url"] = "url"
    has_secret = True

    def __init__(self, outbound: Outbound, clock: Clock) -> None:
        self._outbound = outbound
        self._clock = clock

    async def check(self, address: str) -> str:
        """Return the address without its query, where receivers like to keep keys. Raises: Unprocessable."""
        await self._outbound.check(address)
        path, mark, _ = address.partition("?")
        return f"{path}?…" if mark else path

    async def deliver(self, notification: Notification, destination: Destination) -> None:
        """Post it; each try is signed with its own time. Raises: DeliveryFailed."""
        body = body_of(notification)
        headers = headers_of(notification.id, self._clock.now_us() // 1_000_000, body, destination.secrets)
        await post_to(self._outbound, destination.address, body, {"Content-Type": "application/json", **headers})


def body_of(notification: Notification) -> bytes:
    """Return the payload. Source: Standard Webhooks, "Payload structure": `type`, `timestamp`, `data`."""
    data = {
        "workspace": notification.workspace,
        "title": notification.title,
        "url": notification.url,
        **notification.facts,
    }
    return msgspec.json.encode(
        {"type": notification.event, "timestamp": to_rfc3339(notification.occurred_us), "data": data}
    )


@asynccontextmanager
async def open_webhook(_config: NoSettings, host: Host) -> AsyncIterator[Provides]:
    """Give the notifier; it keeps nothing open."""
    yield Provides(notifier=Webhook(host.outbound, host.clock))


plugin = Plugin(name="webhook", config=NoSettings, open=open_webhook)
