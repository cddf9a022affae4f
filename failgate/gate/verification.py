"""The proof of the gate, for `audit verify --gate`: fold every request's records again and compare with its row."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from failgate.audit.log import AuditLog
from failgate.audit.record import Act
from failgate.audit.stored import StoredRecord
from failgate.base.db import Database
from failgate.gate import lifecycle as life
from failgate.gate.evidence import differences
from failgate.gate.glass import stored_glass
from failgate.gate.journal import COMMAND, GATE_ACTS, event_of
from failgate.gate.observing import differences as differences_of_period
from failgate.gate.observing import stored_periods
from failgate.gate.periods import OBSERVING, PERIOD_ACTS, Proven, fault_of, folded, time_of
from failgate.gate.rules import RULE, prove_rule
from failgate.gate.rules import Proven as ProvenRule
from failgate.gate.stored import SELECT_AFTER, Stored, with_votes

PAGE: Final = 1000
_RULE_PREFIX: Final = "rule."


class StoredRules(Protocol):
    """What is verified of a rulebook: the rows that it keeps."""

    async def stored(self) -> Sequence[tuple[str, str, str]]:
        """Return `(workspace_id, rule_id, digest)` of every row."""
        ...


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A command or rule whose row says something else than its records; `seq` is the last record about it, if any."""

    kind: str
    id: str
    log: str
    seq: int | None
    sentence: str

    def __str__(self) -> str:
        """Return it as one line for people."""
        place = "no record" if self.seq is None else f"record {self.seq}"
        return f"{self.kind} {self.id}: {self.sentence} ({place} of log {self.log})"


@dataclass(slots=True)
class _Told:
    """What the records tell of one request so far."""

    log: str
    seq: int
    request: life.Request | None
    fault: str | None = None


async def verify_gate(db: Database, audit: AuditLog, rulebook: StoredRules | None = None) -> list[Contradiction]:
    """Return every contradiction between the audit logs and what is stored of commands and rules; empty when intact.

    It says nothing of the logs' own hashes: verify those first.
    """
    commands: dict[str, _Told] = {}
    periods: dict[str, Proven] = {}
    owed: dict[tuple[str, str], str] = {}
    rules: dict[str, tuple[str, int, ProvenRule]] = {}
    closed: set[str] = set()
    for head in await audit.heads():
        async for stored in _all_records(audit, head.log):
            record = stored.record
            if record["act"] in GATE_ACTS:
                _tell(commands, stored, record, periods)
                _owe(commands, owed, stored, record)
            elif record["act"] in PERIOD_ACTS and record["obj"]["t"] == OBSERVING:
                _fold(periods, record)
            elif record["act"].startswith(_RULE_PREFIX) and record["obj"]["t"] == RULE:
                proven = rules.get(record["obj"]["id"], (head.log, 0, ProvenRule()))[2]
                rules[record["obj"]["id"]] = (head.log, stored.seq, prove_rule(proven, record))
            elif record["act"] == Act.WORKSPACE_CLOSED:  # from then on it is being emptied
                closed.add(record["obj"]["id"])
    glass = {
        told.request.id: told.request
        for told in commands.values()
        if told.request is not None and told.request.glass is not None and told.log not in closed
    }
    found = [contradiction async for contradiction in _commands(db, commands, closed)]
    found.extend(await _periods(db, periods, closed))
    found.extend(await _glass(db, glass))
    if rulebook is not None:
        found.extend(await _rules(rulebook, rules))
    return found


async def _all_records(audit: AuditLog, log: str) -> AsyncIterator[StoredRecord]:
    after: int | None = None
    while page := await audit.records(log, after, PAGE):
        for stored in page:
            yield stored
        after = page[-1].seq


def _fold(periods: dict[str, Proven], record: dict[str, Any]) -> None:
    proven = folded(periods.get(record["obj"]["id"]), record)
    if proven is not None:
        periods[record["obj"]["id"]] = proven


def _tell(
    commands: dict[str, _Told], stored: StoredRecord, record: dict[str, Any], periods: Mapping[str, Proven]
) -> None:
    event, command_id = event_of(record), record["obj"]["id"]
    if event is None:
        return
    told = commands.setdefault(command_id, _Told(stored.log, stored.seq, None))
    if told.fault is not None:
        return
    told.seq = stored.seq
    if told.log != stored.log:
        told.fault = f"the logs {told.log} and {stored.log} both tell of it"
        return
    try:
        told.request = life.apply(told.request, event)
    except life.IllegalTransition as error:
        told.fault = f"{record['act']} is impossible here: {error}"
    else:
        told.fault = _unobserved(told.request, event, stored.log, time_of(record), periods)


def _owe(
    commands: dict[str, _Told], owed: dict[tuple[str, str], str], stored: StoredRecord, record: dict[str, Any]
) -> None:
    """Fold whose review is open: nobody breaks the glass while one of theirs is."""
    told = commands.get(record["obj"]["id"])
    if told is None or told.request is None or told.request.broken_by is None:
        return
    place = (stored.log, told.request.broken_by)
    if record["act"] == Act.GLASS_BROKEN and owed.setdefault(place, told.request.id) != told.request.id:
        told.fault = told.fault or "the glass was broken by somebody who owed a review"
    elif record["act"] == Act.GLASS_REVIEWED and owed.get(place) == told.request.id:
        del owed[place]


