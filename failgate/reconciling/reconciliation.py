"""The comparison: what the records tell of each object, folded, against its row; and what a job and people see of it.

The log is read once, then the tables. Whatever differs is asked again in one transaction of the writer, where nothing
changes meanwhile: a change that was under way is no difference.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from failgate.audit.blocks import BLOCK_BITS, unnoted
from failgate.audit.encoding import record_of
from failgate.audit.log import MOST_RECORDS, AuditLog
from failgate.audit.record import Act
from failgate.audit.stored import StoredRecord
from failgate.base.background import Background
from failgate.base.clock import Clock
from failgate.base.db import Database, Row, Transaction
from failgate.base.errors import FailgateError
from failgate.gate.verification import Contradiction, StoredRules, verify_gate
from failgate.reconciling.contents import contents_that_differ
from failgate.reconciling.kinds import GONE, KINDS, Kind

EVERY_SECONDS: Final = 24 * 3600.0
FIRST_SECONDS: Final = 600.0  # after the start
MOST_TOLD: Final = 1000
_PAGE: Final = 1000
_MOST_LOOKS: Final = 3
_log = logging.getLogger("failgate.reconciling")
_OF_ACT: Final = {
    f'{{"act":"{act}"'.encode(): [kind for kind in KINDS if act in kind.acts] for kind in KINDS for act in kind.acts
}  # fmt: skip
_CLOSED: Final = f'{{"act":"{Act.WORKSPACE_CLOSED}"'.encode()
Place = tuple[str, str, str]  # kind, log, id


@dataclass(slots=True)
class Told:
    """What the records tell of one object so far; `seq` is the last of them."""

    state: str = ""
    seq: int = 0
    facts: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Outcome:
    """A comparison that came to its end: what differs (at most a thousand), how many rows were looked at, when."""

    differences: tuple[Contradiction, ...]
    rows: int
    ended_us: int


class Reconciliation:
    """Compares now and then, and whenever somebody asks."""

    def __init__(
        self, database: Database, audit: AuditLog, clock: Clock, rulebook: StoredRules | None = None,
        *, first_seconds: float = FIRST_SECONDS, every_seconds: float = EVERY_SECONDS,
    ) -> None:  # fmt: skip
        """Compare with what `database` and `rulebook` keep; `start` begins the job."""
        self._database = database
        self._audit = audit
        self._clock = clock
        self._rulebook = rulebook
        self._pause_seconds = first_seconds
        self._every_seconds = every_seconds
        self._turn = asyncio.Lock()
        self.outcome: Outcome | None = None
        self._background = Background("audit-reconciling", self._step)

    def start(self) -> None:
        """Compare ten minutes after the start, then each day."""
        self._background.start()

    async def close(self) -> None:
        """Stop; a comparison that is under way is left."""
        await self._background.close()

    @property
    def problem(self) -> str | None:
        """Return what an operator should know of the last comparison, or None."""
        differences = () if self.outcome is None else self.outcome.differences
        if not differences:
            return None
        return f"{len(differences)} rows and records differ; `failgate audit reconcile` names them."

    async def run(self) -> Outcome:
        """Compare everything; keep and return what was found. Each difference is a line of the server's log."""
        async with self._turn:  # a second one at the same time would find the same
            told, closed = await self._tell()
            suspects, rows = await self._compare(told, closed)
            found = await self._confirm(suspects)
            found += await contents_that_differ(self._database, closed)
            found += await self._gate()
            found += await self._blocks()
            self.outcome = Outcome(tuple(found[:MOST_TOLD]), rows, self._clock.now_us())
        for difference in found[:MOST_TOLD]:
            _log.error("audit.contradicted: %s", difference)
        return self.outcome

    async def _step(self) -> None:
        await asyncio.sleep(self._pause_seconds)
        self._pause_seconds = self._every_seconds
        try:
            await self.run()
        except FailgateError as error:
            _log.warning("reconciling.failed: %s", error.sentence)

    async def _gate(self) -> list[Contradiction]:
        """Return what the gate's own proof finds; what is not found again changed while it was looked at."""
        found = await verify_gate(self._database, self._audit, self._rulebook)
        for _ in range(_MOST_LOOKS - 1):
            if not found:
                break
            again = {(one.kind, one.id) for one in await verify_gate(self._database, self._audit, self._rulebook)}
            found = [one for one in found if (one.kind, one.id) in again]
        return found

    async def _blocks(self) -> list[Contradiction]:
        """Return the blocks of records whose notes lack something: a search for that would leave them out."""
        found: list[Contradiction] = []
        for head in await self._audit.heads():
            for block, note in (await unnoted(self._database, head)).items():
                first = block << BLOCK_BITS
                sentence = f"a search for {note!r} does not look at records {first} to {first + (1 << BLOCK_BITS) - 1}"
                found.append(Contradiction("block", str(block), head.log, first, sentence))
        return found

    # The log

    async def _tell(self) -> tuple[dict[Place, Told], set[str]]:
        """Return what the records tell of each object, and which workspaces were closed."""
        told: dict[Place, Told] = {}
        closed: set[str] = set()
        for head in await self._audit.heads():
            after: int | None = None
            while page := await self._audit.records(head.log, after, MOST_RECORDS):
                for stored in page:
                    if stored.leaf.startswith(_CLOSED):
                        closed.add(stored.record["obj"]["id"])
                    _fold(told, stored)
                after = page[-1].seq
        return told, closed

    # The tables

    async def _compare(self, told: dict[Place, Told], closed: set[str]) -> tuple[list[Place], int]:
        """Return the objects whose row is not what the records tell, and how many rows there are."""
        suspects: list[Place] = []
        seen: set[Place] = set()
        rows = 0
        for kind in KINDS:
            async for row in self._rows(kind):
                place = kind.name, row["log"], row["id"]
                seen.add(place)
                rows += 1
                if row["log"] not in closed and _difference(kind, told.get(place), row) is not None:
                    suspects.append(place)
        kinds = {kind.name: kind for kind in KINDS}
        suspects += [
            place
            for place, one in told.items()
            if place not in seen and place[1] not in closed and _difference(kinds[place[0]], one, None) is not None
        ]
        return suspects[:MOST_TOLD], rows

    async def _rows(self, kind: Kind) -> AsyncIterator[Row]:
        after = ""
        query = (
            f"SELECT {kind.columns} FROM {kind.table} WHERE {kind.where} AND {kind.page} > $1"  # our own words
            f" ORDER BY {kind.page} LIMIT {_PAGE}"
        )
        while page := await self._database.fetch(query, after):
            for row in page:
                yield row
            after = page[-1]["page"]

    async def _confirm(self, suspects: Sequence[Place]) -> list[Contradiction]:
        """Ask for each suspect again, while nobody else writes."""
        if not suspects:
            return []
        kinds = {kind.name: kind for kind in KINDS}

        async def verb(tx: Transaction) -> list[Contradiction]:
            found: list[Contradiction] = []
            for name, log, identifier in suspects:
                kind = kinds[name]
                row = await tx.fetch_one(
                    f"SELECT {kind.columns} FROM {kind.table}"  # our own words
                    f" WHERE {kind.where} AND {kind.key} = $1 AND {kind.log} = $2",
                    identifier, log,
                )  # fmt: skip
                records = await self._audit.of_object(tx, log, kind.object_of(identifier))
                told = _folded(kind, records, log, identifier)
                wrong = _difference(kind, told, row)
                if wrong is not None:
                    found.append(Contradiction(name, identifier, log, None if told is None else told.seq, wrong))
            return found

        return await self._database.write(verb)


