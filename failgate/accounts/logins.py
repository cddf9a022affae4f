"""Logins: command lines that speak for a person, each approved in a browser, for thirty days at most.

A login is what refresh tokens and access tokens belong to: ending it ends them all. It is answered from memory, and
forgotten there in the moment of the commit that ends it; open sockets are told through `on_closed`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from failgate.access.principal import Principal
from failgate.accounts.tables import LoginRow
from failgate.audit.log import AuditLog
from failgate.audit.record import SERVER, SYSTEM, Act, Actor, Event, Outcome
from failgate.base.cache import ReadThrough
from failgate.base.canonical import JSON
from failgate.base.clock import MICROSECONDS, Clock
from failgate.base.db import Database, Row, Transaction
from failgate.base.errors import NotFound

LIFETIME_SECONDS: Final = 30 * 86_400
LoginEnd = Literal["signed_out", "closed", "expired", "refresh_token_reused"]

_LOAD: Final = """
SELECT login.*, account.email FROM login JOIN account ON account.id = login.account_id
WHERE login.id = $1 AND account.disabled_us IS NULL
"""
_INSERT: Final = """
INSERT INTO login (id, account_id, client_id, connection_id, confined_to, host, address, user_agent, opened_us, seen_us,
                   seen_address, expires_us)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, $7, $10)
