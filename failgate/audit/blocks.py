"""Which acts and actors stand in which block of 1,024 records: by it a search leaves out what cannot hold its answer.

A block is noted in the transaction that fills it, so there is no time at which one is missing; the open block at a
log's end has no note. A note says "here, somewhere", no more: whoever searches reads the records themselves. What
an index over each record cost every decision is paid once in 1,024.
"""

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Final, NamedTuple

import msgspec

from failgate.audit.places import SEQ_BITS, record_position
from failgate.audit.stored import StoredHead
from failgate.base.db import Database, Transaction

BLOCK_BITS: Final = 10  # 1,024 records: each actor's notes stand elsewhere, so each note is a page of its own to write
_IN_BLOCK: Final = (1 << BLOCK_BITS) - 1
_NUMBER_BITS: Final = SEQ_BITS - BLOCK_BITS
_LONGEST: Final = 200  # characters of a name that are compared; ids are far shorter
_LEAVES: Final = "SELECT leaf FROM audit_record WHERE position >= $1 AND position < $2"
_NOTED: Final = "SELECT what, block FROM audit_block WHERE block >= $1 AND block < $2"
_CHECKED_AT_ONCE: Final = 256  # blocks; their notes are found by a look at all
_AT_ONCE: Final = (32, 8, 1)
_NOTE: Final = {
    width: "INSERT INTO audit_block (what, block) VALUES "
    + ", ".join(f"(${first}, ${first + 1})" for first in range(1, 2 * width, 2))
    + " ON CONFLICT DO NOTHING"
    for width in _AT_ONCE
}
_OF_ONE: Final = """
SELECT block FROM audit_block WHERE what = ${value} AND block >= $1 AND block < $2{also} ORDER BY block {order} LIMIT $3
"""
_ALSO: Final = " AND EXISTS (SELECT 1 FROM audit_block o WHERE o.block = audit_block.block AND o.what IN ({values}))"


class _Named(msgspec.Struct):
    id: str


class _Told(msgspec.Struct):
    act: str
    actor: _Named


_decode = msgspec.json.Decoder(_Told).decode


def of_act(act: str) -> str:
    """Return the note of an act."""
    return f"act {act[:_LONGEST]}"


def of_actor(actor_id: str) -> str:
    """Return the note of who acted."""
    return f"actor {actor_id[:_LONGEST]}"


Said = tuple[str, str]
"""What is noted of a record: its act and the id of its actor."""


class OpenBlock(NamedTuple):
    """The block that a log's next record goes to, and what the records in it say; None when that is not known here."""

    block: int
    said: frozenset[Said] | None


def notes_of(leaves: Iterable[bytes]) -> set[str]:
    """Return the notes of some records; bytes that are no record have none. Pure."""
    said: set[Said] = set()
    for leaf in leaves:
        try:
            told = _decode(leaf)
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
        said.add((told.act, told.actor.id))
    return _notes(said)


def _notes(said: Iterable[Said]) -> set[str]:
    notes = {note for act, actor_id in said for note in (of_act(act), of_actor(actor_id))}
    return {note for note in notes if "\0" not in note}  # which PostgreSQL has no text for, and no act and no id


async def note_blocks(
    tx: Transaction, number: int, size: int, said: Sequence[Said], open_block: OpenBlock | None
) -> OpenBlock:
    """Note the blocks that become full as the log `number` of `size` records grows by those that say `said`.

    Those records are written. `open_block` is what was returned for the records before them, if they are known; a
    block whose beginning is not is read. Returns the block that is open now.
    """
    block = size >> BLOCK_BITS
    is_known = open_block is not None and open_block.block == block
    so_far = open_block.said if open_block is not None and is_known else None
    if size & _IN_BLOCK == 0:
        so_far = frozenset()
    start = 0
    while start < len(said):
        end = start + (block + 1 << BLOCK_BITS) - (size + start)
        if so_far is not None:
            so_far = so_far.union(said[start:end])
        if end > len(said):
            break
        notes = _notes(so_far) if so_far is not None else await _read(tx, number, block)
        await _write(tx, number << _NUMBER_BITS | block, sorted(notes))
        start, block, so_far = end, block + 1, frozenset()
    return OpenBlock(block, so_far)


async def _read(tx: Transaction, number: int, block: int) -> set[str]:
    return notes_of(row["leaf"] for row in await tx.fetch(_LEAVES, *_bounds(number, block)))


async def _write(tx: Transaction, place: int, notes: Sequence[str]) -> None:
    start = 0
    for width in _AT_ONCE:
        while len(notes) - start >= width:
            pairs = ((note, place) for note in notes[start : start + width])
            await tx.execute(_NOTE[width], *chain.from_iterable(pairs))
            start += width


async def blocks_with(
    database: Database,
    number: int,
    acts: Sequence[str],
    actor_id: str | None,
    bounds: tuple[int, int, int],
    *,
    is_newest: bool,
) -> list[int]:
    """Return the blocks of the log `number` that may hold any of `acts` (all, when there are none) by `actor_id`.

    `bounds` are the first block, the one to stop before, and how many; the newest come first, or the oldest.
    """  # fmt: skip
    first, end, limit = bounds
    base, order = number << _NUMBER_BITS, "DESC" if is_newest else "ASC"
    if actor_id is None:
        values = [of_act(act) for act in acts]
        each = [_OF_ONE.format(value=at, also="", order=order) for at in range(4, 4 + len(values))]
    else:
        values = [of_actor(actor_id), *(of_act(act) for act in acts)]
        others = ", ".join(f"${at}" for at in range(5, 4 + len(values)))
        each = [_OF_ONE.format(value=4, also=_ALSO.format(values=others) if others else "", order=order)]
    query = each[0]
    if len(each) > 1:  # one walk for each act, merged: the key is in order for one note alone
        parts = " UNION ".join(f"SELECT * FROM ({one}) AS part{at}" for at, one in enumerate(each))
        query = f"SELECT block FROM ({parts}) AS every ORDER BY block {order} LIMIT $3"
    rows = await database.fetch(query, base + first, base + end, limit, *values)
    return [row["block"] - base for row in rows]


async def unnoted(database: Database, stored: StoredHead) -> dict[int, str]:
    """Return the full blocks of a log that lack a note which their records demand, and the first such note of each."""
    found: dict[int, str] = {}
    base, full = stored.number << _NUMBER_BITS, stored.head.size >> BLOCK_BITS
    for start in range(0, full, _CHECKED_AT_ONCE):
        end = min(start + _CHECKED_AT_ONCE, full)
        noted: dict[int, set[str]] = {}
        for row in await database.fetch(_NOTED, base + start, base + end):
            noted.setdefault(row["block"] - base, set()).add(row["what"])
        for block in range(start, end):
            rows = await database.fetch(_LEAVES, *_bounds(stored.number, block))
            lacking = notes_of(row["leaf"] for row in rows) - noted.get(block, set())
            if lacking:
                found[block] = min(lacking)
    return found


def _bounds(number: int, block: int) -> tuple[int, int]:
    return record_position(number, block << BLOCK_BITS), record_position(number, (block + 1) << BLOCK_BITS)
