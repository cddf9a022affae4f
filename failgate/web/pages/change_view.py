"""A diff as its page shows it: files, hunks, numbered lines, long runs without a change folded. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from failgate.failure.changes import ChangedLine, FileChange, Hunk, changes
from failgate.web.content import Content
from failgate.web.pages.text import Piece, pieces

FOLD_LINES: Final = 12  # of context that stand together before they are folded
OPEN_LINES: Final = 400  # a longer file is closed at first
_KEPT_LINES: Final = 3
_CLASSES: Final = {"add": "add", "remove": "gone", "note": "note", "same": ""}


@dataclass(frozen=True, slots=True)
class Row:
    """One line with its numbers before and after; `kind` is the class."""

    kind: str
    old: int | None
    new: int | None
    parts: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """Lines that stand together; folded ones are shown on request."""

    rows: tuple[Row, ...]
    is_folded: bool


@dataclass(frozen=True, slots=True)
class HunkView:
    """A hunk: how many lines above it are not in the diff, what git names behind `@@`."""

    skipped: int
    section: tuple[Piece, ...]
    runs: tuple[Run, ...]


@dataclass(frozen=True, slots=True)
class ChangeView:
    """A file of the diff."""

    path: tuple[Piece, ...]
    was: tuple[Piece, ...]
    about: str
    added: int
    removed: int
    is_open: bool
    hunks: tuple[HunkView, ...]


@dataclass(frozen=True, slots=True)
class DiffView:
    """A diff artifact; `cut_bytes` of it are not on the page."""

    name: str
    files: tuple[ChangeView, ...]
    added: int
    removed: int
    cut_bytes: int


def diff_view(name: str, content: Content) -> DiffView:
    """Return the diff whose bytes are `content`."""
    files = changes(content.lines())
    added, removed = sum(one.added for one in files), sum(one.removed for one in files)
    return DiffView(name, tuple(_change(one) for one in files), added, removed, content.cut_bytes)


def _change(change: FileChange) -> ChangeView:
    kinds = (("new", change.is_new), ("deleted", change.is_deleted), ("binary", change.is_binary))
    said = [word for word, is_so in (*kinds, ("renamed", change.old_path is not None)) if is_so]
    size = sum(len(hunk.lines) for hunk in change.hunks)
    end = 1
    hunks: list[HunkView] = []
    for hunk in change.hunks:
        hunks.append(_hunk(hunk, max(0, hunk.new_start - end)))
        end = hunk.new_start + sum(line.new is not None for line in hunk.lines)
    path = pieces(change.path or "a file without a name")
    was = pieces(change.old_path) if change.old_path else ()
    return ChangeView(path, was, ", ".join(said), change.added, change.removed, size <= OPEN_LINES, tuple(hunks))


def _hunk(hunk: Hunk, skipped: int) -> HunkView:
    runs: list[Run] = []
    for is_same, group in groupby(hunk.lines, key=lambda line: line.kind == "same"):
        lines = list(group)
        if is_same and len(lines) > FOLD_LINES:
            runs.append(_run(lines[:_KEPT_LINES]))
            runs.append(_run(lines[_KEPT_LINES:-_KEPT_LINES], is_folded=True))
            runs.append(_run(lines[-_KEPT_LINES:]))
        else:
            runs.append(_run(lines))
    return HunkView(skipped, pieces(hunk.section), tuple(runs))


def _run(lines: Sequence[ChangedLine], *, is_folded: bool = False) -> Run:
    rows = tuple(Row(_CLASSES[line.kind], line.old, line.new, pieces(line.text)) for line in lines)
    return Run(rows, is_folded)
