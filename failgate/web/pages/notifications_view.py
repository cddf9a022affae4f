"""What the pages about notifications show. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from failgate.access.role import GRANTS, Role
from failgate.notify import events
from failgate.notify.destinations import Place
from failgate.notify.outbox import Count, Entry, message_id
from failgate.web.pages.people_view import Choice
from failgate.web.pages.text import Moment, moment
from failgate.workspaces.workspaces import Membership

FIELD: Final = "event "
_OF_PLACES: Final = {
    "command.pending": "A command waits for a decision",
    "command.escalated": "Nobody decided in time, and the next group is asked",
    "command.decided": "A command was approved, denied, cancelled, or expired",
    "command.quarantined": "A command was quarantined",
    "glass.broken": "A command runs without its quorum, or that waits for its review",
    "glass.reviewed": "A run without its quorum was reviewed",
    "report.uploaded": "A failure report was uploaded",
    "report.quarantined": "A failure report was quarantined",
    "report.regressed": "A failure that was resolved came back",
}


@dataclass(frozen=True, slots=True)
class PlaceLine:
    """A destination in the list; `trouble` is None while all goes well."""

    id: str
    name: str
    notifier: str
    shown: str
    is_enabled: bool
    trouble: str | None
    counts: str


@dataclass(frozen=True, slots=True)
class PlacesView:
    """All destinations of a workspace."""

    here: str
    rows: tuple[PlaceLine, ...]
    has_notifier: bool
    may_change: bool
    reaches_members: bool


@dataclass(frozen=True, slots=True)
class Wish:
    """An event that may be ticked; `about` is its name for programs."""

    name: str
    label: str
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class NewPlaceView:
    """The form of a new destination."""

    here: str
    notifiers: tuple[Choice, ...]
    wishes: tuple[Wish, ...]
    name: str
    is_detailed: bool
    error: str | None


@dataclass(frozen=True, slots=True)
class DeliveryLine:
    """One notification on its way, or how it ended."""

    id: str
    message: str
    title: str
    event: str
    state: str
    created: Moment
    note: str


@dataclass(frozen=True, slots=True)
class PlaceView:
    """One destination with its log."""

    here: str
    place: PlaceLine
    wishes: tuple[Wish, ...]
    is_detailed: bool
    has_secret: bool
    previous_until: Moment | None
    created: Moment
    created_by: str
    lines: tuple[DeliveryLine, ...]
    older_href: str | None
    error: str | None
    is_saved: bool
    may_change: bool


@dataclass(frozen=True, slots=True)
class OwnPlace:
    """A workspace of the visitor and what they are told of there."""

    slug: str
    name: str
    role: str
    wishes: tuple[Wish, ...]
    lines: tuple[DeliveryLine, ...]


@dataclass(frozen=True, slots=True)
class PreferencesView:
    """What one is told of in person, by workspace."""

    places: tuple[OwnPlace, ...]
    reaches_members: bool
    email: str
    saved: str | None


def place_line(place: Place, count: Count) -> PlaceLine:
    """Return a destination as the list shows it."""
    parts = [f"{count.delivered} delivered"]
    parts += [f"{count.waiting} waiting"] if count.waiting else []
    parts += [f"{count.dead} not delivered"] if count.dead else []
    trouble = "switched off" if not place.is_enabled else f"{count.dead} not delivered" if count.dead else None
    return PlaceLine(
        place.id,
        place.name or place.notifier,
        place.notifier,
        place.shown,
        place.is_enabled,
        trouble,
        " · ".join(parts),
    )


def wishes_of_places(chosen: Collection[str]) -> tuple[Wish, ...]:
    """Return every event that a destination may be told of."""
    return tuple(Wish(name, _OF_PLACES[name], name in chosen) for name in events.NAMES)


def delivery_line(entry: Entry, now_us: int) -> DeliveryLine:
    """Return a delivery as the log shows it."""
    tries = f"{entry.attempts} {'try' if entry.attempts == 1 else 'tries'}"
    if entry.state == "waiting":
        when = moment(max(entry.next_us, now_us), now_us).relative
        note = f"next try {when}" if entry.attempts == 0 else f"{entry.outcome} {tries}; next try {when}"
    else:
        note = tries if entry.outcome is None or entry.state == "delivered" else f"{entry.outcome} {tries}"
    return DeliveryLine(
        entry.id, message_id(entry.id), entry.notification.title, entry.event, entry.state,
        moment(entry.created_us, now_us), note,
    )  # fmt: skip


def own_place(membership: Membership, chosen: Mapping[str, frozenset[str]], lines: Sequence[DeliveryLine]) -> OwnPlace:
    """Return a workspace with the events that the role there lets one hear of."""
    workspace, granted = membership.workspace, GRANTS[Role(membership.role)]
    now = chosen.get(workspace.id, events.DEFAULT_OF_MEMBERS)
    wishes = tuple(
        Wish(kind.name, kind.label, kind.name in now)
        for kind in events.KINDS
        if kind.needs in granted and not kind.is_always
    )
    return OwnPlace(workspace.slug, workspace.name, membership.role.value, wishes, tuple(lines))


def ticked(form: Mapping[str, str]) -> list[str]:
    """Return the events that a form has ticked."""
    return [name.removeprefix(FIELD) for name in form if name.startswith(FIELD)]
