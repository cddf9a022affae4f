"""Whose account an assertion is for. By connection, issuer and subject, and by nothing else; never by e-mail.

A person whom the connection does not know yet gets an account of their own when the provider vouches for an address in
a verified domain of this connection and no account has it. An account that has the address is linked by its owner,
signed in, from `/account`: whoever could claim an address by asserting it would own the account.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Literal

from failgate.access.role import Role
from failgate.accounts.accounts import Accounts
from failgate.accounts.email_address import normalised_or_none
from failgate.accounts.sessions import Sessions
from failgate.audit.log import AuditLog
from failgate.audit.record import SYSTEM, Act, Actor, Event
from failgate.base.clock import Clock
from failgate.base.db import Database, Row, Transaction
from failgate.base.errors import Conflict, NotFound
from failgate.base.ids import new_id
from failgate.sso.assertion import Assertion
from failgate.sso.connection import Connection
from failgate.sso.domains import domain_of
from failgate.sso.provisioned import groups_of, is_deprovisioned, made_for
from failgate.sso.roles import EVERYBODY, Given, Mapping, map_groups, named_workspaces
from failgate.workspaces.workspaces import Workspaces

Kind = Literal["known", "provisioned", "new", "refused"]
Unlinking = Callable[[Transaction, str, Actor, str], Awaitable[None]]
"""What else ends when a sign-in through a connection (its id) is taken off an account (the last argument)."""
_IDENTITY: Final = "SELECT * FROM sso_identity WHERE connection_id = $1 AND issuer = $2 AND subject = $3"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whose account it is: `known` (of `account_id`), `new` (one is made for `email`), or `refused` for `reason`.

    `provisioned`: the connection's provider had it made beforehand, and its person comes for the first time.
    """

    kind: Kind
    account_id: str | None = None
    email: str | None = None
    reason: str | None = None
    is_origin: bool = False


@dataclass(frozen=True, slots=True)
class Identity:
    """A person at a provider and the account that this is. Times are microseconds since 1970."""

    id: str
    connection_id: str
    connection_title: str
    connection_slug: str
    issuer: str
    subject: str
    email: str | None
    linked_us: int
    seen_us: int | None
    is_origin: bool


@dataclass(frozen=True, slots=True)
class Step:
    """What a sign-in does to a membership in `workspace_slug`: the role before and after (None: no member)."""

    workspace_id: str
    workspace_slug: str
    before: Role | None
    after: Role | None
    reason: str


