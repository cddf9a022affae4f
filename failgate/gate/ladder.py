"""Which steps of their ladders the waiting requests have come to. Pure; who is told is up to `failgate.notify`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from failgate.audit.record import Act
from failgate.base.clock import MICROSECONDS
from failgate.gate.stored import Stored
from failgate.gate.terms import Escalation, stored_terms

_NAMED: Final = '"escalations"'  # terms without the word have no ladder: most are not decoded


@dataclass(frozen=True, slots=True)
class Silence:
    """A request on which nobody decided for `waited_us`, and the steps that are due by now, the first one first."""

    workspace_id: str
    command_id: str
    waited_us: int
    steps: tuple[Escalation, ...]


@dataclass(frozen=True, slots=True)
class Taken:
    """A step that was taken: its name, its number from 1, how many people were told, and when, as RFC 3339."""

    name: str
    number: int
    people: int
    at: str


def taken(records: Iterable[Mapping[str, Any]]) -> list[Taken]:
    """Return the steps that `records` of a request, in any order, say were taken, in the order of their numbers."""
    found = [
        Taken(str(one["data"]["group"]), int(one["data"]["step"]), len(one["data"]["accounts"]), str(one["ts"]))
        for one in records
        if one["act"] == Act.COMMAND_ESCALATED
    ]
    return sorted(found, key=lambda step: step.number)


def silences(waiting: Iterable[Stored], now_us: int) -> list[Silence]:
    """Return those of `waiting` of whose ladder a step is due; what has expired by `now_us` climbs no further."""
    found: list[Silence] = []
    for stored in waiting:
        if stored.terms is None or _NAMED not in stored.terms or now_us >= stored.expires_us:
            continue
        waited_us = now_us - stored.created_us
        steps = tuple(step for step in _ladder(stored.terms) if step.after_seconds * MICROSECONDS <= waited_us)
        if steps:
            found.append(Silence(stored.workspace_id, stored.id, waited_us, steps))
    return found


@lru_cache(maxsize=256)
def _ladder(terms: str) -> tuple[Escalation, ...]:
    return stored_terms(terms).escalations
