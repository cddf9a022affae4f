"""The Ed25519 keys that sign access tokens: made by the server, sealed at rest, changed every thirty days.

The newest key signs. A retired one verifies until the last token that it signed is over, unless it is called
compromised: then it ends at once, and with it every token that it signed.
"""

import asyncio
import base64
from dataclasses import dataclass
from typing import Final, Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from failgate.accounts.tables import SigningKeyRow
from failgate.audit.log import AuditLog
from failgate.audit.record import SERVER, SYSTEM, Act, Actor, Event
from failgate.base.clock import MICROSECONDS, Clock
from failgate.base.db import Database, Transaction
from failgate.base.ids import new_id
from failgate.base.secretbox import SecretBox

ROTATION_SECONDS: Final = 30 * 86_400
KEPT_SECONDS: Final = 660  # a retired key: the ten minutes of an access token, and one for clocks
PURPOSE: Final = "signing-key"
RotationReason = Literal["first", "age", "asked", "compromised"]

_INSERT: Final = "INSERT INTO signing_key (id, public_key, sealed, created_us) VALUES ($1, $2, $3, $4)"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key; `id` is its `kid`, `public_key` 32 bytes as base64url. Times are microseconds since 1970."""

    id: str
    public_key: str
    created_us: int
    retired_us: int | None

    @property
    def jwk(self) -> dict[str, str]:
        """Return the public key as a JWK. Source: RFC 8037 section 2."""
        return {
            "kty": "OKP", "crv": "Ed25519", "x": self.public_key, "kid": self.id, "use": "sig", "alg": "EdDSA",
        }  # fmt: skip

    def is_good(self, now_us: int) -> bool:
        """Tell whether a token that it signed may still be one."""
        return self.retired_us is None or now_us < self.retired_us + KEPT_SECONDS * MICROSECONDS


class SigningKeys:
    """Makes, keeps and changes the keys."""

    def __init__(self, database: Database, audit: AuditLog, clock: Clock, box: SecretBox) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._box = box
        self._keys: dict[str, SigningKey] = {}
        self._private: dict[str, bytes] = {}
        self._is_loaded = False
        self._turn = asyncio.Lock()

    def peek(self, key_id: str) -> SigningKey | None:
        """Return the key of that id when it is in memory; all of them are after the first question."""
        return self._keys.get(key_id)

    async def find(self, key_id: str) -> SigningKey | None:
        """Return the key of that id while tokens that it signed count, or None."""
        await self._load()
        key = self._keys.get(key_id)
        return key if key is not None and key.is_good(self._clock.now_us()) else None

    async def published(self) -> list[SigningKey]:
        """Return every key that verifies, the newest first; make the first one when there is none."""
        await self.current()
        now_us = self._clock.now_us()
        return sorted((key for key in self._keys.values() if key.is_good(now_us)), key=_age, reverse=True)

    async def current(self) -> SigningKey:
        """Return the key that signs, made now when there is none or the newest is thirty days old."""
        async with self._turn:
            await self._load()
            newest = max((key for key in self._keys.values() if key.retired_us is None), key=_age, default=None)
            if newest is None:
                return await self._rotate(SERVER, "first")
            if self._clock.now_us() - newest.created_us >= ROTATION_SECONDS * MICROSECONDS:
                return await self._rotate(SERVER, "age")
            return newest

    async def private_jwk(self, key: SigningKey) -> dict[str, str]:
        """Return `key` with its private part.

        Raises: FailgateError (it does not open: another `secrets.key`).
        """
        private = self._private.get(key.id)
        if private is None:
            row = await self._database.fetch_one("SELECT sealed FROM signing_key WHERE id = $1", key.id)
            assert row is not None
            private = self._box.unseal(row["sealed"], purpose=PURPOSE, owner=key.id)
            self._private[key.id] = private
        return {**key.jwk, "d": _base64url(private)}

    async def rotate(self, actor: Actor, *, is_compromised: bool = False) -> SigningKey:
        """Make a new key that signs from now on; return it.

        The others verify until their tokens are over; with `is_compromised` they end now.
        """
        async with self._turn:
            await self._load()
            return await self._rotate(actor, "compromised" if is_compromised else "asked")

    async def sweep(self) -> None:
        """Change a key that is due, and delete those that verify nothing any more. To be called once a minute."""
        await self._load()
        if self._keys:
            await self.current()
        now_us = self._clock.now_us()
        over = [key.id for key in self._keys.values() if not key.is_good(now_us)]
        if not over:
            return

        async def verb(tx: Transaction) -> None:
            for key_id in over:
                await tx.execute("DELETE FROM signing_key WHERE id = $1", key_id)
            tx.after_commit(lambda: self._drop(over))

        await self._database.write(verb)

    async def _rotate(self, actor: Actor, reason: RotationReason) -> SigningKey:
        private = Ed25519PrivateKey.generate()
        now_us = self._clock.now_us()
        fresh = SigningKey(new_id(), _base64url(private.public_key().public_bytes_raw()), now_us, None)
        secret = private.private_bytes_raw()
        sealed = self._box.seal(secret, purpose=PURPOSE, owner=fresh.id)

        async def verb(tx: Transaction) -> None:
            if reason == "compromised":
                await tx.execute("DELETE FROM signing_key")
            else:
                await tx.execute("UPDATE signing_key SET retired_us = $1 WHERE retired_us IS NULL", now_us)
            await tx.execute(_INSERT, fresh.id, fresh.public_key, sealed, now_us)
            event = Event(
                act=Act.SIGNING_KEY_ROTATED,
                ws=SYSTEM,
                obj_t="signing_key",
                obj_id=fresh.id,
                actor=actor,
                data={"reason": reason},
            )
            await self._audit.append(tx, event)
            tx.after_commit(lambda: self._rotated(fresh, secret, ends_others=reason == "compromised"))

        await self._database.write(verb)
        return fresh

    def _rotated(self, fresh: SigningKey, secret: bytes, *, ends_others: bool) -> None:
        retired = {
            key.id: SigningKey(key.id, key.public_key, key.created_us, key.retired_us or fresh.created_us)
            for key in self._keys.values()
        }
        self._keys = {**({} if ends_others else retired), fresh.id: fresh}
        self._private = {fresh.id: secret}
        self._is_loaded = True

    def _drop(self, key_ids: list[str]) -> None:
        for key_id in key_ids:
            self._keys.pop(key_id, None)

    async def _load(self) -> None:
        if self._is_loaded:
            return
        rows = await self._database.fetch(SigningKeyRow.select())
        if not self._is_loaded:  # nobody else was faster
            self._keys = {
                row["id"]: SigningKey(row["id"], row["public_key"], row["created_us"], row["retired_us"])
                for row in rows
            }
            self._is_loaded = True


def _age(key: SigningKey) -> tuple[int, str]:
    return key.created_us, key.id


def _base64url(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()
