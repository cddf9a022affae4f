"""A follower delivers every log to one exporter: in order, at least once, from a cursor that survives a restart.

The cursor moves only after `deliver` returned. A failure is tried again, later and later, with a share of chance so
that followers do not knock in step; appending never waits for it.
"""

import asyncio
import contextlib
import logging
import random
from dataclasses import dataclass

from failgate.audit.exporter import AuditExporter, ExportedRecord
from failgate.audit.log import AuditLog
from failgate.base.clock import MICROSECONDS, Clock
from failgate.base.db import Database, Row, Transaction
from failgate.redaction import without_secrets

MOST_IN_BATCH = 500
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 60.0
DRAIN_SECONDS = 0.5  # what is committed when the server stops may take this long to leave: a stop takes below a second
END_SECONDS = 0.25  # an exporter that does not heed that it is over may take this long besides
_chance = random.SystemRandom()
_log = logging.getLogger("failgate.audit.follower")

_BEHIND = """
SELECT h.log, h.size, h.ts_us, COALESCE(c.seq, 0) AS seq
FROM audit_head h LEFT JOIN audit_cursor c ON c.log = h.log AND c.exporter = $1
WHERE h.size > COALESCE(c.seq, 0) ORDER BY h.number
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


class Follower:
    """Delivers all logs of `audit` to the exporter that the config calls `name`."""

    def __init__(
        self,
        database: Database,
        audit: AuditLog,
        name: str,
        exporter: AuditExporter,
        clock: Clock,
        *,
        first_pause_seconds: float = FIRST_PAUSE_SECONDS,
        longest_pause_seconds: float = LONGEST_PAUSE_SECONDS,
    ) -> None:
        """Keep who delivers what where; `start` begins."""
        self.name = name
        self._database = database
        self._audit = audit
        self._exporter = exporter
        self._clock = clock
        self._first_pause_seconds = first_pause_seconds
        self._longest_pause_seconds = longest_pause_seconds
        self._grew = audit.listen()
        self._is_closing = False
        self._failures = 0
        self._failure: str | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def failure(self) -> str | None:
        """Return why the last delivery failed, or None when it succeeded."""
        return self._failure

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
                oldest_us = min(oldest_us, _ts_us(stored[0].record["ts"]))
        waited_us = max(0, self._clock.now_us() - oldest_us)
        return Lag(sum(row["size"] - row["seq"] for row in rows), waited_us / MICROSECONDS)

    async def _run(self) -> None:
        while True:
            self._grew.clear()
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
            while rows := await self._behind():
                for row in rows:
                    await self._deliver(row)
        except Exception as error:  # noqa: BLE001  # an exporter may raise anything
            self._failures += 1
            self._failure = without_secrets(f"{type(error).__name__}: {error}")
            _log.warning("audit_export.failed: exporter %s, try %d: %s", self.name, self._failures, self._failure)
            return False
        return True

    async def _deliver(self, row: Row) -> None:
        log, seq = row["log"], row["seq"]
        while seq < row["size"]:
            records = await self._audit.records(log, seq - 1, min(MOST_IN_BATCH, row["size"] - seq))
            batch = [ExportedRecord(stored.log, stored.seq, stored.leaf) for stored in records]
            if [record.seq for record in batch] != list(range(seq, seq + len(batch))) or not batch:
                raise LookupError(f"the log {log} has no record {seq}; run `failgate audit verify`")
            await self._exporter.deliver(batch)
            seq += len(batch)
            await self._move_cursor(log, seq)
            self._failures, self._failure = 0, None

    async def _move_cursor(self, log: str, seq: int) -> None:
        async def verb(tx: Transaction) -> None:
            await tx.execute(_MOVE_CURSOR, self.name, log, seq)

        await self._database.write(verb)

    async def _behind(self) -> list[Row]:
        return await self._database.fetch(_BEHIND, self.name)

    async def _pause(self) -> None:
        """Wait before the next try; closing ends it at once."""
        longest = min(self._longest_pause_seconds, self._first_pause_seconds * 2 ** min(self._failures - 1, 16))
        seconds = longest * (0.5 + _chance.random() / 2)  # so that followers do not knock in step
        deadline = asyncio.get_running_loop().time() + seconds
        while not self._is_closing and (left := deadline - asyncio.get_running_loop().time()) > 0:
            self._grew.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):  # `wait_for` of 3.11 may swallow the end (cpython 86296)
                    await self._grew.wait()


def _ts_us(text: str) -> int:
    from datetime import datetime

    moment = datetime.fromisoformat(text)
    return int(moment.timestamp()) * MICROSECONDS + moment.microsecond
