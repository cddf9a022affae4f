"""Copies of SQLite databases, each of one moment, while another process goes on writing."""

import contextlib
import os
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Final

from failgate.base.errors import StorageUnavailable

BUSY_SECONDS: Final = 10.0
PAGES_AT_ONCE: Final = 1024


@contextlib.contextmanager
def locked(paths: Sequence[Path]) -> Iterator[None]:
    """Keep every writer off the files; they go on afterwards, having waited.

    Raises: StorageUnavailable (one cannot be opened, or stays locked for 10 s).
    """
    with contextlib.ExitStack() as held:
        try:
            for path in paths:
                held.enter_context(contextlib.closing(_connect(path))).execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            raise _unreadable(error) from error
        yield


@contextlib.contextmanager
def shown(paths: Sequence[Path]) -> Iterator[list[sqlite3.Connection]]:
    """Yield a connection for each of the files, which shows what it holds now, whatever is committed afterwards.

    Under `locked` all of them show the same moment: two files share no transaction otherwise.

    Raises: StorageUnavailable.
    """
    with contextlib.ExitStack() as stack:
        readers = [stack.enter_context(contextlib.closing(_connect(path))) for path in paths]
        try:
            for reader in readers:
                reader.execute("PRAGMA query_only=ON")
                reader.execute("BEGIN")
                reader.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.Error as error:
            raise _unreadable(error) from error
        yield readers


def rows_of(connection: sqlite3.Connection, sql: str) -> list[dict[str, Any]]:
    """Return the rows of `sql` by the names of their columns."""
    cursor = connection.execute(sql)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def copy_unnamed(source: sqlite3.Connection, folder: Path) -> IO[bytes]:
    """Return a file without a name in `folder`, at its beginning, that holds what `source` shows.

    Raises: StorageUnavailable (damaged, or the disk is full).
    """
    try:
        descriptor, name = tempfile.mkstemp(dir=folder, prefix=".failgate-backup-")
    except OSError as error:
        raise StorageUnavailable(f"{folder} takes no file: {error.strerror}.", hint="Make space there.") from error
    file = os.fdopen(descriptor, "rb")
    try:
        target = sqlite3.connect(name, isolation_level=None)
        Path(name).unlink()  # it lives on as long as it is open, and a kill leaves nothing
        _fill(source, target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        file.close()
        raise
    return file


def copy_to(path: Path, target: Path) -> None:
    """Copy the database file `path` to `target`, durably; a break leaves at most a hidden file beside it.

    Raises: StorageUnavailable.
    """
    draft = target.with_name(f".{target.name}.part")
    draft.unlink(missing_ok=True)
    try:
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        with contextlib.closing(_connect(path)) as source:
            _fill(source, sqlite3.connect(draft, isolation_level=None))
        sync(draft)
        draft.rename(target)
        sync(target.parent)
    except (OSError, sqlite3.Error) as error:
        raise StorageUnavailable(f"{path} was not copied to {target}: {error}.", hint="Make space there.") from error
    finally:
        draft.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Wait until the file or folder is durable. Raises: OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _fill(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    try:
        # What breaks in between is thrown away whole: no journal has to undo it.
        target.execute("PRAGMA journal_mode=OFF")
        target.execute("PRAGMA synchronous=OFF")
        source.backup(target, pages=PAGES_AT_ONCE, sleep=0)
    except sqlite3.Error as error:
        raise _unreadable(error) from error
    finally:
        target.close()


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{_quoted(path)}?mode=rw", uri=True, timeout=BUSY_SECONDS, isolation_level=None)


def _quoted(path: Path) -> str:
    from urllib.parse import quote

    return quote(str(path.absolute()))


def _unreadable(error: sqlite3.Error) -> StorageUnavailable:
    if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL:
        return StorageUnavailable("The disk has no room for a copy of the database.", hint="Make space there.")
    return StorageUnavailable(
        f"The database cannot be copied: {error}.", hint="Run `failgate audit verify`: it may be damaged."
    )
