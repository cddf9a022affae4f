"""A real PostgreSQL of one test session, which hands out databases and takes them back empty.

To make and drop a database costs about half a second of CPU, a thousand files each; to empty one costs a tenth of that.
So a migrated database goes to the next test as long as it can be proven to be what it was: whatever a test did to more
than rows marks it (an event trigger notes each DDL statement), and then it is dropped. Each test sees a name of its own,
so that a process which outlived its test does not find the way back.
"""

import asyncio
import itertools
import os
import re
import shutil
import threading
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import asyncpg

from failgate.base.migrate import core_migrations, migrate
from failgate.base.open_database import open_database

T = TypeVar("T")
OWNER = "failgate_owner"
_LEAVING_S = 10.0
# What no test asks about: the machine's power, and statistics of tables that live for a second.
_SETTINGS = ("fsync", "full_page_writes", "autovacuum")
_FAILURES = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)

# A server asks for its history with CREATE TABLE IF NOT EXISTS at each start, which changes nothing.
_MARKS = """
CREATE SCHEMA pool;
CREATE TABLE pool.change (tag TEXT NOT NULL);
CREATE FUNCTION pool.note() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS $note$
BEGIN
  IF TG_EVENT = 'sql_drop' OR TG_TAG <> 'CREATE TABLE' OR EXISTS (SELECT FROM pg_event_trigger_ddl_commands()) THEN
    INSERT INTO pool.change VALUES (TG_TAG);
  END IF;
END
$note$;
CREATE EVENT TRIGGER pool_ddl ON ddl_command_end EXECUTE FUNCTION pool.note();
CREATE EVENT TRIGGER pool_drop ON sql_drop EXECUTE FUNCTION pool.note();
"""
# 16384 is the first oid of what is not PostgreSQL's own. A sequence, or a view with rows, is not emptied by DELETE.
_CHANGES = f"""
SELECT EXISTS (SELECT FROM pool.change)
  OR EXISTS (SELECT FROM pg_class WHERE oid >= 16384 AND relkind IN ('S', 'm', 'f'))
  OR EXISTS (SELECT FROM pg_statistic WHERE starelid >= 16384)
  OR EXISTS (SELECT FROM pg_largeobject_metadata)
  OR EXISTS (SELECT FROM pg_db_role_setting)
  OR EXISTS (SELECT FROM pg_shdescription WHERE objoid = pg_database.oid)
  OR datacl IS NOT NULL OR datdba <> '{OWNER}'::regrole OR datconnlimit <> -1 OR NOT datallowconn
FROM pg_database WHERE datname = current_database()
"""
# The size of a file is what tells an empty table: rows that were deleted, or rolled back, are still in it.
_FILLED = """
SELECT oid::regclass::text AS name FROM pg_class
WHERE oid >= 16384 AND relkind = 'r' AND (pg_stat_file(pg_relation_filepath(oid))).size > 0 ORDER BY 1
"""


def roomy_memory() -> str | None:
    """Return the folder in memory when it is large enough for a cluster: each database is a thousand small files."""
    memory = Path("/dev/shm")
    is_roomy = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 4 << 30
    return str(memory) if is_roomy else None


def name_of(url: str) -> str:
    """Return the name of the database at `url`."""
    return url.partition("?")[0].rsplit("/", 1)[-1]


