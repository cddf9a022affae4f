"""Deleting a workspace: an owner asks, a different owner confirms, and it is closed in that transaction.

```text
ask ──► waiting ──► confirm ──► closed ──► (emptying.py) emptied ──► receipt
           ├──► withdraw, by any owner
           └──► over: 72 hours went by, or who asked is an owner no more
```

Closed: nobody belongs to it, what could be done in it has ended, its data key is destroyed, and its log takes nothing
more. Both owners must own it in the moment of the confirmation, with accounts that are not barred; whoever was demoted,
removed or barred in between counts no more, also when they came back.
"""

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import msgspec

from failgate.access.principal import Principal
from failgate.audit.log import AuditLog
from failgate.audit.record import SERVER, SYSTEM, Act, Actor, Event
from failgate.base.canonical import JSON
from failgate.base.clock import MICROSECONDS, Clock, to_rfc3339
from failgate.base.db import Database, Row, Transaction
from failgate.base.errors import BadInput, Conflict, Forbidden, NotFound
from failgate.base.ids import new_id
from failgate.wire.deletion import DeletedWorkspace, WorkspaceReceipt
from failgate.workspaces.workspaces import Workspaces

WORD_HOURS: Final = 72  # how long an owner's word waits for a second one
Ending = Callable[[Transaction, str, Actor], Awaitable[object]]
"""What ends when the workspace of this id is closed, inside that transaction."""

OldestHold = Callable[[Transaction, str], Awaitable[tuple[str, str] | None]]
"""`(tx, workspace_id)` to a report under legal hold and its reason, or None."""

_OWNERS: Final = """
SELECT membership.account_id FROM membership JOIN account ON account.id = membership.account_id
WHERE membership.workspace_id = $1 AND membership.role = 'owner' AND account.disabled_us IS NULL
"""
_SLUG: Final = "SELECT slug FROM workspace WHERE id = $1 AND closed_us IS NULL"
_WAITING: Final = "SELECT * FROM workspace_deletion WHERE workspace_id = $1"
_ASK: Final = """
INSERT INTO workspace_deletion (workspace_id, id, asked_by, asked_us, expires_us) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (workspace_id) DO NOTHING
"""
_TAKE: Final = "DELETE FROM workspace_deletion WHERE workspace_id = $1 AND id = $2"
_CLOSED: Final = """
INSERT INTO deleted_workspace (id, slug, owners, asked_by, asked_us, confirmed_by, closed_us, removed)
VALUES ($1, $2, $3, $4, $5, $6, $7, '{}')
"""


@dataclass(frozen=True, slots=True)
class Asked:
    """An owner's word; times are microseconds since 1970."""

    id: str
    workspace_id: str
    asked_by: str
    asked_us: int
    expires_us: int


