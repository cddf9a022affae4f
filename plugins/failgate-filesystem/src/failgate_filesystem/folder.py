"""The store: one file for each object, durable before it is visible. No meaning of the bytes is known here.

```text
<folder>/incoming/<key>     being written; its writer holds a lock on it
<folder>/ab/cd/<key>        visible; ab and cd are the last four digits of the key, which are random
```

The front of a key is the time, so folders named by it would all be the same one for weeks.
"""

import asyncio
import contextlib
import errno
import fcntl
import os
import re
import stat
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import ParamSpec, TypeVar

from failgate.plugin import Conflict, NotFound, StartRefused, StorageUnavailable, Unprocessable

PIECE_BYTES = 1024 * 1024
FLUSH_BYTES = 8 * PIECE_BYTES
_KEY = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)
_SHARD = re.compile(r"[0-9a-f]{2}", re.ASCII)
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OLD_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

P = ParamSpec("P")
T = TypeVar("T")


class IncomingFile:
    """A file under `incoming/` that becomes an object by `commit`."""

    def __init__(self, store: "FolderStore", key: str, descriptor: int) -> None:
        self._store = store
        self._key = key
        self._descriptor = descriptor
        self._written = 0
        self._flushed = 0
        self._is_visible = False
        self._is_committed = False

    async def write(self, chunk: bytes) -> None:
        """Append `chunk`.

        Raises: StorageUnavailable.
        """
        await _in_thread(self._write, chunk)

    async def commit(self) -> None:
        """Make the object durable, then visible under its key.

        Raises: StorageUnavailable; Conflict when the key is taken.
        """
        await _in_thread(self._commit)

    def _write(self, chunk: bytes) -> None:
        _write_whole(self._descriptor, chunk)
        self._written += len(chunk)
        if self._written - self._flushed >= FLUSH_BYTES:
            _begin_flush(self._descriptor, self._flushed, self._written - self._flushed)
            self._flushed = self._written

    def _commit(self) -> None:
        final = self._store.path(self._key)
        with _storage("keep an object"):
            os.fsync(self._descriptor)
            self._store.make_shard(final.parent)
            if os.path.lexists(final):
                raise Conflict("The object's key is taken.", hint="Put it under a fresh key.")
            (self._store.incoming / self._key).rename(final)
            self._is_visible = True
            _fsync_folder(final.parent)
            self._is_committed = True

    def finish(self) -> None:
        """Close the file; remove every trace of it unless it was committed."""
        try:
            if not self._is_committed:
                path = self._store.path(self._key) if self._is_visible else self._store.incoming / self._key
                with _storage("remove an unfinished object"):
                    path.unlink(missing_ok=True)
        finally:
            os.close(self._descriptor)


