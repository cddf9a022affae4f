"""What is said of a report on record and in its row: events, findings as counts and as text, what is missing."""

from collections.abc import Mapping, Sequence

import msgspec

from failgate.access.principal import Principal
from failgate.audit.record import Act, Actor, Event
from failgate.base.canonical import JSON
from failgate.base.db import Row
from failgate.reports.inspection import summary


def event_of(principal: Principal, workspace_id: str, act: Act, report_id: str, facts: dict[str, JSON]) -> Event:
    """Return the event that `principal` did `act` to a report."""
    return Event(act, workspace_id, "report", report_id, Actor.of(principal), facts)


def counts(findings: Mapping[str, int]) -> dict[str, JSON]:
    """Return what a record says of findings."""
    return {"reason": summary(findings), "findings": sum(findings.values())}


def missing_of(entries: Sequence[Row]) -> list[str]:
    """Return the digests of a report's entries that have no artifact, each once."""
    return list(dict.fromkeys(entry["sha256"] for entry in entries if entry["artifact_id"] is None))


def findings_text(findings: Mapping[str, int]) -> str:
    """Return findings as they stand in a row."""
    return msgspec.json.encode(findings).decode()
