"""PostgreSQL: one connection that writes, a small pool that reads.

An advisory lock of the session keeps a second server off the same database. A connection that broke, or says nothing
any more (`postgres_watch.py`), is opened anew by the next change, and nothing is asked of a new one before it is known
to lead to the same database (`Newcomers`): behind one address another server may stand, empty or behind. A commit whose
answer was lost is reported as that, and the caller's idempotency key decides.

Each new connection asks for the password again, and the driver reads the files that the URL names (`sslcert`, `sslkey`,
`sslrootcert`) again: what is renewed or rotated needs no restart.
"""

import asyncio
import time
from collections.abc import Awaitable, Sequence
from typing import Any, TypeVar

import asyncpg  # type: ignore[import-untyped]  # the driver ships no stubs

from failgate.base.db import Database, Row, workspace_scope
from failgate.base.engine import Newcomers
from failgate.base.errors import OutcomeUnknown, StartRefused, StorageUnavailable
from failgate.base.postgres_watch import CONNECT_SECONDS, LOST, SILENT_SECONDS, Watch
from failgate.base.secret import Secret, asking

T = TypeVar("T")
READERS = 4
LOCK_KEY = 0x6661_696C_6761_7465  # "failgate"
LOOK_SECONDS = 0.05  # between two tries for the lock
_WHO_WE_ARE = "SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()"
_END = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = $1 AND backend_start = $2"
_STARTS_ANEW = "Ask again in a moment."


async def open_postgres(url: str, *, password: Secret | None = None, is_exclusive: bool = True) -> Database:
    """Open the database at `url` (`postgresql://…`); `is_exclusive` refuses to share it with another server.

    `password` is asked for at each new connection.

    Raises: StartRefused (unreachable, refused credentials, another server holds it).
    """
    watch, newcomers = Watch(url, password), Newcomers()

    async def recognised(connection: Any) -> None:
        await _recognised(connection, watch, newcomers)

    try:
        writer = PostgresWriter(url, password, watch, newcomers, is_exclusive=is_exclusive)
        await writer.connect()
        pool = await asyncpg.create_pool(
            url, password=asking(password), min_size=0, max_size=READERS, server_settings=_settings("read"),
            timeout=SILENT_SECONDS, init=recognised,
        )  # fmt: skip
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError, StartRefused) as error:
        await watch.close()
        if isinstance(error, StartRefused):
            raise
        raise refusal(error) from error
    return Database("postgres", writer, PostgresReaders(pool, watch), newcomers)


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


async def _recognised(connection: Any, watch: Watch, newcomers: Newcomers) -> None:
    """Return when `connection` leads to the database that was opened. Raises: StorageUnavailable."""
    if newcomers.recognise is None:
        return

    async def fetch(sql: str, *args: object) -> list[Row]:
        return [dict(row) for row in await connection.fetch(sql, *args)]

    watch.begin(connection)
    try:
        await newcomers.recognise(fetch)
    except asyncpg.PostgresError as error:
        raise StorageUnavailable("PostgreSQL has another database there.", hint=_STARTS_ANEW) from error
    finally:
        watch.end(connection)


def _unreachable() -> StorageUnavailable:
    return StorageUnavailable("PostgreSQL cannot be reached.", hint=_STARTS_ANEW)


