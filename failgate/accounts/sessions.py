"""Sessions: who is signed in, in a table of our own.

The token is 256 random bits; only its SHA-256 is stored. A session lives 12 hours at most and one hour without a
request (unless the config says otherwise), by the wall clock and by the monotonic one, whichever says so first; of more
than 25 of an account the one that was opened first ends. Its token changes when a second factor is proven. A second
token, of which the SHA-256 is stored too, goes out with each of them: what was shown is fresh to who brings both.
`resolve` answers from memory; what ends a session is forgotten there in the moment of its commit, and open sockets are
told through `on_closed`.

Source: NIST SP 800-63B-4 section 2.2.3; ASVS 5.0 7.2.1 to 7.4.2.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from failgate.accounts.liveness import Limits, Live
from failgate.accounts.places import is_new_place
from failgate.accounts.session import (
    FactorMethod,
    Origin,
    Proof,
    Session,
    SessionToken,
    principal_of,
    printable,
    session_of,
)
from failgate.accounts.session_endings import AlsoEnds, EndingSessions, actor_of
from failgate.accounts.tables import FIND_SESSION, HAS_FACTOR, INSERT_SESSION, LOAD_SESSION, SessionRow
from failgate.accounts.token_text import digest_of
from failgate.audit.log import AuditLog
from failgate.audit.record import SERVER, Act, Actor
from failgate.base.cache import ReadThrough
from failgate.base.canonical import JSON
from failgate.base.clock import MICROSECONDS, Clock
from failgate.base.db import Database, Row, Transaction
from failgate.base.errors import NotFound, NotSignedIn, StepUpRequired
from failgate.base.ids import new_id

LIFETIME_SECONDS: Final = 12 * 3600
IDLE_SECONDS: Final = 3600
MOST: Final = 25  # open sessions of an account, and as many that await a second factor
_HOLDS_FIRST: Final = frozenset({"pwd", "passkey", "provider"})  # proofs that show the first factor as well
TOKEN_CHARACTERS: Final = 43  # 32 bytes as unpadded base64url


class Sessions(EndingSessions):
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
        super().__init__(database, audit, ReadThrough(self._load), most=most, also_ends=also_ends)
        self._limits = Limits(round(lifetime_seconds * MICROSECONDS), round(idle_seconds * MICROSECONDS))
        self._clock = clock

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
    ) -> tuple[SessionToken, Session]:
        """Open a session for an enabled account; return its tokens (43 characters, shown nowhere else) and itself.

        `auth` lists what was proven. It awaits a second factor when the account has one, unless told otherwise.
        `password_changed_us` is of the account whose password was checked: a password that was changed since then opens
        nothing.

        Raises: NotSignedIn (no such account, it is disabled, or its password was changed meanwhile).
        """
        methods = tuple(auth)

        async def verb(tx: Transaction) -> tuple[SessionToken, Session]:
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
    ) -> tuple[SessionToken, Session]:
        """Open a session inside the transaction of what proves it; `origin` is of the provider that signed it in.

        A second factor that the provider is trusted with counts as ours; `has_proven_factor`: what was proven holds the
        second factor too, as a passkey does.

        Raises: NotSignedIn (no such account, it is disabled, or its password was changed meanwhile).
        """
        token, session_id, now_us = SessionToken.mint(), new_id(), self._clock.now_us()
        query = "SELECT email, password_changed_us FROM account WHERE id = $1 AND disabled_us IS NULL"
        account = await tx.fetch_one(query, account_id)
        if account is None or password_changed_us not in {None, account["password_changed_us"]}:
            raise _not_signed_in()
        proven_us = now_us if has_proven_factor else None
        if has_proven_factor:
            awaits_second_factor = False
        if origin is not None and origin.second_factor_us is not None:
            proven_us, awaits_second_factor = min(now_us, origin.second_factor_us), False
        first_us = now_us
        if origin is not None and origin.authenticated_us is not None:  # a provider that remembers asked nothing now
            first_us = min(now_us, origin.authenticated_us)
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
            "first_factor_us": first_us, "fresh_sha256": digest_of(token.fresh),
        }  # fmt: skip
        await tx.execute(
            INSERT_SESSION, session_id, account_id, row["token_sha256"], now_us, proven_us, row["awaits_second_factor"],
            row["auth"], row["address"], row["user_agent"], row["connection_id"], row["confined_to"],
            row["may_change_account"], row["is_new_place"], first_us, row["fresh_sha256"],
        )  # fmt: skip
        session = session_of(row)
        facts: dict[str, JSON] = {"method": " ".join(auth), "expires_us": now_us + self._limits.lifetime_us}
        await self._record(tx, Act.SESSION_OPENED, session_id, actor_of(session_id, account_id, auth), facts)
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

    async def prove_second_factor(self, session: Session, method: FactorMethod) -> SessionToken:
        """Note that the second factor was proven now; return the new token, the old one is void.

        Raises: NotSignedIn (it has ended, or its token was changed meanwhile); StepUpRequired (a backup code completes
        a sign-in; it is no fresh second factor for a session that is signed in).
        """
        if method == "recovery" and not session.awaits_second_factor:
            raise StepUpRequired(
                "A backup code is for signing in only.", hint="Use the code of your authenticator app."
            )

        async def verb(tx: Transaction) -> SessionToken:
            return await self.rotate(tx, session, method)

        return await self._database.write(verb)

    async def show_first_factor(self, session: Session) -> SessionToken:
        """Note that the password was shown anew in `session`; return the new token, the old one is void.

        Raises: NotSignedIn (it has ended, or its token was changed meanwhile).
        """
        return await self._database.write(lambda tx: self.rotate(tx, session, "pwd"))

    async def alive_within(self, tx: Transaction, session_id: str) -> Session | None:
        """Return the session of that id when it lives, as `tx` sees it: for a door to which its token does not come."""
        return self._alive(await tx.fetch_one(FIND_SESSION, session_id))

    async def alive(self, session_id: str) -> Session | None:
        """Return the session of that id when it lives; this is no sign of life."""
        return self._alive(await self._database.fetch_one(FIND_SESSION, session_id))

    def _alive(self, row: Row | None) -> Session | None:
        if row is None:
            return None
        session = session_of(row)
        live = self._live.peek(session.token_sha256) or self._live_of(session)
        return None if live.is_over(self._limits, *self._now()) else session

    async def rotate(
        self, tx: Transaction, session: Session, method: Proof, *, proven_us: int | None = None
    ) -> SessionToken:
        """Do what `prove_second_factor` does inside the transaction that uses up the proof.

        `proven_us` is when somebody else saw the proof: the factor is as fresh as that. A provider that signed the
        person in anew, and a passkey that knew its person, stand for the first factor too.

        Raises: NotSignedIn (it has ended, or its token was changed meanwhile, or the password comes before the code).
        """
        token = SessionToken.mint()
        now_us = self._clock.now_us()
        proven_us = now_us if proven_us is None else min(now_us, proven_us)
        first_us = proven_us if method in _HOLDS_FIRST else session.first_factor_us
        auth = session.auth
        if method == "pwd":
            if session.awaits_second_factor:
                raise _not_signed_in()
            proven_us, act = session.second_factor_us, Act.SESSION_REAUTHENTICATED
        else:
            act = Act.SESSION_SECOND_FACTOR_PROVEN
            auth = (*(known for known in auth if known != method), method)  # the last proof stands last
        is_new = session.is_new_place
        if session.awaits_second_factor:  # who only knew the password was not there yet
            is_new = await is_new_place(tx, session.account_id, session.address, session.user_agent, now_us)
        # Two proofs of one state of the session: the first changes its token, the second finds it changed.
        changed = await tx.execute(
            "UPDATE session SET token_sha256 = $1, second_factor_us = $2, seen_us = $7, awaits_second_factor = 0,"
            " auth = $3, is_new_place = $4, first_factor_us = $8, fresh_sha256 = $9"
            " WHERE id = $5 AND token_sha256 = $6",
            digest_of(token), proven_us, json.dumps(auth), int(is_new), session.id, session.token_sha256, now_us,
            first_us, digest_of(token.fresh),
        )  # fmt: skip
        if changed != 1:
            raise _not_signed_in()
        actor = actor_of(session.id, session.account_id, auth)
        await self._record(tx, act, session.id, actor, {"method": method})
        if session.awaits_second_factor:
            await self._end_surplus(tx, session.id, session.account_id, 0)
        known = replace(session, is_new_place=is_new, second_factor_us=proven_us, first_factor_us=first_us, auth=auth)
        tx.after_commit(lambda: self._rotated(known, token))
        return token

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
        row = await self._database.fetch_one(LOAD_SESSION, digest)
        return self._live_of(session_of(row)) if row is not None else None

    def _rotated(self, session: Session, token: SessionToken) -> None:
        before = self._live.peek(session.token_sha256)
        self._live.forget(session.token_sha256)
        principal = principal_of(
            session.id, session.account_id, session.email, session.auth, session.second_factor_us, session.origin,
            session.first_factor_us,
        )  # fmt: skip
        fresh = replace(
            session, token_sha256=digest_of(token), seen_us=self._clock.now_us(), awaits_second_factor=False,
            principal=principal, fresh_sha256=digest_of(token.fresh),
        )  # fmt: skip
        live = self._live_of(fresh)
        if before is not None:  # a wall clock that was set back meanwhile lengthens nothing
            live.opened_at_us = min(live.opened_at_us, before.opened_at_us)
        self._live.put(fresh.token_sha256, live)


def _not_signed_in() -> NotSignedIn:
    return NotSignedIn("You are not signed in.", hint="Sign in again.")