def _fold(told: dict[Place, Told], stored: StoredRecord) -> None:
    kinds = _OF_ACT.get(stored.leaf[: stored.leaf.find(b",")])
    if kinds is None:
        return
    record = record_of(stored.leaf)
    for kind in kinds:
        if kind.is_of(record, stored.log):
            place = kind.name, stored.log, kind.id_of(record)
            _take(kind, told.setdefault(place, Told()), record)


def _folded(kind: Kind, records: Iterable[StoredRecord], log: str, identifier: str) -> Told | None:
    told: Told | None = None
    for stored in records:
        record = record_of(stored.leaf)
        if record["act"] in kind.acts and kind.is_of(record, log) and kind.id_of(record) == identifier:
            told = told or Told()
            _take(kind, told, record)
    return told


def _take(kind: Kind, told: Told, record: dict[str, Any]) -> None:
    state = kind.state_after(Act(record["act"]), record["data"])
    told.state = told.state if state is None else state
    told.seq = record["seq"]
    told.facts |= {name: value for name, value in record["data"].items() if name in kind.facts and value is not None}


def _difference(kind: Kind, told: Told | None, row: Row | None) -> str | None:
    """Return how a row is not what the records tell, None when it is."""
    if row is None:
        is_due = told is not None and told.state not in {GONE, ""} and not kind.may_vanish
        return "it is recorded, and not stored" if is_due else None
    if told is None or told.state == "":
        return "it is stored, and no record tells of it"
    if told.state == GONE:
        return "it is stored, and its records say that it was removed"
    if row["state"] != told.state:
        return f"it is {row['state']}, and its records say {told.state}"
    for name, value in told.facts.items():
        if row[f"fact_{name}"] != value:
            return f"its {name} is not what is recorded"
    return None
