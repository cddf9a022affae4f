"""Trusted devices: browsers in which a person need not show a code again when they sign in. Nothing more than that.

A device is 256 random bits in a cookie, of which the SHA-256 is kept, for one account and at most 30 days. Its token
changes at every use; the one before, shown again, is a copy and ends the device. A session that was opened this way has
proven no second factor: it votes on nothing and passes no sensitive door until it does.

Source: ASVS 5.0 7.4.3; NIST SP 800-63B-4 section 3.2 (the password is still asked for).
"""

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from failgate.accounts.session import Session, SessionToken
from failgate.accounts.sessions import Sessions
from failgate.accounts.tables import TrustedDeviceRow
from failgate.accounts.token_text import digest_of
from failgate.audit.log import AuditLog
from failgate.audit.record import SYSTEM, Act, Actor, Event
from failgate.base.canonical import JSON
from failgate.base.clock import MICROSECONDS, Clock
from failgate.base.db import Database, Row, Transaction
from failgate.base.errors import NotFound, StepUpRequired
from failgate.base.ids import new_id

MOST_DAYS: Final = 30
MOST_DEVICES: Final = 20  # of one account; the oldest leaves first
DAY_US: Final = 86_400 * MICROSECONDS
TOKEN_CHARACTERS: Final = 43  # 32 bytes as unpadded base64url
METHOD: Final = "trusted_device"
EndReason = Literal[
    "revoked", "replayed", "password_changed", "factor_changed", "account_disabled", "deprovisioned", "too_many"
]


@dataclass(frozen=True, slots=True)
class Device:
    """A trusted device. Times are microseconds since 1970; `address` is where it was trusted or last used."""

    id: str
    name: str
    address: str
    user_agent: str
    created_us: int
    expires_us: int
    last_used_us: int | None


@dataclass(frozen=True, slots=True)
class Admission:
    """A session that was opened, and the device's next token when the device was trusted."""

    token: SessionToken = field(repr=False)
    session: Session
    device_token: str | None = field(default=None, repr=False)


