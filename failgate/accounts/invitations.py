"""Invitations: single-use links by which a person joins a workspace in a role; seven days, listed, revocable.

The role that is given never exceeds what the inviter may give, asked when the invitation is made and again when it is
accepted: an inviter who lost their role meanwhile invites nobody. An invitation for one e-mail address is accepted by
the account of that address alone. Who accepts signs in first, or makes an account within the same transaction.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from failgate.access.role import Role
from failgate.accounts.account import Account
from failgate.accounts.accounts import Accounts
from failgate.accounts.email_address import normalise_email
from failgate.accounts.password import Passwords
from failgate.accounts.tables import InvitationRow
from failgate.accounts.throttle import Throttle
from failgate.accounts.token_text import digest_of, token_id_of, write_token
from failgate.audit.log import AuditLog
from failgate.audit.record import Act, Actor, Event
from failgate.base.canonical import JSON
from failgate.base.clock import MICROSECONDS, Clock
from failgate.base.db import Database, Row, Transaction
from failgate.base.errors import BadInput, Conflict, Forbidden, NotFound
from failgate.base.ids import new_id

INVITATION_DAYS: Final = 7
MAX_OPEN: Final = 200  # in one workspace
_INSERT: Final = """
INSERT INTO invitation (id, workspace_id, role, email, token_sha256, inviter_kind, inviter_id, created_us, expires_us)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""
_OPEN: Final = "ended_us IS NULL AND expires_us > $2"


class Joining(Protocol):
    """The verbs of workspaces that an invitation needs."""

    async def must_grant(self, tx: Transaction, workspace_id: str, actor: Actor, *roles: Role) -> None:
        """Raise Forbidden when `actor` may not give `roles` there, NotFound without such a workspace."""
        ...

    async def add_within(self, tx: Transaction, workspace_id: str, account_id: str, role: Role, actor: Actor) -> None:
        """Make `account_id` a member; raise Conflict when it is one already."""
        ...


IsSsoOnly = Callable[[str], Awaitable[bool]]
"""Tell whether people of the workspace of this id sign in by their identity provider alone."""


@dataclass(frozen=True, slots=True)
class Invitation:
    """An invitation without its secret. Times are microseconds since 1970; `email` None lets anybody accept it."""

    id: str
    workspace_id: str
    role: Role
    email: str | None
    inviter: Actor
    created_us: int
    expires_us: int


class InvitationRefused(Forbidden):
    """An invitation that is good and not for this; `reason` is a word for the audit record."""

    def __init__(self, reason: str, sentence: str, *, hint: str) -> None:
        super().__init__(sentence, hint=hint)
        self.reason = reason


