"""A unified diff as files and hunks with line numbers. What is no diff is kept as text: nothing is lost or refused."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Literal

_HUNK: Final = re.compile(r"@@ -(\d{1,9})(?:,(\d{1,9}))? \+(\d{1,9})(?:,(\d{1,9}))? @@(.*)")
Kind = Literal["same", "add", "remove", "note"]
_KINDS: Final[dict[str, Kind]] = {" ": "same", "+": "add", "-": "remove"}


@dataclass(frozen=True, slots=True)
class ChangedLine:
    """One line; `old` and `new` are its numbers before and after, None where it does not stand."""

    kind: Kind
    old: int | None
    new: int | None
    text: str


@dataclass(frozen=True, slots=True)
class Hunk:
    """A run of changes: its `@@` line, the place in the code that git names behind it, its lines."""

    header: str
    section: str
    old_start: int
    new_start: int
    lines: list[ChangedLine] = field(default_factory=list[ChangedLine])


@dataclass(slots=True)
class FileChange:
    """A file of the diff. `head` is what git writes above the hunks; `hunks` is empty for a binary file or a rename."""

    path: str
    old_path: str | None = None
    head: list[str] = field(default_factory=list[str])
    hunks: list[Hunk] = field(default_factory=list[Hunk])
    is_binary: bool = False
    is_new: bool = False
    is_deleted: bool = False
    added: int = 0
    removed: int = 0


def changes(rows: Iterable[str]) -> list[FileChange]:
    """Return the files of the diff whose lines are `rows` (without their line ends), in its order."""
    reading = _Reading()
    for row in rows:
        reading.take(row)
    return reading.files


class _Reading:
    def __init__(self) -> None:
        self.files: list[FileChange] = []
        self._hunk: Hunk | None = None
        self._old = self._new = self._old_left = self._new_left = 0

    def take(self, row: str) -> None:
        if self._hunk is not None and (self._old_left > 0 or self._new_left > 0) and row[:1] in " +-\\":
            self._line(self._hunk, row)
        elif row.startswith("diff --git "):
            self._begin(_path_of(row), row)
        elif found := _HUNK.fullmatch(row):
            self._open(found, row)
        elif self._hunk is not None and row.startswith("\\"):
            self._hunk.lines.append(ChangedLine("note", None, None, row[2:]))
        else:
            self._head(row)

    def _begin(self, path: str, row: str) -> None:
        self.files.append(FileChange(path, head=[row]))
        self._hunk = None

    def _open(self, found: "re.Match[str]", row: str) -> None:
        if not self.files:
            self._begin("", "")
        self._old, self._new = int(found[1]), int(found[3])
        self._old_left, self._new_left = int(found[2] or 1), int(found[4] or 1)
        self._hunk = Hunk(row, found[5].strip(), self._old, self._new)
        self.files[-1].hunks.append(self._hunk)

    def _line(self, hunk: Hunk, row: str) -> None:
        kind = _KINDS.get(row[:1])
        if row == "":
            kind = "same"  # an editor that cut the blank at the end of the line
        if kind is None:
            hunk.lines.append(ChangedLine("note", None, None, row[2:]))
            return
        old = self._old if kind != "add" else None
        new = self._new if kind != "remove" else None
        hunk.lines.append(ChangedLine(kind, old, new, row[1:]))
        if old is not None:
            self._old, self._old_left = self._old + 1, self._old_left - 1
        if new is not None:
            self._new, self._new_left = self._new + 1, self._new_left - 1
        self.files[-1].added += kind == "add"
        self.files[-1].removed += kind == "remove"

    def _head(self, row: str) -> None:
        if not self.files or (row.startswith("--- ") and self.files[-1].hunks):
            self._begin("", "")
        self._hunk = None
        change = self.files[-1]
        change.head.append(row)
        if row.startswith("+++ ") and row[4:] != "/dev/null":
            change.path = _name(row[4:])
        elif row.startswith("--- "):
            if row[4:] != "/dev/null" and not change.path:
                change.path = _name(row[4:])
        elif row.startswith("rename from "):
            change.old_path = _unquoted(row[12:])
        elif row.startswith("rename to "):
            change.path = _unquoted(row[10:])
        change.is_new |= row.startswith("new file mode")
        change.is_deleted |= row.startswith("deleted file mode")
        change.is_binary |= row.startswith(("Binary files ", "GIT binary patch"))


def _path_of(row: str) -> str:
    """Return the path of `diff --git a/X b/X`; the lines below say it where that is ambiguous."""
    names = row[len("diff --git ") :]
    if names.startswith('"'):
        return _name(names[: names.find('" ') + 1] or names)
    middle = (len(names) - 1) // 2
    if names[:2] == "a/" and names[2:middle] == names[middle + 3 :]:
        return names[2:middle]
    return _name(names.partition(" b/")[0])


def _name(text: str) -> str:
    text = _unquoted(text.partition("\t")[0])
    return text[2:] if text[:2] in {"a/", "b/"} else text


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text
