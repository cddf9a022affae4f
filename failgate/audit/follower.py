"""A follower delivers every log to one exporter: in order, at least once, from a cursor that survives a restart.

The cursor moves only after `deliver` returned. A failure is tried again, later and later, with a share of chance so
that followers do not knock in step; appending never waits for it. A record that the other side refuses for ever is
found by halving the batch, and put aside after a few tries of its own, so that it holds up nothing.
"""

import asyncio
import contextlib
import logging
import random
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from failgate.audit.beside import leaving
from failgate.audit.exporter import AuditExporter, ExportedRecord, ExportFailed, RecordsRefused
from failgate.audit.handing import LONGEST_CALL_SECONDS, Handing
from failgate.audit.log import AuditLog
from failgate.audit.probing import Probing
from failgate.audit.put_aside import MOST_PUT_ASIDE, PutAside
from failgate.audit.record import SERVER, SYSTEM, Act, Actor, Event
from failgate.audit.sieve import Sieve
from failgate.base.canonical import JSON
from failgate.base.clock import MICROSECONDS, Clock
from failgate.base.db import Database, Row, Transaction
from failgate.base.errors import FailgateError
from failgate.redaction import without_secrets

MOST_IN_BATCH = 500
MOST_REFUSALS: Final = 3  # of one record by itself, before it is put aside
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 60.0
LONGEST_RETRY_AFTER_SECONDS: Final = 600.0
DRAIN_SECONDS = 0.5  # what is committed when the server stops may take this long to leave: a stop takes below a second
END_SECONDS = 0.25  # an exporter that does not heed that it is over may take this long besides
_chance = random.SystemRandom()
_log = logging.getLogger("failgate.audit.follower")

_BEHIND = """
SELECT h.log, h.size, h.ts_us, COALESCE(c.seq, 0) AS seq
FROM audit_head h LEFT JOIN audit_cursor c ON c.log = h.log AND c.exporter = $1
WHERE h.size > COALESCE(c.seq, 0) ORDER BY h.number
"""
_POSITIONS = """
SELECT h.log, h.size, COALESCE(c.seq, 0) AS seq
FROM audit_head h LEFT JOIN audit_cursor c ON c.log = h.log AND c.exporter = $1 ORDER BY h.number
"""
_MOVE_CURSOR = """
INSERT INTO audit_cursor (exporter, log, seq) VALUES ($1, $2, $3)
ON CONFLICT (exporter, log) DO UPDATE SET seq = excluded.seq
"""


@dataclass(frozen=True, slots=True)
class Lag:
    """How far an exporter is behind: records not yet delivered, and how long the oldest of them has waited."""

    records: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Position:
    """How far one log is delivered: `seq` is the first record that is not, `size` how many the log has."""

    log: str
    seq: int
    size: int


