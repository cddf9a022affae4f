"""SQLite: one connection that writes and alone checkpoints, a few that read.

The writer runs its statements on the event loop's own thread, where they cost microseconds; the commit, which waits for
the disk, moves to a thread as soon as the disk proves slower than `INLINE_COMMIT_SECONDS`. `synchronous=FULL`: an
acknowledged change survives power loss, not only a killed process. Exactly one connection writes and checkpoints, which
also keeps out of the WAL-reset defect of SQLite 3.7.0 to 3.51.2.
"""

import asyncio
import os
import re
import sqlite3
import threading
import time
from collections.abc import Awaitable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar, cast

from failgate.base.db import Database, Row
from failgate.base.errors import DiskFull, StartRefused, StorageUnavailable
from failgate.base.log import get_logger

T = TypeVar("T")
OLDEST_SQLITE = (3, 35, 0)  # RETURNING
READERS = 3
INLINE_COMMIT_SECONDS = 0.001  # slower commits leave the event loop's thread
BUSY_SECONDS = 5.0  # how long the writer waits for another process to leave
CHECKPOINT_BYTES = 32 * 1024 * 1024  # of write-ahead log, before it is folded into the database
CHECKPOINT_COMMITS = 16  # between two looks at how long it is
CACHE_KIB = 16 * 1024  # of pages, for the connection that writes; it grows as it is used
MOST_JOINED = 64  # rows of one statement
_log = get_logger("failgate.database")
_PLAIN_INSERT = re.compile(r"INSERT INTO \w+ \([^()]*\) VALUES \((?:\?, )*\?\)", re.ASCII)

# Python's module looks for a conversion of each value that is no number and no text, by raising and dropping an error:
# a tenth of a microsecond for every NULL and every BLOB. These two say that there is nothing to convert.
sqlite3.register_adapter(bytes, bytes.__bytes__)
sqlite3.register_adapter(type(None), dict[None, None]().get)


def open_sqlite(path: Path) -> Database:
    """Open the database file `path`, making it when absent.

    Raises: StartRefused (not writable, not a database, a SQLite that is too old).
    """
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise StartRefused(f"SQLite {sqlite3.sqlite_version} is too old; 3.35 is needed.", hint="Use a newer Python.")
    try:
        writer = SqliteWriter(path)
    except sqlite3.Error as error:
        raise StartRefused(
            f"The database {path} cannot be opened: {error}.",
            hint="Check that it is a SQLite file and that its folder can be written to.",
        ) from error
    return Database("sqlite", writer, SqliteReaders(path))


def _connect(path: Path, timeout_seconds: float) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=timeout_seconds, isolation_level=None, check_same_thread=False, cached_statements=512
    )
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA temp_store=MEMORY")
    connection.execute("PRAGMA wal_autocheckpoint=0")
    return connection


def _joined(sql: str, rows: Sequence[Sequence[Any]]) -> Iterator[tuple[str, Sequence[Any]]]:
    """Give the statements that insert `rows`, up to 64 in each, where `sql` is an INSERT of one.

    What SQLite prepares once for a statement, such as the texts that a CHECK allows, it would prepare for each row:
    a third of the time of a command's row. Powers of two, so that few texts are there to be parsed.
    """
    start = 0
    while left := len(rows) - start:
        width = min(1 << left.bit_length() - 1, MOST_JOINED)
        yield _of_many(sql, width), tuple(chain.from_iterable(rows[start : start + width]))
        start += width


@lru_cache(maxsize=256)
def _is_plain_insert(sql: str) -> bool:
    return _PLAIN_INSERT.fullmatch(sql) is not None


@lru_cache(maxsize=256)
def _of_many(sql: str, width: int) -> str:
    head, _, row = sql.rpartition("(")
    return f"{head}{', '.join([f'({row}'] * width)}"


def _rows(cursor: sqlite3.Cursor) -> list[Row]:
    if cursor.description is None:
        return []
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


