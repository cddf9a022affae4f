"""Second factors: TOTP and backup codes enrolled, proven, taken away; and what follows when any factor comes or goes.

Passkeys are in `passkeys.py`. A code is used up by a row that is unique for (account, time step), a backup code by one
conditional update, each in the transaction that records it. Secrets lie sealed; nothing is unsealed in a transaction.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, Literal, TypeVar

from failgate.access.principal import Principal
from failgate.accounts import backup_codes, totp
from failgate.accounts.devices import Devices
from failgate.accounts.refusals import Refusals
from failgate.accounts.session import FactorMethod, Session, SessionToken
from failgate.accounts.sessions import Sessions
from failgate.accounts.tables import HAS_FACTOR
from failgate.accounts.throttle import Throttle
from failgate.audit.log import AuditLog
from failgate.audit.record import SYSTEM, Act, Actor, Event
from failgate.base.cache import ReadThrough
from failgate.base.canonical import JSON
from failgate.base.clock import MICROSECONDS, Clock
from failgate.base.db import Database, Row, Transaction
from failgate.base.errors import Conflict, NotFound, NotSignedIn, TooManyRequests
from failgate.base.ids import new_id
from failgate.base.secretbox import SecretBox

T = TypeVar("T")

ENROLMENT_SECONDS: Final = 15 * 60
PURPOSE: Final = "totp"
# By what one makes sure who lost their factors; docs/sign-in.md says what each has to be. ASVS 5.0 6.4.4
Evidence = Literal["met", "called_back", "vouched"]
_HAS_TOTP: Final = "SELECT id FROM totp_secret WHERE account_id = $1 AND confirmed_us IS NOT NULL LIMIT 1"
_INSERT: Final = (
    "INSERT INTO totp_secret (id, account_id, sealed, created_us, confirmed_us) VALUES ($1, $2, $3, $4, $5)"
)
_COUNT_CODES: Final = "SELECT count(*) AS number FROM backup_code WHERE account_id = $1 AND used_us IS NULL"


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A secret that waits for its first code: base32 text, and the `otpauth` address for a QR code. Shown once."""

    secret: str = field(repr=False)
    uri: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Authenticator:
    """A TOTP secret in use: since when, and the time step of the last code that was used. Microseconds since 1970."""

    confirmed_us: int
    last_used_us: int | None


