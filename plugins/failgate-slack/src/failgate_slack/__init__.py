"""Notifications in a Slack channel, by its incoming webhook: an alert and a link. Nothing is decided there."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from failgate.plugin import (
    Destination,
    Host,
    Notification,
    Outbound,
    Plugin,
    Provides,
    Unprocessable,
    post_to,
)

__all__ = ["Slack", "SlackSettings", "message_of", "plugin"]

FIELD_CHARACTERS = 2000  # Block Kit, section: the text of a field
FIELDS = 10
HEADER_CHARACTERS = 150


class SlackSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which hosts are Slack's, or those of a program that takes the same messages."""

    hosts: tuple[str, ...] = ("hooks.slack.com", "hooks.slack-gov.com")


class Slack:
    """A `Notifier` that posts to an incoming webhook, whose URL is all that it takes to write there."""

    addressing: Literal["url"] = "url"
    has_secret = False

    def __init__(self, hosts: tuple[str, ...], outbound: Outbound) -> None:
        self._hosts = hosts
        self._outbound = outbound

    async def check(self, address: str) -> str:
        """Return the host of the address alone. Raises: Unprocessable."""
        await self._outbound.check(address)
        host = urlsplit(address).hostname or ""
        if host not in self._hosts:
            raise Unprocessable(
                "This is not the address of an incoming webhook of Slack.", hint=f"Its host is {self._hosts[0]}."
            )
        return f"{urlsplit(address).scheme}://{host}/…"

    async def deliver(self, notification: Notification, destination: Destination) -> None:
        """Post it. Raises: DeliveryFailed."""
        body = msgspec.json.encode(message_of(notification))
        await post_to(self._outbound, destination.address, body, {"Content-Type": "application/json"})


def message_of(notification: Notification) -> dict[str, Any]:
    """Return the message in Block Kit. Texts are `plain_text`, which Slack reads no markup in.

    `text` is what a phone shows of it; there the three characters that begin markup are escaped.
    """
    fields = [
        {"type": "plain_text", "text": f"{label}\n{text}"[:FIELD_CHARACTERS], "emoji": False}
        for label, text in notification.lines[:FIELDS]
    ]
    header = {"type": "plain_text", "text": notification.title[:HEADER_CHARACTERS], "emoji": False}
    blocks: list[dict[str, Any]] = [{"type": "header", "text": header}]
    if fields:
        blocks.append({"type": "section", "fields": fields})
    open_it = {
        "type": "button",
        "text": {"type": "plain_text", "text": "Open in Failgate", "emoji": False},
        "url": notification.url,
    }
    blocks.append({"type": "actions", "elements": [open_it]})
    return {"text": escaped(notification.title), "blocks": blocks, "unfurl_links": False, "unfurl_media": False}


def escaped(text: str) -> str:
    """Return `text` so that Slack reads no mention, link or entity in it. Source: Slack, "Formatting text"."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


@asynccontextmanager
async def open_slack(config: SlackSettings, host: Host) -> AsyncIterator[Provides]:
    """Give the notifier; it keeps nothing open."""
    yield Provides(notifier=Slack(config.hosts, host.outbound.naming(*config.hosts)))


plugin = Plugin(name="slack", config=SlackSettings, open=open_slack)
