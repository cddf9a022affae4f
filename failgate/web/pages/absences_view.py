"""Being away, as pages show it: one's own form for each workspace, and who is away beside what waits. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Final

from failgate.base.clock import MICROSECONDS
from failgate.base.errors import BadInput
from failgate.gate.absences import Absence, Away, check_zone, moment_in
from failgate.web.pages.text import Moment, moment

_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
ZONES: Final = (
    "UTC", "Europe/London", "Europe/Berlin", "Europe/Paris", "Europe/Madrid", "Europe/Warsaw", "Europe/Kyiv",
    "America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles", "America/Sao_Paulo",
    "Africa/Johannesburg", "Africa/Lagos", "Asia/Dubai", "Asia/Kolkata", "Asia/Singapore", "Asia/Shanghai",
    "Asia/Tokyo", "Australia/Sydney", "Pacific/Auckland",
)  # fmt: skip  # proposed; any other name of the time zone database may be typed


@dataclass(frozen=True, slots=True)
class AwayLine:
    """Somebody who is away: until when, in the zone they said, and who stands in, empty when nobody does."""

    email: str
    until: str
    at: Moment
    stand_in: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """Somebody who could stand in."""

    id: str
    email: str
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class AwayPlace:
    """A workspace in which one decides, and one's absence there: `said` in words, empty without one."""

    slug: str
    name: str
    role: str
    said: str
    is_begun: bool
    stand_in: str
    begin: str
    end: str
    zone: str
    candidates: tuple[Candidate, ...]
    error: str | None


@dataclass(frozen=True, slots=True)
class AwayView:
    """The page: every workspace in which one may decide."""

    places: tuple[AwayPlace, ...]
    saved: str | None

    @property
    def zones(self) -> tuple[str, ...]:
        """Return the time zones that are proposed."""
        return ZONES


def in_zone(us: int, zone: str) -> str:
    """Return a time as people of `zone` write it: `25 Nov 2026, 09:00 Europe/Berlin`; in UTC where it is unknown."""
    known, name = _zone(zone)
    at = datetime.fromtimestamp(us // MICROSECONDS, known)
    return f"{at.day} {_MONTHS[at.month - 1]} {at.year}, {at:%H:%M} {name}"


def _zone(name: str) -> tuple[tzinfo, str]:
    try:
        return check_zone(name), name
    except BadInput:
        return UTC, "UTC"


def away_line(away: Away, now_us: int) -> AwayLine:
    """Return somebody who is away, for a list."""
    one = away.absence
    stand_in = "" if away.stand_in is None else away.stand_in.email
    return AwayLine(away.person.email, in_zone(one.until_us, one.zone), moment(one.until_us, now_us), stand_in)


def away_place(
    slug: str,
    name: str,
    role: str,
    absence: Absence | None,
    emails: Mapping[str, str],
    now_us: int,
    *,
    typed: Mapping[str, str] | None = None,
    error: str | None = None,
) -> AwayPlace:
    """Return a workspace of the page; `emails` are those who could stand in, `typed` what a refused form said."""
    typed = typed or {}
    said, stand_in, begin, end, zone, chosen = "", "", "", "", "UTC", ""
    if absence is not None:
        zone, chosen = absence.zone, absence.stand_in or ""
        said = f"From {in_zone(absence.from_us, zone)} until {in_zone(absence.until_us, zone)}"
        stand_in = emails.get(chosen, "")
        begin, end = _local(absence.from_us, zone), _local(absence.until_us, zone)
    chosen = typed.get("stand_in", chosen)
    return AwayPlace(
        slug, name, role, said, absence is not None and absence.from_us <= now_us, stand_in,
        typed.get("from", begin), typed.get("until", end), typed.get("zone", zone),
        tuple(Candidate(key, email, key == chosen) for key, email in sorted(emails.items(), key=lambda one: one[1])),
        error,
    )  # fmt: skip


def _local(us: int, zone: str) -> str:
    return f"{datetime.fromtimestamp(us // MICROSECONDS, _zone(zone)[0]):%Y-%m-%dT%H:%M}"


def absence_of(workspace_id: str, account_id: str, typed: Mapping[str, str], now_us: int) -> Absence:
    """Return what the form declares; without a beginning it begins now. Raises: BadInput."""
    name = typed.get("zone", "").strip()[:64] or "UTC"
    zone = check_zone(name)
    begin = typed.get("from", "").strip()
    from_us = moment_in(begin, zone) if begin else now_us
    until_us = moment_in(typed.get("until", "").strip(), zone)
    return Absence(workspace_id, account_id, from_us, until_us, name, typed.get("stand_in") or None)


def seats_in_words(seats: Sequence[Away]) -> tuple[str, ...]:
    """Return who may take whose place in the groups of a request: `ben@… (standing in for ann@…)`."""
    return tuple(
        f"{one.stand_in.email} (standing in for {one.person.email})" for one in seats if one.stand_in is not None
    )