class SqliteWriter:
    """The one connection that changes the database."""

    def __init__(self, path: Path) -> None:
        is_new = not path.exists()
        if is_new:
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        self._connection = _connect(path, 0)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=FULL")
        self._connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
        self._connection.execute("PRAGMA secure_delete=ON")  # what is erased is overwritten; not every SQLite does so
        self._wal = path.with_name(path.name + "-wal")
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sqlite-commit")
        self.commit_seconds = 0.0
        self._commits = 0
        self._wal_file: int | None = None
        self._is_poisoned = False

    async def begin(self) -> None:
        """Open an IMMEDIATE transaction; wait up to 5 s for another process."""
        if self._is_poisoned:
            raise StorageUnavailable(
                "The disk failed while a change was made durable.",
                hint="Restart the server: it verifies what is there.",
            )
        deadline = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.01)
            else:
                return

    async def fetch(self, sql: str, args: Sequence[Any]) -> list[Row]:
        """Run one statement on the calling thread; return its rows."""
        return _rows(self._execute(sql, args))

    async def execute(self, sql: str, args: Sequence[Any]) -> int:
        """Run one statement on the calling thread; return how many rows it changed."""
        return self._execute(sql, args).rowcount

    async def execute_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run one statement for each of `rows` on the calling thread; rows of a plain INSERT share statements."""
        try:
            if not _is_plain_insert(sql):
                self._connection.executemany(sql, rows)
            else:
                for text, values in _joined(sql, rows):
                    self._connection.execute(text, values)
        except sqlite3.OperationalError as error:
            raise _refusal(error) from error

    def _execute(self, sql: str, args: Sequence[Any]) -> sqlite3.Cursor:
        try:
            return self._connection.execute(sql, args)
        except sqlite3.OperationalError as error:
            raise _refusal(error) from error

    async def commit(self) -> None:
        """Commit and wait for the disk; after a failed sync the connection is not trusted again."""
        started = time.perf_counter()
        try:
            if self.commit_seconds < INLINE_COMMIT_SECONDS:
                self._connection.execute("COMMIT")
            else:
                await asyncio.get_running_loop().run_in_executor(self._thread, self._connection.execute, "COMMIT")
        except sqlite3.OperationalError as error:
            self._is_poisoned = "I/O" in str(error)
            raise _refusal(error) from error
        self.commit_seconds += 0.2 * (time.perf_counter() - started - self.commit_seconds)

    async def rollback(self) -> None:
        """End the transaction without effect."""
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    async def drive(self, verb: Awaitable[T]) -> T:
        """Run `verb` to its end without giving the loop away."""
        return _drive_inline(verb)

    async def between(self) -> None:
        """Fold a long write-ahead log into the database, in the commit thread.

        Where that fails everything stays in the log, and it is tried again soon; after a failed sync the connection is
        not trusted again, for the next one may find nothing left to sync.
        """
        self._commits += 1
        if self._commits % CHECKPOINT_COMMITS or not self._is_long():
            return
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._checkpoint)
        except sqlite3.OperationalError as error:
            self._is_poisoned = "I/O" in str(error)
            _log.warning("checkpoint.failed", reason=str(error))

    def _is_long(self) -> bool:
        """Return whether the write-ahead log holds `CHECKPOINT_BYTES` that are not of the round before.

        The file keeps its length when the log begins again at its start, so its size says nothing. A frame is of this
        round when it has the salts of the head. Source: sqlite.org/walformat.html, sections 4.1 and 4.2.
        """
        try:
            if self._wal_file is None:
                self._wal_file = os.open(self._wal, os.O_RDONLY | os.O_CLOEXEC)  # kept: later there may be none to have
            head = os.pread(self._wal_file, 24, 0)
            frame_bytes = 24 + int.from_bytes(head[8:12], "big")
            place = 32 + CHECKPOINT_BYTES // frame_bytes * frame_bytes
            return len(head) == 24 and os.pread(self._wal_file, 8, place + 8) == head[16:24]
        except OSError:
            return False  # it is looked at again soon

    def _checkpoint(self) -> None:
        self._connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()

    async def close(self) -> None:
        """Fold the write-ahead log and close."""
        self._thread.shutdown(wait=True)
        self._connection.close()
        if self._wal_file is not None:
            os.close(self._wal_file)


def _refusal(error: sqlite3.OperationalError) -> Exception:
    """Return what a statement that failed means to its caller."""
    if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_FULL:
        return DiskFull()
    if not _is_of_the_disk(error):
        return error
    return StorageUnavailable(
        "The disk did not take the change; nothing was kept.",
        hint="Free some space on its disk, then ask again: the server goes on.",
    )


def _is_of_the_disk(error: sqlite3.OperationalError) -> bool:
    return error.sqlite_errorcode & 0xFF in {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY}


def _drive_inline(verb: Awaitable[T]) -> T:
    """Run a coroutine that never suspends to its end and return its result.

    Raises: RuntimeError when it suspends: a verb awaits nothing but its transaction.
    """
    coroutine = cast("Coroutine[Any, Any, T]", verb)
    try:
        coroutine.send(None)
    except StopIteration as done:
        return cast("T", done.value)
    coroutine.close()
    raise RuntimeError("a verb awaited something other than its transaction")


class SqliteReaders:
    """A few threads, each with a connection of its own that cannot write."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()
        self._lock = threading.Lock()
        self._connections: list[sqlite3.Connection] = []
        self._threads = ThreadPoolExecutor(max_workers=READERS, thread_name_prefix="sqlite-read")

    async def run(self, sql: str, args: Sequence[Any]) -> list[Row]:
        """Run one query in a reader's thread."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._fetch, sql, args)

    def _fetch(self, sql: str, args: Sequence[Any]) -> list[Row]:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = _connect(self._path, BUSY_SECONDS)
            connection.execute("PRAGMA query_only=ON")
            self._local.connection = connection
            with self._lock:
                self._connections.append(connection)
        return _rows(connection.execute(sql, args))

    async def close(self) -> None:
        """Close every connection once its query has ended."""
        self._threads.shutdown(wait=True)
        for connection in self._connections:
            connection.close()
