"""Notifications as they cross the network: the API `webhooks`."""

from typing import Annotated, Literal

import msgspec

from failgate.wire.gate import State

_Name = Annotated[str, msgspec.Meta(max_length=100, description="For people.")]
_Events = Annotated[list[str], msgspec.Meta(min_length=1, max_length=32)]


class NewWebhook(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`POST webhooks`. Without `events`, all of them; `notifier` is an instance of `[notify] notifiers`.

    With `details` the arguments of commands and the titles of reports are told too, redacted.
    """

    url: Annotated[str, msgspec.Meta(min_length=1, max_length=2048)]
    name: _Name = ""
    events: _Events | None = None
    notifier: Annotated[str, msgspec.Meta(min_length=1, max_length=64)] = "webhook"
    details: bool = False


class WebhookChange(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`POST webhooks/{id}`: what is not named stays."""

    name: _Name | None = None
    events: _Events | None = None
    details: bool | None = None
    enabled: bool | None = None


class WebhookView(msgspec.Struct, frozen=True):
    """A destination. `url` is what may be shown of its address; times are RFC 3339.

    `waiting`, `delivered` and `dead` count its notifications of the last 30 days, at most 500 of those that ended.
    """

    id: str
    notifier: str
    name: str
    url: str
    events: list[str]
    details: bool
    enabled: bool
    created_at: str
    created_by: str
    has_secret: bool
    previous_secret_until: str | None
    waiting: int
    delivered: int
    dead: int


class WebhookPage(msgspec.Struct, frozen=True):
    """`GET webhooks`: all of them, the oldest first; `next` is always null. `events` are those that may be chosen."""

    items: list[WebhookView]
    events: list[str]
    notifiers: list[str]
    next: str | None = None


class MadeWebhook(msgspec.Struct, frozen=True):
    """The answer to a creation or a rotation: `secret` is shown this once, null where nothing is signed."""

    id: str
    secret: str | None
    previous_secret_until: str | None = None


class DeliveryView(msgspec.Struct, frozen=True):
    """One notification on its way, or how it ended. `message` is the `webhook-id` under which it was sent."""

    id: str
    message: str
    event: str
    title: str
    state: Literal["waiting", "delivered", "dead"]
    attempts: int
    created_at: str
    next_try_at: str | None
    ended_at: str | None
    outcome: str | None


class DeliveryPage(msgspec.Struct, frozen=True):
    """`GET webhooks/{id}/deliveries`: the newest first."""

    items: list[DeliveryView]
    next: str | None


class CommandNotice(msgspec.Struct, frozen=True):
    """`GET commands/{id}/notice`: what a browser's own notification says of a command as it stands, without secrets."""

    state: State
    title: str
    text: str


class Resent(msgspec.Struct, frozen=True):
    """It is on its way: `id` is the delivery to look at."""

    id: str
