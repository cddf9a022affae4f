"""Artifacts of reports looked through by a virus scanner, in the background, before anybody gets them.

An artifact is quarantined as a whole: its bytes stay as they are, since a receipt names them, and nobody reads them any
more. Each verdict is one transaction with its audit record. What the scanner did not see stays withheld and is asked
again; new artifacts go before old ones. Recordings of shells are no files: the server itself reads them line by line.
"""

from collections.abc import AsyncIterator
from contextlib import aclosing
from functools import partial
from typing import Final

from failgate.artifacts.artifacts import Artifacts
from failgate.artifacts.clamd import Clamd, ScannerFailed
from failgate.audit.log import AuditLog
from failgate.audit.record import SERVER, Act, Event
from failgate.base.background import DueWork
from failgate.base.clock import Clock
from failgate.base.db import Database, Row, Transaction
from failgate.base.errors import FailgateError, StorageUnavailable
from failgate.base.log import get_logger
from failgate.config.scan import ScanSection
from failgate.reports.withholding import NOT_SCANNED, Withholding

MOST_RECORDS: Final = 100  # reports of one artifact in whose story it is told
_WAITS = """
scanned_us IS NULL AND size_bytes <= $1 AND EXISTS (SELECT 1 FROM report_artifact WHERE artifact_id = artifact.id)
"""
_NEXT = f"SELECT id, workspace_id, sha256, size_bytes FROM artifact WHERE {_WAITS} AND id < $2 ORDER BY id DESC LIMIT 1"
_WAITING = f"SELECT count(*) AS number FROM artifact WHERE {_WAITS}"
_SCANNED = "UPDATE artifact SET scanned_us = $1, malware = $2 WHERE id = $3 AND scanned_us IS NULL"
_REPORTS = """
SELECT DISTINCT report_id FROM report_artifact WHERE workspace_id = $1 AND artifact_id = $2 ORDER BY report_id LIMIT $3
"""
_AFTER_ALL = "g"  # behind every id
_log = get_logger("failgate.reports")


class Scanning:
    """Looks through what waits, one artifact after another."""

    def __init__(
        self, db: Database, audit: AuditLog, clock: Clock, artifacts: Artifacts, section: ScanSection | None
    ) -> None:
        """Ask the clamd of `section`; without one nothing is scanned, and nothing waits for it."""
        self.due = DueWork("virus-scanning", self.run_once)
        self.problem: str | None = None
        self._db = db
        self._audit = audit
        self._clock = clock
        self._artifacts = artifacts
        self._section = section
        self._clamd = None if section is None else Clamd(section.clamd, section.timeout.seconds)

    @property
    def withholding(self) -> Withholding:
        """Return which artifacts are kept from everybody."""
        if self._section is None:
            return NOT_SCANNED
        return Withholding(self._section.limit.bytes, is_larger_shown=self._section.larger == "show")

    async def run_once(self) -> int:
        """Scan what waits, the newest first; return how many verdicts were kept.

        When the scanner is away, the rest is due again; an artifact that cannot be read or judged holds up no other.
        """
        if self._section is None or self._clamd is None:
            return 0
        kept, before, problem = 0, _AFTER_ALL, None
        while row := await self._db.fetch_one(_NEXT, self._section.limit.bytes, before):
            before = row["id"]
            try:
                malware = await self._clamd.scan(self._whole(row))
                kept += await self._db.write(partial(self._keep, row=row, malware=malware))
            except ScannerFailed as error:
                problem = error.sentence
                _log.warning("artifact.unscanned", artifact=row["id"], reason=problem)
                if error.is_away:
                    break
            except FailgateError as error:  # lost, of a workspace that is deleted, or the storage is away
                problem = error.sentence
                _log.warning("artifact.unscanned", artifact=row["id"], reason=problem)
        self.problem = problem
        return kept

    async def standing(self) -> tuple[str, int] | None:
        """Return the scanner's version and how many artifacts wait; None without one. Raises: ScannerFailed."""
        if self._section is None or self._clamd is None:
            return None
        row = await self._db.fetch_one(_WAITING, self._section.limit.bytes)
        return await self._clamd.version(), int(row["number"]) if row is not None else 0

    async def _whole(self, row: Row) -> AsyncIterator[bytes]:
        """Yield the bytes of an artifact. Raises: StorageUnavailable (also: some are missing), NotFound."""
        seen = 0
        async with aclosing(self._artifacts.open(row["workspace_id"], row["sha256"])) as pieces:
            async for piece in pieces:
                seen += len(piece)
                yield piece
        if seen != row["size_bytes"]:
            raise StorageUnavailable("Bytes of the artifact are missing in the store.", hint="Run failgate doctor.")

    async def _keep(self, tx: Transaction, row: Row, malware: str | None) -> int:
        if await tx.execute(_SCANNED, self._clock.now_us(), malware, row["id"]) != 1:
            return 0
        if malware is not None:
            _log.warning("artifact.quarantined", artifact=row["id"], malware=malware)
            for one in await tx.fetch(_REPORTS, row["workspace_id"], row["id"], MOST_RECORDS):
                facts = {"sha256": row["sha256"], "malware": malware}
                event = Event(
                    Act.ARTIFACT_QUARANTINED, row["workspace_id"], "report", one["report_id"], SERVER, {**facts}
                )
                await self._audit.append(tx, event)
        return 1
