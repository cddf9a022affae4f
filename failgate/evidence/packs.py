"""Evidence packs: what was done in a period, as tables for people, each line with the record that says it.

A pack is one .tar: an HTML file that prints, a CSV file for each section, `controls.toml`, `manifest.json` with the
digest of each, under `proofs/` the records that are cited from outside of the period, and under `bundle/` the records
of the period as `failgate audit export` writes them. Lines are written to files as they are read; memory holds few.
"""

import json
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, Final, NamedTuple

from failgate.audit.bundle import Head, Period, files_of, proof_of
from failgate.audit.log import AuditLog
from failgate.audit.packing import TAR_END, tar_entry, tar_header, tar_padding
from failgate.audit.tree import TILE_WIDTH
from failgate.base.clock import MICROSECONDS, to_rfc3339
from failgate.base.db import Database
from failgate.base.errors import BadInput, StorageUnavailable
from failgate.base.spreadsheet import csv_of
from failgate.evidence import access, approvals, controls, printed, privileged
from failgate.evidence.reading import Reading
from failgate.evidence.sheets import SOURCE, Line, Section

FORMAT: Final = "failgate-evidence-pack"
MOST_LINES: Final = 200_000  # of one pack
MOST_PRINTED: Final = 2_000  # of one section in the HTML; the CSV has them all
MOST_PROOFS: Final = 1_000  # records from outside of the period that come with a proof
_IN_MEMORY: Final = 256 * 1024  # bytes of a file that is being made; what is more waits on the disk
_PIECE: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Pack:
    """A kind of pack: what it is called, what it tells, its sections, and what reads their lines."""

    id: str
    title: str
    about: str
    sections: tuple[Section, ...]
    lines: Callable[[Reading], AsyncIterator[Line]]


PACKS: Final = (
    Pack(
        "approvals",
        "Approvals",
        "Who asked for which command, who approved or denied it, how long it took, by which second factor; what rules"
        " decided, and what one person let run in an emergency.",
        approvals.SECTIONS,
        approvals.approvals,
    ),
    Pack(
        "access",
        "Access",
        "Who had which role at the end of the period, how they came to it and when they last signed in; agents with who"
        " answers for them, tokens and keys with their expiry, single sign-on; and what of it changed in the period.",
        access.SECTIONS,
        access.access,
    ),
    Pack(
        "privileged",
        "Privileged changes",
        "Changes of roles, rules, single sign-on, keys, retention and legal hold, exporters and the log itself;"
        " emergencies and deletions; and what the server's own log says that bears on this workspace.",
        privileged.SECTIONS,
        privileged.privileged,
    ),
)


class Place(NamedTuple):
    """Of which workspace a pack is: its slug and its name."""

    slug: str
    name: str


class Making(NamedTuple):
    """What is needed to make a pack: the database, its log, and a folder for what does not fit into memory."""

    database: Database
    audit: AuditLog
    folder: Path
    tool: str


def pack_of(name: str) -> Pack:
    """Return the pack `name`. Raises: BadInput."""
    for pack in PACKS:
        if pack.id == name:
            return pack
    hint = f"Choose one of {', '.join(pack.id for pack in PACKS)}."
    raise BadInput(f"There is no evidence pack {name[:64]!a}.", hint=hint)


def name_of(slug: str, pack: str, period: Period) -> str:
    """Return what the file of a pack is called."""
    days = [to_rfc3339(us)[:10] for us in period if us is not None]
    return f"{'-'.join(['failgate', slug, pack, *days])}.tar"


class Book:
    """A pack that is made: its files wait in memory or on the disk until they are given out; closing forgets them."""

    def __init__(self, made_us: int, folder: Path) -> None:
        """Begin an empty one."""
        self._files = ExitStack()
        self._folder = folder
        self._made_at = made_us // MICROSECONDS
        self._written: dict[str, _File] = {}
        self.outside: dict[int, None] = {}  # records of this log that are cited and lie outside of the bundle

    def file(self, name: str) -> "_File":
        """Return the file `name`, empty at first."""
        if name not in self._written:
            self._written[name] = self.scratch()
        return self._written[name]

    def scratch(self) -> "_File":
        """Return a file that the archive does not have."""
        spool = SpooledTemporaryFile(_IN_MEMORY, dir=str(self._folder), prefix=".failgate-pack-")  # noqa: SIM115  # the stack closes it
        return _File(self._files.enter_context(spool))

    def digests(self) -> dict[str, dict[str, int | str]]:
        """Return of each file its digest and its size in bytes."""
        return {name: {"sha256": one.digest(), "bytes": one.size} for name, one in self._written.items()}

    def entries(self) -> Iterable[bytes]:
        """Yield the files as they stand in a tar archive."""
        for name, one in self._written.items():
            yield tar_header(name, one.size, self._made_at)
            yield from one.pieces()
            yield tar_padding(one.size)

    def close(self) -> None:
        """Forget the files."""
        self._files.close()


