"""A deleted workspace is emptied behind its closing: in batches, each its own transaction, on from wherever it stood.

Objects go before their rows, so that a kill leaves rows that lead to what is still there. The log is kept, and the
bodies beside its records are erased. At the end it gets its last record; the receipt states its head, and the log
`system` the digest of the receipt.
"""

import json
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Final, Protocol

import msgspec

from failgate.audit.checkpoint import read_unverified
from failgate.audit.log import AuditLog
from failgate.audit.record import SERVER, SYSTEM, Act, Event
from failgate.base.background import DueWork
from failgate.base.canonical import JSON, digest_of
from failgate.base.clock import Clock, to_rfc3339
from failgate.base.db import Database, Row, Transaction
from failgate.base.emptying import Rows, delete_these, keys_of
from failgate.base.errors import FailgateError
from failgate.base.log import get_logger
from failgate.wire.deletion import WorkspaceReceipt

BATCH: Final = 100
_DUE: Final = "SELECT * FROM deleted_workspace WHERE receipt IS NULL ORDER BY closed_us"
_KEEP: Final = "UPDATE deleted_workspace SET receipt = $1, record = $2 WHERE id = $3 AND receipt IS NULL"
_EMPTIED: Final = "UPDATE deleted_workspace SET emptied_us = $1 WHERE id = $2 AND emptied_us IS NULL"
_log = get_logger("failgate.workspaces")


class Kept(Protocol):
    """An artifact, as far as it is counted here."""

    @property
    def id(self) -> str:
        """Return the key of its row."""
        ...

    @property
    def size_bytes(self) -> int:
        """Return its size before it was sealed."""
        ...


RemoveObjects = Callable[[str, int], Awaitable[Sequence[Kept]]]
"""`(workspace_id, limit)`: removes the objects of so many artifacts and returns them; their rows go next."""


class Emptying:
    """Empties closed workspaces, in the background, one after another."""

    def __init__(
        self,
        database: Database,
        audit: AuditLog,
        clock: Clock,
        *,
        rows: Sequence[Rows],
        remove_objects: RemoveObjects,
        forget_rules: Callable[[str], Awaitable[None]],
        erase_bodies: Callable[[str], Awaitable[int]],
    ) -> None:
        """Delete `rows` in their order.

        `forget_rules` takes a workspace's rules out of the rulebook, `erase_bodies` the bodies of the records of a log.
        """
        self.due = DueWork("emptying", self.run_once)
        self._database = database
        self._audit = audit
        self._clock = clock
        self._rows = tuple(rows)
        self._remove_objects = remove_objects
        self._forget_rules = forget_rules
        self._erase_bodies = erase_bodies

    async def open(self) -> None:
        """Let the audit log know which workspaces are deleted: before the first change."""
        rows = await self._database.fetch("SELECT id FROM deleted_workspace")
        self._audit.keep_ended(row["id"] for row in rows)

    async def run_once(self) -> int:
        """Empty whatever is due; return how many workspaces came to their receipt.

        One whose artifacts the store does not let go stays due, and stops no other.
        """
        done = 0
        for row in await self._database.fetch(_DUE):
            try:
                done += await self._empty(row)
            except FailgateError as error:
                _log.warning("workspace.not_emptied", workspace=row["id"], reason=str(error))
        return done

    async def _empty(self, row: Row) -> bool:
        """Empty one workspace; False when something came in between and it has to be looked at again."""
        workspace_id = row["id"]
        if row["emptied_us"] is None:
            await self._forget_rules(workspace_id)
            for rows in self._rows:
                await self._empty_table(rows, workspace_id)
            await self._forget_rules(workspace_id)  # one that was on its way into the rulebook
            await self._erase_bodies(workspace_id)  # its log is ended, and nothing that it still says has one
            if not await self._database.write(partial(self._finish, workspace_id=workspace_id)):
                self.due.wake()
                return False
        await self._issue(workspace_id)
        return True

    async def _empty_table(self, rows: Rows, workspace_id: str) -> None:
        while True:
            if not await self._batch(rows, workspace_id):
                return

    async def _batch(self, rows: Rows, workspace_id: str) -> int:
        if rows.has_objects:
            gone = await self._remove_objects(workspace_id, BATCH)
            keys: list[object] | None = [one.id for one in gone]
            size_bytes = sum(one.size_bytes for one in gone)
        else:
            keys, size_bytes = None, 0

        async def verb(tx: Transaction) -> int:
            chosen = keys if keys is not None else await keys_of(tx, rows, workspace_id, BATCH)
            if chosen:
                await _count(tx, workspace_id, await delete_these(tx, rows, workspace_id, chosen), size_bytes)
            return len(chosen)

        return await self._database.write(verb)

    async def _finish(self, tx: Transaction, workspace_id: str) -> bool:
        """Say in the workspace's log that nothing is left of it; False when something is."""
        for rows in self._rows:
            if await keys_of(tx, rows, workspace_id, 1):
                return False
        if await tx.execute(_EMPTIED, self._clock.now_us(), workspace_id) == 1:
            await tx.execute("DELETE FROM workspace WHERE id = $1", workspace_id)
            facts: dict[str, JSON] = {**_totals(await _removed(tx, workspace_id))}
            event = Event(Act.WORKSPACE_EMPTIED, workspace_id, "workspace", workspace_id, SERVER, facts)
            await self._audit.append(tx, event)
        return True

    async def _issue(self, workspace_id: str) -> None:
        """Write the receipt; the log `system` keeps its digest."""
        note = await self._audit.checkpoint(workspace_id)
        row = await self._database.fetch_one("SELECT * FROM deleted_workspace WHERE id = $1", workspace_id)
        assert row is not None, "what is left of a workspace stays"
        receipt = receipt_of(row, note)

        async def verb(tx: Transaction) -> None:
            facts: dict[str, JSON] = {
                "log_size": receipt.log_size, "log_root": receipt.log_root,
                "receipt": digest_of(msgspec.to_builtins(receipt)),
            }  # fmt: skip
            if await tx.fetch_one("SELECT id FROM deleted_workspace WHERE id = $1 AND receipt IS NULL", workspace_id):
                event = Event(Act.WORKSPACE_DELETED, SYSTEM, "workspace", workspace_id, SERVER, facts)
                appended = await self._audit.append(tx, event)
                await tx.execute(_KEEP, msgspec.json.encode(receipt).decode(), appended.seq, workspace_id)

        await self._database.write(verb)
        _log.info("workspace.deleted", workspace=workspace_id, reports=receipt.reports, size_bytes=receipt.size_bytes)


