"""What was erased of a log's bodies, as its own records say: of everything up to a record, or of one account.

A body that is gone is no finding when a `body.erased` covers it, and a finding when none does. Those records are looked
for by the notes of blocks; one that the notes do not lead to covers nothing.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from failgate.audit.blocks import BLOCK_BITS, blocks_with
from failgate.audit.bodies import Body, weigh
from failgate.audit.places import record_position
from failgate.audit.record import Act
from failgate.audit.stored import StoredHead, read_head
from failgate.audit.sweep import Stored, Swept, add_runs
from failgate.audit.walk import Found
from failgate.base.db import Database

OF_LOG: Final = "log"  # what `obj.t` says of an erasure of everything below `before`
OF_ACCOUNT: Final = "account"  # and of one of what an account did below it
_BLOCKS_AT_ONCE: Final = 64
_RECORDS_AT_ONCE: Final = 1_000
_BEGINS: Final = f'{{"act":"{Act.BODY_ERASED}",'.encode()
_LEAVES: Final = "SELECT position, leaf FROM audit_record WHERE position >= $1 AND position < $2 ORDER BY position"


class _Thing(msgspec.Struct):
    id: str
    t: str


class _Facts(msgspec.Struct):
    before: int


class _Erased(msgspec.Struct):
    data: _Facts
    obj: _Thing


class _Actor(msgspec.Struct):
    id: str


class _Acted(msgspec.Struct):
    actor: _Actor


_decode_erased = msgspec.json.Decoder(_Erased).decode
_decode_acted = msgspec.json.Decoder(_Acted).decode


@dataclass(slots=True)
class Erasures:
    """Below which record the bodies of all records are erased, and below which those of what an account did."""

    before: int = 0
    accounts: dict[str, int] = field(default_factory=dict[str, int])

    def add(self, leaf: bytes) -> None:
        """Take in a record of a log; any other act, and bytes that are no record, change nothing."""
        if not leaf.startswith(_BEGINS):
            return
        try:
            said = _decode_erased(leaf)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return
        if said.obj.t == OF_LOG:
            self.before = max(self.before, said.data.before)
        elif said.obj.t == OF_ACCOUNT:
            self.accounts[said.obj.id] = max(self.accounts.get(said.obj.id, 0), said.data.before)

    def cover(self, seq: int, leaf: bytes) -> bool:
        """Tell whether the body of record `seq` was to be erased."""
        if seq < self.before:
            return True
        try:
            return seq < self.accounts.get(_decode_acted(leaf).actor.id, 0)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return False


async def erasures_of(database: Database, stored: StoredHead) -> Erasures:
    """Return what the records of a log say was erased."""
    found = Erasures()
    async for first, end in _spans(database, stored):
        bounds = record_position(stored.number, first), record_position(stored.number, end)
        for row in await database.fetch(_LEAVES, *bounds):
            if isinstance(row["leaf"], bytes):
                found.add(row["leaf"])
    return found


async def _spans(database: Database, stored: StoredHead) -> AsyncIterator[tuple[int, int]]:
    begin, full = 0, stored.head.size >> BLOCK_BITS
    while begin < full:
        bounds = begin, full, _BLOCKS_AT_ONCE
        blocks = await blocks_with(database, stored.number, (Act.BODY_ERASED,), None, bounds, is_newest=False)
        for block in blocks:
            yield block << BLOCK_BITS, (block + 1) << BLOCK_BITS
        if len(blocks) < _BLOCKS_AT_ONCE:
            break
        begin = blocks[-1] + 1
    yield full << BLOCK_BITS, stored.head.size  # the open block, which has no notes yet


class Beside:
    """The pass over the bodies of one log, beside the walk over its records, which has passed them before."""

    def __init__(self, number: int) -> None:
        """Begin before the first record of the log with this number."""
        self._number = number
        self._gone: list[tuple[int, int]] = []

    def read(self, rows: Sequence[Stored], bodies: Mapping[int, Body]) -> None:
        """Compare records that follow each other with what lies beside them. Raises: Found."""
        if not rows:
            return
        first = rows[0][0] - record_position(self._number, 0)
        gone, doubt = weigh(first, [row[1] for row in rows], bodies)
        if doubt is not None:
            raise Found(doubt.seq, doubt.reason)
        add_runs(self._gone, gone)

    def skip(self, swept: Swept) -> None:
        """Take over what was found of a whole chunk."""
        for first, last in swept.gone:
            if self._gone and self._gone[-1][1] == first - 1:
                self._gone[-1] = self._gone[-1][0], last
            else:
                self._gone.append((first, last))

    async def end(self, database: Database, log: str) -> None:
        """Ask for each body that is gone who says that it was erased. Raises: Found."""
        stored = await read_head(database, log) if self._gone else None
        if stored is None:
            return
        erasures = await erasures_of(database, stored)
        for first, last in self._gone:
            for start in range(max(first, erasures.before), last + 1, _RECORDS_AT_ONCE):
                end = min(start + _RECORDS_AT_ONCE, last + 1)
                bounds = record_position(self._number, start), record_position(self._number, end)
                for seq, row in enumerate(await database.fetch(_LEAVES, *bounds), start):
                    if not erasures.cover(seq, row["leaf"]):
                        raise Found(seq, f"the body of record {seq} is gone, and no record says that it was erased")