class SecondFactors:
    """Enrols, proves and removes the second factors of accounts."""

    def __init__(
        self,
        database: Database,
        audit: AuditLog,
        clock: Clock,
        box: SecretBox,
        *,
        throttle: Throttle,
        sessions: Sessions,
        devices: Devices,
        late_steps: int = 0,
    ) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._box = box
        self._throttle = throttle
        self._sessions = sessions
        self._devices = devices
        self._late_steps = late_steps  # before the present one, whose codes count too
        self._refusals = Refusals(audit, clock, Act.FACTOR_REFUSED)
        self._known = ReadThrough(self._load_has)

    async def has(self, account_id: str) -> bool:
        """Tell whether `account_id` has an authenticator or a passkey; from memory after the first time."""
        return bool(await self._known.get(account_id))

    async def has_within(self, tx: Transaction, account_id: str) -> bool:
        """Tell the same as `tx` sees it; for a decision that rests on it."""
        return await tx.fetch_one(HAS_FACTOR, account_id) is not None

    async def authenticator(self, account_id: str) -> Authenticator | None:
        """Return the authenticator of `account_id`, or None."""
        row = await self._database.fetch_one(
            "SELECT confirmed_us, (SELECT max(step) FROM totp_use WHERE totp_use.account_id = totp_secret.account_id)"
            " AS step FROM totp_secret WHERE account_id = $1 AND confirmed_us IS NOT NULL",
            account_id,
        )
        if row is None:
            return None
        step = row["step"]
        return Authenticator(row["confirmed_us"], None if step is None else totp.time_of_step_us(int(step)))

    async def begin_enrolment(self, account_id: str, *, replacing: bool = False) -> Enrolment:
        """Make a TOTP secret that counts once it is confirmed within 15 minutes; an earlier beginning is void.

        Raises: NotFound (no such account); Conflict (an authenticator exists and `replacing` is not said: the door
        asks for a fresh proof of a factor first).
        """
        secret, now_us = totp.new_secret(), self._clock.now_us()
        sealed = self._box.seal(secret.encode(), purpose=PURPOSE, owner=account_id)

        async def verb(tx: Transaction) -> str:
            account = await tx.fetch_one("SELECT email FROM account WHERE id = $1", account_id)
            if account is None:
                raise NotFound("There is no such account.")
            if not replacing and await tx.fetch_one(_HAS_TOTP, account_id) is not None:
                raise Conflict(
                    "This account has an authenticator app already.",
                    hint="Prove it, then replace it.",
                )
            await tx.execute("DELETE FROM totp_secret WHERE account_id = $1 AND confirmed_us IS NULL", account_id)
            await tx.execute(_INSERT, new_id(), account_id, sealed, now_us, None)
            return str(account["email"])

        email = await self._database.write(verb)
        return Enrolment(secret=secret, uri=totp.provisioning_uri(secret, email))

    async def confirm(self, account_id: str, code: str, actor: Actor | None = None) -> list[str]:
        """Put the secret of `begin_enrolment` in use; return ten backup codes, which nobody can read again.

        An earlier secret, earlier backup codes and trusted devices are void; the code is used up.

        Raises: NotSignedIn (the code does not fit); Conflict (nothing was begun, or longer than 15 minutes ago);
        TooManyRequests.
        """
        reservation = self._throttle.reserve_factor(account_id)
        now_us = self._clock.now_us()
        row = await self._database.fetch_one(
            "SELECT id, sealed FROM totp_secret WHERE account_id = $1 AND confirmed_us IS NULL AND created_us > $2",
            account_id, now_us - ENROLMENT_SECONDS * MICROSECONDS,
        )  # fmt: skip
        if row is None:
            self._throttle.give_back(reservation)
            raise _enrolment_gone()
        step = totp.matching_step(self._open(row, account_id), code, now_us, late_steps=self._late_steps)
        by = actor or _self(account_id)
        if step is None:
            await self._refusals.record("wrong_code", account_id, by)
            raise _does_not_fit()
        codes = backup_codes.new_codes()

        async def verb(tx: Transaction) -> None:
            query = "UPDATE totp_secret SET confirmed_us = $1 WHERE id = $2 AND confirmed_us IS NULL"
            if await tx.execute(query, now_us, row["id"]) != 1:
                raise _enrolment_gone()
            await tx.execute("DELETE FROM totp_secret WHERE account_id = $1 AND id <> $2", account_id, row["id"])
            await self._use_step(tx, account_id, step)
            await self._put_codes(tx, account_id, codes)
            await self.enrolled_within(tx, account_id, by, {"method": "otp"})

        await self._database.write(verb)
        self._throttle.succeeded(reservation)
        return codes

    async def issue(self, account_id: str, actor: Actor) -> str:
        """Put a TOTP secret in use at once and return it (base32); for an operator who hands it over.

        Raises: NotFound (no such account); Conflict (it has an authenticator).
        """
        secret, now_us = totp.new_secret(), self._clock.now_us()
        sealed = self._box.seal(secret.encode(), purpose=PURPOSE, owner=account_id)

        async def verb(tx: Transaction) -> None:
            if await tx.fetch_one("SELECT id FROM account WHERE id = $1", account_id) is None:
                raise NotFound("There is no such account.")
            if await tx.fetch_one(_HAS_TOTP, account_id) is not None:
                raise Conflict("This account has an authenticator app already.", hint="Remove it first.")
            await tx.execute("DELETE FROM totp_secret WHERE account_id = $1", account_id)
            await tx.execute(_INSERT, new_id(), account_id, sealed, now_us, now_us)
            await self.enrolled_within(tx, account_id, actor, {"method": "otp"})

        await self._database.write(verb)
        return secret

    async def prove(
        self, account_id: str, code: str, actor: Actor | None = None, *, allow_backup_code: bool = True
    ) -> FactorMethod:
        """Use up `code` of `account_id`; return `otp` for a code of the app, `recovery` for a backup code.

        Raises: NotSignedIn (it does not fit, or was used: the same answer); TooManyRequests.
        """
        by = actor or _self(account_id)

        async def verb(tx: Transaction, method: FactorMethod) -> FactorMethod:
            if method == "otp":
                await self._record(tx, Act.SESSION_SECOND_FACTOR_PROVEN, account_id, by, {"method": method})
            return method

        return await self._prove(account_id, code, by, verb, allow_backup_code=allow_backup_code)

    async def prove_in_session(self, session: Session, code: str) -> SessionToken:
        """Use up `code` and note the proof in `session`, in one transaction; return the session's new token.

        A backup code counts only while the session awaits its second factor, never to step up.

        Raises: NotSignedIn (the code does not fit, or the session has ended); TooManyRequests.
        """

        async def verb(tx: Transaction, method: FactorMethod) -> SessionToken:
            return await self._sessions.rotate(tx, session, method)

        speaker = Principal(kind="user", account_id=session.account_id, session_id=session.id, auth=session.auth)
        by = Actor.of(speaker)
        return await self._prove(session.account_id, code, by, verb, allow_backup_code=session.awaits_second_factor)

    async def current_code(self, account_id: str) -> str | None:
        """Return a code that `prove` would take now, or None; for the demo, which plays the person's phone."""
        secret = await self._confirmed_secret(account_id)
        if secret is None:
            return None
        step = totp.step_at(self._clock.now_us())
        rows = await self._database.fetch("SELECT step FROM totp_use WHERE account_id = $1", account_id)
        used = {int(row["step"]) for row in rows}
        return next(
            (totp.code_at(secret[1], one) for one in range(step, step - 1 - self._late_steps, -1) if one not in used),
            None,
        )

    async def renew_backup_codes(self, account_id: str, actor: Actor | None = None) -> list[str]:
        """Make all backup codes of `account_id` void; return ten new ones.

        Raises: Conflict (there is no second factor).
        """
        codes = backup_codes.new_codes()

        async def verb(tx: Transaction) -> None:
            if not await self.has_within(tx, account_id):
                raise Conflict("This account has no second factor.", hint="Add one first.")
            await self._put_codes(tx, account_id, codes)
            facts: dict[str, JSON] = {"method": "backup_codes"}
            await self._record(tx, Act.FACTOR_ENROLLED, account_id, actor or _self(account_id), facts)

        await self._database.write(verb)
        return codes

    async def backup_codes_left(self, account_id: str) -> int:
        """Return how many backup codes of `account_id` are unused."""
        return _number(await self._database.fetch(_COUNT_CODES, account_id))

    async def remove(self, account_id: str, actor: Actor) -> None:
        """Take the authenticator away; with the last factor go the backup codes and every session of `account_id`.

        Raises: Conflict (there is none).
        """

        async def verb(tx: Transaction) -> None:
            if await tx.execute("DELETE FROM totp_secret WHERE account_id = $1 AND confirmed_us > 0", account_id) == 0:
                raise Conflict("This account has no authenticator app.")
            await self.removed_within(tx, account_id, actor, {"method": "otp"})

        await self._database.write(verb)

    async def reset(self, account_id: str, actor: Actor, evidence: Evidence) -> None:
        """Take every factor away: authenticator, passkeys, backup codes, trusted devices; every session has ended.

        For a person who lost them all; who may ask for it is the caller's to decide. `evidence` is by what `actor` made
        sure who asks, and is recorded.

        Raises: Conflict (there is none).
        """

        async def verb(tx: Transaction) -> None:
            if not await self.has_within(tx, account_id):
                raise Conflict("This account has no second factor.")
            await tx.execute("DELETE FROM totp_secret WHERE account_id = $1", account_id)
            await tx.execute("DELETE FROM passkey WHERE account_id = $1", account_id)
            await self.removed_within(tx, account_id, actor, {"method": "all", "evidence": evidence})

        await self._database.write(verb)

    async def enrolled_within(self, tx: Transaction, account_id: str, actor: Actor, facts: dict[str, JSON]) -> None:
        """Do what follows when a factor of `account_id` was added, inside its transaction: no device is trusted."""
        await self._record(tx, Act.FACTOR_ENROLLED, account_id, actor, facts)
        await self._devices.end_all(tx, account_id, actor, "factor_changed")
        tx.after_commit(lambda: self._known.forget(account_id))

    async def removed_within(self, tx: Transaction, account_id: str, actor: Actor, facts: dict[str, JSON]) -> None:
        """Do what follows when a factor was taken away; the last one takes backup codes and sessions with it."""
        await self._record(tx, Act.FACTOR_REMOVED, account_id, actor, facts)
        await self._devices.end_all(tx, account_id, actor, "factor_changed")
        if not await self.has_within(tx, account_id):
            await tx.execute("DELETE FROM backup_code WHERE account_id = $1", account_id)
            await self._sessions.end_all(tx, account_id, actor, "second_factor_removed")
        tx.after_commit(lambda: self._known.forget(account_id))

    async def first_codes_within(self, tx: Transaction, account_id: str) -> list[str]:
        """Make ten backup codes when `account_id` has none left, inside the transaction of a factor that was added."""
        if _number(await tx.fetch(_COUNT_CODES, account_id)):
            return []
        codes = backup_codes.new_codes()
        await self._put_codes(tx, account_id, codes)
        return codes

    async def sweep(self) -> None:
        """Record refusals that were only counted. To be called once a minute."""
        await self._refusals.flush()

    async def _prove(
        self,
        account_id: str,
        code: str,
        by: Actor,
        then: Callable[[Transaction, FactorMethod], Awaitable[T]],
        *,
        allow_backup_code: bool,
    ) -> T:
        try:
            reservation = self._throttle.reserve_factor(account_id)
        except TooManyRequests:
            await self._refusals.record("throttled", account_id, by)
            raise
        now_us = self._clock.now_us()
        secret = await self._confirmed_secret(account_id)
        step = totp.matching_step(secret[1], code, now_us, late_steps=self._late_steps) if secret else None
        digest = backup_codes.digest_of_code(code) if allow_backup_code else None

        async def verb(tx: Transaction) -> T:
            if secret is not None and step is not None:
                is_in_use = await tx.fetch_one("SELECT id FROM totp_secret WHERE id = $1", secret[0]) is not None
                if not is_in_use or not await self._use_step(tx, account_id, step):
                    raise _does_not_fit()
                return await then(tx, "otp")
            if digest is None or not await self._use_code(tx, account_id, digest, now_us, by):
                raise _does_not_fit()
            return await then(tx, "recovery")

        try:
            proven = await self._database.write(verb)
        except NotSignedIn:
            await self._refusals.record("wrong_code" if step is None else "used_code", account_id, by)
            raise
        self._throttle.succeeded(reservation)
        return proven

    async def _use_step(self, tx: Transaction, account_id: str, step: int) -> bool:
        # Steps of an hour ago can never match again; at most a handful of rows stay for an account.
        await tx.execute("DELETE FROM totp_use WHERE account_id = $1 AND step < $2", account_id, step - 120)
        query = "INSERT INTO totp_use (id, account_id, step) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"
        return await tx.execute(query, new_id(), account_id, step) == 1

    async def _use_code(self, tx: Transaction, account_id: str, digest: str, now_us: int, by: Actor) -> bool:
        query = "UPDATE backup_code SET used_us = $1 WHERE account_id = $2 AND code_sha256 = $3 AND used_us IS NULL"
        if await tx.execute(query, now_us, account_id, digest) != 1:
            return False
        left = _number(await tx.fetch(_COUNT_CODES, account_id))
        await self._record(tx, Act.BACKUP_CODE_USED, account_id, by, {"left": left})
        return True

    async def _put_codes(self, tx: Transaction, account_id: str, codes: list[str]) -> None:
        await tx.execute("DELETE FROM backup_code WHERE account_id = $1", account_id)
        for code in codes:
            await tx.execute(
                "INSERT INTO backup_code (id, account_id, code_sha256) VALUES ($1, $2, $3)",
                new_id(), account_id, backup_codes.digest_of_code(code),
            )  # fmt: skip

    async def _confirmed_secret(self, account_id: str) -> tuple[str, str] | None:
        query = "SELECT id, sealed FROM totp_secret WHERE account_id = $1 AND confirmed_us IS NOT NULL"
        row = await self._database.fetch_one(query, account_id)
        return (str(row["id"]), self._open(row, account_id)) if row is not None else None

    def _open(self, row: Row, account_id: str) -> str:
        return self._box.unseal(row["sealed"], purpose=PURPOSE, owner=account_id).decode()

    async def _load_has(self, account_id: str) -> bool:
        return await self._database.fetch_one(HAS_FACTOR, account_id) is not None

    async def _record(self, tx: Transaction, act: Act, account_id: str, actor: Actor, facts: dict[str, JSON]) -> None:
        event = Event(act=act, ws=SYSTEM, obj_t="account", obj_id=account_id, actor=actor, data=facts)
        await self._audit.append(tx, event)


def _self(account_id: str) -> Actor:
    return Actor(t="user", id=account_id)


def _number(rows: list[Row]) -> int:
    return int(rows[0]["number"])


def _does_not_fit() -> NotSignedIn:
    return NotSignedIn("The code does not fit.", hint="Each code works once: wait for the next one.")


def _enrolment_gone() -> Conflict:
    return Conflict(
        "No authenticator app waits to be confirmed.", hint="Begin again: the secret is shown for 15 minutes."
    )
