"""Files that a pattern names, found without leaving the folder: no link is followed, nothing but regular files is read.

A pattern is relative, its parts are matched as shells do (`*`, `?`, `[a-z]`), `**` stands for any folders. `.git` and
`.failgate` are never looked into.
"""

import os
import stat
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

from failgate.base.errors import BadInput

MOST_FILES = 100
_MOST_ENTRIES = 100_000
_DEEPEST = 40
_NEVER = frozenset({".git", ".failgate"})
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class Found(NamedTuple):
    """A file: its path below the folder, and an open descriptor; or, instead of it, why it is not read."""

    path: str
    descriptor: int | None
    reason: str | None


def parse_pattern(text: str) -> tuple[str, ...]:
    """Return the parts of a pattern.

    Raises: BadInput (absolute, `..`, empty).
    """
    parts = tuple(part for part in text.split("/") if part not in ("", "."))
    if text.startswith("/") or ".." in parts or not parts or "\0" in text:
        raise BadInput(
            f"{text!a} is not a pattern of files below this folder.",
            hint="Write it from here, without `..`, as in --file 'logs/*.log'.",
        )
    return parts


def find_files(folder: str, patterns: Sequence[tuple[str, ...]]) -> Iterator[Found]:
    """Yield each file of `folder` that one of `patterns` names, by name, once; its descriptor is the caller's to close.

    At most `MOST_FILES` are opened; of the others, and of what is no regular file, the reason is said. A name that no
    entry fits yields nothing.
    """
    try:
        top = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return
    walk = _Walk()
    try:
        yield from walk.below(top, "", [pattern for pattern in patterns if pattern], 0)
    finally:
        os.close(top)


class _Walk:
    def __init__(self) -> None:
        self._entries = 0
        self._opened = 0

    def below(self, folder: int, prefix: str, patterns: Sequence[tuple[str, ...]], depth: int) -> Iterator[Found]:
        with os.scandir(folder) as listing:
            names = sorted(entry.name for entry in listing)
        for name in names:
            self._entries += 1
            if self._entries > _MOST_ENTRIES or depth > _DEEPEST:
                return
            if name in _NEVER:
                continue
            rests = [rest for pattern in patterns for rest in _after(pattern, name)]
            if not rests:
                continue
            yield from self._entry(folder, f"{prefix}{name}", name, rests, depth)

    def _entry(
        self, folder: int, path: str, name: str, rests: Sequence[tuple[str, ...]], depth: int
    ) -> Iterator[Found]:
        is_named = () in rests
        deeper = [rest for rest in rests if rest]
        try:
            mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
            if stat.S_ISDIR(mode):
                if deeper:
                    below = os.open(name, _FLAGS | os.O_DIRECTORY, dir_fd=folder)
                    try:
                        yield from self.below(below, f"{path}/", deeper, depth + 1)
                    finally:
                        os.close(below)
            elif is_named:
                yield self._opened_file(folder, path, name, mode)
        except OSError as error:
            if is_named:
                yield Found(path, None, f"cannot be read: {error.strerror}")

    def _opened_file(self, folder: int, path: str, name: str, mode: int) -> Found:
        if stat.S_ISLNK(mode):
            return Found(path, None, "a symbolic link, not followed")
        if not stat.S_ISREG(mode):
            return Found(path, None, "not a regular file")
        if self._opened >= MOST_FILES:
            return Found(path, None, f"more than {MOST_FILES} files")
        descriptor = os.open(name, _FLAGS, dir_fd=folder)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):  # it changed since
            os.close(descriptor)
            return Found(path, None, "not a regular file")
        self._opened += 1
        return Found(path, descriptor, None)


def _after(pattern: tuple[str, ...], name: str) -> Iterator[tuple[str, ...]]:
    """Yield what is left of `pattern` after an entry called `name`."""
    if pattern[0] == "**":
        if name.startswith("."):
            return
        yield pattern
        rest = pattern[1:]
        if not rest:
            yield ()
        else:
            yield from _after(rest, name)
    elif fnmatchcase(name, pattern[0]) and (not name.startswith(".") or pattern[0].startswith(".")):
        yield pattern[1:]