"""


@dataclass(frozen=True, slots=True)
class Login:
    """A login. Times are microseconds since 1970. `host` is what the client called its machine: a claim, not a fact.

    `address` is where it was opened from, `seen_us` and `seen_address` when and from where it was last renewed.
    `connection_id` and `confined_to` (a workspace) are of the session that approved it: it reaches no further.
    """

    id: str
    account_id: str
    email: str
    client_id: str
    host: str
    address: str
    user_agent: str
    opened_us: int
    seen_us: int
    seen_address: str
    expires_us: int
    principal: Principal
    connection_id: str | None = None
    confined_to: str | None = None


class Logins:
    """Opens, finds and ends logins."""

    def __init__(self, database: Database, audit: AuditLog, clock: Clock) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._live: ReadThrough[str, Login] = ReadThrough(self._load)
        self._callbacks: list[Callable[[str], None]] = []

    async def open_within(self, tx: Transaction, login_id: str, request: Row, address: str) -> None:
        """Open the login `login_id` that was approved for `request`, inside the transaction that uses it up."""
        now_us = self._clock.now_us()
        expires_us = now_us + LIFETIME_SECONDS * MICROSECONDS
        await tx.execute(
            _INSERT, login_id, request["account_id"], request["client_id"], request["connection_id"],
            request["confined_to"], request["host"], address[:64], request["user_agent"], now_us, expires_us,
        )  # fmt: skip
        facts: dict[str, JSON] = {"client": request["client_id"], "expires_us": expires_us}
        await self._record(tx, Act.LOGIN_OPENED, login_id, _actor(login_id, request["account_id"]), facts)

    async def renew_within(self, tx: Transaction, login_id: str, account_id: str, address: str) -> None:
        """Note a sign of life of the login from `address`."""
        query = "UPDATE login SET seen_us = $1, seen_address = $2 WHERE id = $3"
        await tx.execute(query, self._clock.now_us(), address[:64], login_id)
        await self._record(tx, Act.LOGIN_RENEWED, login_id, _actor(login_id, account_id), {})

    def peek(self, login_id: str) -> Login | None:
        """Return the login when it is in memory."""
        return self._live.peek(login_id)

    async def find(self, login_id: str) -> Login | None:
        """Return the login of an enabled account, or None; from memory after the first time."""
        return await self._live.get(login_id)

    async def list(self, account_id: str) -> list[Login]:
        """Return the logins of `account_id` that have not ended, newest first."""
        rows = await self._database.fetch(
            LoginRow.select()
            .where((LoginRow.account_id == account_id) & (LoginRow.expires_us > self._clock.now_us()))
            .order_by(LoginRow.id, ascending=False)
        )
        return [_from_row({**row, "email": ""}) for row in rows]

    async def close_own(self, account_id: str, login_id: str, actor: Actor, *, confined_to: str | None = None) -> None:
        """End the login `login_id` of `account_id`; who is confined to a workspace reaches that one's logins only.

        Raises: NotFound (there is none, or it is somebody else's: the same answer).
        """

        async def verb(tx: Transaction) -> None:
            query = "SELECT id, account_id, confined_to FROM login WHERE id = $1 AND account_id = $2"
            rows = await tx.fetch(query, login_id, account_id)
            if not rows or confined_to not in {None, rows[0]["confined_to"]}:
                raise NotFound("There is no such login.")
            await self._end(tx, rows, "closed", actor)

        await self._database.write(verb)

    async def end_within(self, tx: Transaction, login_id: str, reason: LoginEnd, actor: Actor | None = None) -> None:
        """End the login inside the transaction of what causes it; nothing happens when it has ended."""
        rows = await tx.fetch("SELECT id, account_id FROM login WHERE id = $1", login_id)
        await self._end(tx, rows, reason, actor)

    async def end_all(self, tx: Transaction, account_id: str, actor: Actor, reason: str) -> None:
        """End every login of `account_id`, and what was approved for one and not fetched yet."""
        await tx.execute("DELETE FROM device_request WHERE account_id = $1", account_id)
        await self._end(
            tx, await tx.fetch("SELECT id, account_id FROM login WHERE account_id = $1", account_id), reason, actor
        )

    async def end_through(
        self, tx: Transaction, connection_id: str, actor: Actor, account_id: str | None = None
    ) -> None:
        """End every login that rests on a session of the connection, or those of one account.

        What was approved in such a session and not fetched yet opens none.
        """
        where = "WHERE connection_id = $1 AND COALESCE($2, account_id) = account_id"
        await tx.execute(f"DELETE FROM device_request {where}", connection_id, account_id)
        rows = await tx.fetch(f"SELECT id, account_id FROM login {where}", connection_id, account_id)
        await self._end(tx, rows, "connection_ended", actor)

    def on_closed(self, callback: Callable[[str], None]) -> Callable[[], None]:
        """Call `callback` with the id of each login that ends, right after the commit; return what undoes this."""
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback)

    async def sweep(self) -> None:
        """End the logins whose thirty days are over. To be called once a minute."""
        query = "SELECT id, account_id FROM login WHERE expires_us <= $1"
        if not await self._database.fetch(query, self._clock.now_us()):
            return

        async def verb(tx: Transaction) -> None:
            await self._end(tx, await tx.fetch(query, self._clock.now_us()), "expired", SERVER)

        await self._database.write(verb)

    async def _load(self, login_id: str) -> Login | None:
        row = await self._database.fetch_one(_LOAD, login_id)
        return _from_row(row) if row is not None else None

    async def _end(self, tx: Transaction, rows: Sequence[Row], reason: str, actor: Actor | None) -> None:
        for row in rows:
            await tx.execute("DELETE FROM refresh_token WHERE login_id = $1", row["id"])
            await tx.execute("DELETE FROM login WHERE id = $1", row["id"])
            by = actor or _actor(row["id"], row["account_id"])
            await self._record(tx, Act.LOGIN_CLOSED, row["id"], by, {"reason": reason})
        ids = frozenset(str(row["id"]) for row in rows)
        if ids:
            tx.after_commit(lambda: self._forget(ids))

    async def _record(self, tx: Transaction, act: Act, login_id: str, actor: Actor, facts: dict[str, JSON]) -> None:
        out: Outcome = "deny" if facts.get("reason") == "refresh_token_reused" else "ok"
        event = Event(act=act, ws=SYSTEM, obj_t="login", obj_id=login_id, actor=actor, data=facts, out=out)
        await self._audit.append(tx, event)

    def _forget(self, ids: frozenset[str]) -> None:
        for login_id in ids:
            self._live.forget(login_id)
            for callback in tuple(self._callbacks):
                callback(login_id)


def _actor(login_id: str, account_id: str) -> Actor:
    return Actor.of(Principal(kind="user", account_id=account_id, session_id=login_id, auth=("device",)))


def _principal(row: Row) -> Principal:
    """Return who speaks by a login: the person, without a second factor, whatever was shown when it was approved."""
    return Principal(
        kind="user",
        account_id=row["account_id"],
        session_id=row["id"],
        auth=("device",),
        label=row["email"],
        workspace_id=row["confined_to"],
        connection_id=row["connection_id"],
        may_change_account=False,
    )


def _from_row(row: Row) -> Login:
    return Login(
        id=row["id"],
        account_id=row["account_id"],
        email=row["email"],
        client_id=row["client_id"],
        host=row["host"],
        address=row["address"],
        user_agent=row["user_agent"],
        opened_us=row["opened_us"],
        seen_us=row["seen_us"],
        seen_address=row["seen_address"],
        expires_us=row["expires_us"],
        principal=_principal(row),
        connection_id=row["connection_id"],
        confined_to=row["confined_to"],
    )
