"""How sessions end: one, all others, all of an account, the surplus; who is told then. `sessions.py` opens them."""

from collections.abc import Awaitable, Callable, Iterable, Sequence

from failgate.accounts.liveness import Live
from failgate.accounts.session import EndReason, Session, principal_of
from failgate.audit.log import AuditLog
from failgate.audit.record import SERVER, SYSTEM, Act, Actor, Event
from failgate.base.cache import ReadThrough
from failgate.base.canonical import JSON
from failgate.base.db import Database, Row, Transaction
from failgate.base.errors import NotFound

AlsoEnds = Callable[[Transaction, str, Actor, str], Awaitable[None]]
"""What else ends with every session of an account: its id, who ends them, why; inside that transaction."""


class EndingSessions:
    """Ends open sessions; what ends one forgets it in memory at its commit."""

    def __init__(
        self,
        database: Database,
        audit: AuditLog,
        live: ReadThrough[str, Live],
        *,
        most: int,
        also_ends: Sequence[AlsoEnds],
    ) -> None:
        """Keep `most` sessions of an account; `also_ends` are called when every session of an account is ended."""
        self._database = database
        self._audit = audit
        self._live = live
        self._most = most
        self._also_ends = tuple(also_ends)
        self._callbacks: list[Callable[[str], None]] = []

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

    def on_closed(self, callback: Callable[[str], None]) -> Callable[[], None]:
        """Call `callback` with the id of each session that ends, right after the commit; return what undoes this."""
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback)

    async def _end_surplus(self, tx: Transaction, kept_id: str, account_id: str, awaits: int) -> None:
        # Counted apart: who knows the password alone pushes out no session that has shown the second factor.
        query = "SELECT id FROM session WHERE account_id = $1 AND awaits_second_factor = $2 AND id <> $3"
        rows = await tx.fetch(f"{query} ORDER BY opened_us DESC, id DESC", account_id, awaits, kept_id)
        await self.end_these(tx, [row["id"] for row in rows[self._most - 1 :]], SERVER, "too_many")

    async def _ended(self, tx: Transaction, rows: Sequence[Row], reason: EndReason, actor: Actor | None) -> None:
        for row in rows:
            by = actor or actor_of(row["id"], row["account_id"], ())
            await self._record(tx, Act.SESSION_CLOSED, row["id"], by, {"reason": reason})
        ids = frozenset(row["id"] for row in rows)
        if ids:
            tx.after_commit(lambda: self._forget(ids))

    async def _record(self, tx: Transaction, act: Act, session_id: str, actor: Actor, facts: dict[str, JSON]) -> None:
        await self._audit.append(
            tx, Event(act=act, ws=SYSTEM, obj_t="session", obj_id=session_id, actor=actor, data=facts)
        )

    def _forget(self, ids: frozenset[str]) -> None:
        self._live.forget_where(lambda _, live: live.session.id in ids)
        for session_id in ids:
            for callback in tuple(self._callbacks):
                callback(session_id)


def actor_of(session_id: str, account_id: str, auth: tuple[str, ...]) -> Actor:
    """Return the person behind a session as they stand in the audit log."""
    return Actor.of(principal_of(session_id, account_id, "", auth, None))
