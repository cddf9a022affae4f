"""Notifications in a channel of Microsoft Teams: an alert and a link. Nothing is decided there."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from failgate.plugin import (
    DeliveryFailed,
    Destination,
    Host,
    Notification,
    Outbound,
    Plugin,
    Provides,
    Unprocessable,
    post_to,
)

__all__ = ["Teams", "TeamsSettings", "card_of", "plugin"]

# A connector of the older kind answers 200 and says in the body that it was not taken.
_NOT_TAKEN = b"delivery failed"


class TeamsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which hosts are those of Teams; one that begins with a dot stands for all names below it."""

    hosts: tuple[str, ...] = (".webhook.office.com", ".logic.azure.com", ".api.powerplatform.com")


class Teams:
    """A `Notifier` that posts a card to a webhook, whose URL is all that it takes to write there."""

    addressing: Literal["url"] = "url"
    has_secret = False

    def __init__(self, hosts: tuple[str, ...], outbound: Outbound) -> None:
        self._hosts = hosts
        self._outbound = outbound

    async def check(self, address: str) -> str:
        """Return the host of the address alone. Raises: Unprocessable."""
        await self._outbound.check(address)
        host = urlsplit(address).hostname or ""
        if not any(host.endswith(known) if known.startswith(".") else host == known for known in self._hosts):
            raise Unprocessable(
                "This is not the address of a webhook of Teams.",
                hint="Make one in the channel: Workflows, “Post to a channel when a webhook request is received”.",
            )
        return f"{urlsplit(address).scheme}://{host}/…"

    async def deliver(self, notification: Notification, destination: Destination) -> None:
        """Post it. Raises: DeliveryFailed."""
        body = msgspec.json.encode(card_of(notification))
        answer = await post_to(self._outbound, destination.address, body, {"Content-Type": "application/json"})
        if _NOT_TAKEN in answer.body.lower():
            raise DeliveryFailed("Teams answers that it did not take the card.")


def card_of(notification: Notification) -> dict[str, Any]:
    """Return the message with its Adaptive Card. Texts are text runs, which no Markdown is read in.

    Source: Adaptive Cards 1.4, RichTextBlock; "Post to a channel when a webhook request is received".
    """
    body = [_line([_run(notification.title, size="Large", weight="Bolder")])]
    body += [_line([_run(f"{label}: ", isSubtle=True), _run(text)]) for label, text in notification.lines]
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
        "actions": [{"type": "Action.OpenUrl", "title": "Open in Failgate", "url": notification.url}],
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def _line(runs: list[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": runs}


def _run(text: str, **looks: object) -> dict[str, Any]:
    return {"type": "TextRun", "text": text, **looks}


@asynccontextmanager
async def open_teams(config: TeamsSettings, host: Host) -> AsyncIterator[Provides]:
    """Give the notifier; it keeps nothing open."""
    named = [f"*{known}" if known.startswith(".") else known for known in config.hosts]
    yield Provides(notifier=Teams(config.hosts, host.outbound.naming(*named)))


plugin = Plugin(name="teams", config=TeamsSettings, open=open_teams)