class PostgresServer:
    """Databases of one cluster: new ones, migrated ones, and the migrated ones that came back empty."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._numbers = itertools.count()
        self._template = f"template_{os.getpid()}"
        self._seeds: dict[str, str] | None = None  # table -> digest of the rows that migrations put there
        self._lent: set[str] = set()
        self._free: list[str] = []
        # Tests have a loop each; the connection that makes databases outlives them all.
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="postgres-pool", daemon=True)
        self._thread.start()
        self._admin: Any = None

    async def empty(self) -> str:
        """Return the URL of a new database without tables."""
        return await self._apart(self._empty())

    async def migrated(self) -> str:
        """Return the URL of a database with every core migration applied, which no test has under this name."""
        return await self._apart(self._migrated())

    async def drop(self, url: str) -> None:
        """Take the database at `url` back; nothing that it holds is seen again."""
        await self._apart(self._take_back(name_of(url)))

    async def keep(self, url: str) -> str:
        """Copy the database at `url`; return the name of the copy. Whoever is in it is thrown out."""
        return await self._apart(self._keep(name_of(url)))

    async def put_back(self, url: str, kept: str) -> None:
        """Have the copy `kept` take the place of the database at `url`. Whoever is in it is thrown out."""
        await self._apart(self._put_back(name_of(url), kept))

    def close(self) -> None:
        """Close the connection and end the thread."""
        asyncio.run_coroutine_threadsafe(self._leave(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _apart(self, work: Coroutine[Any, Any, T]) -> T:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    async def _leave(self) -> None:
        if self._admin is not None:
            await self._admin.close()

    async def _sql(self, statement: str) -> None:
        if self._admin is None:
            self._admin = await asyncpg.connect(self._uri)
            for setting in _SETTINGS:
                await self._admin.execute(f"ALTER SYSTEM SET {setting} = off")
            await self._admin.execute("SELECT pg_reload_conf()")
            # The owner is no superuser, since those walk through row level security.
            await self._admin.execute(f"CREATE ROLE {OWNER} LOGIN")
        await self._admin.execute(statement)

    def _new_name(self) -> str:
        return f"t{os.getpid()}_{next(self._numbers)}"

    def _url(self, name: str) -> str:
        return re.sub(r"//[^@/]*@?/postgres\?", f"//{OWNER}@/{name}?", self._uri, count=1)

    async def _create(self, name: str, template: str = "template1") -> None:
        await self._sql(f"CREATE DATABASE {name} OWNER {OWNER} TEMPLATE {template} STRATEGY FILE_COPY")

    async def _inside(self, name: str) -> Any:
        """Connect as the superuser, for whom no trigger and no foreign key works."""
        settings = {"session_replication_role": "replica"}
        return await asyncpg.connect(self._uri.replace("/postgres?", f"/{name}?", 1), server_settings=settings)

    async def _empty(self) -> str:
        name = self._new_name()
        await self._create(name)
        return self._url(name)

    async def _migrated(self) -> str:
        if self._seeds is None:
            await self._make_template()
        if self._free:
            name = self._free.pop()
        else:
            name = self._new_name()
            await self._create(name, self._template)
        self._lent.add(name)
        return self._url(name)

    async def _make_template(self) -> None:
        await self._create(self._template)
        database = await open_database(self._url(self._template))
        await migrate(database, core_migrations())
        await database.close()
        connection = await self._inside(self._template)
        try:
            await connection.execute("VACUUM")
            seeded = [row["name"] for row in await connection.fetch(_FILLED)]
            await connection.execute(_MARKS)
            self._seeds = {table: await _digest(connection, table) for table in seeded}
        finally:
            await connection.close()
        await self._alone(self._template)

    async def _take_back(self, name: str) -> None:
        is_migrated = name in self._lent
        self._lent.discard(name)
        if is_migrated:
            clean = self._new_name()
            try:
                await self._alone(name)
                await self._sql(f"ALTER DATABASE {name} RENAME TO {clean}")
                name = clean
                if await self._emptied(name):
                    self._free.append(name)
                    return
            except _FAILURES:
                pass  # whatever it is, a new database does not have it
        await self._sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        await self._sql(f"ALTER ROLE {OWNER} RESET ALL")

    async def _keep(self, name: str) -> str:
        kept = self._new_name()
        await self._alone(name)
        await self._create(kept, name)
        return kept

    async def _put_back(self, name: str, kept: str) -> None:
        await self._sql(f"DROP DATABASE {name} WITH (FORCE)")
        await self._sql(f"ALTER DATABASE {kept} RENAME TO {name}")
        self._lent.discard(name)  # a copy is not handed out again

    async def _alone(self, name: str) -> None:
        """End every session of the database, and with them their locks; raises TimeoutError."""
        until = time.monotonic() + _LEAVING_S
        ended = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = $1"
        while await self._admin.fetchval(ended, name):
            if time.monotonic() > until:
                raise TimeoutError
            await asyncio.sleep(0.001)

    async def _emptied(self, name: str) -> bool:
        """Empty every table but those with the rows of migrations; False when it is no longer what was handed out."""
        assert self._seeds is not None
        connection = await self._inside(name)
        try:
            if await connection.fetchval(_CHANGES):
                return False
            for table, digest in self._seeds.items():
                if await _digest(connection, table) != digest:
                    return False
            filled = await self._filled(connection)
            if filled:
                await connection.execute("; ".join(f"DELETE FROM {table}" for table in filled))
                await connection.execute(f"VACUUM (INDEX_CLEANUP ON, TRUNCATE ON) {', '.join(filled)}")
            return not await self._filled(connection)
        finally:
            await connection.close()

    async def _filled(self, connection: Any) -> list[str]:
        assert self._seeds is not None
        return [row["name"] for row in await connection.fetch(_FILLED) if row["name"] not in self._seeds]


async def _digest(connection: Any, table: str) -> str:
    """Return a digest of the rows of `table`, in whatever order they lie."""
    return await connection.fetchval(f"SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {table} t")
