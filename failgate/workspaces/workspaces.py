"""Workspaces and who belongs to them.

Names in addresses (slugs) and roles are answered from memory and forgotten in the moment of their change. Who may
change whose role is decided here from the actor's own membership: an administrator makes no owners and touches none.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from failgate.access.role import Role
from failgate.audit.log import AuditLog
from failgate.audit.record import Act, Actor, Event
from failgate.base.cache import ReadThrough
from failgate.base.canonical import JSON
from failgate.base.clock import Clock
from failgate.base.db import Database, Row, Transaction
from failgate.base.errors import Conflict, Forbidden, NotFound
from failgate.base.ids import new_id
from failgate.workspaces.names import check_name, check_slug, is_slug
from failgate.workspaces.tables import MembershipRow

RoleChanged = Callable[[str, str, Role | None], None]
"""Told of a membership that changed: workspace id, account id, the role that holds now (None: it ended)."""

Leaving = Callable[[Transaction, str, str, Actor], Awaitable[None]]
"""What else ends when an account leaves: workspace id, account id, actor; inside that transaction."""

Admission = Callable[[Transaction, str], Awaitable[None]]
"""Asked before somebody joins: workspace id; inside that transaction."""

# The server itself, who has access to its host, and a connection that carries out the rules that an owner wrote for it:
# they stand above the roles of a workspace.
OPERATORS: Final = frozenset({"system", "operator", "sso_connection"})


@dataclass(frozen=True, slots=True)
class Workspace:
    """A workspace; `created_us` is microseconds since 1970."""

    id: str
    slug: str
    name: str
    created_us: int


@dataclass(frozen=True, slots=True)
class Membership:
    """An account's role in a workspace, since `added_us` (microseconds since 1970)."""

    workspace: Workspace
    role: Role
    added_us: int


@dataclass(frozen=True, slots=True)
class Member:
    """Who belongs to a workspace, in which role, since `added_us` (microseconds since 1970)."""

    account_id: str
    role: Role
    added_us: int


