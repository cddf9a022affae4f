"""The journal: each lifecycle event as an audit event, and read back from an audit record. Pure."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from failgate.audit.record import Act, Actor
from failgate.audit.record import Event as AuditEvent
from failgate.base.canonical import JSON
from failgate.gate import lifecycle as life

COMMAND = "command"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

ACTS: dict[type[Any], Act] = {
    life.Asked: Act.COMMAND_CREATED,
    life.Allowed: Act.COMMAND_ALLOWED,
    life.Refused: Act.COMMAND_REFUSED,
    life.Observed: Act.COMMAND_OBSERVED,
    life.VoteCast: Act.VOTE_CAST,
    life.VoteVoided: Act.VOTE_VOIDED,
    life.Approved: Act.COMMAND_APPROVED,
    life.GlassBroken: Act.GLASS_BROKEN,
    life.GlassReviewed: Act.GLASS_REVIEWED,
    life.Denied: Act.COMMAND_DENIED,
    life.Expired: Act.COMMAND_EXPIRED,
    life.Lapsed: Act.COMMAND_EXPIRED,
    life.Cancelled: Act.COMMAND_CANCELLED,
    life.Consumed: Act.COMMAND_CONSUMED,
    life.Finished: Act.COMMAND_FINISHED,
    life.Quarantined: Act.COMMAND_QUARANTINED,
}
# Events whose members stand in the record by their own names.
_STATED: dict[type[Any], tuple[str, ...]] = {
    life.Refused: ("digest", "policy"),
    life.Observed: ("digest", "policy", "use_by_us", "would", "need", "observing"),
    life.VoteCast: ("digest", "decision"),
    life.Approved: ("digest", "use_by_us", "approvals"),
    life.GlassBroken: ("digest", "use_by_us"),
    life.GlassReviewed: ("digest", "verdict"),
    life.Consumed: ("digest",),
}
LAPSED = "not used in time"  # tells the two ways to expire apart
GATE_ACTS = frozenset(str(act) for act in ACTS.values())


def record_event(
    event: life.Event, *, workspace_id: str, command_id: str, actor: Actor, facts: Mapping[str, JSON] | None = None
) -> AuditEvent:
    """Return `event` as the audit log takes it; `facts` are members of `data` that the lifecycle does not need."""
    members = _members(event)
    if facts:
        members |= facts
    return AuditEvent(ACTS[type(event)], workspace_id, COMMAND, command_id, actor, members)


def _members(event: life.Event) -> dict[str, JSON]:
    if isinstance(event, life.Allowed):  # by far the most frequent
        return {"digest": event.digest, "policy": event.policy, "use_by_us": event.use_by_us}
    if isinstance(event, life.Asked):
        return {
            "digest": event.digest,
            "expires_us": event.expires_us,
            "need": event.need,
            "requester": event.requester,
            "excluded": tuple(sorted(event.excluded)),
            "policy": event.policy,
            "state": "pending",
            **_terms(event),
        }
    if isinstance(event, life.VoteVoided):
        return {"account": event.account_id}
    if isinstance(event, life.Lapsed):
        return {"reason": LAPSED}
    members: dict[str, JSON] = {name: getattr(event, name) for name in _STATED.get(type(event), ())}
    return members | _terms(event) if isinstance(event, life.Observed) else members


def _terms(event: life.Asked | life.Observed) -> dict[str, JSON]:
    terms: dict[str, JSON] = {} if event.terms is None else {"terms": event.terms}
    return terms if event.deny_after == 1 else terms | {"deny_after": event.deny_after}


def event_of(record: Mapping[str, Any]) -> life.Event | None:
    """Return the lifecycle event that an audit record states, or None for a record about something else.

    `record` is the record's object as its leaf holds it. Whoever decides is the actor.
    """
    if record["obj"]["t"] != COMMAND:
        return None
    read = _READERS.get(record["act"])
    return None if read is None else read(record, cast("Mapping[str, Any]", record["data"]))


def _timestamp_us(record: Mapping[str, Any]) -> int:
    return (datetime.fromisoformat(record["ts"]) - _EPOCH) // _MICROSECOND


def _asked(record: Mapping[str, Any], members: Mapping[str, Any]) -> life.Event:
    return life.Asked(
        record["obj"]["id"],
        members["digest"],
        members["expires_us"],
        members["need"],
        members["policy"],
        members.get("requester"),
        frozenset(members["excluded"]),
        members.get("terms"),
        members.get("deny_after", 1),
    )


def _allowed(record: Mapping[str, Any], members: Mapping[str, Any]) -> life.Event:
    return life.Allowed(
        record["obj"]["id"], members["digest"], members["policy"], record["actor"]["id"], members["use_by_us"]
    )


def _refused(record: Mapping[str, Any], members: Mapping[str, Any]) -> life.Event:
    return life.Refused(record["obj"]["id"], members["digest"], members["policy"], record["actor"]["id"])


def _observed(record: Mapping[str, Any], members: Mapping[str, Any]) -> life.Event:
    return life.Observed(
        record["obj"]["id"],
        members["digest"],
        members["policy"],
        record["actor"]["id"],
        members["use_by_us"],
        members["would"],
        members["need"],
        members["observing"],
        members.get("terms"),
        members.get("deny_after", 1),
    )


def _vote_cast(record: Mapping[str, Any], members: Mapping[str, Any]) -> life.Event:
    return life.VoteCast(record["actor"]["id"], members["decision"], members["digest"], _timestamp_us(record))


def _approved(record: Mapping[str, Any], members: Mapping[str, Any]) -> life.Event:
    return life.Approved(
        members["digest"], _timestamp_us(record), members["use_by_us"], cast("int", members.get("approvals", 0))
    )


def _glass_broken(record: Mapping[str, Any], members: Mapping[str, Any]) -> life.Event:
    return life.GlassBroken(record["actor"]["id"], members["digest"], _timestamp_us(record), members["use_by_us"])


def _glass_reviewed(record: Mapping[str, Any], members: Mapping[str, Any]) -> life.Event:
    return life.GlassReviewed(record["actor"]["id"], members["digest"], members["verdict"])


def _expired(_record: Mapping[str, Any], members: Mapping[str, Any]) -> life.Event:
    return life.Lapsed(None) if members.get("reason") == LAPSED else life.Expired(None)


_READERS: dict[str, Callable[[Mapping[str, Any], Mapping[str, Any]], life.Event]] = {
    Act.COMMAND_CREATED: _asked,
    Act.COMMAND_ALLOWED: _allowed,
    Act.COMMAND_REFUSED: _refused,
    Act.COMMAND_OBSERVED: _observed,
    Act.VOTE_CAST: _vote_cast,
    Act.VOTE_VOIDED: lambda _record, members: life.VoteVoided(members["account"]),
    Act.COMMAND_APPROVED: _approved,
    Act.GLASS_BROKEN: _glass_broken,
    Act.GLASS_REVIEWED: _glass_reviewed,
    Act.COMMAND_DENIED: lambda record, _members: life.Denied(_timestamp_us(record)),
    Act.COMMAND_EXPIRED: _expired,
    Act.COMMAND_CANCELLED: lambda record, _members: life.Cancelled(_timestamp_us(record)),
    Act.COMMAND_CONSUMED: lambda record, members: life.Consumed(members["digest"], _timestamp_us(record)),
    Act.COMMAND_FINISHED: lambda _record, _members: life.Finished(),
    Act.COMMAND_QUARANTINED: lambda _record, _members: life.Quarantined(),
}