def receipt_of(row: Row, note: str) -> WorkspaceReceipt:
    """Return the receipt for a row of `deleted_workspace` and the checkpoint of the workspace's log."""
    removed: dict[str, int] = json.loads(row["removed"])
    totals, head = _totals(removed), read_unverified(note)
    return WorkspaceReceipt(
        id=row["id"],
        name=row["slug"],
        asked_by=row["asked_by"],
        asked_at=to_rfc3339(row["asked_us"]),
        confirmed_by=row["confirmed_by"],
        closed_at=to_rfc3339(row["closed_us"]),
        emptied_at=to_rfc3339(row["emptied_us"]),
        reports=totals["reports"],
        artifacts=totals["artifacts"],
        size_bytes=totals["size_bytes"],
        rows={table: number for table, number in sorted(removed.items()) if table != _BYTES and number},
        log_size=head.size,
        log_root=head.root.hex(),
        checkpoint=note,
    )


_BYTES: Final = "size_bytes"


async def _removed(tx: Transaction, workspace_id: str) -> dict[str, int]:
    row = await tx.fetch_one("SELECT removed FROM deleted_workspace WHERE id = $1", workspace_id)
    removed: dict[str, int] = json.loads(row["removed"]) if row is not None else {}
    return removed


async def _count(tx: Transaction, workspace_id: str, gone: Mapping[str, int], size_bytes: int) -> None:
    removed = Counter(await _removed(tx, workspace_id))
    removed.update({**gone, _BYTES: size_bytes})
    query = "UPDATE deleted_workspace SET removed = $1 WHERE id = $2"
    await tx.execute(query, json.dumps(removed, sort_keys=True), workspace_id)


def _totals(removed: Mapping[str, int]) -> dict[str, int]:
    return {
        "reports": removed.get("report", 0),
        "artifacts": removed.get("artifact", 0),
        "size_bytes": removed.get(_BYTES, 0),
    }
