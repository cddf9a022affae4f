"""Workspaces that are entered through their identity provider alone, and the one owner who may enter without it.

Asked at every door of a workspace, so it is answered from memory. API keys and agents are no sign-ins: they go on.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from failgate.access.principal import Principal
from failgate.access.role import Role
from failgate.accounts.tables import HAS_FACTOR
from failgate.audit.log import AuditLog
from failgate.audit.record import Act, Actor, Event
from failgate.base.cache import ReadThrough
from failgate.base.clock import Clock
from failgate.base.db import Database, Transaction
from failgate.base.errors import BadInput, Conflict
from failgate.sso.connections import Connections

Entry = Literal["free", "through_provider", "break_glass", "refused"]


@dataclass(frozen=True, slots=True)
class Enforcement:
    """Whether a workspace demands single sign-on, since when (microseconds since 1970), and who may enter without."""

    workspace_id: str
    break_glass_account_id: str | None = None
    since_us: int | None = None

    @property
    def is_on(self) -> bool:
        """Tell whether it is demanded."""
        return self.since_us is not None


class Enforcements:
    """Switches the demand on and off, and answers at the doors."""

    def __init__(self, database: Database, audit: AuditLog, clock: Clock, connections: Connections) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._connections = connections
        self._known = ReadThrough(self._load, limit=10_000)
        self._noted: dict[tuple[str, str], None] = {}
        self._callbacks: list[Callable[[str], None]] = []

    async def of(self, workspace_id: str) -> Enforcement:
        """Return what the workspace demands; from memory after the first time."""
        return await self._known.get(workspace_id) or Enforcement(workspace_id)

    async def is_demanded(self, workspace_id: str) -> bool:
        """Tell whether the workspace is entered through single sign-on alone."""
        return (await self.of(workspace_id)).is_on

    async def entry(self, principal: Principal, workspace_id: str, role: Role | None) -> Entry:
        """Tell how `principal` may enter the workspace in which it has `role`. Asks no database when it is known.

        A session counts when the installation's connection or the workspace's own opened it; one that another
        workspace's provider opened is bound to that workspace and never comes here.
        """
        if principal.kind != "user":
            return "free"
        enforcement = await self.of(workspace_id)
        if not enforcement.is_on:
            return "free"
        if principal.connection_id is not None and await self._is_ours(principal.connection_id, workspace_id):
            return "through_provider"
        is_owner = principal.account_id == enforcement.break_glass_account_id and role is Role.OWNER
        if is_owner and "pwd" in principal.auth and principal.second_factor_us is not None:
            return "break_glass"
        return "refused"

    async def note_break_glass(self, principal: Principal, workspace_id: str) -> None:
        """Record, once a session, that an owner entered without single sign-on; before anything is answered."""
        key = (workspace_id, principal.session_id or "")
        if key in self._noted:
            return
        event = Event(
            act=Act.BREAK_GLASS_USED, ws=workspace_id, obj_t="account", obj_id=principal.id, actor=Actor.of(principal),
        )  # fmt: skip
        await self._audit.record(event)
        self._noted[key] = None
        if len(self._noted) > 10_000:
            del self._noted[next(iter(self._noted))]

    async def enforce(self, workspace_id: str, break_glass_account_id: str, actor: Actor) -> None:
        """Demand single sign-on from now on, except from one owner with password and second factor.

        Raises: Conflict (no connection of the workspace or the installation was tested or used); BadInput (the named
        person is no owner, or has no password or no second factor).
        """

        async def verb(tx: Transaction) -> None:
            await self._must_have_a_way_in(tx, workspace_id)
            await self._must_break_glass(tx, workspace_id, break_glass_account_id)
            await tx.execute(
                "INSERT INTO sso_enforcement (id, break_glass_account_id, since_us) VALUES ($1, $2, $3)"
                " ON CONFLICT (id) DO UPDATE SET break_glass_account_id = excluded.break_glass_account_id",
                workspace_id, break_glass_account_id, self._clock.now_us(),
            )  # fmt: skip
            event = Event(
                act=Act.SSO_ENFORCED, ws=workspace_id, obj_t="workspace", obj_id=workspace_id, actor=actor,
                data={"owner": break_glass_account_id},
            )  # fmt: skip
            await self._audit.append(tx, event)
            tx.after_commit(lambda: self._changed(workspace_id))

        await self._database.write(verb)

    async def release(self, workspace_id: str, actor: Actor) -> None:
        """Demand it no more. Twice is as once."""
        await self._database.write(lambda tx: self.release_within(tx, workspace_id, actor))

    async def release_within(self, tx: Transaction, workspace_id: str, actor: Actor) -> None:
        """Do what `release` does inside an open transaction."""
        if await tx.execute("DELETE FROM sso_enforcement WHERE id = $1", workspace_id) != 1:
            return
        event = Event(act=Act.SSO_RELEASED, ws=workspace_id, obj_t="workspace", obj_id=workspace_id, actor=actor)
        await self._audit.append(tx, event)
        tx.after_commit(lambda: self._changed(workspace_id))

    def on_changed(self, callback: Callable[[str], None]) -> Callable[[], None]:
        """Call `callback` with the id of each workspace whose demand changes, after the commit; return the undo."""
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback)

    def _changed(self, workspace_id: str) -> None:
        self._known.forget(workspace_id)
        for callback in tuple(self._callbacks):
            callback(workspace_id)

    async def keep_break_glass(self, tx: Transaction, workspace_id: str, account_id: str, _actor: Actor) -> None:
        """Refuse that the owner who may enter without single sign-on leaves the workspace, or is owner no more.

        Raises: Conflict.
        """
        query = "SELECT id FROM sso_enforcement WHERE id = $1 AND break_glass_account_id = $2"
        if await tx.fetch_one(query, workspace_id, account_id) is not None:
            raise Conflict(
                "This owner is the one who may enter the workspace without single sign-on.",
                hint="Name another one on the sign-in page of the settings first.",
            )

    async def _is_ours(self, connection_id: str, workspace_id: str) -> bool:
        connection = await self._connections.by_id(connection_id)
        return connection is not None and connection.is_enabled and connection.workspace_id in {None, workspace_id}

    async def _load(self, workspace_id: str) -> Enforcement | None:
        row = await self._database.fetch_one("SELECT * FROM sso_enforcement WHERE id = $1", workspace_id)
        if row is None:
            return Enforcement(workspace_id)
        return Enforcement(workspace_id, row["break_glass_account_id"], row["since_us"])

    async def _must_have_a_way_in(self, tx: Transaction, workspace_id: str) -> None:
        query = (
            "SELECT sso_connection.id FROM sso_connection WHERE (workspace_id = $1 OR workspace_id IS NULL)"
            " AND removed_us IS NULL AND is_enabled = 1 AND (tested_us IS NOT NULL OR EXISTS"
            " (SELECT 1 FROM sso_identity WHERE sso_identity.connection_id = sso_connection.id)) LIMIT 1"
        )
        if await tx.fetch_one(query, workspace_id) is None:
            raise Conflict(
                "No connection has worked yet: nobody could enter the workspace.",
                hint="Test a connection first; a test that passes is enough.",
            )

    @staticmethod
    async def _must_break_glass(tx: Transaction, workspace_id: str, account_id: str) -> None:
        query = (
            "SELECT account.id FROM membership JOIN account ON account.id = membership.account_id"
            " WHERE membership.workspace_id = $1 AND membership.account_id = $2 AND membership.role = 'owner'"
            " AND account.disabled_us IS NULL AND account.password_hash IS NOT NULL"
        )
        if await tx.fetch_one(query, workspace_id, account_id) is None:
            raise BadInput("The break-glass person is no enabled owner with a password.", hint="Choose another owner.")
        if await tx.fetch_one(HAS_FACTOR, account_id) is None:
            raise BadInput(
                "The break-glass owner has no second factor.", hint="They set one up at /account/second-factor first."
            )
