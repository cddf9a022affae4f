"""Accounts: made, signed in to by e-mail and password, barred and let in again.

An unknown address, a wrong password and a disabled account are one answer after one amount of work. Disabling an
account and changing its password end what was opened with it, in the same transaction.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final, TypeVar

from failgate.accounts.account import Account, account_of
from failgate.accounts.breached_passwords import BreachedPasswords
from failgate.accounts.context_words import ContextWords
from failgate.accounts.devices import Devices
from failgate.accounts.email_address import normalise_email, normalised_or_none
from failgate.accounts.finding import AccountFinding
from failgate.accounts.imported_hash import ImportedHashes, check_imported_hash
from failgate.accounts.password import Passwords, check_new_password
from failgate.accounts.refusals import Refusals
from failgate.accounts.session import Session
from failgate.accounts.sessions import Sessions
from failgate.accounts.throttle import Throttle
from failgate.accounts.tokens import Tokens
from failgate.audit.log import AuditLog
from failgate.audit.record import SYSTEM, Act, Actor, Event
from failgate.base.canonical import JSON
from failgate.base.clock import Clock
from failgate.base.db import Database, Transaction
from failgate.base.errors import Conflict, Forbidden, NotFound, NotSignedIn, TooManyRequests
from failgate.base.ids import new_id

T = TypeVar("T")

Ending = Callable[[Transaction, str, Actor], Awaitable[None]]
"""What else ends when the account of this id is disabled, inside that transaction."""

_INSERT: Final = """
INSERT INTO account (id, email, password_hash, password_changed_us, is_platform_admin, created_us)
VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (email) DO NOTHING
"""


class Accounts(AccountFinding):
    """Makes, finds, bars and signs in accounts."""

    def __init__(
        self,
        database: Database,
        audit: AuditLog,
        clock: Clock,
        passwords: Passwords,
        *,
        throttle: Throttle,
        sessions: Sessions,
        tokens: Tokens,
        devices: Devices,
        endings: Sequence[Ending] = (),
        context: ContextWords | None = None,
        breached: BreachedPasswords | None = None,
        is_password_enabled: bool = True,
    ) -> None:
        """Work on `database`; `endings` are what other rooms end when an account is disabled.

        Without `is_password_enabled` accounts still have passwords, but nobody signs in by one.
        """
        super().__init__(database)
        self._audit = audit
        self._clock = clock
        self._passwords = passwords
        self._throttle = throttle
        self._sessions = sessions
        self._tokens = tokens
        self._devices = devices
        self._endings = list(endings)
        self._context, self._breached = context or ContextWords(database, ""), breached
        self.is_password_enabled = is_password_enabled
        self._refusals = Refusals(audit, clock, Act.SESSION_REFUSED)
        self._imported = ImportedHashes(database)

    async def check_password(
        self,
        password: str,
        email: str,
        *,
        account_id: str | None = None,
        workspace_id: str | None = None,
        names: Iterable[str] = (),
    ) -> None:
        """Return when `password` may be that of `email`: whose account, or who joins that workspace, or founds `names`.

        Raises: BadInput; StorageUnavailable (the list of breached passwords cannot be read).
        """
        words = await self._context.of(account_id=account_id, workspace_id=workspace_id, names=names)
        check_new_password(password, email, words)
        if self._breached is not None:
            await self._breached.refuse(password)

    async def create(self, email: str, password: str, actor: Actor, *, is_platform_admin: bool = False) -> Account:
        """Make an account.

        Raises: BadInput (the address or the password is not acceptable); Conflict (the address has an account).
        """

        async def alone(_tx: Transaction, account: Account) -> Account:
            return account

        return await self.create_and(email, password, actor, alone, is_platform_admin=is_platform_admin)

    async def create_and(
        self,
        email: str,
        password: str,
        actor: Actor,
        furnish: Callable[[Transaction, Account], Awaitable[T]],
        *,
        is_platform_admin: bool = False,
    ) -> T:
        """Make an account and do what `furnish` does for it, all or nothing; return what that returns.

        Raises: as `create`, and whatever `furnish` raises.
        """
        name = normalise_email(email)
        await self.check_password(password, name)
        password_hash = await self._passwords.hash(password)

        async def verb(tx: Transaction) -> T:
            account = await self.create_within(tx, name, password_hash, actor, is_platform_admin=is_platform_admin)
            return await furnish(tx, account)

        return await self._database.write(verb)

    async def create_imported(self, email: str, password_hash: str, actor: Actor) -> Account:
        """Make an account with a bcrypt hash of another system; its next sign-in makes it an Argon2id hash.

        Raises: BadInput (the address, or not a hash that is taken); Conflict (the address has an account).
        """
        name = normalise_email(email)
        imported = check_imported_hash(password_hash)

        async def verb(tx: Transaction) -> Account:
            tx.after_commit(self._imported.forget)
            return await self.create_within(tx, name, imported, actor)

        return await self._database.write(verb)

    async def create_within(
        self, tx: Transaction, email: str, password_hash: str, actor: Actor, *, is_platform_admin: bool = False
    ) -> Account:
        """Make an account of a normalised address and a ready hash inside an open transaction."""
        account = await self._insert(tx, email, password_hash, actor, "pwd", is_platform_admin=is_platform_admin)
        if is_platform_admin:
            await self._record(tx, Act.PLATFORM_ROLE_GRANTED, account.id, actor, {"role": "admin"})
        return account

    async def create_without_password_within(self, tx: Transaction, email: str, method: str, actor: Actor) -> Account:
        """Make an account of a normalised address that signs in by `method` alone, inside an open transaction.

        Raises: Conflict (the address has an account).
        """
        return await self._insert(tx, email, None, actor, method, is_platform_admin=False)

    async def _insert(
        self,
        tx: Transaction,
        email: str,
        password_hash: str | None,
        actor: Actor,
        method: str,
        *,
        is_platform_admin: bool,
    ) -> Account:
        now_us = self._clock.now_us()
        account = Account(new_id(), email, now_us, now_us if password_hash else None, is_platform_admin)
        values = (account.id, email, password_hash, account.password_changed_us, int(is_platform_admin), now_us)
        if await tx.execute(_INSERT, *values) != 1:
            raise Conflict("An account with this e-mail address exists.", hint="Choose another address.")
        await self._record(tx, Act.ACCOUNT_CREATED, account.id, actor, {"method": method})
        return account

    async def sign_in(self, email: str, password: str, address: str, device_token: str | None = None) -> Account:
        """Return the enabled account whose password this is; `address` is the peer's IP address.

        In a device that the account trusts strangers' guesses at it do not count: nobody locks its person out.

        What it says holds for the password of that moment: give its `password_changed_us` to `Sessions.open`.

        Raises: NotSignedIn (unknown address, wrong password, disabled account: the same sentence after the same work);
        TooManyRequests (the guess was not looked at); Forbidden (passwords are switched off: nothing was looked at).
        """
        if not self.is_password_enabled:
            await self._refusals.record("password_switched_off", None)
            raise Forbidden(
                "Signing in by password is switched off on this server.",
                hint="Ask whoever runs it: [accounts] password = false stands in its config file.",
            )
        name = normalised_or_none(email)
        row = await self.row_of(name or "")
        account_id = row["id"] if row is not None else None
        is_trusted = await self._devices.is_of(account_id, device_token)
        try:
            reservation = self._throttle.reserve(name or "", address, is_trusted_device=is_trusted)
        except TooManyRequests:
            await self._refusals.record("throttled", account_id)
            raise
        stored = row["password_hash"] if row is not None else None
        try:
            imported_cost = await self._imported.highest()
            verdict = await self._passwords.verify(stored, password, imported_cost=imported_cost)
        except TooManyRequests:
            self._throttle.give_back(reservation)
            raise
        if row is None or not verdict.fits or row["disabled_us"] is not None:
            reason = "unknown_account" if row is None else "account_disabled" if verdict.fits else "wrong_password"
            await self._refusals.record(reason, account_id)
            raise NotSignedIn("The e-mail address and the password do not fit together.", hint="Check both.")
        self._throttle.succeeded(reservation)
        if verdict.is_outdated:
            await self._renew_hash(row["id"], row["password_hash"], password)
        return account_of(row)

    async def change_password(self, account: Account, current: str, password: str, session: Session) -> None:
        """Change the password of the person behind `session`, which alone goes on; `session.address` is their place.

        Raises: NotSignedIn (`current` is not the password); TooManyRequests; BadInput (the new one is not acceptable).
        """
        await self.check_password(password, account.email, account_id=account.id)
        if await self.has_password(account.id):
            await self.confirm_password(account, current, session.address)
        await self.set_password(account.id, password, Actor.of(session.principal), keep=session.id)

    async def confirm_password(self, account: Account, password: str, address: str) -> None:
        """Return when `password` is that of `account`, typed anew by who is signed in at `address`.

        Raises: NotSignedIn (it is not, or the account has none); TooManyRequests (the guess was not looked at).
        """
        reservation = self._throttle.reserve(account.email, address)
        row = await self.row_of(account.email)
        if not (await self._passwords.verify(row["password_hash"] if row is not None else None, password)).fits:
            await self._refusals.record("wrong_password", account.id)
            raise NotSignedIn("The present password is not right.", hint="Type it again.")
        self._throttle.succeeded(reservation)

    async def set_password(self, account_id: str, password: str, actor: Actor, *, keep: str | None = None) -> None:
        """Change the password; every session (but `keep`), API key and trusted device of the account has ended then.

        So have the links for a new password that are still open.

        Raises: NotFound; BadInput (the password is not acceptable).
        """
        account = await self.by_id(account_id)
        if account is None:
            raise _no_account()
        await self.check_password(password, account.email, account_id=account_id)
        password_hash = await self._passwords.hash(password)

        await self._database.write(
            lambda tx: self.change_password_within(tx, account_id, password_hash, actor, keep=keep)
        )

    async def change_password_within(
        self, tx: Transaction, account_id: str, password_hash: str, actor: Actor, *, keep: str | None = None
    ) -> None:
        """Do what `set_password` does, with a ready hash, inside an open transaction."""
        query = "UPDATE account SET password_hash = $1, password_changed_us = $2 WHERE id = $3"
        if await tx.execute(query, password_hash, self._clock.now_us(), account_id) != 1:
            raise _no_account()
        tx.after_commit(self._imported.forget)
        await self._record(tx, Act.ACCOUNT_PASSWORD_CHANGED, account_id, actor, {"method": "pwd"})
        await self._sessions.end_all(tx, account_id, actor, "password_changed", keep=keep)
        await self._tokens.end_all(tx, account_id, actor, "password_changed", agents_too=False)
        await self._devices.end_all(tx, account_id, actor, "password_changed")
        await self.void_reset_links(tx, account_id)

    async def disable(self, account_id: str, actor: Actor) -> None:
        """Bar the account; what was opened with it has ended when this returns. Twice is as once.

        That is its sessions, its API keys, the tokens of agents that it answers for, and what the `endings` name.

        Raises: NotFound.
        """

        async def verb(tx: Transaction) -> None:
            await self.disable_within(tx, account_id, actor)

        await self._database.write(verb)

    async def disable_within(
        self, tx: Transaction, account_id: str, actor: Actor, *, reason: str | None = None
    ) -> bool:
        """Do what `disable` does inside an open transaction; return whether it was enabled.

        Raises: NotFound.
        """
        query = "UPDATE account SET disabled_us = $1 WHERE id = $2 AND disabled_us IS NULL"
        if await tx.execute(query, self._clock.now_us(), account_id) != 1:
            await self._must_exist(tx, account_id)
            return False
        await self._record(tx, Act.ACCOUNT_DISABLED, account_id, actor, {"reason": reason} if reason else {})
        await self.end_what_is_open(tx, account_id, actor)
        return True

    async def end_what_is_open(self, tx: Transaction, account_id: str, actor: Actor) -> None:
        """End everything that was opened with the account, whether it is barred or not."""
        await self._sessions.end_all(tx, account_id, actor, "account_disabled")
        await self._tokens.end_all(tx, account_id, actor, "account_disabled", agents_too=True)
        await self._devices.end_all(tx, account_id, actor, "account_disabled")
        await self.void_reset_links(tx, account_id)
        for ending in self._endings:
            await ending(tx, account_id, actor)

    async def void_reset_links(self, tx: Transaction, account_id: str) -> None:
        """End the links for a new password of the account that are still open."""
        query = "UPDATE password_reset SET ended_us = $1 WHERE account_id = $2 AND ended_us IS NULL"
        await tx.execute(query, self._clock.now_us(), account_id)

    def also_end(self, ending: Ending) -> None:
        """Have `ending` end too when an account is disabled; for rooms that are built after this one."""
        self._endings.append(ending)

    async def enable(self, account_id: str, actor: Actor) -> None:
        """Let the account sign in again; what had ended stays ended. Twice is as once.

        Raises: NotFound.
        """

        async def verb(tx: Transaction) -> None:
            await self.enable_within(tx, account_id, actor)

        await self._database.write(verb)

    async def enable_within(self, tx: Transaction, account_id: str, actor: Actor) -> bool:
        """Do what `enable` does inside an open transaction; return whether it was disabled.

        Raises: NotFound.
        """
        query = "UPDATE account SET disabled_us = NULL WHERE id = $1 AND disabled_us IS NOT NULL"
        if await tx.execute(query, account_id) != 1:
            await self._must_exist(tx, account_id)
            return False
        await self._record(tx, Act.ACCOUNT_ENABLED, account_id, actor, {})
        return True

    async def grant_platform_role(self, account_id: str, actor: Actor) -> None:
        """Give the role for the installation's own pages, which opens no private content. Twice is as once.

        Raises: NotFound.
        """

        async def verb(tx: Transaction) -> None:
            query = "UPDATE account SET is_platform_admin = 1 WHERE id = $1 AND is_platform_admin = 0"
            if await tx.execute(query, account_id) != 1:
                await self._must_exist(tx, account_id)
                return
            await self._record(tx, Act.PLATFORM_ROLE_GRANTED, account_id, actor, {"role": "admin"})

        await self._database.write(verb)

    async def revoke_platform_role(self, account_id: str, actor: Actor) -> None:
        """Take the role for the installation's own pages. Twice is as once.

        Raises: NotFound; Conflict (an administrator would leave the installation without any).
        """

        async def verb(tx: Transaction) -> None:
            query = "UPDATE account SET is_platform_admin = 0 WHERE id = $1 AND is_platform_admin = 1"
            if await tx.execute(query, account_id) != 1:
                await self._must_exist(tx, account_id)
                return
            left = "SELECT id FROM account WHERE is_platform_admin = 1 AND disabled_us IS NULL LIMIT 1"
            if actor.t != "operator" and await tx.fetch_one(left) is None:
                raise Conflict("This is the last account with the platform role.", hint="Give it to another one first.")
            await self._record(tx, Act.PLATFORM_ROLE_REVOKED, account_id, actor, {"role": "admin"})

        await self._database.write(verb)

    async def sweep(self) -> None:
        """Record refusals that were only counted. To be called once a minute."""
        await self._refusals.flush()

    async def _renew_hash(self, account_id: str, old: str, password: str) -> None:
        fresh = await self._passwords.hash(password)

        async def verb(tx: Transaction) -> None:
            # Not when the password was changed meanwhile. The password stays the same, so no record is due.
            query = "UPDATE account SET password_hash = $1 WHERE id = $2 AND password_hash = $3"
            await tx.execute(query, fresh, account_id, old)
            tx.after_commit(self._imported.forget)

        await self._database.write(verb)

    async def _must_exist(self, tx: Transaction, account_id: str) -> None:
        if await tx.fetch_one("SELECT id FROM account WHERE id = $1", account_id) is None:
            raise _no_account()

    async def _record(self, tx: Transaction, act: Act, account_id: str, actor: Actor, facts: dict[str, JSON]) -> None:
        event = Event(act=act, ws=SYSTEM, obj_t="account", obj_id=account_id, actor=actor, data=facts)
        await self._audit.append(tx, event)


def _no_account() -> NotFound:
    return NotFound("There is no such account.")
