"""A database inside one open transaction of PostgreSQL: filled, verified and recorded in before anybody sees it."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Sequence
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, TypeVar

import asyncpg  # type: ignore[import-untyped]  # the driver ships no stubs

from failgate.backup.manifest import TABLE_FOLDER, Manifest
from failgate.backup.postgres_copy import connected, put_back, tables_in_order
from failgate.base.db import Database, Row
from failgate.base.errors import StartRefused, StorageUnavailable
from failgate.base.migrate import read_migrations
from failgate.base.postgres import LOCK_KEY
from failgate.base.secret import Secret

T = TypeVar("T")


class _Writer:
    """A writer whose transactions are parts of the one that is open."""

    def __init__(self, connection: Any) -> None:
        self.commit_seconds = 0.0
        self._connection = connection

    async def begin(self) -> None:
        await self._connection.execute("SAVEPOINT within")

    async def fetch(self, sql: str, args: Sequence[Any]) -> list[Row]:
        return [dict(row) for row in await self._connection.fetch(sql, *args)]

    async def execute(self, sql: str, args: Sequence[Any]) -> int:
        last = str(await self._connection.execute(sql, *args)).rsplit(" ", 1)[-1]
        return int(last) if last.isdigit() else -1

    async def execute_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        await self._connection.executemany(sql, rows)

    async def commit(self) -> None:
        await self._connection.execute("RELEASE SAVEPOINT within")

    async def rollback(self) -> None:
        await self._connection.execute("ROLLBACK TO SAVEPOINT within")

    def drive(self, verb: Awaitable[T]) -> Awaitable[T]:
        return verb

    async def between(self) -> None:
        return

    async def close(self) -> None:
        return


class _Readers:
    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def run(self, sql: str, args: Sequence[Any]) -> list[Row]:
        return [dict(row) for row in await self._connection.fetch(sql, *args)]

    async def close(self) -> None:
        return


class Filling:
    """An empty PostgreSQL database that is being filled; nobody sees anything of it before `commit`."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.database = Database("postgres", _Writer(connection), _Readers(connection))

    async def commit(self) -> None:
        """Make all of it durable and visible. Raises: StorageUnavailable."""
        try:
            await self._connection.execute("COMMIT")
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            raise StorageUnavailable(
                f"PostgreSQL did not take the restored rows: {error}.", hint="Run the restore again."
            ) from error


@contextlib.asynccontextmanager
async def filling(
    url: str, password: Secret | None, manifest: Manifest, migrations: Traversable, members: Path
) -> AsyncIterator[Filling]:
    """Yield the empty database at `url` with the tables of that version and the rows in the folder `members`.

    Raises: StartRefused (not empty, in use), StorageUnavailable; without `commit` it stays empty.
    """
    connection = await connected(url, password)
    try:
        if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK_KEY):
            raise StartRefused("A Failgate server uses this PostgreSQL database.", hint="Stop it first.")
        if there := await tables_in_order(connection):
            raise StartRefused(
                f"The PostgreSQL database is not empty: it has the table {there[0].name}.",
                hint="Make a new one and name it in [database] url; nothing is ever overwritten.",
            )
        await connection.execute("BEGIN")
        filled = Filling(connection)
        try:
            await _fill(connection, manifest, migrations, members)
            yield filled
        finally:
            await filled.database.close()
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise StorageUnavailable(f"PostgreSQL did not go along: {error}.", hint="Nothing was changed.") from error
    finally:
        await connection.close()


async def _fill(connection: Any, manifest: Manifest, migrations: Traversable, members: Path) -> None:
    await connection.execute("CREATE TABLE schema_migration "
                             "(name TEXT PRIMARY KEY, sha256 TEXT NOT NULL, applied_us BIGINT NOT NULL)")  # fmt: skip
    for step in read_migrations(migrations, "postgres"):
        if step.name in manifest.schema:
            for statement in step.statements:
                await connection.execute(statement)
    for table in manifest.tables:
        with (members / f"{TABLE_FOLDER}{table.name}.copy").open("rb") as source:
            await put_back(connection, table, source)