class Follower:
    """Delivers all logs of `audit` to the exporter that the config calls `name`, through its `sieve`."""

    def __init__(
        self,
        database: Database,
        audit: AuditLog,
        name: str,
        exporter: AuditExporter,
        clock: Clock,
        *,
        sieve: Sieve | None = None,
        first_pause_seconds: float = FIRST_PAUSE_SECONDS,
        longest_pause_seconds: float = LONGEST_PAUSE_SECONDS,
        longest_call_seconds: float = LONGEST_CALL_SECONDS,
    ) -> None:
        """Keep who delivers what where; `start` begins."""
        self.name = name
        self.sieve = sieve or Sieve()
        self.put_aside = PutAside(database, name, clock)
        self._probing = Probing(database, audit, name, clock)
        self._handing = Handing(exporter, longest_call_seconds=longest_call_seconds)
        self._database = database
        self._audit = audit
        self._clock = clock
        self._first_pause_seconds = first_pause_seconds
        self._longest_pause_seconds = longest_pause_seconds
        self._grew = audit.listen()
        self._is_closing = False
        self._is_asked = False
        self._failures = 0
        self._failure: str | None = None
        self._failed_us: int | None = None
        self._retry_after_seconds = 0.0
        self._most = MOST_IN_BATCH  # fewer while a record is looked for that is refused
        self._refusals: dict[tuple[str, int], int] = {}
        self._task: asyncio.Task[None] | None = None

    @property
    def failure(self) -> str | None:
        """Return why the last delivery failed, or None when it succeeded."""
        return self._failure

    @property
    def failed_us(self) -> int | None:
        """Return when a delivery failed last, in microseconds since 1970."""
        return self._failed_us

    def start(self) -> None:
        """Begin to deliver in the background."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name=f"audit-follower-{self.name}")

    async def close(self) -> None:
        """Stop; what is committed now still leaves, if that takes no longer than half a second."""
        self._is_closing = True
        self._grew.set()
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=DRAIN_SECONDS)
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=END_SECONDS)
            self._task = None
        self._audit.unlisten(self._grew)

    async def lag(self) -> Lag:
        """Return how far the exporter is behind."""
        rows = await self._behind()
        if not rows:
            return Lag(0, 0.0)
        oldest_us = self._clock.now_us()
        for row in rows:
            stored = await self._audit.records(row["log"], row["seq"] - 1, 1)
            if stored:
                oldest_us = min(oldest_us, moment_of(stored[0].record["ts"]))
        waited_us = max(0, self._clock.now_us() - oldest_us)
        return Lag(sum(row["size"] - row["seq"] for row in rows), waited_us / MICROSECONDS)

    async def positions(self) -> list[Position]:
        """Return how far each log is delivered, oldest log first."""
        rows = await self._database.fetch(_POSITIONS, self.name)
        return [Position(row["log"], row["seq"], row["size"]) for row in rows]

    async def is_proven(self) -> bool:
        """Tell whether a test record ever arrived."""
        return await self._probing.is_proven()

    async def ask_test_within(self, tx: Transaction, actor: Actor) -> None:
        """Send a test record before what waits."""
        await self._probing.ask_within(tx, actor)
        tx.after_commit(self.wake)

    async def ask_resend_within(self, tx: Transaction, actor: Actor) -> int:
        """Send what was put aside once more; return how many records that are."""
        count = await self.put_aside.ask_within(tx)
        facts: dict[str, JSON] = {"records": count}
        await self._audit.append(tx, Event(Act.EXPORT_RESENT, SYSTEM, "exporter", self.name, actor, facts))
        tx.after_commit(self.wake)
        return count

    def wake(self) -> None:
        """Try now, whatever pause there was."""
        self._is_asked = True
        self._grew.set()

    async def _run(self) -> None:
        while True:
            self._grew.clear()
            self._is_asked = False
            is_done = await self._try_deliver()
            if self._is_closing:
                return
            if is_done:
                await self._grew.wait()
            else:
                await self._pause()

    async def _try_deliver(self) -> bool:
        """Deliver all that is committed; return whether it all left."""
        try:
            await self._probing.prove(self._handing.hand)
            await self._resend_due()
            while rows := await self._behind():
                for row in rows:
                    await self._deliver(row)
        except Exception as error:  # noqa: BLE001  # an exporter may raise anything
            self._note(error)
            return False
        self._failures, self._failure = 0, None
        return True

    def _note(self, error: Exception) -> None:
        self._failures += 1
        self._failed_us = self._clock.now_us()
        self._failure = _said(error)
        after = error.retry_after_seconds if isinstance(error, ExportFailed) else None
        self._retry_after_seconds = min(after or 0.0, LONGEST_RETRY_AFTER_SECONDS)
        _log.warning("audit_export.failed: exporter %s, try %d: %s", self.name, self._failures, self._failure)

    async def _deliver(self, row: Row) -> None:
        log, seq = row["log"], row["seq"]
        while seq < row["size"]:
            records = await self._audit.records(log, seq - 1, min(self._most, row["size"] - seq))
            batch = await leaving(self._database, records, is_with_bodies=self.sieve.bodies)
            if [record.seq for record in batch] != list(range(seq, seq + len(batch))) or not batch:
                raise LookupError(f"the log {log} has no record {seq}; run `failgate audit verify`")
            wanted = [record for record in batch if self.sieve.admits(record)]
            try:
                await self._handing.hand(wanted)
            except RecordsRefused as refusal:
                if len(wanted) > 1:
                    self._most = max(1, len(batch) // 2)
                    continue
                await self._refuse(wanted[0], refusal)
                seq = wanted[0].seq + 1
                continue
            seq += len(batch)
            await self._move_cursor(log, seq)
            self._most = min(MOST_IN_BATCH, self._most * 2)
            self._failures, self._failure = 0, None

    async def _refuse(self, record: ExportedRecord, refusal: RecordsRefused) -> None:
        """Put `record` aside and move on when it was refused often enough. Raises: RecordsRefused, when it was not.

        That a record is missing there leaves by the same way, as a record of its own: the other side knows its gaps.
        """
        tries = self._refusals[record.log, record.seq] = self._refusals.get((record.log, record.seq), 0) + 1
        if tries < MOST_REFUSALS:
            raise refusal
        if await self.put_aside.count() >= MOST_PUT_ASIDE:
            raise RecordsRefused(f"{MOST_PUT_ASIDE} records are put aside already: {_said(refusal)}")
        reason = _said(refusal)
        facts: dict[str, JSON] = {"log": record.log, "number": record.seq, "attempts": tries, "reason": reason[:200]}
        is_of_a_refusal = Sieve((Act.EXPORT_REFUSED,)).admits(record)  # or each one would make another

        async def verb(tx: Transaction) -> None:
            await self.put_aside.put_within(tx, record.log, record.seq, reason, tries)
            await tx.execute(_MOVE_CURSOR, self.name, record.log, record.seq + 1)
            if not is_of_a_refusal:
                event = Event(Act.EXPORT_REFUSED, SYSTEM, "exporter", self.name, SERVER, facts, "error")
                await self._audit.append(tx, event)

        await self._database.write(verb)
        self._refusals.clear()
        _log.error("audit_export.put_aside: exporter %s, record %d of %s", self.name, record.seq, record.log)

    async def _resend_due(self) -> None:
        """Send what was put aside and asked for. Each has one try: what fails alone must not hold up the rest."""
        for refused in await self.put_aside.due():
            try:
                stored = await self._audit.record_at(refused.log, refused.seq)
                batch = await leaving(self._database, [stored], is_with_bodies=self.sieve.bodies)
                await self._handing.hand(batch)
            except RecordsRefused as refusal:
                await self.put_aside.refuse_again(refused, _said(refusal))
                continue
            except Exception as error:  # noqa: BLE001  # an exporter may raise anything
                await self.put_aside.refuse_again(refused, _said(error))
                await self.put_aside.let_rest()  # it is away: they are asked for again when it is back
                return
            await self.put_aside.take_back(refused)

    async def _move_cursor(self, log: str, seq: int) -> None:
        await self._database.write(lambda tx: tx.execute(_MOVE_CURSOR, self.name, log, seq))

    async def _behind(self) -> list[Row]:
        return await self._database.fetch(_BEHIND, self.name)

    async def _pause(self) -> None:
        """Wait before the next try; closing, and an operator who asks for one, end it at once."""
        longest = min(self._longest_pause_seconds, self._first_pause_seconds * 2 ** min(self._failures - 1, 16))
        seconds = longest * (0.5 + _chance.random() / 2)  # so that followers do not knock in step
        seconds = max(seconds, self._retry_after_seconds)
        deadline = asyncio.get_running_loop().time() + seconds
        while not (self._is_closing or self._is_asked) and (left := deadline - asyncio.get_running_loop().time()) > 0:
            self._grew.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):  # `wait_for` of 3.11 may swallow the end (cpython 86296)
                    await self._grew.wait()


def _said(error: Exception) -> str:
    """Return what `error` says, fit to be shown and kept."""
    text = error.sentence if isinstance(error, FailgateError) else f"{type(error).__name__}: {error}"
    return without_secrets(text)


def moment_of(text: str) -> int:
    """Return the microseconds since 1970 of a record's `ts`."""
    moment = datetime.fromisoformat(text)
    return int(moment.timestamp()) * MICROSECONDS + moment.microsecond