class PostgresWriter:
    """The one connection that changes the database."""

    def __init__(
        self, url: str, password: Secret | None, watch: Watch, newcomers: Newcomers, *, is_exclusive: bool
    ) -> None:
        self._url = url
        self._password = password
        self._watch = watch
        self._newcomers = newcomers
        self._is_exclusive = is_exclusive
        self._connection: Any = None
        self._session: tuple[Any, ...] | None = None  # which of the server's processes works for us, and since when
        self.commit_seconds = 0.0

    async def connect(self) -> None:
        """Connect, take the lock and look whether it is the same database.

        Raises: StartRefused when another server holds it, StorageUnavailable when it is another database.
        """
        connection = await asyncpg.connect(
            self._url, password=asking(self._password), server_settings=_settings("write")
        )
        try:
            if self._is_exclusive:
                await self._take_lock(connection)
            await _recognised(connection, self._watch, self._newcomers)
            self._session = tuple(await connection.fetchrow(_WHO_WE_ARE))
        except BaseException:
            connection.terminate()
            raise
        self._connection = connection

    async def _take_lock(self, connection: Any) -> None:
        """Take the lock, if need be from our own session before: the server may not know yet that it is over."""
        deadline = time.monotonic() + CONNECT_SECONDS
        while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK_KEY):
            if self._session is None or time.monotonic() > deadline:
                raise StartRefused(
                    "Another Failgate server uses this PostgreSQL database.",
                    hint="Stop it first, or give this one a database of its own.",
                )
            await connection.fetchval(_END, *self._session)
            await asyncio.sleep(LOOK_SECONDS)

    async def begin(self) -> None:
        """Open a transaction, over a new connection when the old one broke."""
        if self._connection.is_closed():
            try:
                async with asyncio.timeout(2 * CONNECT_SECONDS):
                    await self.connect()
            except StartRefused as error:
                raise StorageUnavailable(error.sentence, hint=error.hint) from error
            except (*LOST, asyncpg.PostgresError) as error:
                raise _unreachable() from error
        await self._answered(self._connection.execute("BEGIN"))

    async def fetch(self, sql: str, args: Sequence[Any]) -> list[Row]:
        """Run one statement; return its rows."""
        return [dict(row) for row in await self._answered(self._connection.fetch(sql, *args))]

    async def execute(self, sql: str, args: Sequence[Any]) -> int:
        """Run one statement; return how many rows it changed."""
        return _changed(await self._answered(self._connection.execute(sql, *args)))

    async def execute_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run one statement for each of `rows`, without waiting between them."""
        await self._answered(self._connection.executemany(sql, rows))

    async def commit(self) -> None:
        """Commit and wait for the server's answer. Raises: OutcomeUnknown (none came), StorageUnavailable."""
        started = time.perf_counter()
        try:
            outcome = await self._answered(self._connection.execute("COMMIT"))
        except StorageUnavailable as error:
            raise OutcomeUnknown from error
        if outcome != "COMMIT":  # so PostgreSQL ends a transaction in which something failed
            raise StorageUnavailable("PostgreSQL did not take the change; nothing was kept.")
        self.commit_seconds += 0.2 * (time.perf_counter() - started - self.commit_seconds)

    async def rollback(self) -> None:
        """End the transaction without effect; a connection that does not answer is dropped."""
        if self._connection.is_closed():
            return
        try:
            await self._answered(self._connection.execute("ROLLBACK"))
        except (StorageUnavailable, asyncpg.PostgresError, asyncpg.InterfaceError):
            self._connection.terminate()

    async def _answered(self, statement: Awaitable[T]) -> T:
        """Return what the server answers. Raises: StorageUnavailable (it is gone), or what it says of the statement."""
        connection = self._connection
        self._watch.begin(connection)
        try:
            return await statement
        except LOST as error:
            is_of_statement = isinstance(error, asyncpg.InterfaceError) and not connection.is_closed()
            if is_of_statement:
                raise
            connection.terminate()
            raise StorageUnavailable("PostgreSQL is gone; nothing was kept.", hint=_STARTS_ANEW) from error
        finally:
            self._watch.end(connection)

    def drive(self, verb: Awaitable[T]) -> Awaitable[T]:
        """Return `verb`, which waits for the server between its statements."""
        return verb

    async def between(self) -> None:
        """Do nothing: PostgreSQL looks after itself."""

    async def close(self) -> None:
        """Close the connection, which also releases the lock."""
        await self._watch.close()
        if not self._connection.is_closed():
            await self._connection.close(timeout=SILENT_SECONDS)


def _changed(status: str) -> int:
    last = status.rsplit(" ", 1)[-1]
    return int(last) if last.isdigit() else -1


class PostgresReaders:
    """A pool of connections that cannot write."""

    def __init__(self, pool: Any, watch: Watch) -> None:
        self._pool = pool
        self._watch = watch

    async def run(self, sql: str, args: Sequence[Any]) -> list[Row]:
        """Run one query; in a request of a workspace private rows of others are not there (row level security).

        Raises: StorageUnavailable when the server does not answer, or is another.
        """
        try:
            connection = await self._pool.acquire()
            try:
                return await self._run(connection, sql, args)
            finally:
                await self._pool.release(connection, timeout=SILENT_SECONDS)
        except (*LOST, asyncpg.InvalidCatalogNameError, asyncpg.InvalidAuthorizationSpecificationError) as error:
            raise _unreachable() from error

    async def _run(self, connection: Any, sql: str, args: Sequence[Any]) -> list[Row]:
        workspace_id = workspace_scope.get()
        self._watch.begin(connection)
        try:
            if workspace_id is not None:  # the pool forgets the setting when it gets the connection back
                await connection.execute("SELECT set_config('failgate.workspace', $1, false)", workspace_id)
            return [dict(row) for row in await connection.fetch(sql, *args)]
        finally:
            self._watch.end(connection)

    async def close(self) -> None:
        """Close the pool; a connection that does not answer is dropped."""
        try:
            async with asyncio.timeout(SILENT_SECONDS):
                await self._pool.close()
        except LOST:
            self._pool.terminate()
