"""Sessions: who is signed in, in a table of our own.

The token is 256 random bits; only its SHA-256 is stored. A session lives 12 hours at most and one hour without a
request (unless the config says otherwise), by the wall clock and by the monotonic one, whichever says so first; of more
than 25 of an account the one that was opened first ends. Its token changes when a second factor is proven.
`resolve` answers from memory; what ends a session is forgotten there in the moment of its commit, and open sockets are
told through `on_closed`.

Source: NIST SP 800-63B-4 section 2.2.3; ASVS 5.0 7.2.1 to 7.4.2.
"""

import json
import secrets
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from typing import Final

from failgate.accounts.liveness import Limits, Live
from failgate.accounts.places import is_new_place
from failgate.accounts.session import EndReason, FactorMethod, Origin, Session, principal_of, printable, session_of
from failgate.accounts.tables import HAS_FACTOR, SessionRow
from failgate.accounts.token_text import digest_of
from failgate.audit.log import AuditLog
from failgate.audit.record import SERVER, SYSTEM, Act, Actor, Event
from failgate.base.cache import ReadThrough
from failgate.base.canonical import JSON
from failgate.base.clock import MICROSECONDS, Clock
from failgate.base.db import Database, Row, Transaction
from failgate.base.errors import NotFound, NotSignedIn, StepUpRequired
from failgate.base.ids import new_id

LIFETIME_SECONDS: Final = 12 * 3600
IDLE_SECONDS: Final = 3600
MOST: Final = 25  # open sessions of an account, and as many that await a second factor
TOKEN_CHARACTERS: Final = 43  # 32 bytes as unpadded base64url
AlsoEnds = Callable[[Transaction, str, Actor, str], Awaitable[None]]
"""What else ends with every session of an account: its id, who ends them, why; inside that transaction."""

_OPEN: Final = (
    "SELECT session.*, account.email FROM session JOIN account ON account.id = session.account_id"
    " WHERE account.disabled_us IS NULL"
)
_LOAD: Final = f"{_OPEN} AND session.token_sha256 = $1"
_FIND: Final = f"{_OPEN} AND session.id = $1"
_INSERT: Final = """
INSERT INTO session (id, account_id, token_sha256, opened_us, seen_us, second_factor_us, awaits_second_factor, auth,
                     address, user_agent, connection_id, confined_to, may_change_account, is_new_place)
VALUES ($1, $2, $3, $4, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
"""