def _unobserved(
    request: life.Request, event: life.Event, log: str, at_us: int, periods: Mapping[str, Proven]
) -> str | None:
    """Return why a command that says that it was only observed was not, when it was let pass or used; else None."""
    if request.observing is None or not isinstance(event, life.Observed | life.Consumed):
        return None
    return fault_of(periods.get(request.observing), log, request.requester or "", request.observed, at_us)


async def _commands(db: Database, commands: dict[str, _Told], closed: Collection[str]) -> AsyncIterator[Contradiction]:
    async for stored in _all_rows(db):
        told = commands.pop(stored.id, None)
        if told is None:
            yield Contradiction(
                COMMAND, stored.id, stored.workspace_id, None, "it is stored, and no record tells of it"
            )
        elif told.fault is not None or told.request is None:
            yield Contradiction(COMMAND, stored.id, told.log, told.seq, told.fault or "its beginning is not recorded")
        elif told.log != stored.workspace_id:
            yield Contradiction(COMMAND, stored.id, told.log, told.seq, "it is stored in another workspace")
        elif told.request.state != "quarantined" or stored.state != "quarantined":
            for fault in differences(stored, told.request):
                yield Contradiction(COMMAND, stored.id, told.log, told.seq, fault)
    for command_id, told in commands.items():
        if told.fault is not None or told.log not in closed:  # the workspace was deleted, and its log says so
            yield Contradiction(COMMAND, command_id, told.log, told.seq, told.fault or "it is recorded, and not stored")


async def _periods(db: Database, periods: dict[str, Proven], closed: Collection[str]) -> list[Contradiction]:
    found: list[Contradiction] = []
    missing = {period_id for period_id, proven in periods.items() if proven.log not in closed}
    for row in await stored_periods(db):
        missing.discard(row.id)
        proven = periods.get(row.id)
        if proven is None:
            found.append(
                Contradiction(OBSERVING, row.id, row.workspace_id, None, "it is stored, and no record tells of it")
            )
        elif proven.log != row.workspace_id:
            found.append(Contradiction(OBSERVING, row.id, proven.log, proven.seq, "it is stored in another workspace"))
        else:
            found += [
                Contradiction(OBSERVING, row.id, proven.log, proven.seq, fault)
                for fault in differences_of_period(row, proven)
            ]
    found += [
        Contradiction(
            OBSERVING, period_id, periods[period_id].log, periods[period_id].seq, "it is recorded, and not stored"
        )
        for period_id in sorted(missing)
    ]
    return found


async def _glass(db: Database, glass: Mapping[str, life.Request]) -> list[Contradiction]:
    missing, found = dict(glass), list[Contradiction]()
    for row in await stored_glass(db):
        request = missing.pop(row.command_id, None)
        if request is None:
            found.append(
                Contradiction(COMMAND, row.command_id, row.workspace_id, None, "no record says that its glass broke")
            )
        elif (row.account_id, row.review) != (request.broken_by, request.glass):
            found.append(
                Contradiction(COMMAND, row.command_id, row.workspace_id, None, "its glass differs from the record")
            )
    found += [
        Contradiction(COMMAND, command_id, "", None, "its glass broke, and that is not stored")
        for command_id in sorted(missing)
    ]
    return found


async def _all_rows(db: Database) -> AsyncIterator[Stored]:
    after = ""
    while rows := await db.fetch(SELECT_AFTER, after, PAGE):
        for stored in await with_votes(db, rows):
            yield stored
        after = rows[-1]["id"]


async def _rules(rulebook: StoredRules, rules: dict[str, tuple[str, int, ProvenRule]]) -> list[Contradiction]:
    found: list[Contradiction] = []
    missing = {rule_id for rule_id, (_, _, proven) in rules.items() if proven.digest is not None and not proven.is_over}
    for workspace_id, rule_id, digest in await rulebook.stored():
        missing.discard(rule_id)
        log, seq, proven = rules.get(rule_id, (workspace_id, None, ProvenRule()))
        if proven.digest is None:
            found.append(Contradiction(RULE, rule_id, log, None, "it is stored, and no record tells of it"))
        elif log != workspace_id:
            found.append(Contradiction(RULE, rule_id, log, seq, "it is stored in another workspace"))
        elif proven.digest != digest:
            found.append(Contradiction(RULE, rule_id, log, seq, "it differs from its record"))
        elif proven.is_over:
            found.append(Contradiction(RULE, rule_id, log, seq, "it is in effect, and its records say that it ended"))
    # Somebody deleted it, or the server died before it was kept: who needs it revokes it and makes it anew.
    for rule_id in sorted(missing):
        log, seq, _ = rules[rule_id]
        found.append(Contradiction(RULE, rule_id, log, seq, "it is recorded, and not stored"))
    return found