class Workspaces:
    """Makes and finds workspaces and changes who belongs to them."""

    def __init__(self, database: Database, audit: AuditLog, clock: Clock, *, leavings: Sequence[Leaving] = ()) -> None:
        """Work on `database`; `leavings` are what other rooms end when an account leaves a workspace."""
        self._database = database
        self._audit = audit
        self._clock = clock
        self._leavings = list(leavings)
        self._keepings: list[Leaving] = []
        self._demotions: list[Leaving] = []
        self._followings: list[Leaving] = []
        self._admissions: list[Admission] = []
        self._callbacks: list[RoleChanged] = []
        self._by_slug = ReadThrough(self._load_by_slug, limit=10_000)
        self._by_id = ReadThrough(self._load_by_id, limit=10_000)
        self._roles = ReadThrough(self._load_role)

    async def create(self, slug: str, name: str, owner_id: str, actor: Actor) -> Workspace:
        """Make a workspace that `owner_id` owns.

        Raises: BadInput (slug or name); Conflict (the slug is taken).
        """

        async def verb(tx: Transaction) -> Workspace:
            return await self.create_within(tx, slug, name, owner_id, actor)

        return await self._database.write(verb)

    async def create_within(self, tx: Transaction, slug: str, name: str, owner_id: str, actor: Actor) -> Workspace:
        """Do what `create` does inside an open transaction."""
        workspace = Workspace(new_id(), check_slug(slug), check_name(name), self._clock.now_us())
        if await tx.fetch_one("SELECT id FROM deleted_workspace WHERE slug = $1", slug) is not None:
            raise Conflict(
                f"A workspace named {slug} was deleted; its name is not given again.", hint="Choose another short name."
            )
        inserted = await tx.execute(
            "INSERT INTO workspace (id, slug, name, created_us) VALUES ($1, $2, $3, $4) ON CONFLICT (slug) DO NOTHING",
            workspace.id, workspace.slug, workspace.name, workspace.created_us,
        )  # fmt: skip
        if inserted != 1:
            raise Conflict(f"A workspace named {slug} exists.", hint="Choose another short name.")
        await self._audit.append(
            tx,
            Event(
                act=Act.WORKSPACE_CREATED,
                ws=workspace.id,
                obj_t="workspace",
                obj_id=workspace.id,
                actor=actor,
                data={"owner": owner_id},
            ),
        )
        await self.add_within(tx, workspace.id, owner_id, Role.OWNER, actor)
        return workspace

    async def by_slug(self, slug: str) -> Workspace | None:
        """Return the workspace of that slug, or None; from memory after the first time."""
        return await self._by_slug.get(slug) if is_slug(slug) else None

    async def by_id(self, workspace_id: str) -> Workspace | None:
        """Return the workspace of that id, or None; from memory after the first time."""
        return await self._by_id.get(workspace_id)

    async def list(self) -> "Sequence[Workspace]":
        """Return every workspace, by slug."""
        rows = await self._database.fetch(f"{_OPEN} ORDER BY slug")
        return [_workspace(row) for row in rows]

    async def ids(self) -> "Sequence[str]":
        """Return the id of every workspace, in the order in which they were made."""
        return [row["id"] for row in await self._database.fetch(f"{_OPEN} ORDER BY id")]

    async def role_of(self, workspace_id: str, account_id: str) -> Role | None:
        """Return the role of `account_id` in the workspace, or None; from memory after the first time."""
        return await self._roles.get((workspace_id, account_id))

    async def role_within(self, tx: Transaction, workspace_id: str, account_id: str) -> Role | None:
        """Return the role as `tx` sees it; for a decision that rests on it."""
        row = await tx.fetch_one(_ROLE, workspace_id, account_id)
        return Role(row["role"]) if row is not None else None

    async def memberships(self, account_id: str) -> Sequence[Membership]:
        """Return the workspaces of `account_id` and its role in each, by slug."""
        rows = await self._database.fetch(
            "SELECT workspace.*, membership.role, membership.added_us FROM membership"
            " JOIN workspace ON workspace.id = membership.workspace_id WHERE account_id = $1"
            " AND workspace.closed_us IS NULL ORDER BY slug",
            account_id,
        )
        return [Membership(_workspace(row), Role(row["role"]), row["added_us"]) for row in rows]

    async def members(self, workspace_id: str) -> Sequence[Member]:
        """Return the members of the workspace, the earliest first."""
        query = MembershipRow.select().where(MembershipRow.workspace_id == workspace_id).order_by(MembershipRow.id)
        rows = await self._database.fetch(query)
        return [Member(row["account_id"], Role(row["role"]), row["added_us"]) for row in rows]

    async def add_member(self, workspace_id: str, account_id: str, role: Role, actor: Actor) -> None:
        """Make `account_id` (which exists) a member.

        Raises: NotFound (no such workspace); Conflict (a member already); Forbidden (the actor may not give this role).
        """

        async def verb(tx: Transaction) -> None:
            await self.must_grant(tx, workspace_id, actor, role)
            await self.add_within(tx, workspace_id, account_id, role, actor)

        await self._database.write(verb)

    async def change_role(self, workspace_id: str, account_id: str, role: Role, actor: Actor) -> None:
        """Give a member another role; the old one has ended when this returns.

        Raises: NotFound (no such member); Conflict (the last owner); Forbidden (the actor may not take or give it).
        """

        async def verb(tx: Transaction) -> None:
            await self.change_role_within(tx, workspace_id, account_id, role, actor)

        await self._database.write(verb)

    async def change_role_within(
        self, tx: Transaction, workspace_id: str, account_id: str, role: Role, actor: Actor
    ) -> None:
        """Do what `change_role` does inside an open transaction."""
        before = await self._must_be_member(tx, workspace_id, account_id)
        await self.must_grant(tx, workspace_id, actor, before, role)
        if before is role:
            return
        if before is Role.OWNER:
            await self._must_keep_an_owner(tx, workspace_id, account_id, actor)
            for demotion in self._demotions:
                await demotion(tx, workspace_id, account_id, actor)
        query = "UPDATE membership SET role = $1 WHERE workspace_id = $2 AND account_id = $3"
        await tx.execute(query, role.value, workspace_id, account_id)
        facts: dict[str, JSON] = {"role": role.value, "role_before": before.value}
        await self._record_member(tx, Act.MEMBER_CHANGED, (workspace_id, account_id), actor, facts, role)
        for following in self._followings:
            await following(tx, workspace_id, account_id, actor)

    async def remove_member(self, workspace_id: str, account_id: str, actor: Actor) -> None:
        """End a membership, and with it what `leavings` name.

        Raises: NotFound (no such member); Conflict (the last owner); Forbidden (the actor may not take this role).
        """

        async def verb(tx: Transaction) -> None:
            await self.remove_within(tx, workspace_id, account_id, actor)

        await self._database.write(verb)

    async def remove_within(self, tx: Transaction, workspace_id: str, account_id: str, actor: Actor) -> None:
        """Do what `remove_member` does inside an open transaction."""
        before = await self._must_be_member(tx, workspace_id, account_id)
        if actor.id != account_id:
            await self.must_grant(tx, workspace_id, actor, before)
        if before is Role.OWNER:
            await self._must_keep_an_owner(tx, workspace_id, account_id, actor)
        query = "DELETE FROM membership WHERE workspace_id = $1 AND account_id = $2"
        await tx.execute(query, workspace_id, account_id)
        await self._record_member(tx, Act.MEMBER_REMOVED, (workspace_id, account_id), actor, {}, None)
        await self.end_what_is_open(tx, workspace_id, account_id, actor)

    async def end_what_is_open(self, tx: Transaction, workspace_id: str, account_id: str, actor: Actor) -> None:
        """End what a member has open in the workspace, whether the membership ends or not."""
        for leaving in self._leavings:
            await leaving(tx, workspace_id, account_id, actor)

    def also_end(self, leaving: Leaving) -> None:
        """Have `leaving` end too when an account leaves; for rooms that are built after this one."""
        self._leavings.append(leaving)

    def also_admit(self, admission: Admission) -> None:
        """Have `admission` asked before somebody becomes a member: it raises Conflict to refuse."""
        self._admissions.append(admission)

    def also_keep(self, keeping: Leaving) -> None:
        """Have `keeping` asked before an owner leaves or becomes something else: it raises Conflict to refuse."""
        self._keepings.append(keeping)

    def also_demote(self, demotion: Leaving) -> None:
        """Have `demotion` run in the transaction in which an owner becomes something else and stays a member."""
        self._demotions.append(demotion)

    def also_follow(self, following: Leaving) -> None:
        """Have `following` run in the transaction in which a member has got another role."""
        self._followings.append(following)

    async def close_within(self, tx: Transaction, workspace_id: str, actor: Actor) -> Sequence[str]:
        """Close the workspace: from the commit on it answers as one that is not there, and nobody belongs to it.

        Returns the accounts that owned it. What else ends with it is ended by the caller.

        Raises: NotFound (no such workspace, or closed before).
        """
        query = "UPDATE workspace SET closed_us = $1 WHERE id = $2 AND closed_us IS NULL RETURNING slug"
        rows = await tx.fetch(query, self._clock.now_us(), workspace_id)
        if not rows:
            raise NotFound("There is no such workspace.")
        slug = str(rows[0]["slug"])
        members = await tx.fetch(
            "DELETE FROM membership WHERE workspace_id = $1 RETURNING account_id, role", workspace_id
        )
        for member in sorted(members, key=lambda one: str(one["account_id"])):
            await self._record_member(tx, Act.MEMBER_REMOVED, (workspace_id, member["account_id"]), actor, {}, None)
        tx.after_commit(lambda: self._by_slug.forget(slug))
        tx.after_commit(lambda: self._by_id.forget(workspace_id))
        return [str(member["account_id"]) for member in members if member["role"] == Role.OWNER.value]

    def on_role_changed(self, callback: RoleChanged) -> Callable[[], None]:
        """Call `callback` for each membership that changes, right after the commit; return what undoes this."""
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback)

    async def rename(self, workspace_id: str, name: str, actor: Actor) -> None:
        """Give the workspace another name for people; its slug stays.

        Raises: BadInput (the name); NotFound.
        """
        text = check_name(name)

        async def verb(tx: Transaction) -> None:
            rows = await tx.fetch(_RENAME, text, workspace_id)
            if not rows:
                raise NotFound("There is no such workspace.")
            event = Event(
                act=Act.WORKSPACE_CHANGED, ws=workspace_id, obj_t="workspace", obj_id=workspace_id, actor=actor,
                data={"fields": "name"},
            )  # fmt: skip
            await self._audit.append(tx, event)
            slug = str(rows[0]["slug"])
            tx.after_commit(lambda: self._by_slug.forget(slug))
            tx.after_commit(lambda: self._by_id.forget(workspace_id))

        await self._database.write(verb)

    async def must_grant(self, tx: Transaction, workspace_id: str, actor: Actor, *roles: Role) -> None:
        """Return when `actor` may give and take each of `roles` in the workspace, as `tx` sees it.

        Raises: NotFound (no such workspace); Forbidden.
        """
        if await tx.fetch_one(f"{_OPEN} AND id = $1", workspace_id) is None:
            raise NotFound("There is no such workspace.")
        if actor.t in OPERATORS:
            return
        giver = await self.role_within(tx, workspace_id, actor.id)
        if giver is None or not all(may_grant(giver, role) for role in roles):
            raise Forbidden("Your role does not give or take this role.", hint="Ask an owner of the workspace.")

    async def add_within(self, tx: Transaction, workspace_id: str, account_id: str, role: Role, actor: Actor) -> None:
        """Make `account_id` a member inside an open transaction; who may give the role was asked before.

        Raises: Conflict (a member already).
        """
        for admission in self._admissions:
            await admission(tx, workspace_id)
        inserted = await tx.execute(
            "INSERT INTO membership (id, workspace_id, account_id, role, added_us) VALUES ($1, $2, $3, $4, $5)"
            " ON CONFLICT (workspace_id, account_id) DO NOTHING",
            new_id(), workspace_id, account_id, role.value, self._clock.now_us(),
        )  # fmt: skip
        if inserted != 1:
            raise Conflict("This account is a member already.", hint="Change its role instead.")
        await self._record_member(tx, Act.MEMBER_ADDED, (workspace_id, account_id), actor, {"role": role.value}, role)

    async def _must_be_member(self, tx: Transaction, workspace_id: str, account_id: str) -> Role:
        role = await self.role_within(tx, workspace_id, account_id)
        if role is None:
            raise NotFound("There is no such member.")
        return role

    async def _must_keep_an_owner(self, tx: Transaction, workspace_id: str, account_id: str, actor: Actor) -> None:
        query = "SELECT id FROM membership WHERE workspace_id = $1 AND role = 'owner' AND account_id <> $2 LIMIT 1"
        if await tx.fetch_one(query, workspace_id, account_id) is None:
            raise Conflict("This is the last owner of the workspace.", hint="Make somebody else an owner first.")
        for keeping in self._keepings:
            await keeping(tx, workspace_id, account_id, actor)

    async def _load_by_slug(self, slug: str) -> Workspace | None:
        rows = await self._database.fetch(f"{_OPEN} AND slug = $1", slug)
        return _workspace(rows[0]) if rows else None

    async def _load_by_id(self, workspace_id: str) -> Workspace | None:
        rows = await self._database.fetch(f"{_OPEN} AND id = $1", workspace_id)
        return _workspace(rows[0]) if rows else None

    async def _load_role(self, pair: tuple[str, str]) -> Role | None:
        row = await self._database.fetch_one(_ROLE, *pair)
        return Role(row["role"]) if row is not None else None

    async def _record_member(
        self,
        tx: Transaction,
        act: Act,
        pair: tuple[str, str],
        actor: Actor,
        facts: dict[str, JSON],
        role: Role | None,
    ) -> None:
        workspace_id, account_id = pair
        stated: dict[str, JSON] = {**facts, "account": account_id}
        event = Event(act=act, ws=workspace_id, obj_t="account", obj_id=account_id, actor=actor, data=stated)
        await self._audit.append(tx, event)
        tx.after_commit(lambda: self._changed(pair, role))

    def _changed(self, pair: tuple[str, str], role: Role | None) -> None:
        self._roles.forget(pair)
        for callback in tuple(self._callbacks):
            callback(*pair, role)


_OPEN: Final = "SELECT id, slug, name, created_us FROM workspace WHERE closed_us IS NULL"
_RENAME: Final = "UPDATE workspace SET name = $1 WHERE id = $2 AND closed_us IS NULL RETURNING slug"
_ROLE: Final = "SELECT role FROM membership WHERE workspace_id = $1 AND account_id = $2"


def may_grant(giver: Role, given: Role) -> bool:
    """Tell whether a member with role `giver` may give or take the role `given`."""
    return giver is Role.OWNER or (giver is Role.ADMIN and given is not Role.OWNER)


def _workspace(row: Row) -> Workspace:
    return Workspace(id=row["id"], slug=row["slug"], name=row["name"], created_us=row["created_us"])
