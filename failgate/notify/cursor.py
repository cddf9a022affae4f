"""How far a workspace's audit log was read for what is to be told. A workspace without a row costs nothing."""

from typing import Final

from failgate.base.db import Database, Row, Transaction

_FOLLOW: Final = "INSERT INTO notify_cursor (workspace_id, seq) VALUES ($1, $2) ON CONFLICT DO NOTHING"
_BEHIND: Final = (
    "SELECT c.workspace_id, c.seq, h.size FROM notify_cursor c JOIN audit_head h ON h.log = c.workspace_id"
    " WHERE h.size > c.seq ORDER BY c.workspace_id"
)
_MOVE: Final = "UPDATE notify_cursor SET seq = $1 WHERE workspace_id = $2 AND seq = $3"


async def follow_from(tx: Transaction, workspace_id: str, seq: int) -> None:
    """Read the workspace's log from the record `seq` on, unless it is read already."""
    await tx.execute(_FOLLOW, workspace_id, seq)


async def behind(db: Database) -> list[Row]:
    """Return the logs with records that were not read: `workspace_id`, `seq` (the next one), `size`."""
    return await db.fetch(_BEHIND)


async def move(tx: Transaction, workspace_id: str, from_seq: int, to_seq: int) -> bool:
    """Keep that the records up to `to_seq` (exclusive) were read; return False when somebody else did meanwhile."""
    return await tx.execute(_MOVE, to_seq, workspace_id, from_seq) == 1


async def leave(tx: Transaction, workspace_id: str) -> None:
    """Read the log no longer: the workspace is deleted."""
    await tx.execute("DELETE FROM notify_cursor WHERE workspace_id = $1", workspace_id)
