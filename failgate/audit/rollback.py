"""A log that does not continue what was signed of it, and the records that an operator accepted that."""

from dataclasses import dataclass

from failgate.audit.record import SERVER, SYSTEM, Act, Event
from failgate.audit.tree import EMPTY_ROOT
from failgate.base.canonical import JSON, base64url


@dataclass(frozen=True, slots=True)
class Rollback:
    """A log that does not continue what was signed: its signed head, what was found, and the sentence about it."""

    log: str
    signed_size: int
    signed_root: bytes
    found_size: int
    found_root: bytes
    sentence: str


def accepted(rollback: Rollback) -> list[Event]:
    """Return what records that `rollback` was accepted: in its log, and where heads of other logs are recorded."""
    facts: dict[str, JSON] = {
        "signed_size": rollback.signed_size,
        "signed_root": base64url(rollback.signed_root),
        "found_size": rollback.found_size,
        "found_root": base64url(rollback.found_root),
        "reason": rollback.sentence[:200],
    }
    logs = dict.fromkeys((rollback.log, SYSTEM))
    return [Event(Act.ROLLBACK_ACCEPTED, log, "log", rollback.log, SERVER, facts) for log in logs]


def gap(sentence: str, log: str = SYSTEM) -> Rollback:
    """Return that something is missing which vouched for `log`."""
    return Rollback(log, 0, EMPTY_ROOT, 0, EMPTY_ROOT, sentence)
