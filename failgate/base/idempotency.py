"""Requests that may come twice: the same key, from the same principal, on the same route, has one effect.

The key is claimed in the transaction of the change, and the answer is kept in it: a server that dies in between has
done both or neither. A refusal changes nothing and is not kept, so the same key may be tried again.

Source: draft-ietf-httpapi-idempotency-key-header-07 section 2.
"""

import json
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, TypeVar

import msgspec

from failgate.base.canonical import digest_of
from failgate.base.clock import MICROSECONDS
from failgate.base.db import Database, Transaction
from failgate.base.dialect import with_rows
from failgate.base.errors import BadInput, Conflict, Unprocessable

KEPT_SECONDS: Final = 86_400
SWEEP_SECONDS: Final = 3_600
T = TypeVar("T")
_KEY = re.compile(r"[\x21-\x7e]{1,255}", re.ASCII)
_CLAIM_NEW = "INSERT INTO idempotency (id, request_digest, answer, created_us) VALUES ($1, $2, $3, $4)"
_CLAIM = f"{_CLAIM_NEW} ON CONFLICT (id) DO NOTHING"
_FILL = "UPDATE idempotency SET answer = $1 WHERE id = $2"
_FIND = "SELECT request_digest, answer FROM idempotency WHERE id = $1"
_SELECT_CLAIMED = "SELECT id FROM idempotency WHERE id IN (VALUES {})"
_FORGET = "DELETE FROM idempotency WHERE created_us < $1"
_encode = msgspec.json.Encoder().encode


class Repeated(Exception):
    """The key was claimed before: take back what this transaction did and give the first answer."""


@dataclass(frozen=True, slots=True)
class RequestKey:
    """The key of one request: `id` stands for route, principal and key, `request_digest` for the body."""

    id: str
    request_digest: str


def request_key(text: str, principal_id: str, route: Sequence[str], body: object) -> RequestKey:
    """Return the key `text` of a request by `principal_id`.

    `route` names the door and what its path names; `body` is the decoded body, in which the order of members counts for
    nothing.

    Raises: BadInput (not 1 to 255 printable ASCII characters).
    """
    if not _KEY.fullmatch(text):
        raise BadInput("The Idempotency-Key is not usable.", hint="Send 1 to 255 printable ASCII characters.")
    content = json.dumps(msgspec.to_builtins(body), sort_keys=True)  # ASCII, so that a lone surrogate has bytes too
    return RequestKey(digest_of([*route, principal_id, text]), sha256(content.encode()).hexdigest())


class FirstAnswers:
    """The first answers of one database, kept for 24 hours."""

    def __init__(self, database: Database, now_us: Callable[[], int]) -> None:
        """Work on `database`; `now_us` tells the time in microseconds since 1970."""
        self._database = database
        self._now_us = now_us
        self._swept_us = 0

    async def once(
        self,
        key: RequestKey | None,
        kind: type[T],
        verb: Callable[[Transaction], Awaitable[T]],
        keep: Callable[[T], object] = lambda result: result,
    ) -> T:
        """Write `verb`, whose result is the answer; or return the answer, a `kind`, that the key was given before.

        `keep` makes what is kept of the result: a secret that is shown once is not in it.

        Raises: what `answer` raises, and what the verb raises.
        """
        if key is None:
            return await self._database.write(verb)
        known = await self.answer(key, kind)
        if known is not None:
            return known
        try:
            return await self._database.write(self.claiming(key, verb, keep))
        except Repeated:
            return await self.repeated(key, kind)

    async def after(self, key: RequestKey | None, kind: type[T], act: Callable[[], Awaitable[T]]) -> T:
        """Do `act`, which done twice is as done once, and keep its answer; or return the answer given before.

        Raises: what `answer` raises, and what `act` raises.
        """
        if key is None:
            return await act()
        known = await self.answer(key, kind)
        if known is not None:
            return known
        result = await act()
        try:
            await self._database.write(lambda tx: self.claim(tx, key, result))
        except Repeated:
            return await self.repeated(key, kind)
        return result

    def claiming(
        self,
        key: RequestKey,
        verb: Callable[[Transaction], Awaitable[T]],
        answer: Callable[[T], object] = lambda result: result,
    ) -> Callable[[Transaction], Awaitable[T]]:
        """Return `verb` as one that claims `key` first and keeps `answer` of its result; it may raise `Repeated`."""

        async def claimed(tx: Transaction) -> T:
            await self.claim(tx, key)
            result = await verb(tx)
            await tx.execute(_FILL, _text(answer(result)), key.id)
            return result

        return claimed

    async def claim(self, tx: Transaction, key: RequestKey, answer: object = None) -> None:
        """Claim `key` inside `tx`, with its answer when that is known.

        Raises: Repeated (somebody did).
        """
        text = None if answer is None else _text(answer)
        if await tx.execute(_CLAIM, key.id, key.request_digest, text, self._now_us()) != 1:
            raise Repeated

    async def claimed(self, tx: Transaction, keys: Sequence[RequestKey]) -> set[str]:
        """Return the ids of those of `keys` that were claimed before."""
        if not keys:
            return set()
        rows = await tx.fetch(with_rows(_SELECT_CLAIMED, len(keys), 1, first=1), *(key.id for key in keys))
        return {row["id"] for row in rows}

    async def claim_all(self, tx: Transaction, answers: Sequence[tuple[RequestKey, object]]) -> None:
        """Claim keys that are not `claimed`, each with its answer."""
        if answers:
            now_us = self._now_us()
            rows = [(key.id, key.request_digest, _text(answer), now_us) for key, answer in answers]
            await tx.execute_many(_CLAIM_NEW, rows)

    async def fill(self, key: RequestKey, answer: object) -> None:
        """Keep the answer to a request whose effect took more than the transaction that claimed its key."""
        await self._database.write(lambda tx: tx.execute(_FILL, _text(answer), key.id))

    async def answer(self, key: RequestKey, kind: type[T]) -> T | None:
        """Return the answer, a `kind`, that `key` was given before; None when it is new.

        Raises: Unprocessable (it came with another body), Conflict (the first request did not come to its end).
        """
        row = await self._database.fetch_one(_FIND, key.id)
        if row is None:
            return None
        if row["request_digest"] != key.request_digest:
            raise Unprocessable(
                "This Idempotency-Key was used for another request.", hint="Use a new key for each new request."
            )
        if row["answer"] is None:
            raise Conflict(
                "The first request with this Idempotency-Key has no answer yet.",
                hint="Ask again in a moment; if that does not help, look at what is there, then use a new key.",
            )
        return _decoded(row["answer"], kind)

    async def repeated(self, key: RequestKey, kind: type[T]) -> T:
        """Return the answer of whoever claimed `key` a moment ago. Raises: as `answer`."""
        known = await self.answer(key, kind)
        if known is None:
            raise Conflict("The first request with this Idempotency-Key was refused.", hint="Ask again.")
        return known

    async def sweep(self) -> None:
        """Forget keys of more than 24 hours ago; at most once an hour, however often it is called."""
        now_us = self._now_us()
        if 0 <= now_us - self._swept_us < SWEEP_SECONDS * MICROSECONDS:
            return
        self._swept_us = now_us
        await self._database.write(lambda tx: tx.execute(_FORGET, now_us - KEPT_SECONDS * MICROSECONDS))


def _text(answer: object) -> str:
    return _encode(answer).decode()


def _decoded(text: str, kind: type[T]) -> T:
    return msgspec.json.decode(text, type=kind)
