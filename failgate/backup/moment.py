"""One moment of an installation: all that its databases hold, while the server goes on."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO, Any, Literal, Protocol

from failgate.artifacts.artifact import COLUMNS, Artifact, artifact_of
from failgate.audit.stored import COLUMNS as HEAD_COLUMNS
from failgate.audit.stored import stored_head_of
from failgate.backup.manifest import CORE, PLUGIN_FOLDER, Head, Table
from failgate.backup.postgres_copy import postgres_moment
from failgate.base.errors import StartRefused
from failgate.base.open_database import sqlite_path
from failgate.base.sqlite_copy import copy_unnamed, locked, rows_of, shown
from failgate.config.model import Config


class Core(Protocol):
    """The core's database at the moment."""

    dialect: Literal["sqlite", "postgres"]
    tables: list[Table]

    async def rows(self, sql: str) -> list[dict[str, Any]]:
        """Return the rows of a query."""
        ...

    def copies(self, folder: Path) -> AsyncIterator[tuple[str, IO[bytes]]]:
        """Yield name and content of each member; scratch files without a name lie in `folder`."""
        ...


class _SqliteCore:
    dialect: Literal["sqlite", "postgres"] = "sqlite"

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.tables: list[Table] = []

    async def rows(self, sql: str) -> list[dict[str, Any]]:
        return rows_of(self._connection, sql)

    async def copies(self, folder: Path) -> AsyncIterator[tuple[str, IO[bytes]]]:
        yield CORE, copy_unnamed(self._connection, folder)


class Moment:
    """What everything holds now; valid until the context that gave it is left."""

    def __init__(self, core: Core, plugins: list[tuple[str, Any]]) -> None:
        self.core = core
        self._plugins = plugins

    async def artifacts(self) -> list[Artifact]:
        """Return every artifact that has a row."""
        return [artifact_of(row) for row in await self.core.rows(f"SELECT {COLUMNS} FROM artifact ORDER BY id")]

    async def heads(self) -> list[Head]:
        """Return the head of each audit log. Raises: HeadUnreadable."""
        rows = await self.core.rows(f"SELECT {HEAD_COLUMNS} FROM audit_head ORDER BY number")
        stored = [stored_head_of(row) for row in rows]
        return [Head(one.log, one.head.size, one.head.root.hex()) for one in stored]

    async def schema(self) -> dict[str, str]:
        """Return the migrations that were applied, with the digests of their files."""
        rows = await self.core.rows("SELECT name, sha256 FROM schema_migration ORDER BY name")
        return {row["name"]: row["sha256"] for row in rows}

    async def copies(self, folder: Path) -> AsyncIterator[tuple[str, IO[bytes]]]:
        """Yield name and content of each member that is a database, or a table of one."""
        async for copied in self.core.copies(folder):
            yield copied
        for name, connection in self._plugins:
            yield name, copy_unnamed(connection, folder)


def plugin_databases(data_dir: Path) -> list[Path]:
    """Return the database files that plugins keep in the data folder."""
    return sorted(data_dir.glob("plugins/*/*.sqlite"))


@contextlib.asynccontextmanager
async def take_moment(config: Config, data_dir: Path) -> AsyncIterator[Moment]:
    """Yield this moment of the core's database and of the databases of plugins.

    Raises: StartRefused (there is no database), StorageUnavailable.
    """
    url = config.database.url_in(data_dir)
    own = sqlite_path(url)
    plugins = plugin_databases(data_dir)
    names = [f"{PLUGIN_FOLDER}{path.parent.name}/{path.name}" for path in plugins]
    if own is not None and not own.is_file():
        raise StartRefused(f"There is no database in {data_dir}.", hint="Name the server's folder with --data DIR.")
    async with contextlib.AsyncExitStack() as stack:
        files = [*([own] if own is not None else []), *plugins]
        with locked(files):
            postgres = (
                None
                if own is not None
                else await stack.enter_async_context(postgres_moment(url, config.database.password))
            )
            connections = stack.enter_context(shown(files))
        core = postgres or _SqliteCore(connections.pop(0))
        yield Moment(core, list(zip(names, connections, strict=True)))
