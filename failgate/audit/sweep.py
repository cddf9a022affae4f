"""The quick look at records: 256 at a time, or a whole chunk, found to be beyond doubt or left to the walk.

A sweep never says what is wrong. Whatever is not exactly what it should be, in bytes, place, link, hash or stored node,
is None here, and `walk.py` reads those records again one by one to name the first bad one.
"""

import sqlite3
from binascii import b2a_base64
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from failgate.audit.bodies import BODIES_BETWEEN, Body, weigh
from failgate.audit.chain import BEFORE_FIRST
from failgate.audit.leaf import read_plain_leaves
from failgate.audit.places import node_position, record_position
from failgate.audit.tree import TILE_WIDTH, fold

CHUNK_LEVEL = 14
CHUNK = 1 << CHUNK_LEVEL  # records: what one process takes at a time; a perfect subtree, a multiple of a tile
BUSY_SECONDS = 5.0
_AT_ONCE = 64  # records of a tile that stay in the processor's cache together

_RECORDS = """
SELECT position, leaf, leaf_hash, obj_id FROM audit_record WHERE position >= ? AND position < ? ORDER BY position
"""
_NODES = "SELECT position, hash FROM audit_node WHERE position >= ? AND position < ? ORDER BY position"
_BODIES = BODIES_BETWEEN.format("?", "?")
_HAS_BODIES = "SELECT 1 FROM sqlite_master WHERE name = 'audit_body'"
_HASH = "SELECT leaf_hash FROM audit_record WHERE position = ?"
_TO_URL = bytes.maketrans(b"+/", b"-_")

Stored = tuple[int, bytes, bytes, str]  # position, leaf, leaf hash, object: a row of audit_record
Span = tuple[int, int]  # positions: the first, and the one after the last


class Swept(msgspec.Struct, frozen=True):
    """A chunk in which everything is as it should be, if the record before it has the leaf hash `before`.

    `last` is the leaf hash of its last record, `root` the hash of the subtree over all of them, `gone` the numbers of
    the records whose body is not there, in runs of first and last.
    """

    before: bytes
    last: bytes
    root: bytes
    gone: tuple[tuple[int, int], ...] = ()


class SqlitePages:
    """Reads a SQLite file by a connection of its own, which cannot write and belongs to one thread."""

    def __init__(self, path: Path) -> None:
        """Open the file. Raises: sqlite3.Error."""
        self._connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=BUSY_SECONDS)
        self._has_bodies = self._connection.execute(_HAS_BODIES).fetchone() is not None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def records(self, span: Span) -> Iterator[list[Stored]]:
        """Yield the rows of records, a tile's worth at a time."""
        cursor = self._connection.execute(_RECORDS, span)
        while rows := cursor.fetchmany(TILE_WIDTH):
            yield rows

    def nodes(self, span: Span) -> list[tuple[int, bytes]]:
        """Return positions and hashes of stored nodes."""
        return self._connection.execute(_NODES, span).fetchall()

    def bodies(self, base: int, span: Span) -> dict[int, Body]:
        """Return the bodies beside records by their numbers; `base` is the position of the log's record 0.

        A database of a version from before them has none.
        """
        if not self._has_bodies:
            return {}
        return {row[0] - base: Body(*row[1:]) for row in self._connection.execute(_BODIES, span)}

    def leaf_hash(self, position: int) -> bytes | None:
        """Return the leaf hash of one record, or None."""
        row = self._connection.execute(_HASH, (position,)).fetchone()
        return None if row is None else row[0]


def tile_root(rows: Sequence[Stored], base: int, log: str, seq: int, before: bytes) -> bytes | None:
    """Return the hash over the 256 records from `seq` in `rows` when nothing about them is in doubt, else None.

    `base` is the position of the log's record 0, `before` the leaf hash of record `seq - 1`.
    """
    if len(rows) != TILE_WIDTH:
        return None
    hashed: list[bytes] = []
    for start in range(0, TILE_WIDTH, _AT_ONCE):
        found = _leaf_hashes(rows[start : start + _AT_ONCE], base, log, seq + start, before)
        if found is None:
            return None
        hashed += found
        before = found[-1]
    return fold(hashed)


def _leaf_hashes(rows: Sequence[Stored], base: int, log: str, seq: int, before: bytes) -> list[bytes] | None:
    """Return the leaf hashes of `rows`, which are not in doubt, else None."""
    positions, leaves, hashes, objects = zip(*rows, strict=True)
    if positions != tuple(range(base + seq, base + seq + len(rows))) or set(map(type, leaves)) != {bytes}:
        return None
    hashed = [sha256(b"\x00" + leaf).digest() for leaf in leaves]
    if tuple(hashed) != hashes:
        return None
    records = read_plain_leaves(leaves)
    if records is None:
        return None
    links = _base64url_of(before, hashed)
    for record, link, obj_id in zip(records, links, objects, strict=True):
        if record.prev != link or record.seq != seq or record.ws != log or record.obj.id != obj_id:
            return None
        seq += 1
    return hashed


def add_runs(runs: list[tuple[int, int]], numbers: Sequence[int]) -> None:
    """Add numbers that grow to `runs` of first and last."""
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1] = runs[-1][0], number
        else:
            runs.append((number, number))


def _base64url_of(before: bytes, hashed: Sequence[bytes]) -> list[str]:
    """Return what `prev` has to be, for each record after `before`: all in one go.

    With one byte of zeros after it, a hash takes 44 characters, the first 43 of which are its base64url.
    """
    text = b2a_base64(b"\x00".join([before, *hashed[:-1]]), newline=False).translate(_TO_URL).decode("ascii")
    return [text[place : place + 43] for place in range(0, 44 * len(hashed), 44)]


def sweep_chunk(pages: SqlitePages, log: str, number: int, chunk: int) -> Swept | None:
    """Return what the walk needs of a whole chunk in which nothing is in doubt, else None. Raises: sqlite3.Error."""
    base, first = record_position(number, 0), chunk * CHUNK
    before = pages.leaf_hash(base + first - 1) if first else BEFORE_FIRST
    if not isinstance(before, bytes):
        return None
    seq, last, roots, gone = first, before, list[bytes](), list[tuple[int, int]]()
    for rows in pages.records((base + first, base + first + CHUNK)):
        root = tile_root(rows, base, log, seq, last)
        if root is None:
            return None
        span = base + seq, base + seq + TILE_WIDTH
        missing, doubt = weigh(seq, [row[1] for row in rows], pages.bodies(base, span))
        if doubt is not None:
            return None
        roots.append(root)
        add_runs(gone, missing)
        seq, last = seq + TILE_WIDTH, rows[-1][2]
    place = node_position(number, 1, first // TILE_WIDTH)
    if seq != first + CHUNK or pages.nodes((place, place + len(roots))) != list(enumerate(roots, place)):
        return None
    return Swept(before, last, fold(roots), tuple(gone))