class Linking:
    """Judges assertions, makes accounts and memberships by them, links and unlinks."""

    def __init__(
        self,
        database: Database,
        audit: AuditLog,
        clock: Clock,
        *,
        accounts: Accounts,
        sessions: Sessions,
        workspaces: Workspaces,
    ) -> None:
        self._sessions = sessions
        self._endings: list[Unlinking] = []
        self._database = database
        self._audit = audit
        self._clock = clock
        self._accounts = accounts
        self._workspaces = workspaces

    def also_end(self, ending: Unlinking) -> None:
        """Have `ending` run in the transaction in which a sign-in is taken off an account."""
        self._endings.append(ending)

    async def judge(self, tx: Transaction, connection: Connection, assertion: Assertion) -> Verdict:
        """Tell whose account it is. Changes nothing, so that the test page says what a sign-in would do."""
        row = await tx.fetch_one(_IDENTITY, connection.id, assertion.issuer, assertion.subject)
        if row is not None:
            if not await self._accounts.is_enabled_within(tx, row["account_id"]):
                return Verdict("refused", row["account_id"], reason="account_disabled")
            if await is_deprovisioned(tx, connection.id, row["account_id"]):
                return Verdict("refused", row["account_id"], reason="deprovisioned")
            return Verdict("known", row["account_id"], is_origin=bool(row["is_origin"]))
        if assertion.email is None:
            return Verdict("refused", reason="no_email")
        email = normalised_or_none(assertion.email)
        if email is None:
            return Verdict("refused", reason="no_email")
        if domain_of(email) not in connection.domains:
            return Verdict("refused", email=email, reason="domain_not_covered")
        if not assertion.is_email_verified:
            return Verdict("refused", email=email, reason="email_not_verified")
        made = await made_for(tx, connection.id, email)
        if made is not None:
            return Verdict("provisioned", made, email=email, is_origin=True)
        if await tx.fetch_one("SELECT id FROM account WHERE email = $1", email) is not None:
            return Verdict("refused", email=email, reason="account_exists")
        return Verdict("new", email=email, is_origin=True)

    async def admit(
        self, tx: Transaction, connection: Connection, assertion: Assertion, verdict: Verdict, factor_us: int | None
    ) -> str:
        """Make the account of a new person; note that the person was seen, and the second factor that was vouched for.

        Returns the account's id.
        """
        account_id, now_us, actor = verdict.account_id, self._clock.now_us(), actor_of(connection)
        if account_id is None:
            assert verdict.email is not None
            account = await self._accounts.create_without_password_within(tx, verdict.email, connection.kind, actor)
            await self._link(tx, connection, assertion, account.id, actor, is_origin=True)
            account_id = account.id
        elif verdict.kind == "provisioned":
            await self._link(tx, connection, assertion, account_id, actor, is_origin=True)
        query = (
            "UPDATE sso_identity SET seen_us = $1, email = $2, factor_us = $3"
            " WHERE connection_id = $4 AND issuer = $5 AND subject = $6"
        )
        await tx.execute(query, now_us, assertion.email, factor_us, connection.id, assertion.issuer, assertion.subject)
        return account_id

    @staticmethod
    async def note_factor(tx: Transaction, connection: Connection, assertion: Assertion, factor_us: int) -> None:
        """Note that the provider, asked anew, saw a second factor of a person whom it brought before."""
        query = "UPDATE sso_identity SET factor_us = $1 WHERE connection_id = $2 AND issuer = $3 AND subject = $4"
        await tx.execute(query, factor_us, connection.id, assertion.issuer, assertion.subject)

    async def link(self, tx: Transaction, connection: Connection, assertion: Assertion, account_id: str) -> None:
        """Link the person at the provider to `account_id`, whose own session asked for it.

        Raises: Conflict (the person is linked to another account, or to this one already).
        """
        row = await tx.fetch_one(_IDENTITY, connection.id, assertion.issuer, assertion.subject)
        if row is not None:
            whose = "your account already" if row["account_id"] == account_id else "another account"
            raise Conflict(f"This sign-in belongs to {whose}.", hint="Sign out at the provider to use another one.")
        actor = Actor(t="user", id=account_id, auth=(connection.kind,))
        await self._link(tx, connection, assertion, account_id, actor, is_origin=False)

    async def unlink(self, account_id: str, identity_id: str, actor: Actor) -> None:
        """Take a sign-in off the account; the sessions that it opened have ended, and what was built on them.

        Raises: NotFound; Conflict (nothing else would be left to sign in with).
        """

        async def verb(tx: Transaction) -> None:
            query = "SELECT * FROM sso_identity WHERE id = $1 AND account_id = $2"
            row = await tx.fetch_one(query, identity_id, account_id)
            if row is None:
                raise NotFound("There is no such sign-in.")
            others = await tx.fetch_one(
                "SELECT id FROM sso_identity WHERE account_id = $1 AND id <> $2 LIMIT 1", account_id, identity_id
            )
            password = await tx.fetch_one("SELECT password_hash FROM account WHERE id = $1", account_id)
            if others is None and (password is None or password["password_hash"] is None):
                raise Conflict("This is the only way into your account.", hint="Link another one first.")
            await tx.execute("DELETE FROM sso_identity WHERE id = $1", identity_id)
            # Nor does the provider's directory open it any more, which made it: from now on its owner links it.
            query = "UPDATE scim_account SET is_origin = 0 WHERE connection_id = $1 AND account_id = $2"
            await tx.execute(query, row["connection_id"], account_id)
            query = "SELECT id FROM session WHERE account_id = $1 AND connection_id = $2"
            opened = [found["id"] for found in await tx.fetch(query, account_id, row["connection_id"])]
            await self._sessions.end_these(tx, opened, actor, "connection_ended")
            for ending in self._endings:
                await ending(tx, row["connection_id"], actor, account_id)
            event = Event(
                act=Act.IDENTITY_UNLINKED, ws=SYSTEM, obj_t="identity", obj_id=identity_id, actor=actor,
                data={"connection": row["connection_id"], "account": account_id},
            )  # fmt: skip
            await self._audit.append(tx, event)

        await self._database.write(verb)

    async def identities(self, account_id: str) -> list[Identity]:
        """Return the sign-ins of an account, the earliest first."""
        rows = await self._database.fetch(
            "SELECT sso_identity.*, sso_connection.title, sso_connection.slug FROM sso_identity"
            " JOIN sso_connection ON sso_connection.id = sso_identity.connection_id"
            " WHERE account_id = $1 ORDER BY sso_identity.id",
            account_id,
        )
        return [_identity(row) for row in rows]

    async def count(self, connection_id: str) -> int:
        """Return how many people a connection knows."""
        query = "SELECT COUNT(*) AS many FROM sso_identity WHERE connection_id = $1"
        row = await self._database.fetch_one(query, connection_id)
        return int(row["many"]) if row is not None else 0

    # Memberships

    async def plan(
        self, tx: Transaction, connection: Connection, assertion: Assertion, account_id: str | None
    ) -> tuple[Mapping, list[Step]]:
        """Return what the groups map to and what that does to the memberships of `account_id` (None: a new account).

        A group that maps sets the role, and from then on connections decide about that membership: when nothing maps
        any more, it ends. One that a person gave, and no group has mapped, stays as it is. The last owner stays owner,
        and so does the owner who may enter without single sign-on.
        """
        kept = await groups_of(tx, connection.id, account_id) if account_id is not None else ()
        mapping = map_groups(connection, (*assertion.groups, *kept))
        given = {one.workspace: one for one in mapping.given}
        steps: list[Step] = []
        for name in sorted(named_workspaces(connection), key=lambda each: each or ""):
            row = await self._workspace(tx, connection, name)
            if row is not None:
                steps.append(await self._step(tx, row, given.get(name), account_id))
        return mapping, steps

    async def carry_out(self, tx: Transaction, connection: Connection, account_id: str, steps: list[Step]) -> None:
        """Do what `plan` said, in the same transaction."""
        actor = actor_of(connection)
        for step in steps:
            if step.reason in {"group", "default"}:
                await tx.execute(
                    "INSERT INTO sso_membership (id, connection_id, workspace_id, account_id) VALUES ($1, $2, $3, $4)"
                    " ON CONFLICT (workspace_id, account_id) DO UPDATE SET connection_id = excluded.connection_id",
                    new_id(), connection.id, step.workspace_id, account_id,
                )  # fmt: skip
            if step.before is None and step.after is not None:
                await self._workspaces.add_within(tx, step.workspace_id, account_id, step.after, actor)
            elif step.before is not None and step.after is None:
                await self._workspaces.remove_within(tx, step.workspace_id, account_id, actor)
            elif step.after is not None and step.after is not step.before:
                await self._workspaces.change_role_within(tx, step.workspace_id, account_id, step.after, actor)

    @staticmethod
    async def forget_membership(tx: Transaction, workspace_id: str, account_id: str, _actor: Actor) -> None:
        """Forget which connection gave a membership that ends."""
        query = "DELETE FROM sso_membership WHERE workspace_id = $1 AND account_id = $2"
        await tx.execute(query, workspace_id, account_id)

    async def _workspace(self, tx: Transaction, connection: Connection, name: str | None) -> Row | None:
        if name is None:
            query, value = (
                "SELECT id, slug FROM workspace WHERE id = $1 AND closed_us IS NULL",
                connection.workspace_id or "",
            )
        elif connection.workspace_id is None:
            query, value = "SELECT id, slug FROM workspace WHERE slug = $1 AND closed_us IS NULL", name
        else:  # a workspace's own connection gives roles there alone, whatever its rules say
            return None
        return await tx.fetch_one(query, value)

    async def _step(self, tx: Transaction, workspace: Row, given: Given | None, account_id: str | None) -> Step:
        workspace_id, slug = workspace["id"], workspace["slug"]
        before = await self._workspaces.role_within(tx, workspace_id, account_id) if account_id is not None else None
        is_ours = await self._is_given_by_a_connection(tx, workspace_id, account_id)
        is_default = given is not None and given.group == EVERYBODY
        if before is not None and not is_ours and (given is None or is_default):
            after, reason = before, "given_by_hand"
        elif given is not None:
            after, reason = given.role, "default" if is_default else "group"
        else:
            after, reason = None, "no_group_maps"
        is_demoted = before is Role.OWNER and after is not Role.OWNER
        if is_demoted and account_id is not None and await self._must_stay_owner(tx, workspace_id, account_id):
            after, reason = before, "stays_owner"
        return Step(workspace_id, slug, before, after, reason)

    @staticmethod
    async def _is_given_by_a_connection(tx: Transaction, workspace_id: str, account_id: str | None) -> bool:
        query = "SELECT id FROM sso_membership WHERE workspace_id = $1 AND account_id = $2"
        return account_id is not None and await tx.fetch_one(query, workspace_id, account_id) is not None

    @staticmethod
    async def _must_stay_owner(tx: Transaction, workspace_id: str, account_id: str) -> bool:
        query = "SELECT id FROM membership WHERE workspace_id = $1 AND role = 'owner' AND account_id <> $2 LIMIT 1"
        if await tx.fetch_one(query, workspace_id, account_id) is None:
            return True
        query = "SELECT id FROM sso_enforcement WHERE id = $1 AND break_glass_account_id = $2"
        return await tx.fetch_one(query, workspace_id, account_id) is not None

    async def _link(
        self,
        tx: Transaction,
        connection: Connection,
        assertion: Assertion,
        account_id: str,
        actor: Actor,
        *,
        is_origin: bool,
    ) -> None:
        identity_id, now_us = new_id(), self._clock.now_us()
        inserted = await tx.execute(
            "INSERT INTO sso_identity (id, connection_id, issuer, subject, account_id, email, is_origin, linked_us,"
            " seen_us) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)"
            " ON CONFLICT (connection_id, issuer, subject) DO NOTHING",
            identity_id, connection.id, assertion.issuer, assertion.subject, account_id, assertion.email,
            int(is_origin), now_us,
        )  # fmt: skip
        if inserted != 1:
            raise Conflict("This sign-in belongs to an account.", hint="Try again.")
        event = Event(
            act=Act.IDENTITY_LINKED, ws=SYSTEM, obj_t="identity", obj_id=identity_id, actor=actor,
            data={"connection": connection.id, "account": account_id, "method": "made" if is_origin else "linked"},
        )  # fmt: skip
        await self._audit.append(tx, event)


def actor_of(connection: Connection) -> Actor:
    """Return how a connection stands in the log where its provider's word is carried out."""
    return Actor(t="sso_connection", id=connection.id, auth=(connection.kind,))


def _identity(row: Row) -> Identity:
    return Identity(
        id=row["id"],
        connection_id=row["connection_id"],
        connection_title=row["title"],
        connection_slug=row["slug"],
        issuer=row["issuer"],
        subject=row["subject"],
        email=row["email"],
        linked_us=row["linked_us"],
        seen_us=row["seen_us"],
        is_origin=bool(row["is_origin"]),
    )
