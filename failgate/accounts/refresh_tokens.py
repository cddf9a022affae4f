"""Refresh tokens: each is used once and gives the next one; a second use ends the login that it belongs to.

`fg_ref_<id>_<secret>_<checksum>`, kept as SHA-256. A used row stays until its login ends, so a stolen token is noticed
when thief or owner comes second. A client whose answer was lost may repeat a use once, within ten seconds, with the
idempotency key of the first try, while the token that it did not get is unused.

Source: RFC 9700 section 4.14.2, RFC 6749 section 6, RFC 7009.
"""

from dataclasses import dataclass
from typing import Final

from failgate.accounts.device_grant import GrantRefused
from failgate.accounts.logins import Logins
from failgate.accounts.token_text import digest_of, token_id_of, write_token
from failgate.base.clock import MICROSECONDS, Clock
from failgate.base.db import Database, Row, Transaction
from failgate.base.ids import new_id

RETRY_SECONDS: Final = 10
PREFIX: Final = "fg_ref_"

_INSERT: Final = "INSERT INTO refresh_token (id, login_id, token_sha256, minted_us) VALUES ($1, $2, $3, $4)"
_FIND: Final = """
SELECT refresh_token.*, login.account_id, login.client_id, login.expires_us, account.disabled_us
FROM refresh_token JOIN login ON login.id = refresh_token.login_id JOIN account ON account.id = login.account_id
WHERE refresh_token.token_sha256 = $1
"""


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What a refresh token was changed for: the next one, and the login that both belong to."""

    login_id: str
    account_id: str
    token: str


class RefreshTokens:
    """Mints, uses and revokes refresh tokens."""

    def __init__(self, database: Database, clock: Clock, logins: Logins) -> None:
        self._database = database
        self._clock = clock
        self._logins = logins

    async def mint_within(self, tx: Transaction, login_id: str) -> tuple[str, str]:
        """Return the id and the text of a fresh token of the login."""
        token_id = new_id()
        text = write_token("ref", token_id)
        await tx.execute(_INSERT, token_id, login_id, digest_of(text), self._clock.now_us())
        return token_id, text

    async def refresh(self, text: str, client_id: str, address: str, retry_key: str | None = None) -> Refreshed:
        """Use `text` up; return the next token of its login.

        `retry_key` is the client's own mark of this try: with the same one, a try whose answer was lost may be repeated
        once.

        Raises: GrantRefused `invalid_grant` (unknown, of another client, over, or used before: then the login has ended
        when this raises).
        """
        if not is_refresh_token(text):
            raise _invalid()
        retry = digest_of(retry_key) if retry_key is not None else None

        async def verb(tx: Transaction) -> Refreshed | None:
            row = await tx.fetch_one(_FIND, digest_of(text))
            now_us = self._clock.now_us()
            if row is None or row["client_id"] != client_id:
                return None
            if now_us >= row["expires_us"] or row["disabled_us"] is not None:
                await self._logins.end_within(tx, row["login_id"], "expired")
                return None
            if row["used_us"] is not None and not await self._may_repeat(tx, row, retry, now_us):
                await self._logins.end_within(tx, row["login_id"], "refresh_token_reused")
                return None
            next_id, next_text = await self.mint_within(tx, row["login_id"])
            # A repeated use leaves no key behind, so that there is no third one.
            kept = retry if row["used_us"] is None else None
            changed = await tx.execute(
                "UPDATE refresh_token SET used_us = $1, retry_sha256 = $2, successor_id = $3"
                " WHERE id = $4 AND COALESCE(used_us, 0) = $5",
                now_us, kept, next_id, row["id"], row["used_us"] or 0,
            )  # fmt: skip
            if changed != 1:
                await self._logins.end_within(tx, row["login_id"], "refresh_token_reused")
                return None
            await self._logins.renew_within(tx, row["login_id"], row["account_id"], address)
            return Refreshed(row["login_id"], row["account_id"], next_text)

        # The end of a login is kept also when the answer is a refusal, so it is not raised inside.
        refreshed = await self._database.write(verb)
        if refreshed is None:
            raise _invalid()
        return refreshed

    async def revoke(self, text: str, client_id: str) -> None:
        """End the login that `text` belongs to, used or not; nothing happens when there is none.

        Source: RFC 7009 sections 2.1 and 2.2.
        """
        if not is_refresh_token(text):
            return

        async def verb(tx: Transaction) -> None:
            row = await tx.fetch_one(_FIND, digest_of(text))
            if row is not None and row["client_id"] == client_id:
                await self._logins.end_within(tx, row["login_id"], "signed_out")

        await self._database.write(verb)

    @staticmethod
    async def _may_repeat(tx: Transaction, row: Row, retry: str | None, now_us: int) -> bool:
        """Tell whether this is the same client asking again; its unused successor is void then."""
        if retry is None or row["retry_sha256"] != retry or now_us - row["used_us"] > RETRY_SECONDS * MICROSECONDS:
            return False
        query = "DELETE FROM refresh_token WHERE id = $1 AND used_us IS NULL"
        return await tx.execute(query, row["successor_id"]) == 1


def is_refresh_token(text: str) -> bool:
    """Tell whether `text` is written like a refresh token, its checksum included."""
    return text.startswith(PREFIX) and token_id_of(text) is not None


def _invalid() -> GrantRefused:
    return GrantRefused("invalid_grant", "The refresh token is not valid: sign in again with failgate login.")
