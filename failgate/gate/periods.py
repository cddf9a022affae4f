"""The times in which commands are only observed, as their audit records make them: what is proven of each. Pure."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from failgate.audit.record import Act

OBSERVING: Final = "observing"
PERIOD_ACTS: Final = frozenset({str(Act.OBSERVING_BEGUN), str(Act.OBSERVING_ENDED)})
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class Proven(msgspec.Struct, frozen=True):
    """What records say of one time. Microseconds since 1970; `agent_id` is empty where it is of the whole workspace."""

    log: str
    seq: int
    agent_id: str
    denials: bool
    expires_us: int
    is_ended: bool = False


def folded(proven: Proven | None, record: Mapping[str, Any]) -> Proven | None:
    """Return what is proven of a time after `record`, one of `PERIOD_ACTS` about it.

    A time that begins twice, or ends before it began, is ended: nothing is let pass by records that make no sense.
    """
    if record["act"] == Act.OBSERVING_ENDED:
        return None if proven is None else replace(proven, seq=record["seq"], is_ended=True)
    if proven is not None:
        return replace(proven, seq=record["seq"], is_ended=True)
    data = record["data"]
    return Proven(record["ws"], record["seq"], data.get("agent") or "", bool(data["denials"]), int(data["expires_us"]))


def fault_of(proven: Proven | None, log: str, requester: str, would: str | None, at_us: int) -> str | None:
    """Return why a command of `requester` is not only observed at `at_us`, or None when it is.

    `would` is what it would have met; None does not ask for that.
    """
    if proven is None or proven.log != log:
        return "it says that it was only observed, and nothing was observed then"
    if proven.is_ended or at_us >= proven.expires_us:
        return "it says that it was only observed, and that time had ended"
    if proven.agent_id not in {"", requester}:
        return "it says that it was only observed, and another agent was"
    if would == "deny" and not proven.denials:
        return "it was refused, and refusals were not only observed"
    return None


def time_of(record: Mapping[str, Any]) -> int:
    """Return when `record` was written, in microseconds since 1970."""
    return (datetime.fromisoformat(record["ts"]) - _EPOCH) // _MICROSECOND