class Sessions:
    """Opens, finds and ends sessions."""

    def __init__(
        self,
        database: Database,
        audit: AuditLog,
        clock: Clock,
        *,
        lifetime_seconds: float = LIFETIME_SECONDS,
        idle_seconds: float = IDLE_SECONDS,
        most: int = MOST,
        also_ends: Sequence[AlsoEnds] = (),
    ) -> None:
        """Let a session live `lifetime_seconds` at most, and `idle_seconds` without a request; `most` of an account.

        `also_ends` are called when every session of an account is ended: what was opened by one must not outlive them.
        """
        self._also_ends = tuple(also_ends)
        self._most = most
        self._limits = Limits(round(lifetime_seconds * MICROSECONDS), round(idle_seconds * MICROSECONDS))
        self._database = database
        self._audit = audit
        self._clock = clock
        self._live = ReadThrough(self._load)
        self._callbacks: list[Callable[[str], None]] = []

    def left_seconds(self, session: Session) -> tuple[float, float]:
        """Return how long `session` lives at most, and how long without a request after this one."""
        return self._limits.left_seconds(session.opened_us, self._clock.now_us())

    async def open(
        self,
        account_id: str,
        address: str,
        user_agent: str,
        auth: Iterable[str],
        *,
        awaits_second_factor: bool | None = None,
        password_changed_us: int | None = None,
    ) -> tuple[str, Session]:
        """Open a session for an enabled account; return its token (43 characters, shown nowhere else) and itself.

        `auth` lists what was proven. It awaits a second factor when the account has one, unless told otherwise.
        `password_changed_us` is of the account whose password was checked: a password that was changed since then opens
        nothing.

        Raises: NotSignedIn (no such account, it is disabled, or its password was changed meanwhile).
        """
        methods = tuple(auth)

        async def verb(tx: Transaction) -> tuple[str, Session]:
            return await self.open_within(
                tx, account_id, address, user_agent, methods,
                awaits_second_factor=awaits_second_factor, password_changed_us=password_changed_us,
            )  # fmt: skip

        return await self._database.write(verb)

    async def open_within(
        self,
        tx: Transaction,
        account_id: str,
        address: str,
        user_agent: str,
        auth: tuple[str, ...],
        *,
        awaits_second_factor: bool | None = None,
        password_changed_us: int | None = None,
        has_proven_factor: bool = False,
        origin: Origin | None = None,
    ) -> tuple[str, Session]:
        """Open a session inside the transaction of what proves it; `origin` is of the provider that signed it in.

        A second factor that the provider is trusted with counts as ours; `has_proven_factor`: what was proven holds the
        second factor too, as a passkey does.

        Raises: NotSignedIn (no such account, it is disabled, or its password was changed meanwhile).
        """
        token, session_id, now_us = secrets.token_urlsafe(32), new_id(), self._clock.now_us()
        query = "SELECT email, password_changed_us FROM account WHERE id = $1 AND disabled_us IS NULL"
        account = await tx.fetch_one(query, account_id)
        if account is None or password_changed_us not in {None, account["password_changed_us"]}:
            raise _not_signed_in()
        proven_us = now_us if has_proven_factor else None
        if has_proven_factor:
            awaits_second_factor = False
        if origin is not None and origin.second_factor_us is not None:
            proven_us, awaits_second_factor = min(now_us, origin.second_factor_us), False
        if awaits_second_factor is None:
            awaits_second_factor = await tx.fetch_one(HAS_FACTOR, account_id) is not None
        is_new = not awaits_second_factor and await is_new_place(tx, account_id, address, user_agent, now_us)
        row: Row = {
            "id": session_id, "account_id": account_id, "email": account["email"], "token_sha256": digest_of(token),
            "opened_us": now_us, "seen_us": now_us, "second_factor_us": proven_us,
            "awaits_second_factor": int(awaits_second_factor), "auth": json.dumps(auth), "address": address[:64],
            "user_agent": printable(user_agent), "connection_id": origin.connection_id if origin else None,
            "confined_to": origin.confined_to if origin else None,
            "may_change_account": int(origin.may_change_account) if origin else 1, "is_new_place": int(is_new),
        }  # fmt: skip
        await tx.execute(
            _INSERT, session_id, account_id, row["token_sha256"], now_us, proven_us, row["awaits_second_factor"],
            row["auth"], row["address"], row["user_agent"], row["connection_id"], row["confined_to"],
            row["may_change_account"], row["is_new_place"],
        )  # fmt: skip
        session = session_of(row)
        facts: dict[str, JSON] = {"method": " ".join(auth), "expires_us": now_us + self._limits.lifetime_us}
        await self._record(tx, Act.SESSION_OPENED, session_id, _actor(session_id, account_id, auth), facts)
        await self._end_surplus(tx, session_id, account_id, row["awaits_second_factor"])
        tx.after_commit(lambda: self._live.put(session.token_sha256, self._live_of(session)))
        return token, session

    async def resolve(self, token: str) -> Session | None:
        """Return the live session of `token` and count this as a sign of life; None when there is none.

        Asks the database only for a token that was not seen since the start.
        """
        if len(token) != TOKEN_CHARACTERS or not token.isascii():
            return None
        live = await self._live.get(digest_of(token))
        if live is None:
            return None
        now_us, now_at_us = self._now()
        if live.is_over(self._limits, now_us, now_at_us):
            return None
        live.seen_us, live.seen_at_us, live.is_touched = now_us, now_at_us, True
        return live.session

    async def prove_second_factor(self, session: Session, method: FactorMethod) -> str:
        """Note that the second factor was proven now; return the new token, the old one is void.

        Raises: NotSignedIn (it has ended, or its token was changed meanwhile); StepUpRequired (a backup code completes
        a sign-in; it is no fresh second factor for a session that is signed in).
        """
        if method == "recovery" and not session.awaits_second_factor:
            raise StepUpRequired(
                "A backup code is for signing in only.", hint="Use the code of your authenticator app."
            )

        async def verb(tx: Transaction) -> str:
            return await self.rotate(tx, session, method)

        return await self._database.write(verb)

    async def alive_within(self, tx: Transaction, session_id: str) -> Session | None:
        """Return the session of that id when it lives, as `tx` sees it: for a door to which its token does not come."""
        row = await tx.fetch_one(_FIND, session_id)
        if row is None:
            return None
        session = session_of(row)
        live = self._live.peek(session.token_sha256) or self._live_of(session)
        return None if live.is_over(self._limits, *self._now()) else session

    async def rotate(
        self, tx: Transaction, session: Session, method: FactorMethod, *, proven_us: int | None = None
    ) -> str:
        """Do what `prove_second_factor` does inside the transaction that uses up the proof.

        `proven_us` is when somebody else saw the proof: the factor is as fresh as that.
        """
        token = secrets.token_urlsafe(32)
        now_us = self._clock.now_us()
        proven_us = now_us if proven_us is None else min(now_us, proven_us)
        auth = (*(known for known in session.auth if known != method), method)  # the last proof stands last
        is_new = session.is_new_place
        if session.awaits_second_factor:  # who only knew the password was not there yet
            is_new = await is_new_place(tx, session.account_id, session.address, session.user_agent, now_us)
        # Two proofs of one state of the session: the first changes its token, the second finds it changed.
        changed = await tx.execute(
            "UPDATE session SET token_sha256 = $1, second_factor_us = $2, seen_us = $7, awaits_second_factor = 0,"
            " auth = $3, is_new_place = $4 WHERE id = $5 AND token_sha256 = $6",
            digest_of(token), proven_us, json.dumps(auth), int(is_new), session.id, session.token_sha256, now_us,
        )  # fmt: skip
        if changed != 1:
            raise _not_signed_in()
        actor = _actor(session.id, session.account_id, auth)
        await self._record(tx, Act.SESSION_SECOND_FACTOR_PROVEN, session.id, actor, {"method": method})
        if session.awaits_second_factor:
            await self._end_surplus(tx, session.id, session.account_id, 0)
        tx.after_commit(lambda: self._rotated(replace(session, is_new_place=is_new), token, auth, proven_us))
        return token

    async def close(
        self, session: Session | str, *, reason: EndReason = "signed_out", actor: Actor | None = None
    ) -> None:
        """End a session (or the one of that id); nothing happens when it has ended already."""
        session_id = session if isinstance(session, str) else session.id

        async def verb(tx: Transaction) -> None:
            rows = await tx.fetch("DELETE FROM session WHERE id = $1 RETURNING id, account_id", session_id)
            await self._ended(tx, rows, reason, actor)

        await self._database.write(verb)

    async def close_own(self, account_id: str, session_id: str, actor: Actor) -> None:
        """End the session `session_id` of `account_id`.

        Raises: NotFound (there is none, or it is somebody else's: the same answer).
        """

        async def verb(tx: Transaction) -> None:
            query = "DELETE FROM session WHERE id = $1 AND account_id = $2 RETURNING id, account_id"
            rows = await tx.fetch(query, session_id, account_id)
            if not rows:
                raise NotFound("There is no such session.")
            await self._ended(tx, rows, "closed", actor)

        await self._database.write(verb)

    async def end_these(self, tx: Transaction, session_ids: Iterable[str], actor: Actor, reason: EndReason) -> int:
        """End the sessions of these ids, inside the transaction of what causes it; return how many were open."""
        rows: list[Row] = []
        for session_id in session_ids:
            rows += await tx.fetch("DELETE FROM session WHERE id = $1 RETURNING id, account_id", session_id)
        await self._ended(tx, rows, reason, actor)
        return len(rows)

    async def close_others(self, account_id: str, kept_id: str, actor: Actor) -> None:
        """End every session of `account_id` but the one of that id."""

        async def verb(tx: Transaction) -> None:
            await self.end_all(tx, account_id, actor, "closed", keep=kept_id)

        await self._database.write(verb)

    async def recognise(self, account_id: str, session_id: str, actor: Actor) -> None:
        """Note that the person knows this session of theirs: it is no news any more. Twice is as once.

        Raises: NotFound (there is none, or it is somebody else's: the same answer).
        """

        async def verb(tx: Transaction) -> None:
            query = "UPDATE session SET is_new_place = 0 WHERE id = $1 AND account_id = $2"
            if await tx.execute(query, session_id, account_id) != 1:
                raise NotFound("There is no such session.")
            await self._record(tx, Act.SESSION_RECOGNISED, session_id, actor, {})

        await self._database.write(verb)

    async def end_all(
        self, tx: Transaction, account_id: str, actor: Actor, reason: EndReason, *, keep: str | None = None
    ) -> None:
        """End every session of `account_id` but `keep` (an id), inside the transaction of what causes it.

        Every login of a command line ends too.
        """
        query = "DELETE FROM session WHERE account_id = $1 AND id <> $2 RETURNING id, account_id"
        await self._ended(tx, await tx.fetch(query, account_id, keep or ""), reason, actor)
        for also in self._also_ends:
            await also(tx, account_id, actor, reason)

    async def list(self, account_id: str) -> list[Session]:
        """Return the sessions of `account_id` that have not ended, newest first."""
        now_us = self._clock.now_us()
        rows = await self._database.fetch(
            SessionRow.select()
            .where(
                (SessionRow.account_id == account_id)
                & (SessionRow.opened_us > now_us - self._limits.lifetime_us)
                & (SessionRow.seen_us > now_us - self._limits.idle_us)
            )
            .order_by(SessionRow.id, ascending=False)
        )
        return [session_of({**row, "email": ""}) for row in rows]

    def on_closed(self, callback: Callable[[str], None]) -> Callable[[], None]:
        """Call `callback` with the id of each session that ends, right after the commit; return what undoes this."""
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback)

    async def sweep(self) -> None:
        """Write down when live sessions were last seen, and end those that are over. To be called once a minute."""
        now_us, now_at_us = self._now()
        lives = [live for _, live in self._live.entries()]
        touched = [live for live in lives if live.is_touched]
        over = [live.session.id for live in lives if live.is_over(self._limits, now_us, now_at_us)]

        async def verb(tx: Transaction) -> None:
            for live in touched:
                await tx.execute("UPDATE session SET seen_us = $1 WHERE id = $2", live.seen_us, live.session.id)
            rows = await tx.fetch(
                "DELETE FROM session WHERE opened_us <= $1 OR seen_us <= $2 RETURNING id, account_id",
                now_us - self._limits.lifetime_us, now_us - self._limits.idle_us,
            )  # fmt: skip
            for session_id in over:  # by the monotonic clock, when the wall clock was set back
                rows += await tx.fetch("DELETE FROM session WHERE id = $1 RETURNING id, account_id", session_id)
            await self._ended(tx, rows, "expired", SERVER)

        for live in touched:
            live.is_touched = False
        await self._database.write(verb)

    def _now(self) -> tuple[int, int]:
        return self._clock.now_us(), int(self._clock.monotonic() * MICROSECONDS)

    def _live_of(self, session: Session) -> Live:
        return Live(session, *self._now())

    async def _load(self, digest: str) -> Live | None:
        row = await self._database.fetch_one(_LOAD, digest)
        return self._live_of(session_of(row)) if row is not None else None

    async def _end_surplus(self, tx: Transaction, kept_id: str, account_id: str, awaits: int) -> None:
        # Counted apart: who knows the password alone pushes out no session that has shown the second factor.
        query = "SELECT id FROM session WHERE account_id = $1 AND awaits_second_factor = $2 AND id <> $3"
        rows = await tx.fetch(f"{query} ORDER BY opened_us DESC, id DESC", account_id, awaits, kept_id)
        await self.end_these(tx, [row["id"] for row in rows[self._most - 1 :]], SERVER, "too_many")

    async def _ended(self, tx: Transaction, rows: Sequence[Row], reason: EndReason, actor: Actor | None) -> None:
        for row in rows:
            by = actor or _actor(row["id"], row["account_id"], ())
            await self._record(tx, Act.SESSION_CLOSED, row["id"], by, {"reason": reason})
        ids = frozenset(row["id"] for row in rows)
        if ids:
            tx.after_commit(lambda: self._forget(ids))

    async def _record(self, tx: Transaction, act: Act, session_id: str, actor: Actor, facts: dict[str, JSON]) -> None:
        await self._audit.append(
            tx, Event(act=act, ws=SYSTEM, obj_t="session", obj_id=session_id, actor=actor, data=facts)
        )

    def _rotated(self, session: Session, token: str, auth: tuple[str, ...], proven_us: int) -> None:
        before = self._live.peek(session.token_sha256)
        self._live.forget(session.token_sha256)
        principal = principal_of(session.id, session.account_id, session.email, auth, proven_us, session.origin)
        fresh = replace(
            session, token_sha256=digest_of(token), seen_us=self._clock.now_us(), second_factor_us=proven_us,
            awaits_second_factor=False, auth=auth, principal=principal,
        )  # fmt: skip
        live = self._live_of(fresh)
        if before is not None:  # a wall clock that was set back meanwhile lengthens nothing
            live.opened_at_us = min(live.opened_at_us, before.opened_at_us)
        self._live.put(fresh.token_sha256, live)

    def _forget(self, ids: frozenset[str]) -> None:
        self._live.forget_where(lambda _, live: live.session.id in ids)
        for session_id in ids:
            for callback in tuple(self._callbacks):
                callback(session_id)


def _actor(session_id: str, account_id: str, auth: tuple[str, ...]) -> Actor:
    return Actor.of(principal_of(session_id, account_id, "", auth, None))


def _not_signed_in() -> NotSignedIn:
    return NotSignedIn("You are not signed in.", hint="Sign in again.")
