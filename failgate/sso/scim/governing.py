"""What provisioning means: which account a person is, what their groups give, and what ends with `active: false`.

A connection makes accounts for addresses in its verified domains alone. An account that is there already is not taken:
who owns it links it, or an owner of the workspace allows it. Deactivation through the installation's connection
disables the account; through a workspace's it ends the membership there. Either way every session and every trusted
device of the person ends in the same transaction, with what else `Accounts.disable` and `Workspaces.remove_member`
end. What keeps a workspace from being orphaned stays: the membership of its last owner, the account that may enter
without single sign-on.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from failgate.access.role import Role
from failgate.accounts.accounts import Accounts
from failgate.accounts.devices import Devices
from failgate.accounts.email_address import normalised_or_none
from failgate.accounts.sessions import Sessions
from failgate.audit.record import Actor
from failgate.base.clock import Clock
from failgate.base.db import Transaction
from failgate.base.errors import NotFound
from failgate.base.ids import new_id
from failgate.sso.assertion import Assertion
from failgate.sso.connection import Connection
from failgate.sso.domains import domain_of
from failgate.sso.linking import Linking, actor_of
from failgate.sso.scim.errors import uniqueness
from failgate.workspaces.workspaces import Workspaces

_GOVERN: Final = (
    "INSERT INTO scim_account (id, connection_id, account_id, is_origin, has_disabled, linked_us)"
    " VALUES ($1, $2, $3, $4, 0, $5) ON CONFLICT (connection_id, account_id) DO NOTHING"
)


@dataclass(frozen=True, slots=True)
class Placed:
    """The account that a person is, or the word that says why they have none here."""

    account_id: str | None
    gap: str | None = None


class Governing:
    """Makes accounts and memberships what a provider says, and ends them."""

    def __init__(
        self,
        clock: Clock,
        *,
        accounts: Accounts,
        sessions: Sessions,
        devices: Devices,
        workspaces: Workspaces,
        linking: Linking,
    ) -> None:
        self._clock = clock
        self._accounts = accounts
        self._sessions = sessions
        self._devices = devices
        self._workspaces = workspaces
        self._linking = linking

    async def place(
        self, tx: Transaction, connection: Connection, user_id: str, email: str | None, account_id: str | None
    ) -> Placed:
        """Return the account of an active person, made or let in again when that is due.

        Raises: ScimError uniqueness (the address has an account that this connection does not govern).
        """
        if account_id is not None:
            return await self._let_in(tx, connection, account_id)
        if email is None:
            return Placed(None, "no_email")
        if domain_of(email) not in connection.domains:
            return Placed(None, "domain_not_covered")
        row = await tx.fetch_one("SELECT id FROM account WHERE email = $1", email)
        if row is None:
            made = await self._accounts.create_without_password_within(tx, email, "scim", actor_of(connection))
            await tx.execute(_GOVERN, new_id(), connection.id, made.id, 1, self._clock.now_us())
            return Placed(made.id)
        await self._must_govern(tx, connection, row["id"], user_id)
        return await self._let_in(tx, connection, row["id"])

    async def allow(self, tx: Transaction, connection: Connection, email: str) -> bool:
        """Let the connection govern the account of that address; return whether that is new.

        Raises: NotFound (no such account, or no member of the connection's workspace).
        """
        row = await tx.fetch_one("SELECT id FROM account WHERE email = $1", normalised_or_none(email) or "")
        is_theirs = row is not None and (
            connection.workspace_id is None
            or await self._workspaces.role_within(tx, connection.workspace_id, row["id"]) is not None
        )
        if row is None or not is_theirs:
            raise NotFound("There is no such member.", hint="Invite them first, or check the address.")
        return await tx.execute(_GOVERN, new_id(), connection.id, row["id"], 0, self._clock.now_us()) == 1

    async def give_roles(self, tx: Transaction, connection: Connection, user_id: str, account_id: str) -> None:
        """Give the person the roles that their groups map to, and take those that none maps to any more."""
        assertion = Assertion(issuer="scim", subject=user_id)  # the groups are those of the directory
        _, steps = await self._linking.plan(tx, connection, assertion, account_id)
        await self._linking.carry_out(tx, connection, account_id, steps)

    async def end(self, tx: Transaction, connection: Connection, account_id: str) -> None:
        """End what the person has through this connection, and everything that is open of theirs."""
        actor = actor_of(connection)
        if connection.workspace_id is None:
            await self._end_account(tx, connection, account_id, actor)
        else:
            await self._end_membership(tx, connection.workspace_id, account_id, actor)

    async def _end_account(self, tx: Transaction, connection: Connection, account_id: str, actor: Actor) -> None:
        query = "SELECT id FROM sso_enforcement WHERE break_glass_account_id = $1"
        if await tx.fetch_one(query, account_id) is not None:
            await self._accounts.end_what_is_open(tx, account_id, actor)
            return
        if await self._accounts.disable_within(tx, account_id, actor, reason="deprovisioned"):
            query = "UPDATE scim_account SET has_disabled = 1 WHERE connection_id = $1 AND account_id = $2"
            await tx.execute(query, connection.id, account_id)

    async def _end_membership(self, tx: Transaction, workspace_id: str, account_id: str, actor: Actor) -> None:
        role = await self._workspaces.role_within(tx, workspace_id, account_id)
        if role is not None and await self._stays(tx, workspace_id, account_id, role):
            await self._workspaces.end_what_is_open(tx, workspace_id, account_id, actor)
        elif role is not None:
            await self._workspaces.remove_within(tx, workspace_id, account_id, actor)
        await self._sessions.end_all(tx, account_id, actor, "deprovisioned")
        await self._devices.end_all(tx, account_id, actor, "deprovisioned")

    @staticmethod
    async def _stays(tx: Transaction, workspace_id: str, account_id: str, role: Role) -> bool:
        """Tell whether the workspace would be orphaned or locked without this membership."""
        if role is not Role.OWNER:
            return False
        query = "SELECT id FROM membership WHERE workspace_id = $1 AND role = 'owner' AND account_id <> $2 LIMIT 1"
        if await tx.fetch_one(query, workspace_id, account_id) is None:
            return True
        query = "SELECT id FROM sso_enforcement WHERE id = $1 AND break_glass_account_id = $2"
        return await tx.fetch_one(query, workspace_id, account_id) is not None

    async def _let_in(self, tx: Transaction, connection: Connection, account_id: str) -> Placed:
        """Enable the account when it was this connection that disabled it; nobody else's bar is lifted."""
        if await self._accounts.is_enabled_within(tx, account_id):
            return Placed(account_id)
        query = (
            "UPDATE scim_account SET has_disabled = 0 WHERE connection_id = $1 AND account_id = $2 AND has_disabled = 1"
        )
        if await tx.execute(query, connection.id, account_id) != 1:
            return Placed(account_id, "barred")
        await self._accounts.enable_within(tx, account_id, actor_of(connection))
        return Placed(account_id)

    async def _must_govern(self, tx: Transaction, connection: Connection, account_id: str, user_id: str) -> None:
        query = "SELECT id FROM scim_account WHERE connection_id = $1 AND account_id = $2"
        is_governed = await tx.fetch_one(query, connection.id, account_id) is not None
        if not is_governed:
            query = "SELECT is_origin FROM sso_identity WHERE connection_id = $1 AND account_id = $2"
            identity = await tx.fetch_one(query, connection.id, account_id)
            if identity is None:
                raise uniqueness(
                    "An account with this e-mail address exists and does not belong to this connection.",
                    hint="An owner allows it on the connection's page, or its person links it at /account.",
                )
            origin = int(identity["is_origin"])
            await tx.execute(_GOVERN, new_id(), connection.id, account_id, origin, self._clock.now_us())
        query = "SELECT id FROM scim_resource WHERE connection_id = $1 AND account_id = $2 AND id <> $3"
        if await tx.fetch_one(query, connection.id, account_id, user_id) is not None:
            raise uniqueness("Another person of this connection has this e-mail address.", hint="Change one of them.")


def email_of(body: Mapping[str, Any]) -> str | None:
    """Return a person's address: the primary one, else one for work, else the first, else a userName that is one."""
    entries = cast("list[dict[str, Any]]", body.get("emails") or [])
    found = [each for each in entries if each.get("value")]
    ranked = sorted(found, key=lambda each: (each.get("primary") is not True, each.get("type") != "work"))
    text = ranked[0]["value"] if ranked else body.get("userName")
    return normalised_or_none(text) if isinstance(text, str) else None
