"""Notifications as e-mail to members, through the SMTP server of `[notify.smtp]`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

from failgate.plugin import (
    BadInput,
    DeliveryFailed,
    Destination,
    Host,
    Letter,
    Letterbox,
    LetterRefused,
    NoSettings,
    Notification,
    Plugin,
    Provides,
    StartRefused,
)

__all__ = ["Mail", "letter_of", "plugin"]

SUBJECT_CHARACTERS = 200


class Mail:
    """A `Notifier` that writes to a member's own address, and to no other."""

    addressing: Literal["member"] = "member"
    has_secret = False

    def __init__(self, letterbox: Letterbox) -> None:
        self._letterbox = letterbox

    async def check(self, address: str) -> str:
        """Refuse `address`: members are reached at the address of their account alone. Raises: BadInput."""
        raise BadInput(
            f"{len(address)} characters of an address are not needed: mail goes to members.",
            hint="Each member chooses on the page /account/notifications.",
        )

    async def deliver(self, notification: Notification, destination: Destination) -> None:
        """Return when the SMTP server has taken the letter. Raises: DeliveryFailed."""
        try:
            await self._letterbox.send(letter_of(notification, destination.address))
        except LetterRefused as refused:
            raise DeliveryFailed(refused.sentence, is_final=refused.is_final) from None


def letter_of(notification: Notification, to: str) -> Letter:
    """Return what is written: plain text, one line for each fact, the link."""
    facts = "\n".join(f"{label}: {text}" for label, text in notification.lines)
    where = f"Failgate, workspace {notification.workspace}. Choose what you are told of at /account/notifications."
    if not notification.workspace:
        where = "Failgate, to everybody with the platform role."
    text = f"{notification.title}\n\n{facts}\n\n{notification.url}\n\n--\n{where}\n"
    subject = f"[{notification.workspace or 'failgate'}] {notification.title}"
    return Letter(to, subject[:SUBJECT_CHARACTERS], text, notification.event)


@asynccontextmanager
async def open_mail(_config: NoSettings, host: Host) -> AsyncIterator[Provides]:
    """Give the notifier. Raises: StartRefused without an SMTP server."""
    if host.letterbox is None:
        raise StartRefused("there is no SMTP server.", hint="Add the section [notify.smtp], or take it off the list.")
    yield Provides(notifier=Mail(host.letterbox))


plugin = Plugin(name="mail", config=NoSettings, open=open_mail)