class _File:
    """A file that is written once from its beginning, with its digest."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._hash = sha256()
        self.size = 0
        self.lines = 0

    def write(self, text: str) -> None:
        """Add a text. Raises: StorageUnavailable (the disk is full)."""
        self.append(text.encode("utf-8", "replace"))

    def append(self, content: bytes) -> None:
        """Add bytes. Raises: StorageUnavailable (the disk is full)."""
        try:
            self._file.write(content)
        except OSError as error:
            raise StorageUnavailable(
                f"The pack cannot be written: {error.strerror}.", hint="Make room on the disk of the data folder."
            ) from error
        self._hash.update(content)
        self.size += len(content)

    def digest(self) -> str:
        """Return the SHA-256 of what was written, in hexadecimal digits."""
        return self._hash.hexdigest()

    def pieces(self) -> Iterable[bytes]:
        """Yield what was written."""
        self._file.seek(0)
        while piece := self._file.read(_PIECE):
            yield piece


async def make(
    making: Making, pack: Pack, place: Place, heads: tuple[Head, Head], period: Period, made_us: int
) -> AsyncIterator[bytes]:
    """Read the whole pack, then return its bytes as a tar archive; who takes them closes the iterator.

    `heads` are those of the workspace's log and of the log `system`.

    Raises: BadInput (no record in the period, too many lines), StorageUnavailable.
    """
    head, system = heads
    reading = await Reading.open(making.database, making.audit, head, system, period)
    book = Book(made_us, making.folder)
    try:
        await _write(book, reading, pack, _cover(reading, pack, place, period, made_us, making.tool))
        await _prove(book, making, reading)
    except BaseException:
        book.close()
        raise
    manifest = _manifest(book, reading, pack, place, period, made_us, making.tool)
    return _pieces(book, making, head, period, (manifest, made_us))


async def _pieces(
    book: Book, making: Making, head: Head, period: Period, made: tuple[bytes, int]
) -> AsyncIterator[bytes]:
    manifest, made_us = made
    try:
        yield tar_entry("manifest.json", manifest, made_us // MICROSECONDS)
        for piece in book.entries():
            yield piece
        async for name, content in files_of(making.audit, head, period, tool=making.tool, made_us=made_us):
            yield tar_entry(f"bundle/{name}", content, made_us // MICROSECONDS)
        yield TAR_END
    finally:
        book.close()


async def _write(book: Book, reading: Reading, pack: Pack, cover: printed.Cover) -> None:
    """Write every line as CSV and as a row, then the HTML around the rows. Raises: BadInput (too many)."""
    tables, rows = {one.id: book.file(f"{one.id}.csv") for one in pack.sections}, {}
    for section in pack.sections:
        tables[section.id].write(csv_of([(*SOURCE, *(column.name for column in section.columns))]))
        rows[section.id] = book.scratch()
    total, size = 0, reading.head.checkpoint.size
    begin = max(reading.span.first - 1, 0) // TILE_WIDTH * TILE_WIDTH
    end = (min(reading.span.last + 1, size - 1) // TILE_WIDTH + 1) * TILE_WIDTH
    async for line in pack.lines(reading):
        total += 1
        if total > MOST_LINES:
            raise BadInput(f"The pack would have more than {MOST_LINES:,} lines.", hint="Take a shorter period.")
        table, shown = tables[line.section.id], rows[line.section.id]
        table.write(csv_of([(*line.source, *line.cells)]))
        table.lines += 1
        if shown.lines < MOST_PRINTED:
            shown.write(printed.row_of(line))
            shown.lines += 1
        is_here = line.record.log == reading.head.log
        if is_here and not begin <= line.record.seq < end and len(book.outside) < MOST_PROOFS:
            book.outside[line.record.seq] = None
    html = book.file(f"{pack.id}.html")
    html.write(printed.beginning(cover, pack.sections, {one.id: tables[one.id].lines for one in pack.sections}))
    for section in pack.sections:
        count, shown = tables[section.id].lines, rows[section.id]
        html.write(printed.section_head(section, count, shown.lines))
        for piece in shown.pieces():
            html.append(piece)
        html.write(printed.section_tail(count))
    html.write(printed.ending())
    book.file("controls.toml").write(controls.text())
    book.file("system.checkpoint").write(reading.system.note)


async def _prove(book: Book, making: Making, reading: Reading) -> None:
    """Write a proof for each record that is cited and lies outside of the bundle."""
    for seq in book.outside:
        proof = await proof_of(making.database, making.audit, reading.head, seq)
        book.file(f"proofs/record-{seq}.tlog-proof").write(proof)


def _cover(reading: Reading, pack: Pack, place: Place, period: Period, made_us: int, tool: str) -> printed.Cover:
    head, span = reading.head, reading.span
    begin, end = (None if us is None else to_rfc3339(us) for us in period)
    return printed.Cover(
        pack.id, pack.title, pack.about, place.name, place.slug, head.checkpoint.origin, begin, end, span.first,
        span.last, head.note, head.vkey, to_rfc3339(made_us), tool, name_of(place.slug, pack.id, period),
    )  # fmt: skip


def _manifest(book: Book, reading: Reading, pack: Pack, place: Place, period: Period, made_us: int, tool: str) -> bytes:
    begin, end = (None if us is None else to_rfc3339(us) for us in period)
    head = reading.head
    members = {
        "format": FORMAT,
        "v": 1,
        "pack": pack.id,
        "workspace": {"id": head.log, "slug": place.slug, "name": place.name},
        "origin": head.checkpoint.origin,
        "size": head.checkpoint.size,
        "root": head.checkpoint.root.hex(),
        "from": begin,
        "to": end,
        "made_at": to_rfc3339(made_us),
        "tool": tool,
        "lines": {section.id: book.file(f"{section.id}.csv").lines for section in pack.sections},
        "files": book.digests(),
    }
    return json.dumps(members, indent=1).encode() + b"\n"