class WorkspaceDeletion:
    """Takes the words of two owners, and closes the workspace."""

    def __init__(
        self,
        database: Database,
        audit: AuditLog,
        clock: Clock,
        workspaces: Workspaces,
        *,
        oldest_hold: OldestHold,
        endings: Sequence[Ending],
        closed: Callable[[], None],
    ) -> None:
        """Work on `database`; `endings` end with a workspace, and `closed` is called after the commit."""
        self._database = database
        self._audit = audit
        self._clock = clock
        self._workspaces = workspaces
        self._oldest_hold = oldest_hold
        self._endings = tuple(endings)
        self._closed = closed

    async def waiting(self, workspace_id: str) -> Asked | None:
        """Return the word that waits for a second owner, or None."""
        row = await self._database.fetch_one(_WAITING, workspace_id)
        return _asked(row) if row is not None and self._clock.now_us() < row["expires_us"] else None

    async def ask(self, principal: Principal, workspace_id: str, name: str) -> Asked:
        """Ask that the workspace be deleted; `name` is its short name, typed.

        Raises: BadInput (another name); Forbidden (no owner); Conflict (it has one owner, a report is under legal hold,
        or it was asked before); NotFound.
        """

        async def verb(tx: Transaction) -> Asked:
            account_id = await self._must_mean_it(tx, principal, workspace_id, name)
            if len(await tx.fetch(_OWNERS, workspace_id)) < 2:
                raise Conflict(
                    "This workspace has one owner: nobody could confirm.",
                    hint="Make somebody else an owner first, on the page of members.",
                )
            await self._forget_over(tx, workspace_id)
            now_us = self._clock.now_us()
            asked = Asked(new_id(), workspace_id, account_id, now_us, now_us + WORD_HOURS * 3600 * MICROSECONDS)
            values = (workspace_id, asked.id, account_id, now_us, asked.expires_us)
            if await tx.execute(_ASK, *values) != 1:
                raise Conflict("An owner asked for it already.", hint="Confirm or withdraw that one.")
            facts: dict[str, JSON] = {"expires_us": asked.expires_us}
            await self._record(tx, Act.WORKSPACE_DELETION_ASKED, workspace_id, asked.id, Actor.of(principal), facts)
            return asked

        return await self._database.write(verb)

    async def withdraw(self, principal: Principal, workspace_id: str, deletion_id: str) -> None:
        """Take the word back; any owner may. Raises: NotFound (none waits); Forbidden (no owner)."""

        async def verb(tx: Transaction) -> None:
            row = await tx.fetch_one(_WAITING, workspace_id)
            if row is None or row["id"] != deletion_id:
                raise _nothing_waits()
            await self._must_own(tx, principal, workspace_id)
            await self._end(tx, row, Actor.of(principal), "withdrawn")

        await self._database.write(verb)

    async def confirm(self, principal: Principal, workspace_id: str, deletion_id: str, name: str) -> str:
        """Confirm another owner's word: the workspace is closed when this returns. Returns its id.

        Raises: NotFound (none waits, or it is deleted); BadInput (another name); Forbidden (no owner, or who asked);
        Conflict (who asked is an owner no more, its time went by, a report is under legal hold).
        """

        async def verb(tx: Transaction) -> str:
            row = await tx.fetch_one(_WAITING, workspace_id)
            if row is None or row["id"] != deletion_id:
                raise _nothing_waits()
            account_id = await self._must_mean_it(tx, principal, workspace_id, name)
            if account_id == row["asked_by"]:
                raise Forbidden("Another owner than the one who asked confirms.", hint="Tell them; a letter was sent.")
            if self._clock.now_us() >= row["expires_us"]:
                raise Conflict("The time to confirm went by.", hint="Ask again; another owner then confirms.")
            if row["asked_by"] not in [one["account_id"] for one in await tx.fetch(_OWNERS, workspace_id)]:
                raise Conflict("Who asked is an owner no more.", hint="Ask yourself; another owner then confirms.")
            await self._close(tx, _asked(row), account_id, Actor.of(principal))
            return workspace_id

        return await self._database.write(verb)

    async def end_of_account(self, tx: Transaction, account_id: str, actor: Actor) -> None:
        """End the words of an account that is barred: they count no more, also when it is let in again."""
        for row in await tx.fetch("SELECT * FROM workspace_deletion WHERE asked_by = $1", account_id):
            await self._end(tx, row, actor, "account_disabled")

    async def end_of_owner(self, tx: Transaction, workspace_id: str, account_id: str, actor: Actor) -> None:
        """End the word of an owner who leaves or becomes something else."""
        row = await tx.fetch_one(_WAITING, workspace_id)
        if row is not None and row["asked_by"] == account_id:
            await self._end(tx, row, actor, "owner_changed")

    async def sweep(self) -> None:
        """End the words whose time went by. To be called once a minute."""
        query = "SELECT workspace_id FROM workspace_deletion WHERE expires_us <= $1"
        for row in await self._database.fetch(query, self._clock.now_us()):
            await self._database.write(partial(self._forget_over, workspace_id=row["workspace_id"]))

    # What is left

    async def deleted(self) -> Sequence[DeletedWorkspace]:
        """Return what is left of every deleted workspace, the latest first."""
        return [left_of(row) for row in await self._database.fetch(f"{_LEFT} ORDER BY closed_us DESC")]

    async def deleted_of(self, account_id: str) -> Sequence[DeletedWorkspace]:
        """Return what is left of the workspaces that the account owned when they were closed, the latest first."""
        rows = await self._database.fetch(f"{_LEFT} ORDER BY closed_us DESC")
        return [left_of(row) for row in rows if account_id in json.loads(row["owners"])]

    async def one_deleted_of(self, account_id: str, workspace_id: str) -> DeletedWorkspace:
        """Return what is left of one. Raises: NotFound (the account did not own it)."""
        row = await self._database.fetch_one(f"{_LEFT} WHERE id = $1", workspace_id)
        if row is None or account_id not in json.loads(row["owners"]):
            raise NotFound("There is no such deleted workspace.")
        return left_of(row)

    # The parts

    async def _close(self, tx: Transaction, asked: Asked, confirmed_by: str, actor: Actor) -> None:
        workspace_id = asked.workspace_id
        row = await tx.fetch_one(_SLUG, workspace_id)
        if row is None:
            raise _nothing_waits()
        if await tx.execute(_TAKE, workspace_id, asked.id) != 1:
            raise _nothing_waits()
        owners = await self._workspaces.close_within(tx, workspace_id, actor)
        for ending in self._endings:
            await ending(tx, workspace_id, actor)
        await tx.execute(
            _CLOSED, workspace_id, row["slug"], json.dumps(owners), asked.asked_by, asked.asked_us, confirmed_by,
            self._clock.now_us(),
        )  # fmt: skip
        facts: dict[str, JSON] = {"asked_by": asked.asked_by, "owners": len(owners)}
        for log in (workspace_id, SYSTEM):
            event = Event(Act.WORKSPACE_CLOSED, log, "workspace", workspace_id, actor, facts)
            await self._audit.append(tx, event)
        self._audit.end(tx, workspace_id)
        tx.after_commit(self._closed)

    async def _must_mean_it(self, tx: Transaction, principal: Principal, workspace_id: str, name: str) -> str:
        """Return the account of an owner who typed the workspace's name, where nothing is held."""
        row = await tx.fetch_one(_SLUG, workspace_id)
        if row is None:
            raise NotFound("There is no such workspace.")
        account_id = await self._must_own(tx, principal, workspace_id)
        if name.strip() != row["slug"]:
            raise BadInput("The name is not this workspace's.", hint=f"Type {row['slug']}.")
        held = await self._oldest_hold(tx, workspace_id)
        if held is not None:
            report_id, reason = held
            raise Conflict(
                f"The report {report_id} is under legal hold: {reason}",
                hint="Nothing deletes the workspace until every hold is released.",
            )
        return account_id

    async def _must_own(self, tx: Transaction, principal: Principal, workspace_id: str) -> str:
        owners = [one["account_id"] for one in await tx.fetch(_OWNERS, workspace_id)]
        if principal.kind != "user" or principal.account_id not in owners:
            raise Forbidden("Only an owner deletes a workspace.", hint="Ask an owner of the workspace.")
        return principal.account_id or ""

    async def _forget_over(self, tx: Transaction, workspace_id: str) -> None:
        row = await tx.fetch_one(_WAITING, workspace_id)
        if row is not None and self._clock.now_us() >= row["expires_us"]:
            await self._end(tx, row, SERVER, "expired")

    async def _end(self, tx: Transaction, row: Row, actor: Actor, reason: str) -> None:
        if await tx.execute(_TAKE, row["workspace_id"], row["id"]) == 1:
            facts: dict[str, JSON] = {"asked_by": row["asked_by"], "reason": reason}
            act = Act.WORKSPACE_DELETION_WITHDRAWN
            await self._record(tx, act, row["workspace_id"], row["id"], actor, facts)

    async def _record(
        self, tx: Transaction, act: Act, workspace_id: str, deletion_id: str, actor: Actor, facts: dict[str, JSON]
    ) -> None:
        event = Event(act, workspace_id, "workspace_deletion", deletion_id, actor, facts)
        await self._audit.append(tx, event)


_LEFT: Final = "SELECT id, slug, owners, closed_us, receipt, record FROM deleted_workspace"


def left_of(row: Row) -> DeletedWorkspace:
    """Return what is left of a workspace from its row."""
    text = row["receipt"]
    receipt = msgspec.json.decode(text, type=WorkspaceReceipt) if text is not None else None
    return DeletedWorkspace(
        row["id"], row["slug"], to_rfc3339(row["closed_us"]), "emptying" if receipt is None else "deleted", receipt,
        row["record"],
    )  # fmt: skip


def _asked(row: Row) -> Asked:
    return Asked(row["id"], row["workspace_id"], row["asked_by"], row["asked_us"], row["expires_us"])


def _nothing_waits() -> NotFound:
    return NotFound("No deletion waits for a second owner.", hint="It was withdrawn, or its time went by.")
