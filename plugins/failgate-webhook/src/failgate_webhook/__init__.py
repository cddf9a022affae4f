"""Notifications and the audit log as signed webhooks: the plugin value. Records are `records.py`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Literal

import msgspec

from failgate.plugin import (
    Between,
    Clock,
    Destination,
    Duration,
    Fits,
    Host,
    Notification,
    Outbound,
    Plugin,
    Provides,
    RecordFormat,
    Secret,
    SettingRefused,
    post_to,
    to_rfc3339,
)
from failgate_webhook.records import RecordWebhook
from failgate_webhook.signature import check_secret, headers_of

__all__ = ["RecordWebhook", "Webhook", "WebhookSettings", "body_of", "plugin"]


def _check_url(url: str) -> None:
    if not url.startswith(("https://", "http://127.0.0.1:", "http://localhost:", "http://[::1]:")):
        raise ValueError('no address for records: say "https://siem.acme.example/failgate"')


class WebhookSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Nothing for notifications, whose addresses workspaces name. With `url` it takes the audit log too.

    `secret` is `whsec_` and base64 of 24 to 64 bytes; `previous` are those that still count while it is replaced.
    """

    url: Annotated[str, Fits(_check_url)] | None = None
    secret: Annotated[Secret, Fits(check_secret)] | None = None
    previous: tuple[Annotated[Secret, Fits(check_secret)], ...] = ()
    format: RecordFormat = "json"
    timeout: Annotated[Duration, Between("1s", "50s")] = Duration("20s")

    def __post_init__(self) -> None:
        """Refuse half of an exporter. Raises: SettingRefused."""
        if (self.url is None) != (self.secret is None):
            raise SettingRefused("secret" if self.secret is None else "url", "url and secret are set together")


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
async def open_webhook(config: WebhookSettings, host: Host) -> AsyncIterator[Provides]:
    """Give the notifier, and with an address the exporter; neither keeps anything open."""
    notifier = Webhook(host.outbound, host.clock)
    if config.url is None or config.secret is None:
        yield Provides(notifier=notifier)
        return
    records = RecordWebhook(
        host.outbound, host.clock, config.url, (config.secret, *config.previous),
        as_format=config.format, timeout_seconds=config.timeout.seconds,
    )  # fmt: skip
    yield Provides(notifier=notifier, audit_exporter=records)


plugin = Plugin(name="webhook", config=WebhookSettings, open=open_webhook)