class Devices:
    """Trusts, recognises and forgets devices."""

    def __init__(
        self, database: Database, audit: AuditLog, clock: Clock, *, sessions: Sessions, lifetime_days: int = MOST_DAYS
    ) -> None:
        """Trust a device for `lifetime_days` (at most 30); with 0 nobody is asked and none counts."""
        self._database = database
        self._audit = audit
        self._clock = clock
        self._sessions = sessions
        self.lifetime_days = min(lifetime_days, MOST_DAYS)

    async def admit(
        self,
        account_id: str,
        device_token: str | None,
        address: str,
        user_agent: str,
        auth: Iterable[str],
        *,
        password_changed_us: int | None = None,
    ) -> Admission:
        """Open a session as `Sessions.open` does; in a trusted device of this account it awaits no second factor.

        Raises: as `Sessions.open`.
        """
        methods = tuple(auth)

        async def verb(tx: Transaction) -> Admission:
            fresh = await self._use(tx, account_id, device_token, address) if device_token is not None else None
            token, session = await self._sessions.open_within(
                tx, account_id, address, user_agent, (*methods, METHOD) if fresh else methods,
                awaits_second_factor=False if fresh else None, password_changed_us=password_changed_us,
            )  # fmt: skip
            return Admission(token, session, fresh)

        return await self._database.write(verb)

    async def trust(self, session: Session, name: str) -> str:
        """Trust the browser of `session`; return the token for its cookie, which is shown nowhere else.

        Raises: StepUpRequired (no authenticator or passkey was shown in this session); NotFound (switched off).
        """
        if self.lifetime_days == 0:
            raise NotFound("Devices are not trusted here.")
        if session.second_factor_us is None or {"otp", "passkey"}.isdisjoint(session.auth):
            raise StepUpRequired("A device is trusted after its code.", hint="Sign in with your authenticator.")
        token, now_us, device_id = secrets.token_urlsafe(32), self._clock.now_us(), new_id()
        actor = Actor.of(session.principal)
        expires_us = now_us + self.lifetime_days * DAY_US

        async def verb(tx: Transaction) -> None:
            await tx.execute(
                "INSERT INTO trusted_device (id, account_id, token_sha256, name, address, user_agent, created_us,"
                " expires_us) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
                device_id, session.account_id, digest_of(token), name[:100], session.address, session.user_agent,
                now_us, expires_us,
            )  # fmt: skip
            await self._record(tx, Act.DEVICE_TRUSTED, device_id, actor, {"expires_us": expires_us})
            rows = await tx.fetch(
                "SELECT id FROM trusted_device WHERE account_id = $1 ORDER BY id DESC", session.account_id
            )
            await self._end(tx, rows[MOST_DEVICES:], actor, "too_many")

        await self._database.write(verb)
        return token

    async def list(self, account_id: str) -> list[Device]:
        """Return the trusted devices of `account_id`, newest first."""
        rows = await self._database.fetch(
            TrustedDeviceRow.select()
            .where((TrustedDeviceRow.account_id == account_id) & (TrustedDeviceRow.expires_us > self._clock.now_us()))
            .order_by(TrustedDeviceRow.id, ascending=False)
        )
        return [_from_row(row) for row in rows]

    async def find(self, account_id: str, device_token: str | None) -> str | None:
        """Return the id of the device of `account_id` whose token this is, or None."""
        if device_token is None or not _is_token(device_token):
            return None
        query = "SELECT id FROM trusted_device WHERE account_id = $1 AND token_sha256 = $2"
        row = await self._database.fetch_one(query, account_id, digest_of(device_token))
        return str(row["id"]) if row is not None else None

    async def is_of(self, account_id: str | None, device_token: str | None) -> bool:
        """Tell whether `device_token` is that of a device which `account_id` trusts now.

        The device is looked for whatever the account is, so that the time says nothing about accounts.
        """
        if self.lifetime_days == 0 or device_token is None or not _is_token(device_token):
            return False
        now_us = self._clock.now_us()
        query = "SELECT account_id FROM trusted_device WHERE token_sha256 = $1 AND expires_us > $2 AND created_us > $3"
        since_us = now_us - self.lifetime_days * DAY_US
        row = await self._database.fetch_one(query, digest_of(device_token), now_us, since_us)
        return row is not None and row["account_id"] == account_id

    async def revoke(self, account_id: str, device_id: str, actor: Actor) -> None:
        """Trust the device of that id no more.

        Raises: NotFound (there is none, or it is somebody else's: the same answer).
        """

        async def verb(tx: Transaction) -> None:
            query = "SELECT id FROM trusted_device WHERE id = $1 AND account_id = $2"
            rows = await tx.fetch(query, device_id, account_id)
            if not rows:
                raise NotFound("There is no such device.")
            await self._end(tx, rows, actor, "revoked")

        await self._database.write(verb)

    async def revoke_all(self, account_id: str, actor: Actor) -> None:
        """Trust no device of `account_id` any more."""

        async def verb(tx: Transaction) -> None:
            await self.end_all(tx, account_id, actor, "revoked")

        await self._database.write(verb)

    async def end_all(self, tx: Transaction, account_id: str, actor: Actor, reason: EndReason) -> None:
        """Trust no device of `account_id` any more, inside the transaction of what causes it."""
        rows = await tx.fetch("SELECT id FROM trusted_device WHERE account_id = $1 ORDER BY id", account_id)
        await self._end(tx, rows, actor, reason)

    async def sweep(self) -> None:
        """Forget devices whose time is over. To be called once a minute."""

        async def verb(tx: Transaction) -> None:
            await tx.execute("DELETE FROM trusted_device WHERE expires_us <= $1", self._clock.now_us())

        await self._database.write(verb)

    async def _use(self, tx: Transaction, account_id: str, device_token: str, address: str) -> str | None:
        """Return the device's next token, or None when `device_token` is not one of `account_id`."""
        if self.lifetime_days == 0 or not _is_token(device_token):
            return None
        fresh, now_us, digest = secrets.token_urlsafe(32), self._clock.now_us(), digest_of(device_token)
        # No device outlives what the config says now, whatever it said when the device was trusted.
        changed = await tx.execute(
            "UPDATE trusted_device SET token_sha256 = $1, previous_sha256 = $2, last_used_us = $3, address = $4"
            " WHERE token_sha256 = $2 AND account_id = $5 AND expires_us > $3 AND created_us > $6",
            digest_of(fresh), digest, now_us, address[:64], account_id, now_us - self.lifetime_days * DAY_US,
        )  # fmt: skip
        if changed == 1:
            return fresh
        query = "SELECT id FROM trusted_device WHERE previous_sha256 = $1 AND account_id = $2"
        copies = await tx.fetch(query, digest, account_id)
        await self._end(tx, copies, Actor(t="user", id=account_id), "replayed")
        return None

    async def _end(self, tx: Transaction, rows: Sequence[Row], actor: Actor, reason: EndReason) -> None:
        for row in rows:
            await tx.execute("DELETE FROM trusted_device WHERE id = $1", row["id"])
            await self._record(tx, Act.DEVICE_REVOKED, row["id"], actor, {"reason": reason})

    async def _record(self, tx: Transaction, act: Act, device_id: str, actor: Actor, facts: dict[str, JSON]) -> None:
        event = Event(act=act, ws=SYSTEM, obj_t="device", obj_id=device_id, actor=actor, data=facts)
        await self._audit.append(tx, event)


def _is_token(text: str) -> bool:
    return len(text) == TOKEN_CHARACTERS and text.isascii()


def _from_row(row: Row) -> Device:
    return Device(
        id=row["id"],
        name=row["name"],
        address=row["address"],
        user_agent=row["user_agent"],
        created_us=row["created_us"],
        expires_us=row["expires_us"],
        last_used_us=row["last_used_us"],
    )
