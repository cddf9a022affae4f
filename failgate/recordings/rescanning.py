"""Stored recordings looked through again after their workspace added a redaction rule.

A recording is chained and stays as it was sent. One in which the rules find something is withheld, as if it had been
found on receipt: nobody but its recorder sees what it shows. It is looked through as one stream, across its chunks.

The scan goes through the recordings in the order of their ids. Each step is one transaction: the findings, their record
and how far the scan came; a server that dies goes on there. A chunk that came while a rule was added sends it back.
"""

import asyncio
import contextlib
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable
from typing import Final

import msgspec

from failgate.artifacts.artifacts import Artifacts
from failgate.audit.log import AuditLog
from failgate.audit.record import SERVER, Act, Event
from failgate.base.background import DueWork
from failgate.base.canonical import JSON
from failgate.base.db import Database, Row, Transaction
from failgate.base.errors import NotFound
from failgate.recordings.lines import read_lines
from failgate.recordings.recordings import ScannerOf, Tell
from failgate.recordings.stored import SELECT_CHUNKS, SELECT_ONE, Recording, recording_of
from failgate.redaction import RedactingStream, Scanner

IsCurrent = Callable[[str, Scanner], bool]
"""`(workspace_id, scanner)`: whether no rule of the workspace is missing in the scanner; asked inside a verb."""

_DUE: Final = "SELECT workspace_id, generation, scan_after FROM recording_scan WHERE is_scanning = 1"
_BEGIN: Final = """
INSERT INTO recording_scan (workspace_id, generation, is_scanning, scan_after) VALUES ($1, 1, 1, '')
ON CONFLICT (workspace_id) DO UPDATE
SET generation = recording_scan.generation + 1, is_scanning = 1, scan_after = ''
"""
# Another generation: a step that is under way has not seen what came, and must not go on from there.
_RETURN: Final = """
INSERT INTO recording_scan (workspace_id, generation, is_scanning, scan_after) VALUES ($1, 1, 1, $2)
ON CONFLICT (workspace_id) DO UPDATE SET generation = recording_scan.generation + 1, is_scanning = 1,
  scan_after = CASE WHEN recording_scan.is_scanning = 1 AND recording_scan.scan_after < excluded.scan_after
    THEN recording_scan.scan_after ELSE excluded.scan_after END
"""
_NEXT: Final = """
SELECT * FROM recording WHERE workspace_id = $1 AND id > $2 AND findings = '{}' ORDER BY id LIMIT 1
"""
_MOVE: Final = """
UPDATE recording_scan SET scan_after = $1, is_scanning = $2
WHERE workspace_id = $3 AND generation = $4 AND scan_after = $5 AND is_scanning = 1
"""
_FOUND: Final = "UPDATE recording SET findings = $1 WHERE workspace_id = $2 AND id = $3"
_decode_findings = msgspec.json.Decoder(dict[str, int]).decode


