"""The two links that need no password: the one of the first start, and the one-click sign-in of the demo.

A setup link exists while there is no account, works for 30 minutes and once. A sign-in link lives in memory only.
"""

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Protocol

from failgate.accounts.account import Account
from failgate.accounts.accounts import Accounts
from failgate.accounts.email_address import normalise_email
from failgate.accounts.password import Passwords
from failgate.accounts.token_text import digest_of
from failgate.audit.log import AuditLog
from failgate.audit.record import SYSTEM, Act, Actor, Event
from failgate.base.clock import MICROSECONDS, Clock
from failgate.base.db import Database, Row, Transaction
from failgate.base.errors import Conflict, FailgateError, NotFound, NotSignedIn
from failgate.base.ids import new_id

SETUP_SECONDS: Final = 30 * 60
MAX_SIGN_IN_LINKS: Final = 1000


class Founded(Protocol):
    """What was founded, by its id."""

    @property
    def id(self) -> str:
        """Return the id."""
        ...


FoundWorkspace = Callable[[Transaction, str, str, str, Actor], Awaitable[Founded]]
"""Make a workspace inside a transaction: slug, name, owner's account id, actor; returns it."""


class SetupLinks:
    """Mints the link of the first start and completes the setup by it."""

    def __init__(
        self,
        database: Database,
        audit: AuditLog,
        clock: Clock,
        *,
        accounts: Accounts,
        passwords: Passwords,
        found_workspace: FoundWorkspace,
    ) -> None:
        """Work on `database`; the first workspace is made by `found_workspace`, in the same transaction."""
        self._database = database
        self._audit = audit
        self._clock = clock
        self._accounts = accounts
        self._passwords = passwords
        self._found_workspace = found_workspace

    async def mint(self) -> str:
        """Return the token of a fresh setup link; links minted before are void.

        Raises: Conflict (there is an account already).
        """
        token, now_us = secrets.token_urlsafe(32), self._clock.now_us()

        async def verb(tx: Transaction) -> None:
            await _must_be_empty(tx)
            await tx.execute("DELETE FROM setup_link")
            await tx.execute(
                "INSERT INTO setup_link (id, token_sha256, minted_us, expires_us) VALUES ($1, $2, $3, $4)",
                new_id(), digest_of(token), now_us, now_us + SETUP_SECONDS * MICROSECONDS,
            )  # fmt: skip

        await self._database.write(verb)
        return token

    async def check(self, token: str) -> None:
        """Return when `token` can still complete the setup.

        Raises: NotFound (no such link); Conflict (it has expired, or was used).
        """
        row = await self._database.fetch_one("SELECT * FROM setup_link WHERE token_sha256 = $1", digest_of(token))
        _must_be_usable(row, self._clock.now_us())

    async def complete(
        self, token: str, email: str, password: str, workspace_slug: str, workspace_name: str
    ) -> Account:
        """Make the first account (with the platform role), the first workspace and its owner, all or nothing.

        Raises: NotFound, Conflict (as `check`); BadInput (address, password, slug or name), and the link stays usable.
        """
        await self.check(token)
        name = normalise_email(email)
        await self._accounts.check_password(password, name, names=(workspace_slug, workspace_name))
        password_hash = await self._passwords.hash(password)

        async def verb(tx: Transaction) -> Account:
            now_us = self._clock.now_us()
            row = await tx.fetch_one("SELECT * FROM setup_link WHERE token_sha256 = $1", digest_of(token))
            link = _must_be_usable(row, now_us)
            used = await tx.execute(
                "UPDATE setup_link SET used_us = $1 WHERE id = $2 AND used_us IS NULL AND expires_us > $1",
                now_us,
                link["id"],
            )
            if used != 1:
                raise _used()
            await _must_be_empty(tx)
            actor = Actor(t="setup_link", id=link["id"])
            account = await self._accounts.create_within(tx, name, password_hash, actor, is_platform_admin=True)
            workspace = await self._found_workspace(tx, workspace_slug, workspace_name, account.id, actor)
            await self._audit.append(
                tx,
                Event(
                    act=Act.SETUP_COMPLETED,
                    ws=SYSTEM,
                    obj_t="setup_link",
                    obj_id=link["id"],
                    actor=actor,
                    data={"account": account.id, "workspace": workspace.id},
                ),
            )
            return account

        return await self._database.write(verb)


@dataclass(frozen=True, slots=True)
class _Ticket:
    account_id: str
    ends_at: float  # monotonic seconds


class SignInLinks:
    """One-click sign-in for `serve --demo`: single-use tokens in memory."""

    def __init__(self, clock: Clock, *, ttl_seconds: int = SETUP_SECONDS) -> None:
        """Let each link live `ttl_seconds`."""
        self._clock = clock
        self._ttl_seconds = ttl_seconds
        self._tickets: dict[str, _Ticket] = {}

    def mint(self, account_id: str) -> str:
        """Return the token of a link that signs `account_id` in, once."""
        now = self._clock.monotonic()
        self._tickets = {digest: ticket for digest, ticket in self._tickets.items() if ticket.ends_at > now}
        if len(self._tickets) >= MAX_SIGN_IN_LINKS:
            raise Conflict(f"{MAX_SIGN_IN_LINKS} sign-in links wait to be used.", hint="Use one of them.")
        token = secrets.token_urlsafe(32)
        self._tickets[digest_of(token)] = _Ticket(account_id, now + self._ttl_seconds)
        return token

    def redeem(self, token: str) -> str:
        """Use the link up; return the id of its account.

        Raises: NotSignedIn (no such link, used or expired: the same answer).
        """
        ticket = self._tickets.pop(digest_of(token), None)
        if ticket is None or self._clock.monotonic() >= ticket.ends_at:
            raise NotSignedIn("This sign-in link does not work any more.", hint="Each works once: ask for a new one.")
        return ticket.account_id


async def _must_be_empty(tx: Transaction) -> None:
    if await tx.fetch_one("SELECT id FROM account LIMIT 1") is not None:
        raise _used()


def _must_be_usable(row: Row | None, now_us: int) -> Row:
    if row is None:
        raise NotFound(
            "There is no such setup link.",
            hint="While there is no account, each start of `failgate serve` prints a new one and voids the old.",
        )
    if row["used_us"] is not None:
        raise _used()
    if now_us >= row["expires_us"]:
        raise Conflict("This setup link has expired.", hint="Restart `failgate serve`: it prints a new one.")
    return row


def _used() -> FailgateError:
    return Conflict("This installation is set up already.", hint="Sign in, or ask its administrator for an account.")
