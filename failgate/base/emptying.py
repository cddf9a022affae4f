"""Rows of a workspace that is deleted: each room names its tables, and they are emptied in bounded batches.

A table with a column `workspace_id` that no room names fails a test: nothing of a deleted workspace stays unnoticed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from failgate.base.db import Row, Transaction


@dataclass(frozen=True, slots=True)
class Rows:
    """A table's rows of one workspace.

    `key` is a column by which a batch is named; several rows may share one. `scope` is the condition under which a row
    is of the workspace `$1`. `children` are tables and their columns that name a `key` and go with it. `has_objects`:
    each row has an object in the store, which goes first.
    """

    table: str
    key: str = "id"
    scope: str = "workspace_id = $1"
    children: tuple[tuple[str, str], ...] = ()
    has_objects: bool = False

    @property
    def tables(self) -> tuple[str, ...]:
        """Return every table that is emptied."""
        return (self.table, *(table for table, _ in self.children))


async def keys_of(tx: Transaction, rows: Rows, workspace_id: str, limit: int) -> list[object]:
    """Return up to `limit` keys of what is left."""
    once = "" if rows.key == "id" else "DISTINCT "  # what is one anyway is not sorted for it
    query = f"SELECT {once}{rows.key} AS named FROM {rows.table} WHERE {rows.scope} LIMIT $2"
    found: list[Row] = await tx.fetch(query, workspace_id, limit)
    return [row["named"] for row in found]


async def delete_these(tx: Transaction, rows: Rows, workspace_id: str, keys: Sequence[object]) -> dict[str, int]:
    """Delete the rows of `keys` with their children; return how many went, by table."""
    if not keys:
        return {}
    gone: dict[str, int] = {}
    own = ", ".join(f"${number}" for number in range(1, len(keys) + 1))
    for table, column in rows.children:
        gone[table] = await tx.execute(f"DELETE FROM {table} WHERE {column} IN ({own})", *keys)
    after = ", ".join(f"${number}" for number in range(2, len(keys) + 2))
    statement = f"DELETE FROM {rows.table} WHERE {rows.scope} AND {rows.key} IN ({after})"
    gone[rows.table] = await tx.execute(statement, workspace_id, *keys)
    return gone