class Invitations:
    """Makes, lists, revokes and accepts invitations."""

    def __init__(
        self,
        database: Database,
        audit: AuditLog,
        clock: Clock,
        *,
        accounts: Accounts,
        passwords: Passwords,
        throttle: Throttle,
        joining: Joining,
        is_sso_only: IsSsoOnly | None = None,
    ) -> None:
        """Work on `database`; without `is_sso_only` no workspace asks for its identity provider."""
        self._database = database
        self._audit = audit
        self._clock = clock
        self._accounts = accounts
        self._passwords = passwords
        self._throttle = throttle
        self._joining = joining
        self._is_sso_only = is_sso_only

    async def create(
        self, workspace_id: str, role: Role, actor: Actor, *, email: str | None = None
    ) -> tuple[Invitation, str]:
        """Make an invitation; return it and its token, which cannot be read again.

        Raises: BadInput (the address, a role that is not of people); Forbidden (the actor may not give this role);
        NotFound (no such workspace); Conflict (200 are open).
        """
        return await self._database.write(lambda tx: self.create_within(tx, workspace_id, role, actor, email=email))

    async def create_within(
        self, tx: Transaction, workspace_id: str, role: Role, actor: Actor, *, email: str | None = None
    ) -> tuple[Invitation, str]:
        """Do what `create` does inside an open transaction."""
        if role is Role.AGENT:
            raise BadInput("An agent is not invited.", hint="Make it on the page of agents.")
        address = normalise_email(email) if email is not None and email.strip() else None
        invitation_id, now_us = new_id(), self._clock.now_us()
        text = write_token("inv", invitation_id)
        expires_us = now_us + INVITATION_DAYS * 86_400 * MICROSECONDS
        made = Invitation(invitation_id, workspace_id, role, address, actor, now_us, expires_us)
        await self._joining.must_grant(tx, workspace_id, actor, role)
        query = f"SELECT count(*) AS number FROM invitation WHERE workspace_id = $1 AND {_OPEN}"
        count = await tx.fetch_one(query, workspace_id, now_us)
        if count is not None and count["number"] >= MAX_OPEN:
            raise Conflict(f"{MAX_OPEN} invitations are open in this workspace.", hint="Revoke some of them.")
        await tx.execute(
            _INSERT, invitation_id, workspace_id, role.value, address, digest_of(text), actor.t, actor.id, now_us,
            expires_us,
        )  # fmt: skip
        method = "link" if address is None else "email"
        facts: dict[str, JSON] = {"role": role.value, "expires_us": expires_us, "method": method}
        await self._record(tx, Act.INVITATION_CREATED, made, actor, facts)
        return made, text

    async def list(self, workspace_id: str) -> "Sequence[Invitation]":
        """Return the open invitations of the workspace, newest first."""
        query = f"SELECT * FROM invitation WHERE workspace_id = $1 AND {_OPEN} ORDER BY id DESC"
        return [_from_row(row) for row in await self._database.fetch(query, workspace_id, self._clock.now_us())]

    async def revoke(self, workspace_id: str, invitation_id: str, actor: Actor) -> None:
        """End an open invitation of the workspace; it is accepted by nobody when this returns.

        Raises: NotFound (there is none open); Forbidden (the actor may not give its role).
        """

        async def verb(tx: Transaction) -> None:
            row = await tx.fetch_one(
                f"SELECT * FROM invitation WHERE id = $3 AND workspace_id = $1 AND {_OPEN}",
                workspace_id, self._clock.now_us(), invitation_id,
            )  # fmt: skip
            if row is None:
                raise NotFound("There is no such invitation.")
            found = _from_row(row)
            await self._joining.must_grant(tx, workspace_id, actor, found.role)
            await self._end(tx, found, None)
            await self._record(tx, Act.INVITATION_REVOKED, found, actor, {"role": found.role.value})

        await self._database.write(verb)

    async def end_of_workspace(self, tx: Transaction, workspace_id: str, actor: Actor) -> None:
        """End every open invitation into `workspace_id`, which is deleted."""
        query = f"SELECT * FROM invitation WHERE workspace_id = $1 AND {_OPEN} ORDER BY id"
        for row in await tx.fetch(query, workspace_id, self._clock.now_us()):
            found = _from_row(row)
            await self._end(tx, found, None)
            await self._record(tx, Act.INVITATION_REVOKED, found, actor, {"role": found.role.value})

    async def check(self, text: str) -> Invitation:
        """Return the open invitation of the token `text`.

        Raises: NotFound (no such, accepted, revoked, expired: the same answer).
        """
        if token_id_of(text, "inv") is None:
            raise _gone()
        query = InvitationRow.select().where(InvitationRow.token_sha256 == digest_of(text)).limit(1)
        return _open(await self._database.fetch_one(query), self._clock.now_us())

    async def takes_password(self, workspace_id: str) -> bool:
        """Tell whether an account that is made here may have a password and be used in the workspace by it."""
        if not self._accounts.is_password_enabled:
            return False
        return self._is_sso_only is None or not await self._is_sso_only(workspace_id)

    async def accept(self, text: str, account_id: str, actor: Actor) -> Invitation:
        """Make `account_id`, who is signed in, a member; the invitation is used up.

        Raises: NotFound (as `check`); Forbidden (it is for another e-mail address, or its inviter may not give this
        role any more); Conflict (a member already: the invitation stays).
        """
        found = await self.check(text)

        async def verb(tx: Transaction) -> Invitation:
            row = await tx.fetch_one("SELECT email FROM account WHERE id = $1 AND disabled_us IS NULL", account_id)
            if row is None:
                raise _gone()
            return await self._join(tx, text, account_id, row["email"], actor)

        try:
            return await self._database.write(verb)
        except InvitationRefused as error:
            await self._refuse(found, error.reason, actor)
            raise

    async def accept_as_new(self, text: str, email: str, password: str, address: str) -> tuple[Account, Invitation]:
        """Make an account of `email` and `password` and a member of it, all or nothing; the invitation is used up.

        `address` is the peer's IP address. An invitation for one address makes an account of that address alone.

        Raises: NotFound (as `check`); BadInput (address or password); Forbidden (as `accept`, or passwords do not
        open this workspace); Conflict (the address has an account: sign in with it); TooManyRequests.
        """
        found = await self.check(text)
        if not await self.takes_password(found.workspace_id):
            raise Forbidden(
                "People of this workspace sign in by their identity provider.",
                hint="Sign in there first, then open the link again.",
            )
        name = normalise_email(email)
        await self._accounts.check_password(password, name, workspace_id=found.workspace_id)
        # Who holds an open invitation could ask which addresses have accounts: a few times, then ever more slowly.
        reservation = self._throttle.reserve(f"invitation {found.id}", address)
        password_hash = await self._passwords.hash(password)

        async def verb(tx: Transaction) -> tuple[Account, Invitation]:
            if found.email is not None and found.email != name:
                raise _another_address()
            actor = Actor(t="invitation", id=found.id)
            account = await self._accounts.create_within(tx, name, password_hash, actor)
            joined = await self._join(tx, text, account.id, name, Actor(t="user", id=account.id))
            return account, joined

        try:
            made = await self._database.write(verb)
        except Conflict:
            raise Conflict(
                "An account with this e-mail address exists.", hint="Sign in with it, then open the link again."
            ) from None
        except InvitationRefused as error:
            await self._refuse(found, error.reason, Actor(t="invitation", id=found.id))
            raise
        self._throttle.succeeded(reservation)
        return made

    async def _join(self, tx: Transaction, text: str, account_id: str, email: str, actor: Actor) -> Invitation:
        query = "SELECT * FROM invitation WHERE token_sha256 = $1"
        found = _open(await tx.fetch_one(query, digest_of(text)), self._clock.now_us())
        if found.email is not None and found.email != email:
            raise _another_address()
        try:
            await self._joining.must_grant(tx, found.workspace_id, found.inviter, found.role)
        except (Forbidden, NotFound):
            raise InvitationRefused(
                "inviter_lost_role",
                "Who invited you may not give this role any more.",
                hint="Ask an owner of the workspace for another invitation.",
            ) from None
        await self._end(tx, found, account_id)
        await self._joining.add_within(tx, found.workspace_id, account_id, found.role, actor)
        facts: dict[str, JSON] = {"role": found.role.value, "account": account_id}
        await self._record(tx, Act.INVITATION_ACCEPTED, found, actor, facts)
        return found

    async def _end(self, tx: Transaction, found: Invitation, account_id: str | None) -> None:
        query = "UPDATE invitation SET ended_us = $1, account_id = $2 WHERE id = $3 AND ended_us IS NULL"
        if await tx.execute(query, self._clock.now_us(), account_id, found.id) != 1:
            raise _gone()

    async def _refuse(self, found: Invitation, reason: str, actor: Actor) -> None:
        event = Event(
            act=Act.INVITATION_REFUSED, ws=found.workspace_id, obj_t="invitation", obj_id=found.id, actor=actor,
            data={"reason": reason}, out="deny",
        )  # fmt: skip
        await self._audit.record(event)

    async def _record(self, tx: Transaction, act: Act, of: Invitation, actor: Actor, facts: dict[str, JSON]) -> None:
        event = Event(act=act, ws=of.workspace_id, obj_t="invitation", obj_id=of.id, actor=actor, data=facts)
        await self._audit.append(tx, event)


def _open(row: Row | None, now_us: int) -> Invitation:
    if row is None or row["ended_us"] is not None or now_us >= row["expires_us"]:
        raise _gone()
    return _from_row(row)


def _from_row(row: Row) -> Invitation:
    return Invitation(
        id=row["id"],
        workspace_id=row["workspace_id"],
        role=Role(row["role"]),
        email=row["email"],
        inviter=Actor(t=row["inviter_kind"], id=row["inviter_id"]),
        created_us=row["created_us"],
        expires_us=row["expires_us"],
    )


def _gone() -> NotFound:
    return NotFound("This invitation does not work any more.", hint="Ask whoever invited you for a new one.")


def _another_address() -> InvitationRefused:
    return InvitationRefused(
        "another_address",
        "This invitation is for another e-mail address.",
        hint="Sign in with the account of the invited address.",
    )
