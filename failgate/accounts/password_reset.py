"""Password reset: a single-use link of fifteen minutes, by e-mail or handed over by whoever may.

Asking for one by e-mail answers at once and always the same: everything that could differ for an account that exists
happens behind the answer. Using a link changes the password and nothing else: it opens no session, leaves the second
factor as it is, and ends what the old password had opened.

Source: ASVS 5.0 6.4.3, 6.3.8.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from failgate.accounts import letters
from failgate.accounts.account import Account
from failgate.accounts.accounts import Accounts
from failgate.accounts.email_address import normalised_or_none
from failgate.accounts.mail import Mail
from failgate.accounts.password import Passwords
from failgate.accounts.refusals import NOBODY
from failgate.accounts.throttle import Throttle
from failgate.accounts.token_text import digest_of, token_id_of, write_token
from failgate.audit.log import AuditLog
from failgate.audit.record import SYSTEM, Act, Actor, Event
from failgate.base.canonical import JSON
from failgate.base.clock import MICROSECONDS, Clock
from failgate.base.db import Database, Row, Transaction
from failgate.base.errors import Conflict, FailgateError, Forbidden, NotFound, TooManyRequests
from failgate.base.ids import new_id
from failgate.base.log import get_logger

RESET_MINUTES: Final = 15
DAY_US: Final = 86_400 * MICROSECONDS
MAX_ASKED: Final = 100  # requests that wait behind their answers
_INSERT: Final = """
INSERT INTO password_reset (id, account_id, token_sha256, minter_kind, minter_id, created_us, expires_us)
VALUES ($1, $2, $3, $4, $5, $6, $7)
"""
_LOAD: Final = """
SELECT password_reset.*, account.email FROM password_reset JOIN account ON account.id = password_reset.account_id
WHERE password_reset.token_sha256 = $1 AND password_reset.ended_us IS NULL AND password_reset.expires_us > $2
AND account.disabled_us IS NULL
"""
log = get_logger("failgate.password_reset")


@dataclass(frozen=True, slots=True)
class Reset:
    """An open link without its secret: whose it is and until when (microseconds since 1970)."""

    id: str
    account_id: str
    email: str
    expires_us: int


class PasswordReset:
    """Mints, checks and uses reset links."""

    def __init__(
        self,
        database: Database,
        audit: AuditLog,
        clock: Clock,
        *,
        accounts: Accounts,
        passwords: Passwords,
        throttle: Throttle,
        mail: Mail,
        base_url: Callable[[], str],
    ) -> None:
        """Work on `database`; links in letters begin with `base_url()`, the configured address of this server."""
        self._database = database
        self._audit = audit
        self._clock = clock
        self._accounts = accounts
        self._passwords = passwords
        self._throttle = throttle
        self._mail = mail
        self._base_url = base_url
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def is_by_mail(self) -> bool:
        """Tell whether people get their links by e-mail themselves."""
        return self._mail.is_configured and self._accounts.is_password_enabled

    def ask(self, email: str, address: str) -> None:
        """Have a link sent to `email` if it has an account with a password; return at once, the same for every address.

        `address` is the peer's IP address. An account gets five letters an hour at most.

        Raises: TooManyRequests (this address asked too often); Forbidden (there is no way by e-mail here).
        """
        if not self.is_by_mail:
            raise Forbidden(
                "This server sends no e-mail.", hint="Ask an owner of your workspace or whoever runs the server."
            )
        name = normalised_or_none(email) or ""
        self._throttle.reserve_reset_from(address)
        try:
            self._throttle.reserve_reset_of(name)
        except TooManyRequests:
            return  # who asks is told nothing, and no mailbox is flooded
        if not name or len(self._tasks) >= MAX_ASKED:
            return
        task = asyncio.get_running_loop().create_task(self._send(name), name="password-reset")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def mint(self, account_id: str, actor: Actor) -> tuple[Reset, str]:
        """Make a link for `actor` to hand over; return it and its token. Links made before are void.

        Raises: NotFound (no such enabled account); Conflict (the account has no password, or passwords are switched
        off: it signs in elsewhere).
        """
        if not self._accounts.is_password_enabled:
            raise Conflict("Signing in by password is switched off on this server.", hint="Nobody needs a password.")

        async def verb(tx: Transaction) -> tuple[Reset, str]:
            await self._accounts.void_reset_links(tx, account_id)
            return await self._mint_within(tx, account_id, actor, "link")

        return await self._database.write(verb)

    async def mail_to(self, account: Account, actor: Actor) -> None:
        """Make a link and mail it to its owner: `actor` never sees it. Links made before are void.

        Raises: NotFound, Conflict (as `mint`; or the letter cannot be sent).
        """
        _, text = await self.mint(account.id, actor)
        if not self._mail.post(letters.password_reset(self._base_url(), account.email, text, RESET_MINUTES)):
            raise Conflict("The letter could not be put in the line.", hint="Look at how outgoing e-mail goes.")

    async def must_not_have_minted(self, account_id: str, actor: Actor) -> None:
        """Return when `actor` made no link for `account_id` within a day: who has both is the account.

        Raises: Conflict.
        """
        query = "SELECT id FROM password_reset WHERE account_id = $1 AND minter_id = $2 AND created_us > $3 LIMIT 1"
        since_us = self._clock.now_us() - DAY_US
        if await self._database.fetch_one(query, account_id, actor.id, since_us) is not None:
            raise Conflict(
                "You made a link for this account's password within the last day.",
                hint="Another administrator, or the operator on the host, resets the second factor.",
            )

    async def check(self, text: str) -> Reset:
        """Return the open link of the token `text`.

        Raises: NotFound (no such, used, voided, expired, its account disabled: the same answer).
        """
        if token_id_of(text, "rst") is None:
            raise _gone()
        return _open(await self._database.fetch_one(_LOAD, digest_of(text), self._clock.now_us()))

    async def complete(self, text: str, password: str) -> Reset:
        """Change the password by the link; every session, API key and trusted device of the account has ended.

        Raises: NotFound (as `check`); BadInput (the password: the link stays usable).
        """
        found = await self.check(text)
        await self._accounts.check_password(password, found.email, account_id=found.account_id)
        password_hash = await self._passwords.hash(password)

        async def verb(tx: Transaction) -> Reset:
            reset = _open(await tx.fetch_one(_LOAD, digest_of(text), self._clock.now_us()))
            actor = Actor(t="password_reset", id=reset.id)
            await self._accounts.change_password_within(tx, reset.account_id, password_hash, actor)
            await self._record(tx, Act.PASSWORD_RESET_FINISHED, reset.account_id, actor, {"reset": reset.id})
            return reset

        reset = await self._database.write(verb)
        self._mail.post(letters.password_changed(self._base_url(), reset.email))
        return reset

    async def settle(self) -> None:
        """Return when every request that was answered is done."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    async def _send(self, email: str) -> None:
        try:
            account = await self._accounts.by_email(email)
            if account is None or not account.is_enabled:
                return
            # Links that were made before stay: a stranger who asks takes nothing away.
            _, text = await self._database.write(lambda tx: self._mint_within(tx, account.id, NOBODY, "email"))
        except (Conflict, NotFound):
            return  # nothing to reset
        except FailgateError as error:
            log.warning("password_reset.failed", reason=error.sentence)
            return
        self._mail.post(letters.password_reset(self._base_url(), account.email, text, RESET_MINUTES))

    async def _mint_within(self, tx: Transaction, account_id: str, actor: Actor, method: str) -> tuple[Reset, str]:
        query = "SELECT email, password_hash FROM account WHERE id = $1 AND disabled_us IS NULL"
        account = await tx.fetch_one(query, account_id)
        if account is None:
            raise NotFound("There is no such account.")
        if account["password_hash"] is None:
            raise Conflict(
                "This account has no password: it signs in by its identity provider.",
                hint="Reset it there, or give it a password with failgate admin user set-password.",
            )
        reset_id, now_us = new_id(), self._clock.now_us()
        text, expires_us = write_token("rst", reset_id), now_us + RESET_MINUTES * 60 * MICROSECONDS
        await tx.execute(_INSERT, reset_id, account_id, digest_of(text), actor.t, actor.id, now_us, expires_us)
        facts: dict[str, JSON] = {"reset": reset_id, "expires_us": expires_us, "method": method}
        await self._record(tx, Act.PASSWORD_RESET_BEGUN, account_id, actor, facts)
        return Reset(reset_id, account_id, account["email"], expires_us), text

    async def _record(self, tx: Transaction, act: Act, account_id: str, actor: Actor, facts: dict[str, JSON]) -> None:
        event = Event(act=act, ws=SYSTEM, obj_t="account", obj_id=account_id, actor=actor, data=facts)
        await self._audit.append(tx, event)


def _open(row: Row | None) -> Reset:
    if row is None:
        raise _gone()
    return Reset(row["id"], row["account_id"], row["email"], row["expires_us"])


def _gone() -> NotFound:
    return NotFound("This link does not work any more.", hint="It works once, for 15 minutes: ask for a new one.")
