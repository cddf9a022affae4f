"""The contract of notifiers. The room owns what is said, order, repetition and secrets; a notifier only delivers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import msgspec

from failgate.base.errors import FailgateError
from failgate.base.secret import Secret

Addressing = Literal["url", "member"]


class Notification(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is told. Nothing in it is a secret, and every text of others is inert (`matching/rendering.py`).

    `id` stays the same however often it is delivered. `lines` are pairs of a label and a text, for people; `facts` is
    the same for programs. `url` leads to the page about it. `workspace` is empty where the
    platform's people are told.
    """

    id: str
    event: str
    workspace: str
    occurred_us: int
    title: str
    lines: tuple[tuple[str, str], ...]
    url: str
    facts: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Destination:
    """Where to: `address` is a URL or a member's e-mail address; `secrets` are all that are valid now, newest first."""

    address: str
    secrets: Sequence[Secret] = ()


class DeliveryFailed(FailgateError):
    """It did not arrive. It is tried again later, unless `is_final`; `is_gone` also stops the destination.

    The sentence is kept and shown to the workspace: it holds nothing that the other side wrote.
    """

    slug = "delivery-failed"
    status = 502
    title = "The notification was not delivered"

    def __init__(
        self,
        sentence: str,
        *,
        is_final: bool = False,
        is_gone: bool = False,
        retry_after_seconds: float | None = None,
    ) -> None:
        """Keep whether to try again, and when at the earliest."""
        super().__init__(sentence)
        self.is_final = is_final or is_gone
        self.is_gone = is_gone
        self.retry_after_seconds = retry_after_seconds


class Notifier(Protocol):
    """A notifier plugin's part.

    `addressing` says whom it reaches: URLs that a workspace names, or its members at their e-mail addresses. With
    `has_secret` each destination has a secret to sign with, which the room makes and keeps.
    """

    @property
    def addressing(self) -> Addressing:
        """Return what an address of it is."""
        ...

    @property
    def has_secret(self) -> bool:
        """Tell whether it signs."""
        ...

    async def check(self, address: str) -> str:
        """Return what may be shown of `address`, which may itself be a secret; nothing is sent.

        Raises: Unprocessable (no address of this notifier, or one that this server may not reach).
        """
        ...

    async def deliver(self, notification: Notification, destination: Destination) -> None:
        """Return when the other side has taken it. Raises: DeliveryFailed, or anything, to be called again."""
        ...


Notifiers = Mapping[str, Notifier]
"""The opened notifiers by the name of their instance."""
