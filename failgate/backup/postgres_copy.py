"""PostgreSQL's part of a backup: the rows of each table by its own binary COPY, all of one snapshot.

`pg_dump` would do as well where it is installed in the server's version or a newer one; this needs nothing besides the
driver. The tables themselves are made by the migrations that the backup names, so only rows are copied.
"""

import contextlib
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import IO, Any, Literal

import asyncpg  # type: ignore[import-untyped]  # the driver ships no stubs

from failgate.backup.manifest import TABLE_FOLDER, Table
from failgate.base.db import Row
from failgate.base.errors import FailgateError, StorageUnavailable
from failgate.base.postgres import refusal
from failgate.base.secret import Secret, asking

_FAILURES = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError)
_SETTINGS = {"application_name": "failgate-backup", "synchronous_commit": "on", "timezone": "UTC"}
_TABLES = """
SELECT c.oid, c.relname AS name, array_agg(a.attname ORDER BY a.attnum) AS columns
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' AND a.attgenerated = ''
GROUP BY c.oid, c.relname ORDER BY c.relname
"""
_PARENTS = (
    "SELECT conrelid AS child, confrelid AS parent FROM pg_constraint WHERE contype = 'f' AND conrelid <> confrelid"
)


class PostgresMoment:
    """What a PostgreSQL database holds at one moment: a read-only transaction that sees nothing of later ones."""

    dialect: Literal["sqlite", "postgres"] = "postgres"

    def __init__(self, connection: Any, tables: list[Table]) -> None:
        self._connection = connection
        self.tables = tables

    async def rows(self, sql: str) -> list[Row]:
        """Return the rows of a query. Raises: StorageUnavailable."""
        try:
            return [dict(row) for row in await self._connection.fetch(sql)]
        except _FAILURES as error:
            raise _unavailable(error) from error

    async def copies(self, folder: Path) -> AsyncIterator[tuple[str, IO[bytes]]]:
        """Yield each table's rows, in the order in which they can be put back. Raises: StorageUnavailable."""
        for table in self.tables:
            scratch = tempfile.TemporaryFile(dir=folder, prefix=".failgate-backup-")  # noqa: SIM115  # who takes it closes it
            query = f"SELECT {_quoted(table.columns)} FROM {_quoted([table.name])}"
            try:
                await self._connection.copy_from_query(query, output=scratch, format="binary")
            except _FAILURES as error:
                scratch.close()
                raise _unavailable(error) from error
            yield f"{TABLE_FOLDER}{table.name}.copy", scratch


@contextlib.asynccontextmanager
async def postgres_moment(url: str, password: Secret | None = None) -> AsyncIterator[PostgresMoment]:
    """Yield the database at `url` as it is now. Raises: StartRefused (unreachable), StorageUnavailable."""
    connection = await connected(url, password)
    try:
        await connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield PostgresMoment(connection, await tables_in_order(connection))  # the first query takes the snapshot
    finally:
        await connection.close()


async def connected(url: str, password: Secret | None = None) -> Any:
    """Return a connection of its own. Raises: StartRefused."""
    try:
        return await asyncpg.connect(url, password=asking(password), server_settings=_SETTINGS)
    except (*_FAILURES, ValueError) as error:
        raise refusal(error) from error


async def tables_in_order(connection: Any) -> list[Table]:
    """Return the tables, each after those that it refers to."""
    rows = await connection.fetch(_TABLES)
    names = {row["oid"]: row["name"] for row in rows}
    waiting = {row["oid"]: set[int]() for row in rows}
    for row in await connection.fetch(_PARENTS):
        if row["child"] in waiting and row["parent"] in names:
            waiting[row["child"]].add(row["parent"])
    columns = {row["oid"]: list(row["columns"]) for row in rows}
    found: list[Table] = []
    while waiting:
        free = [oid for oid, parents in waiting.items() if not parents & set(waiting)]
        if not free:
            raise FailgateError("The tables of the database refer to each other in a circle.")
        for oid in free:
            del waiting[oid]
            found.append(Table(names[oid], columns[oid]))
    return found


async def put_back(connection: Any, table: Table, source: IO[bytes]) -> None:
    """Fill an empty table with copied rows, in the transaction that made it. Raises: StorageUnavailable.

    COPY does not work through row level security, which binds the owner too: it is lifted for the owner meanwhile.
    """
    name = _quoted([table.name])
    try:
        is_walled = await connection.fetchval("SELECT relforcerowsecurity FROM pg_class WHERE oid = $1::regclass", name)
        if is_walled:
            await connection.execute(f"ALTER TABLE {name} NO FORCE ROW LEVEL SECURITY")
        await connection.copy_to_table(table.name, source=source, columns=table.columns, format="binary")
        if is_walled:
            await connection.execute(f"ALTER TABLE {name} FORCE ROW LEVEL SECURITY")
    except _FAILURES as error:
        raise _unavailable(error) from error


def _quoted(names: Sequence[str]) -> str:
    return ", ".join('"' + name.replace('"', '""') + '"' for name in names)


def _unavailable(error: Exception) -> StorageUnavailable:
    return StorageUnavailable(f"PostgreSQL did not go along: {type(error).__name__}: {error}.", hint="Try again.")
