"""A new file that is there whole or not at all: it has no name while it is written.

The kernel frees a file without a name with its last descriptor, so a kill or a full disk leaves nothing behind. Where a
file system knows no such files, a hidden one stands in and is removed.
"""

import errno
import os
import secrets
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from failgate.base.errors import Conflict, FailgateError, StorageUnavailable

_UNNAMED_UNKNOWN = {errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT}


class WholeFile:
    """A file on its way to `path`; `keep` gives it its name. Leaving the context without that leaves nothing."""

    def __init__(self, path: Path) -> None:
        """Open it beside where it will stand, mode 0600.

        Raises: Conflict (something is there already), FailgateError (the folder takes no file).
        """
        self.path = path
        self.size_bytes = 0
        self._draft: Path | None = None
        refuse_taken(path)
        try:
            self._file = self._opened(path)
        except OSError as error:
            raise FailgateError(
                f"{path} cannot be written: {error.strerror}.", hint="Name a file in a folder that takes files."
            ) from error

    def _opened(self, path: Path) -> IO[bytes]:
        try:
            descriptor = os.open(path.parent, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as error:
            if error.errno not in _UNNAMED_UNKNOWN or not path.parent.is_dir():
                raise
            self._draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
            descriptor = os.open(self._draft, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
        return os.fdopen(descriptor, "w+b")

    def write(self, chunk: bytes) -> None:
        """Append `chunk`. Raises: StorageUnavailable (the disk is full or fails)."""
        try:
            self._file.write(chunk)
        except OSError as error:
            raise _not_kept(self.path, error) from error
        self.size_bytes += len(chunk)

    def keep(self) -> None:
        """Make it durable, then visible under its name.

        Raises: StorageUnavailable, Conflict (somebody else took the name meanwhile).
        """
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                own = self._draft or Path(f"/proc/self/fd/{self._file.fileno()}")
                os.link(own, self.path, src_dir_fd=folder, follow_symlinks=self._draft is None)
                os.fsync(folder)
            finally:
                os.close(folder)
        except FileExistsError as error:
            raise _taken(self.path) from error
        except OSError as error:
            raise _not_kept(self.path, error) from error

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of the file; without `keep` nothing of it stays."""
        try:
            self._file.close()
        except OSError as last:  # what it held back does not fit either
            if kind is None:
                raise _not_kept(self.path, last) from last
        finally:
            if self._draft is not None:
                self._draft.unlink(missing_ok=True)


def refuse_taken(path: Path) -> None:
    """Return when nothing is at `path`. Raises: Conflict."""
    if os.path.lexists(path):
        raise _taken(path)


def _taken(path: Path) -> Conflict:
    return Conflict(f"{path} is there already.", hint="Name a new file: nothing is ever overwritten.")


def _not_kept(path: Path, error: OSError) -> StorageUnavailable:
    return StorageUnavailable(
        f"{path} was not written: {error.strerror}.", hint="Nothing is left of it. Make space, or name another disk."
    )
