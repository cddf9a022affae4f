"""Recordings deleted, by a person or because their time is over: rows, and chunks that nothing else names.

The audit log keeps every link of the chain, so what was deleted can still be told from what never was. While a report
of a command that was asked for in a recording is under legal hold, the recording stays as well.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import msgspec

from failgate.access.principal import Principal
from failgate.artifacts.artifacts import Artifact, Artifacts
from failgate.audit.log import AuditLog
from failgate.audit.record import SERVER, Act, Actor, Event
from failgate.base.canonical import JSON
from failgate.base.clock import Clock, to_rfc3339
from failgate.base.db import Database, Row, Transaction
from failgate.base.errors import Conflict
from failgate.recordings.stored import SELECT_ONE, recording_of
from failgate.wire.recordings import DeletedRecording

Unlink = Callable[[Transaction, str, list[str]], Awaitable[list[Artifact]]]
"""`(tx, workspace_id, digests)`: removes the rows of artifacts that nothing names any more, and returns those."""

_IS_HELD: Final = """
EXISTS (SELECT 1 FROM recording_mark JOIN report ON report.workspace_id = recording_mark.workspace_id
  AND report.command_id = recording_mark.command_id
  WHERE recording_mark.workspace_id = recording.workspace_id AND recording_mark.recording_id = recording.id
  AND report.held_us IS NOT NULL)
"""
_OLD: Final = f"FROM recording WHERE workspace_id = $1 AND id < $2 AND state <> 'live' AND NOT {_IS_HELD}"
_HOLDING: Final = f"SELECT 1 AS one FROM recording WHERE workspace_id = $1 AND id = $2 AND {_IS_HELD}"
_CHUNKS: Final = "SELECT sha256 FROM recording_chunk WHERE workspace_id = $1 AND recording_id = $2 ORDER BY number"
_DELETES: Final = (
    "DELETE FROM recording_mark WHERE workspace_id = $1 AND recording_id = $2",
    "DELETE FROM recording_chunk WHERE workspace_id = $1 AND recording_id = $2",
    "DELETE FROM recording WHERE workspace_id = $1 AND id = $2",
)


class RecordingDeletion:
    """Deletes recordings; to the sweep of what has had its time they are one more thing that is kept."""

    def __init__(self, db: Database, audit: AuditLog, clock: Clock, artifacts: Artifacts, unlink: Unlink) -> None:
        """Delete from `db` and `artifacts`, on record in `audit`."""
        self._db = db
        self._audit = audit
        self._clock = clock
        self._artifacts = artifacts
        self._unlink = unlink

    async def delete(self, principal: Principal, workspace_id: str, recording_id: str) -> DeletedRecording:
        """Delete a recording; return the receipt.

        Raises: NotFound; Conflict (it runs, or legal hold); StorageUnavailable.
        """

        async def verb(tx: Transaction) -> tuple[DeletedRecording, list[Artifact]]:
            return await self._delete_within(tx, Actor.of(principal), workspace_id, recording_id, None)

        receipt, removed = await self._db.write(verb)
        return msgspec.structs.replace(receipt, pending_objects=await self._artifacts.discard(removed))

    async def count(self, workspace_id: str, before: str) -> int:
        """Return how many recordings with an id smaller than `before` may go."""
        row = await self._db.fetch_one(f"SELECT count(*) AS number {_OLD}", workspace_id, before)
        return int(row["number"]) if row is not None else 0

    async def sweep(self, workspace_id: str, before: str, limit: int) -> int:
        """Delete up to `limit` of those that `count` counts, the oldest first; return how many were looked at."""
        rows = await self._db.fetch(f"SELECT id {_OLD} ORDER BY id LIMIT $3", workspace_id, before, limit)
        if rows:
            await self._artifacts.discard(await self._db.write(lambda tx: self._expire(tx, workspace_id, rows)))
        return len(rows)

    async def _expire(self, tx: Transaction, workspace_id: str, rows: Sequence[Row]) -> list[Artifact]:
        removed: list[Artifact] = []
        for row in rows:
            now = await tx.fetch_one(SELECT_ONE, workspace_id, row["id"])
            if now is None or now["state"] == "live" or await self._is_held(tx, workspace_id, row["id"]):
                continue  # as it is now
            _, gone = await self._delete_within(tx, SERVER, workspace_id, row["id"], "retention")
            removed += gone
        return removed

    async def _delete_within(
        self, tx: Transaction, actor: Actor, workspace_id: str, recording_id: str, reason: str | None
    ) -> tuple[DeletedRecording, list[Artifact]]:
        recording = recording_of(await tx.fetch_one(SELECT_ONE, workspace_id, recording_id))
        if recording.state == "live":
            raise Conflict("The recording still runs.", hint="Delete it when it has ended.", state=recording.state)
        if await self._is_held(tx, workspace_id, recording_id):
            raise Conflict(
                "A report of one of its commands is under legal hold: the recording is not deleted.",
                hint="Release the report first.", state="held",
            )  # fmt: skip
        digests = [row["sha256"] for row in await tx.fetch(_CHUNKS, workspace_id, recording_id)]
        for statement in _DELETES:
            await tx.execute(statement, workspace_id, recording_id)
        removed = await self._unlink(tx, workspace_id, digests)
        facts: dict[str, JSON] = {"chain": recording.chain, "chunks": recording.chunks, "reason": reason}
        event = Event(Act.RECORDING_DELETED, workspace_id, "recording", recording_id, actor, facts)
        appended = await self._audit.append(tx, event)
        receipt = DeletedRecording(
            id=recording_id,
            chain=recording.chain,
            chunks=recording.chunks,
            deleted_at=to_rfc3339(self._clock.now_us()),
            record=appended.seq,
            pending_objects=0,
        )
        return receipt, removed

    async def _is_held(self, tx: Transaction, workspace_id: str, recording_id: str) -> bool:
        return await tx.fetch_one(_HOLDING, workspace_id, recording_id) is not None