class RecordingRescanning:
    """Looks through what is stored, in the background, one recording after another."""

    def __init__(
        self, db: Database, audit: AuditLog, artifacts: Artifacts,
        *, scanner_of: ScannerOf, is_current: IsCurrent, tell: Tell,
    ) -> None:  # fmt: skip
        """Read bytes from `artifacts`; `tell` names a recording that changed to those who follow it."""
        self.due = DueWork("rescanning of recordings", self.run_once)
        self._db = db
        self._audit = audit
        self._artifacts = artifacts
        self._scanner_of = scanner_of
        self._is_current = is_current
        self._tell = tell

    async def begin(self, tx: Transaction, workspace_id: str) -> None:
        """Begin the scan anew: a rule was added."""
        await tx.execute(_BEGIN, workspace_id)
        tx.after_commit(self.due.wake)

    async def revisit(self, tx: Transaction, workspace_id: str, recording_id: str, scanner: Scanner) -> None:
        """Send the scan back to a recording whose chunk `scanner` looked through, when the rules have changed since.

        Raises: NotFound (the workspace is deleted).
        """
        if not self._is_current(workspace_id, scanner):
            self._audit.must_be_open(tx, workspace_id)
            await tx.execute(_RETURN, workspace_id, recording_id[:-1])  # sorts right before it
            tx.after_commit(self.due.wake)

    async def end_of_workspace(self, tx: Transaction, workspace_id: str, _actor: object) -> None:
        """Scan nothing more of a workspace that is deleted."""
        await tx.execute("UPDATE recording_scan SET is_scanning = 0 WHERE workspace_id = $1", workspace_id)

    async def run_once(self) -> int:
        """Scan whatever is due to its end; return how many recordings were looked through."""
        scanned, before = 0, -1
        while scanned > before:  # a rule may be added meanwhile: its scan begins anew
            before = scanned
            for row in await self._db.fetch(_DUE):
                while await self._step(row["workspace_id"], row["generation"]):
                    scanned += 1
        return scanned

    async def _step(self, workspace_id: str, generation: int) -> bool:
        """Look through the next recording; False when none is left, or the scan is another one by now."""
        due = await self._db.fetch_one(f"{_DUE} AND workspace_id = $1 AND generation = $2", workspace_id, generation)
        if due is None:
            return False
        row = await self._db.fetch_one(_NEXT, workspace_id, due["scan_after"])
        scanner = await self._scanner_of(workspace_id)
        if row is None:
            return await self._db.write(lambda tx: self._move(tx, due, due["scan_after"], scanner, is_over=True))
        recording = recording_of(row)
        found, number = await self._looked_through(recording, scanner)
        await self._db.write(lambda tx: self._keep(tx, due, recording.id, scanner, found, number))
        return True

    async def _looked_through(self, recording: Recording, scanner: Scanner) -> tuple[Counter[str], int]:
        """Return what was found by rule, and the number of the chunk in which the first of it begins."""
        stream, found, first_at = RedactingStream(scanner), Counter[str](), -1
        begins, size, after_ms = list[int](), 0, 0

        def take() -> None:
            nonlocal first_at
            if stream.findings and first_at < 0:
                first_at = stream.findings[0].start
            found.update(one.rule for one in stream.findings)
            stream.findings.clear()

        for chunk in await self._db.fetch(SELECT_CHUNKS, recording.workspace_id, recording.id, 0):
            begins.append(size)
            with contextlib.suppress(NotFound):  # lost: there is nothing to show
                pieces = [piece async for piece in self._artifacts.open(recording.workspace_id, chunk["sha256"])]
                lines = read_lines(b"".join(pieces), recording.begun, is_first=len(begins) == 1, after_ms=after_ms)
                await asyncio.to_thread(stream.feed, lines.shown)
                size += len(lines.shown)
            after_ms = chunk["to_ms"]
            take()
        await asyncio.to_thread(stream.finish)
        take()
        return found, max(bisect_right(begins, first_at) - 1, 0)

    async def _keep(
        self, tx: Transaction, due: Row, recording_id: str, scanner: Scanner, found: Counter[str], number: int
    ) -> None:
        workspace_id = due["workspace_id"]
        if not await self._move(tx, due, recording_id, scanner) or not found:
            return
        row = await tx.fetch_one(SELECT_ONE, workspace_id, recording_id)
        if row is None:
            return  # deleted meanwhile
        total = found + Counter(_decode_findings(row["findings"]))
        await tx.execute(_FOUND, msgspec.json.encode(dict(total)).decode(), workspace_id, recording_id)
        facts: dict[str, JSON] = {"number": number, "findings": found.total()}
        await self._audit.append(
            tx, Event(Act.RECORDING_WITHHELD, workspace_id, "recording", recording_id, SERVER, facts)
        )
        tx.after_commit(lambda: self._tell(recording_id))

    async def _move(self, tx: Transaction, due: Row, to: str, scanner: Scanner, *, is_over: bool = False) -> bool:
        """Note how far the scan came; False when the rules, or the scan, are others by now."""
        workspace_id = due["workspace_id"]
        if not is_over and not self._is_current(workspace_id, scanner):
            return False
        going = 0 if is_over else 1
        moved = await tx.execute(_MOVE, to, going, workspace_id, due["generation"], due["scan_after"])
        return moved == 1 and not is_over
