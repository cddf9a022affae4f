"""Space that is kept on the disk of a SQLite database, so that a denial is still written down when the disk is full.

Given up step by step, and only for changes that say they may take it; while some of it is gone every other change is
refused, so that what was given stays theirs. Taken back as soon as the disk has room again.
"""

import contextlib
import os
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Final

STEP_BYTES: Final = 512 * 1024  # a denial writes a few dozen pages of 4 KiB

takes_reserve: ContextVar[bool] = ContextVar("failgate_takes_reserve", default=False)
"""Whether the changes that are asked for here may be written into the reserve."""


@contextlib.contextmanager
def from_the_reserve(*, is_allowed: bool = True) -> Iterator[None]:
    """Let the changes that are asked for inside take the reserve: they take rights away and give none."""
    token = takes_reserve.set(is_allowed)
    try:
        yield
    finally:
        takes_reserve.reset(token)


class Reserve:
    """A file that takes space and holds nothing."""

    def __init__(self, path: Path, size_bytes: int) -> None:
        """Take `size_bytes` at `path` (mode 0600), or as much as leaves the disk the same again.

        Raises: OSError (the folder takes no file).
        """
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._size_bytes = size_bytes
        self.is_given = False
        if os.fstat(self._file).st_size > size_bytes:
            os.ftruncate(self._file, size_bytes)
        self.take_back()

    @property
    def held_bytes(self) -> int:
        """Return how much it takes now."""
        return os.fstat(self._file).st_size

    @property
    def wanted_bytes(self) -> int:
        """Return how much has to be free before it is taken back."""
        return 2 * self._size_bytes - self.held_bytes

    def give(self) -> bool:
        """Give up a step of it; tell whether there was one."""
        held = self.held_bytes
        if not held:
            return False
        os.ftruncate(self._file, max(held - STEP_BYTES, 0))
        self.is_given = True
        return True

    def take_back(self) -> bool:
        """Take what is missing if as much again stays free; tell whether it is whole, else it stays as it is."""
        space = os.fstatvfs(self._file)
        if self.held_bytes < self._size_bytes and space.f_bavail * space.f_frsize >= self.wanted_bytes:
            with contextlib.suppress(OSError):  # somebody else was quicker
                os.posix_fallocate(self._file, 0, self._size_bytes)
        if self.held_bytes < self._size_bytes:
            return False
        self.is_given = False
        return True

    def close(self) -> None:
        """Let it stand on the disk for the next start."""
        os.close(self._file)