class FolderStore:
    """An `ArtifactStore` in `folder`. Making one touches nothing; `opened` prepares the folder."""

    def __init__(self, folder: Path, *, reserve_bytes: int = 0) -> None:
        self.folder = folder
        self.incoming = folder / "incoming"
        self._reserve_bytes = reserve_bytes

    @classmethod
    async def opened(cls, folder: Path, *, reserve_bytes: int = 0) -> "FolderStore":
        """Return a store whose folder exists, is private, takes bytes, and holds no leftover of an earlier process.

        Raises: StartRefused, naming the folder and the mend.
        """
        store = cls(folder, reserve_bytes=reserve_bytes)
        await _in_thread(store._prepare)
        return store

    @asynccontextmanager
    async def put(self, key: str) -> AsyncGenerator[IncomingFile, None]:
        """Open a new object; without `commit` every trace of it is removed on leaving.

        Raises: Unprocessable (not a key), Conflict (key taken), StorageUnavailable.
        """
        incoming = IncomingFile(self, key, await _in_thread(self._begin, key))
        try:
            yield incoming
        finally:
            await _in_thread(incoming.finish)

    async def open(self, key: str, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        """Yield the bytes `start` to `stop` (exclusive, None = end) in pieces of at most 1 MiB.

        Raises: NotFound, StorageUnavailable.
        """
        descriptor = await _in_thread(self._open, key)
        try:
            position = max(start, 0)
            while stop is None or position < stop:
                want = PIECE_BYTES if stop is None else min(PIECE_BYTES, stop - position)
                piece = await _in_thread(_read_piece, descriptor, want, position)
                if not piece:
                    return
                position += len(piece)
                yield piece
        finally:
            os.close(descriptor)

    async def size(self, key: str) -> int:
        """Return the size in bytes.

        Raises: NotFound, StorageUnavailable.
        """
        return await _in_thread(self._size, key)

    async def unlink(self, key: str) -> bool:
        """Remove an object durably; False when there was none.

        Raises: StorageUnavailable.
        """
        return await _in_thread(self._unlink, key)

    async def keys(self) -> AsyncIterator[str]:
        """Yield every visible key, shard by shard.

        Raises: StorageUnavailable.
        """
        for outer in await _in_thread(self._shards, self.folder):
            for key in await _in_thread(self._keys_under, outer):
                yield key

    async def health(self) -> str | None:
        """Return None while the folder takes bytes, else one sentence for the operator."""
        try:
            free = await _in_thread(self._free_bytes)
        except StorageUnavailable as error:
            return error.sentence
        if free < self._reserve_bytes:
            return (
                f"The artifact folder {self.folder} has {free} bytes free, less than its reserve {self._reserve_bytes}."
            )
        if not os.access(self.incoming, os.W_OK | os.X_OK):
            return f"The artifact folder {self.folder} is not writable."
        return None

    def path(self, key: str) -> Path:
        """Return where the object of `key` lies.

        Raises: Unprocessable for a text that is not a key, so no path can be smuggled in.
        """
        if _KEY.fullmatch(key) is None:
            raise Unprocessable("An object key is a lower-case UUID of 36 characters.")
        return self.folder / key[-4:-2] / key[-2:] / key

    def make_shard(self, shard: Path) -> None:
        """Make the two levels of `shard` exist durably."""
        for folder in (shard.parent, shard):
            try:
                folder.mkdir(mode=0o700)
            except FileExistsError:
                continue
            _fsync_folder(folder.parent)

    def _begin(self, key: str) -> int:
        final = self.path(key)
        with _storage("take an object"):
            if self._free_bytes() < self._reserve_bytes:
                raise StorageUnavailable(
                    "The artifact store is full.", hint="Ask the operator for space, then upload again."
                )
            if os.path.lexists(final):
                raise Conflict("The object's key is taken.", hint="Put it under a fresh key.")
            try:
                descriptor = os.open(self.incoming / key, _NEW_FILE, 0o600)
            except FileExistsError as error:
                raise Conflict("The object's key is taken.", hint="Put it under a fresh key.") from error
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.fstat(descriptor).st_nlink == 0:  # swept by a process that started between the two lines above
                os.close(descriptor)
                raise StorageUnavailable("The artifact store was being opened.", hint="Ask again in a moment.")
            return descriptor

    def _open(self, key: str) -> int:
        with _storage("read an object", of_existing=True):
            return os.open(self.path(key), _OLD_FILE)

    def _size(self, key: str) -> int:
        with _storage("read an object", of_existing=True):
            return self.path(key).lstat().st_size

    def _unlink(self, key: str) -> bool:
        path = self.path(key)
        with _storage("remove an object"):
            try:
                path.unlink()
            except FileNotFoundError:
                return False
            _fsync_folder(path.parent)
            return True

    def _free_bytes(self) -> int:
        with _storage("tell its free space"):
            space = os.statvfs(self.incoming)
            return space.f_bavail * space.f_frsize

    def _shards(self, folder: Path) -> list[Path]:
        with _storage("list its objects"):
            return sorted(entry for entry in folder.iterdir() if _SHARD.fullmatch(entry.name) and entry.is_dir())

    def _keys_under(self, outer: Path) -> list[str]:
        with _storage("list its objects"):
            files = [file for inner in self._shards(outer) for file in sorted(inner.iterdir())]
            return [file.name for file in files if _KEY.fullmatch(file.name)]

    def _prepare(self) -> None:
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._make_private()
            self.incoming.mkdir(mode=0o700, exist_ok=True)
            self._sweep()
            tempfile.TemporaryFile(dir=self.incoming).close()
        except OSError as error:
            raise StartRefused(
                f"The artifact folder {self.folder} does not take files: {error.strerror}.",
                hint="Make it a folder that the account of Failgate owns, or name another one as `folder`.",
            ) from error

    def _make_private(self) -> None:
        mode = stat.S_IMODE(self.folder.stat().st_mode)
        if not mode & 0o077:
            return
        # Only an empty folder is changed: a misspelt setting must not close /var/lib to everybody else.
        if any(self.folder.iterdir()):
            raise StartRefused(
                f"The artifact folder {self.folder} is open to other accounts (mode {mode:04o}).",
                hint=f"If it is the right folder: chmod 700 {self.folder}",
            )
        self.folder.chmod(0o700)

    def _sweep(self) -> None:
        """Remove unfinished objects whose writer is gone: the kernel frees the lock of a process that ended."""
        for entry in list(self.incoming.iterdir()):
            if _KEY.fullmatch(entry.name) is None or entry.is_symlink():
                continue
            with contextlib.suppress(FileNotFoundError, BlockingIOError):
                descriptor = os.open(entry, _OLD_FILE)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    entry.unlink()
                finally:
                    os.close(descriptor)


async def _in_thread(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run `call` off the loop. A cancelled caller waits for its end: no descriptor is closed under a running write."""
    task = asyncio.ensure_future(asyncio.to_thread(call, *args, **kwargs))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # looked at, so that it is not reported as never retrieved
        raise


@contextmanager
def _storage(verb: str, *, of_existing: bool = False) -> Generator[None, None, None]:
    """Turn the operating system's refusals into ours; the sentence holds no path, because strangers may read it."""
    try:
        yield
    except OSError as error:
        if of_existing and error.errno in {errno.ENOENT, errno.ELOOP}:
            raise NotFound("There is no such object.") from error
        raise StorageUnavailable(
            f"The artifact store cannot {verb}: {error.strerror}.", hint="Nothing was kept; ask again later."
        ) from error


def _write_whole(descriptor: int, chunk: bytes) -> None:
    rest = memoryview(chunk)
    with _storage("take bytes"):
        while rest:
            rest = rest[os.write(descriptor, rest) :]


def _begin_flush(descriptor: int, start: int, size: int) -> None:
    """Let the disk begin with bytes while more arrive, so that the sync at the end waits for few.

    Linux starts to write what is dirty there and returns (mm/fadvise.c); elsewhere the sync does it all.
    """
    if hasattr(os, "posix_fadvise"):
        with contextlib.suppress(OSError):  # advice; `fsync` tells what matters
            os.posix_fadvise(descriptor, start, size, os.POSIX_FADV_DONTNEED)


def _read_piece(descriptor: int, size: int, position: int) -> bytes:
    with _storage("read an object"):
        return os.pread(descriptor, size, position)


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, _FOLDER)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
