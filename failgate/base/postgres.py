"""PostgreSQL: one connection that writes, a small pool that reads.

An advisory lock of the session keeps a second server off the same database. A connection that broke is opened anew by
the next change; a commit whose answer was lost is reported as not taken, and the caller's idempotency key decides.

Each new connection asks for the password again, and the driver reads the files that the URL names (`sslcert`, `sslkey`,
`sslrootcert`) again: what is renewed or rotated needs no restart.
"""

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import asyncpg  # type: ignore[import-untyped]  # the driver ships no stubs

from failgate.base.db import Database, Row, workspace_scope
from failgate.base.errors import StartRefused, StorageUnavailable
from failgate.base.secret import Secret

T = TypeVar("T")
READERS = 4
LOCK_KEY = 0x6661_696C_6761_7465  # "failgate"
# A password or certificate that ran out is refused at a new connection, and mended where it is renewed. That one
# ends at this very moment is an error of the driver's own.
_LOST = (
    asyncpg.PostgresConnectionError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError,
    asyncpg.InvalidAuthorizationSpecificationError, asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
)  # fmt: skip


async def open_postgres(url: str, *, password: Secret | None = None, is_exclusive: bool = True) -> Database:
    """Open the database at `url` (`postgresql://…`); `is_exclusive` refuses to share it with another server.

    `password` is asked for at each new connection.

    Raises: StartRefused (unreachable, refused credentials, another server holds it).
    """
    try:
        writer = PostgresWriter(url, password, is_exclusive=is_exclusive)
        await writer.connect()
        pool = await asyncpg.create_pool(
            url, password=asking(password), min_size=1, max_size=READERS, server_settings=_settings("read")
        )
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        raise refusal(error) from error
    return Database("postgres", writer, PostgresReaders(pool))


def asking(password: Secret | None) -> Callable[[], Awaitable[str]] | None:
    """Return what the driver calls for the password of each new connection; None where the URL says it all."""
    return password.ask if password is not None else None


def refusal(error: Exception) -> StartRefused:
    """Return how a start is refused that did not reach the database."""
    return StartRefused(
        f"PostgreSQL cannot be reached: {type(error).__name__}: {error}.",
        hint="Check [database] url, the files that it names and the password, and that the server runs and accepts "
        "this role.",
    )


def _settings(purpose: str) -> dict[str, str]:
    settings = {"application_name": f"failgate-{purpose}", "synchronous_commit": "on", "timezone": "UTC"}
    return settings | ({"default_transaction_read_only": "on"} if purpose == "read" else {})


class PostgresWriter:
    """The one connection that changes the database."""

    def __init__(self, url: str, password: Secret | None, *, is_exclusive: bool) -> None:
        self._url = url
        self._password = password
        self._is_exclusive = is_exclusive
        self._connection: Any = None
        self.commit_seconds = 0.0

    async def connect(self) -> None:
        """Connect and take the lock.

        Raises: StartRefused when another server holds it.
        """
        connection = await asyncpg.connect(
            self._url, password=asking(self._password), server_settings=_settings("write")
        )
        if self._is_exclusive and not await connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK_KEY):
            await connection.close()
            raise StartRefused(
                "Another Failgate server uses this PostgreSQL database.",
                hint="Stop it first, or give this one a database of its own.",
            )
        self._connection = connection

    async def begin(self) -> None:
        """Open a transaction, over a new connection when the old one broke."""
        if self._connection.is_closed():
            try:
                await self.connect()
            except (*_LOST, asyncpg.PostgresError) as error:
                raise StorageUnavailable("PostgreSQL cannot be reached.", hint="Ask again in a moment.") from error
        await self._connection.execute("BEGIN")

    async def fetch(self, sql: str, args: Sequence[Any]) -> list[Row]:
        """Run one statement; return its rows."""
        return [dict(row) for row in await self._connection.fetch(sql, *args)]

    async def execute(self, sql: str, args: Sequence[Any]) -> int:
        """Run one statement; return how many rows it changed."""
        return _changed(await self._connection.execute(sql, *args))

    async def execute_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run one statement for each of `rows`, without waiting between them."""
        await self._connection.executemany(sql, rows)

    async def commit(self) -> None:
        """Commit and wait for the server's answer."""
        started = time.perf_counter()
        await self._connection.execute("COMMIT")
        self.commit_seconds += 0.2 * (time.perf_counter() - started - self.commit_seconds)

    async def rollback(self) -> None:
        """End the transaction without effect; a connection that does not answer is dropped."""
        try:
            await self._connection.execute("ROLLBACK")
        except (*_LOST, asyncpg.PostgresError):
            self._connection.terminate()

    def drive(self, verb: Awaitable[T]) -> Awaitable[T]:
        """Return `verb`, which waits for the server between its statements."""
        return verb

    async def between(self) -> None:
        """Do nothing: PostgreSQL looks after itself."""

    async def close(self) -> None:
        """Close the connection, which also releases the lock."""
        if not self._connection.is_closed():
            await self._connection.close()


def _changed(status: str) -> int:
    last = status.rsplit(" ", 1)[-1]
    return int(last) if last.isdigit() else -1


class PostgresReaders:
    """A pool of connections that cannot write."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool

    async def run(self, sql: str, args: Sequence[Any]) -> list[Row]:
        """Run one query; in a request of a workspace private rows of others are not there (row level security).

        Raises: StorageUnavailable when the server does not answer.
        """
        workspace_id = workspace_scope.get()
        try:
            if workspace_id is None:
                return [dict(row) for row in await self._pool.fetch(sql, *args)]
            async with self._pool.acquire() as connection:  # the pool forgets the setting when it gets it back
                await connection.execute("SELECT set_config('failgate.workspace', $1, false)", workspace_id)
                return [dict(row) for row in await connection.fetch(sql, *args)]
        except _LOST as error:
            raise StorageUnavailable("PostgreSQL cannot be reached.", hint="Ask again in a moment.") from error

    async def close(self) -> None:
        """Close the pool."""
        await self._pool.close()
