"""Browsers on their way to a provider: each request is kept sealed, ten minutes, for one use by one browser."""

import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from failgate.base.clock import MICROSECONDS, Clock
from failgate.base.db import Database, Transaction
from failgate.base.ids import new_id
from failgate.base.secretbox import SecretBox
from failgate.sso.connection import Connection
from failgate.sso.protocol import REQUEST_SECONDS, Departure, Expected, Refusal

Purpose = Literal["sign_in", "link", "test", "sign_out", "step_up"]
KEPT_PURPOSE: Final = "sso request"
_WORD: Final = b"failgate sign-in from the provider v1\n"
REMEMBERED_SECONDS: Final = 3600  # after it has expired, so that a late or second answer is named for what it is
_KEEP: Final = (
    "INSERT INTO sso_request (id, request_sha256, connection_id, purpose, browser_sha256, kept_sealed, return_to,"
    " account_id, session_id, begun_us, expires_us) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
)
# The row count decides: of two answers that arrive together one finds the request unused.
_TAKE: Final = (
    "UPDATE sso_request SET used_us = $1 WHERE request_sha256 = $2 AND connection_id = $3 AND browser_sha256 = $4"
    " AND used_us IS NULL AND expires_us > $1"
)
_FIND: Final = "SELECT * FROM sso_request WHERE request_sha256 = $1 AND connection_id = $2"


@dataclass(frozen=True, slots=True)
class Begun:
    """A request that was taken out, for its one use. `return_to` is a path of our own."""

    id: str
    purpose: Purpose
    return_to: str
    expected: Expected
    account_id: str | None
    session_id: str | None


@dataclass(frozen=True, slots=True)
class Errand:
    """Why the browser goes to the provider: the purpose, where it returns to, whose session it is now.

    `asks_anew`: the provider has to ask the person, also when it remembers them; a step-up always has it so.
    """

    purpose: Purpose = "sign_in"
    return_to: str = "/"
    account_id: str | None = None
    session_id: str | None = None
    asks_anew: bool = False

    @property
    def is_forced(self) -> bool:
        """Tell whether the provider has to ask the person."""
        return self.asks_anew or self.purpose == "step_up"


class Spent(Refusal):
    """A request of this very browser that was answered before, or too late; `purpose` and `return_to` are its own."""

    def __init__(self, reason: str, detail: str, purpose: Purpose, return_to: str) -> None:
        """Keep what the browser had gone there for."""
        super().__init__(reason, detail)
        self.purpose = purpose
        self.return_to = return_to


class Requests:
    """Keeps requests and takes them out again."""

    def __init__(self, database: Database, clock: Clock, box: SecretBox) -> None:
        self._database = database
        self._clock = clock
        self._box = box

    async def keep(self, connection: Connection, departure: Departure, errand: Errand, browser_key: str) -> str:
        """Keep a request under its id for the browser that holds `browser_key`; return our own id of it."""
        request_id, now_us = new_id(), self._clock.now_us()
        kept = json.dumps({"id": departure.request_id, "kept": dict(departure.kept)}).encode()
        sealed = self._box.seal(kept, purpose=KEPT_PURPOSE, owner=request_id)

        async def verb(tx: Transaction) -> None:
            await tx.execute(
                _KEEP, request_id, digest(departure.request_id), connection.id, errand.purpose, digest(browser_key),
                sealed, errand.return_to, errand.account_id, errand.session_id, now_us,
                now_us + REQUEST_SECONDS * MICROSECONDS,
            )  # fmt: skip

        await self._database.write(verb)
        return request_id

    async def take(self, connection: Connection, request_id: str, browser_key: str | None) -> Begun:
        """Take the request out; from now on it is used.

        Raises: Refusal (unknown, of another browser, too late, used before).
        """
        key, now_us = digest(request_id), self._clock.now_us()

        async def verb(tx: Transaction) -> Begun:
            row = await tx.fetch_one(_FIND, key, connection.id)
            if row is None:
                raise Refusal("request_unknown", "The answer belongs to no sign-in that was begun here.")
            if browser_key is None or row["browser_sha256"] != digest(browser_key):
                raise Refusal("other_browser", "The answer came from another browser than the one that began.")
            errand = (row["purpose"], row["return_to"])
            if row["used_us"] is not None:
                raise Spent("request_used", "The sign-in was answered before.", *errand)
            if await tx.execute(_TAKE, now_us, key, connection.id, digest(browser_key)) != 1:
                late = f"The sign-in was begun more than {REQUEST_SECONDS // 60} minutes ago."
                raise Spent("request_expired", late, *errand)
            opened = self._box.unseal(row["kept_sealed"], purpose=KEPT_PURPOSE, owner=row["id"])
            content: Mapping[str, dict[str, str]] = json.loads(opened)
            return Begun(
                id=row["id"],
                purpose=row["purpose"],
                return_to=row["return_to"],
                expected=Expected(request_id, row["begun_us"], content["kept"]),
                account_id=row["account_id"],
                session_id=row["session_id"],
            )

        return await self._database.write(verb)

    async def use(self, tx: Transaction, connection: Connection, values: tuple[str, ...], until_us: int) -> None:
        """Use up ids of assertions and messages inside a transaction.

        Raises: Refusal (one of them was used before).
        """
        for value in values:
            inserted = await tx.execute(
                "INSERT INTO sso_used (id, connection_id, value_sha256, until_us) VALUES ($1, $2, $3, $4)"
                " ON CONFLICT (connection_id, value_sha256) DO NOTHING",
                new_id(), connection.id, digest(value), until_us,
            )  # fmt: skip
            if inserted != 1:
                raise Refusal("replayed", "The assertion or message was used before.")

    async def sweep(self) -> None:
        """Forget requests and used ids that are past any use. To be called once a minute."""
        now_us = self._clock.now_us()

        async def verb(tx: Transaction) -> None:
            await tx.execute(
                "DELETE FROM sso_request WHERE expires_us < $1", now_us - REMEMBERED_SECONDS * MICROSECONDS
            )
            await tx.execute("DELETE FROM sso_used WHERE until_us < $1", now_us)
            await tx.execute("DELETE FROM sso_test WHERE made_us < $1", now_us - REMEMBERED_SECONDS * MICROSECONDS)

        await self._database.write(verb)


def digest(text: str) -> str:
    """Return the SHA-256 of `text` in hex: how ids and keys of 128 bits and more are kept."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def new_browser_key() -> str:
    """Return a fresh key of 256 bits that binds requests to a browser."""
    return secrets.token_urlsafe(32)


def word_for(browser_key: str, message: str) -> str:
    """Return what only a page of ours knows that is shown to the browser of `browser_key` about `message`."""
    return hmac.new(_bytes(browser_key), _WORD + _bytes(message), hashlib.sha256).hexdigest()


def is_word_for(word: str, browser_key: str | None, message: str) -> bool:
    """Tell whether `word` comes from the page that this browser was shown about `message`."""
    return browser_key is not None and hmac.compare_digest(word_for(browser_key, message).encode(), _bytes(word))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
