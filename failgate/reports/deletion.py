"""Reports deleted, by a person or because their time is over: rows, texts, and artifacts that no other report names.

A report under legal hold is never deleted. Each deletion has its receipt and its record.
"""

from dataclasses import dataclass

import msgspec

from failgate.artifacts.artifacts import Artifact, Artifacts
from failgate.audit.log import AuditLog
from failgate.audit.record import Act, Actor, Event
from failgate.base.canonical import JSON
from failgate.base.clock import Clock, to_rfc3339
from failgate.base.db import Database, Transaction
from failgate.base.errors import Conflict
from failgate.reports.reading import SELECT_ENTRIES, SELECT_ONE, no_report
from failgate.wire.reports import DeletedReport

_DELETES = (
    "DELETE FROM report_artifact WHERE workspace_id = $1 AND report_id = $2",
    "DELETE FROM report_text WHERE workspace_id = $1 AND report_id = $2",
    "DELETE FROM report WHERE workspace_id = $1 AND id = $2",
)
_LEAVE_GROUP = "UPDATE report_group SET kept = kept - 1 WHERE workspace_id = $1 AND id = $2 RETURNING kept"
_FORGET_GROUP = (
    "DELETE FROM report_group_day WHERE workspace_id = $1 AND group_id = $2",
    "DELETE FROM report_group WHERE workspace_id = $1 AND id = $2 AND state NOT IN ('resolved', 'ignored')",
    "UPDATE report_group SET title = '', command = '', error = '' WHERE workspace_id = $1 AND id = $2",
)

_FORGET_TEXTS = (
    "DELETE FROM report_text WHERE workspace_id = $1 AND report_id = $2",
    """
    DELETE FROM report_excerpt WHERE artifact_id IN
      (SELECT artifact_id FROM report_artifact WHERE workspace_id = $1 AND report_id = $2)
    """,
    """
    UPDATE report_group SET title = '', command = '', error = '' WHERE workspace_id = $1 AND id =
      (SELECT group_id FROM report WHERE workspace_id = $1 AND id = $2)
    """,
)


@dataclass(frozen=True, slots=True)
class Deleted:
    """A receipt, and the artifacts whose objects go after the commit."""

    receipt: DeletedReport
    removed: list[Artifact]


class ReportDeletion:
    """Deletes reports."""

    def __init__(self, db: Database, audit: AuditLog, clock: Clock, artifacts: Artifacts) -> None:
        """Delete from `db` and `artifacts`, on record in `audit`."""
        self._db = db
        self._audit = audit
        self._clock = clock
        self._artifacts = artifacts
        artifacts.keep_while(_is_referenced)

    async def delete(self, actor: Actor, workspace_id: str, report_id: str, reason: str | None = None) -> DeletedReport:
        """Delete a report; return the receipt.

        Raises: NotFound; Conflict (legal hold); StorageUnavailable.
        """
        deleted = await self._db.write(lambda tx: self.delete_within(tx, actor, workspace_id, report_id, reason))
        pending = await self._artifacts.discard(deleted.removed)
        return msgspec.structs.replace(deleted.receipt, pending_objects=pending)

    async def delete_within(
        self, tx: Transaction, actor: Actor, workspace_id: str, report_id: str, reason: str | None = None
    ) -> Deleted:
        """Do what `delete` does inside an open transaction; the objects are discarded by the caller."""
        row = await tx.fetch_one(SELECT_ONE, workspace_id, report_id)
        if row is None:
            raise no_report()
        if row["held_us"] is not None:
            raise Conflict("The report is under legal hold: it is not deleted.", hint="Release it first.", state="held")
        entries = await tx.fetch(SELECT_ENTRIES, workspace_id, report_id)
        present = {entry["sha256"]: entry["artifact_id"] for entry in entries if entry["artifact_id"] is not None}
        for statement in _DELETES:
            await tx.execute(statement, workspace_id, report_id)
        removed = await self.unlink(tx, workspace_id, list(present))
        if row["group_id"] is not None:
            await self._leave_group(tx, workspace_id, row["group_id"])
        gone = [artifact.sha256 for artifact in removed]
        facts: dict[str, JSON] = {"manifest": row["manifest_sha256"], "reason": reason}
        event = Event(Act.REPORT_DELETED, workspace_id, "report", report_id, actor, facts)
        appended = await self._audit.append(tx, event)
        receipt = DeletedReport(
            id=report_id,
            manifest_sha256=row["manifest_sha256"],
            deleted_at=to_rfc3339(self._clock.now_us()),
            record=appended.seq,
            removed=gone,
            kept=[sha256 for sha256 in present if sha256 not in gone],
            pending_objects=0,
        )
        return Deleted(receipt, removed)

    async def unlink(self, tx: Transaction, workspace_id: str, digests: list[str]) -> list[Artifact]:
        """Remove the rows of artifacts that no report names any more, and what was kept of their text."""
        removed = await self._artifacts.unlink(tx, workspace_id, digests)
        for artifact in removed:
            await tx.execute("DELETE FROM report_excerpt WHERE artifact_id = $1", artifact.id)
        return removed

    async def _leave_group(self, tx: Transaction, workspace_id: str, group_id: str) -> None:
        """End a group that lost its last report; what somebody decided on it stays, without its texts."""
        left = await tx.fetch_one(_LEAVE_GROUP, workspace_id, group_id)
        if left is not None and left["kept"] <= 0:
            for statement in _FORGET_GROUP:
                await tx.execute(statement, workspace_id, group_id)


async def forget_texts(tx: Transaction, workspace_id: str, report_id: str) -> None:
    """Forget what was kept of a report's texts beside it: in a later scan they turned out to hold a secret."""
    for statement in _FORGET_TEXTS:
        await tx.execute(statement, workspace_id, report_id)


async def _is_referenced(tx: Transaction, artifact_id: str) -> bool:
    row = await tx.fetch_one("SELECT report_id FROM report_artifact WHERE artifact_id = $1 LIMIT 1", artifact_id)
    return row is not None
