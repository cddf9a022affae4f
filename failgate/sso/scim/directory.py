"""The people and groups of each connection: found, made, changed, removed, in order.

Reading and patching are CPU work and run in a thread; the verb that follows changes nothing when the resource was
changed meanwhile, and then everything is done again. A connection sees its own resources alone.
"""

import asyncio
import importlib
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from failgate.accounts.email_address import normalised_or_none
from failgate.audit.log import AuditLog
from failgate.audit.record import SYSTEM, Act, Actor, Event
from failgate.base.canonical import JSON
from failgate.base.clock import Clock
from failgate.base.db import Database, Transaction
from failgate.base.ids import new_id
from failgate.sso.connection import Connection
from failgate.sso.linking import actor_of
from failgate.sso.scim.dialects import MemberChange
from failgate.sso.scim.errors import ScimError, uniqueness
from failgate.sso.scim.finding import Finding, Shown, must_load
from failgate.sso.scim.governing import Governing, Placed
from failgate.sso.scim.joining import is_mapped, set_members, touch
from failgate.sso.scim.stored import (
    INSERT,
    UPDATE,
    Draft,
    Kept,
    Kind,
    load,
    places,
    write_values,
)

TRIES: Final = 5
ROLES_TOGETHER: Final = 50  # people whose roles are looked at in one transaction
_ACTS: Final[dict[tuple[Kind, str], Act]] = {
    ("User", "created"): Act.SCIM_USER_CREATED,
    ("User", "changed"): Act.SCIM_USER_CHANGED,
    ("User", "deleted"): Act.SCIM_USER_DELETED,
    ("Group", "created"): Act.SCIM_GROUP_CREATED,
    ("Group", "changed"): Act.SCIM_GROUP_CHANGED,
    ("Group", "deleted"): Act.SCIM_GROUP_DELETED,
}


class _Changed(Exception):  # internal: the resource is another one than was read
    """Somebody else changed the resource between reading and writing."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How many people and groups a connection keeps; `gaps` counts those without access by the word that says why."""

    people: int
    groups: int
    gaps: Mapping[str, int]


class Directory:
    """What providers keep here."""

    def __init__(self, database: Database, audit: AuditLog, clock: Clock, governing: Governing) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._governing = governing
        self._finding = Finding(database)
        self.read = self._finding.read
        self.search = self._finding.search

    @staticmethod
    async def prepare() -> None:
        """Load what the first request would have to wait for."""
        await asyncio.to_thread(importlib.import_module, "failgate.sso.scim.drafts")

    async def create(self, connection: Connection, kind: Kind, body: Any, base_url: str) -> Shown:
        """Keep a new resource; a person gets an account and roles as the law of `governing` has it.

        Raises: ScimError.
        """
        from failgate.sso.scim.drafts import draft_new

        change = await asyncio.to_thread(draft_new, kind, body)

        async def verb(tx: Transaction) -> tuple[Kept, list[str]]:
            resource_id, now_us, draft = new_id(), self._clock.now_us(), change.draft
            inserted = await tx.execute(
                INSERT, resource_id, connection.id, kind, draft.name, draft.label, _text(draft), int(draft.is_active),
                now_us,
            )  # fmt: skip
            if inserted != 1:
                raise _taken(kind)
            await write_values(tx, connection.id, resource_id, draft)
            kept = await must_load(tx, connection.id, kind, resource_id)
            return await self._settle(tx, connection, None, kept, change.draft, change.members, "created")

        kept, due = await self._database.write(verb)
        await self._give_roles(connection, due)
        return await self._finding.show(kept, base_url)

    async def replace(
        self, connection: Connection, kind: Kind, resource_id: str, body: Any, base_url: str, if_match: str | None
    ) -> Shown:
        """Make the resource what `body` says.

        Raises: ScimError.
        """
        from failgate.sso.scim.drafts import draft_replaced

        async def draft(kept: Kept) -> Any:
            return await asyncio.to_thread(draft_replaced, kind, body, kept)

        return await self._change(connection, kind, resource_id, draft, base_url, if_match)

    async def patch(
        self, connection: Connection, kind: Kind, resource_id: str, body: Any, base_url: str, if_match: str | None
    ) -> Shown:
        """Change parts of the resource, all of the operations or none.

        Raises: ScimError.
        """
        from failgate.sso.scim.drafts import NeedsMembers, draft_patched

        async def draft(kept: Kept) -> Any:
            try:
                return await asyncio.to_thread(draft_patched, kind, body, kept)
            except NeedsMembers:
                query = "SELECT user_id FROM scim_member WHERE group_id = $1 ORDER BY id"
                members = [row["user_id"] for row in await self._database.fetch(query, kept.id)]
                return await asyncio.to_thread(draft_patched, kind, body, kept, members)

        return await self._change(connection, kind, resource_id, draft, base_url, if_match)

    async def delete(self, connection: Connection, kind: Kind, resource_id: str, if_match: str | None) -> None:
        """Forget the resource; of a person everything ends first, as with `active: false`.

        Raises: ScimError.
        """

        async def verb(tx: Transaction) -> list[str]:
            kept = await must_load(tx, connection.id, kind, resource_id)
            _check_match(kept, if_match)
            linked = "user_id" if kind == "Group" else "group_id"
            own = "group_id" if kind == "Group" else "user_id"
            query = f"SELECT {linked} AS id FROM scim_member WHERE {own} = $1"
            others = [row["id"] for row in await tx.fetch(query, kept.id)]
            if kept.account_id is not None:
                await self._governing.end(tx, connection, kept.account_id)
            await tx.execute(f"DELETE FROM scim_member WHERE {own} = $1", kept.id)
            await tx.execute("DELETE FROM scim_value WHERE resource_id = $1", kept.id)
            await tx.execute("DELETE FROM scim_resource WHERE id = $1", kept.id)
            await touch(tx, others)
            await self._record(tx, connection, kept, "deleted")
            return others if kind == "Group" and is_mapped(connection, kept) else []

        await self._give_roles(connection, await self._database.write(verb))

    async def allow(self, connection: Connection, email: str, actor: Actor) -> None:
        """Let the connection provision the account of that address, which is there already. Twice is as once.

        A workspace's connection may be allowed members of that workspace alone.

        Raises: NotFound (no such account; no member: the same answer).
        """

        async def verb(tx: Transaction) -> None:
            if not await self._governing.allow(tx, connection, email):
                return
            account = await tx.fetch_one("SELECT id FROM account WHERE email = $1", normalised_or_none(email))
            assert account is not None
            event = Event(
                act=Act.SCIM_ACCOUNT_ALLOWED, ws=connection.workspace_id or SYSTEM, obj_t="account",
                obj_id=account["id"], actor=actor, data={"connection": connection.id, "account": account["id"]},
            )  # fmt: skip
            await self._audit.append(tx, event)

        await self._database.write(verb)

    async def standing(self, connection_id: str) -> Standing:
        """Return how many people and groups the connection keeps here, and why some have no account."""
        query = "SELECT kind, gap, COUNT(*) AS many FROM scim_resource WHERE connection_id = $1 GROUP BY kind, gap"
        rows = await self._database.fetch(query, connection_id)
        people = {row["gap"]: int(row["many"]) for row in rows if row["kind"] == "User"}
        groups = sum(int(row["many"]) for row in rows if row["kind"] == "Group")
        gaps = {gap: many for gap, many in sorted(people.items(), key=lambda pair: pair[0] or "") if gap is not None}
        return Standing(sum(people.values()), groups, gaps)

    # Changing

    async def _change(
        self,
        connection: Connection,
        kind: Kind,
        resource_id: str,
        draft: Callable[[Kept], Awaitable[Any]],
        base_url: str,
        if_match: str | None,
    ) -> Shown:
        for _ in range(TRIES):
            kept = await must_load(self._database, connection.id, kind, resource_id)
            _check_match(kept, if_match)
            change = await draft(kept)
            try:
                changed, due = await self._database.write(
                    partial(self._store, connection=connection, before=kept, draft=change.draft, members=change.members)
                )
            except _Changed:
                continue
            await self._give_roles(connection, due)
            return await self._finding.show(changed, base_url)
        raise ScimError(409, "The resource is being changed by others all the time.", hint="Ask again in a moment.")

    async def _store(
        self, tx: Transaction, connection: Connection, before: Kept, draft: Draft, members: tuple[MemberChange, ...]
    ) -> tuple[Kept, list[str]]:
        changed = await tx.execute(
            UPDATE, draft.name, draft.label, _text(draft), int(draft.is_active), self._clock.now_us(), before.id,
            before.version, connection.id, before.kind,
        )  # fmt: skip
        if changed != 1:
            now = await load(tx, connection.id, before.kind, before.id)
            if now is not None and now.version == before.version:
                raise _taken(before.kind)
            raise _Changed
        if _text(draft) != json.dumps(before.body, ensure_ascii=False):
            await write_values(tx, connection.id, before.id, draft)
        kept = await must_load(tx, connection.id, before.kind, before.id)
        return await self._settle(tx, connection, before, kept, draft, members, "changed")

    async def _settle(
        self,
        tx: Transaction,
        connection: Connection,
        before: Kept | None,
        kept: Kept,
        draft: Draft,
        members: tuple[MemberChange, ...],
        what: str,
    ) -> tuple[Kept, list[str]]:
        """Carry out what the resource means; return it, and the people whose roles are to be looked at yet."""
        due: list[str] = []
        if kept.kind == "Group":
            due = await set_members(tx, connection, before, kept, members)
        else:
            kept = await self._place(tx, connection, before, kept, draft)
        await self._record(tx, connection, kept, what)
        return kept, due

    async def _place(
        self, tx: Transaction, connection: Connection, before: Kept | None, kept: Kept, draft: Draft
    ) -> Kept:
        if kept.is_active:
            placed = await self._governing.place(tx, connection, kept.id, draft.email, kept.account_id)
        else:
            placed = Placed(kept.account_id, "inactive")
            if kept.account_id is not None and before is not None and before.is_active:
                await self._governing.end(tx, connection, kept.account_id)
        if (placed.account_id, placed.gap) != (kept.account_id, kept.gap):
            query = "UPDATE scim_resource SET account_id = $1, gap = $2 WHERE id = $3"
            await tx.execute(query, placed.account_id, placed.gap, kept.id)
        if kept.is_active and placed.account_id is not None and placed.gap is None:
            await self._governing.give_roles(tx, connection, kept.id, placed.account_id)
        return replace(kept, account_id=placed.account_id, gap=placed.gap)

    async def _give_roles(self, connection: Connection, user_ids: Sequence[str]) -> None:
        """Look at the roles of `user_ids`, some in each transaction: a large group does not hold everybody up."""
        for start in range(0, len(user_ids), ROLES_TOGETHER):
            some = list(user_ids[start : start + ROLES_TOGETHER])

            async def verb(tx: Transaction, some: list[str] = some) -> None:
                rows = await tx.fetch(
                    "SELECT id, account_id FROM scim_resource WHERE is_active = 1 AND account_id IS NOT NULL"
                    f" AND gap IS NULL AND id IN ({places(1, len(some))}) ORDER BY id",
                    *some,
                )
                for row in rows:
                    await self._governing.give_roles(tx, connection, row["id"], row["account_id"])

            await self._database.write(verb)

    async def _record(self, tx: Transaction, connection: Connection, kept: Kept, what: str) -> None:
        facts: dict[str, JSON] = {"connection": connection.id, "version": kept.version}
        if kept.kind == "User":
            facts |= {
                "account": kept.account_id,
                "reason": kept.gap,
                "state": "active" if kept.is_active else "inactive",
            }
        obj_t = "scim_user" if kept.kind == "User" else "scim_group"
        await self._audit.append(
            tx,
            Event(
                act=_ACTS[kept.kind, what], ws=connection.workspace_id or SYSTEM, obj_t=obj_t, obj_id=kept.id,
                actor=actor_of(connection), data=facts,
            ),
        )  # fmt: skip


def _text(draft: Draft) -> str:
    return json.dumps(draft.body, ensure_ascii=False)


def _taken(kind: Kind) -> ScimError:
    name = "userName" if kind == "User" else "displayName"
    return uniqueness(
        f"Another {kind} of this connection has this {name}.", hint="Find it with a filter, then change it."
    )


def _check_match(kept: Kept, if_match: str | None) -> None:
    """Check `If-Match`. Raises: ScimError 412. Source: RFC 7644 section 3.14; RFC 9110 section 13.1.1."""
    if if_match is None or if_match.strip() == "*":
        return
    given = {each.strip().removeprefix("W/") for each in if_match.split(",")}
    if kept.etag.removeprefix("W/") not in given:
        raise ScimError(412, "The resource has another version by now.", hint="Read it again.")
