"""The walk over one log, which decides: every record in order, and the first one that is not what it should be. Pure.

Records that `sweep.py` finds beyond doubt are passed 256 or a whole chunk at a time, all others examined one by one.
Both ways lead to the same peaks, so that it makes no difference to the verdict which records went which way.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from failgate.audit.chain import BEFORE_FIRST
from failgate.audit.checkpoint import Checkpoint
from failgate.audit.leaf import Placed, read_leaf
from failgate.audit.places import NODE_BITS, node_position, record_position
from failgate.audit.stored import StoredHead
from failgate.audit.sweep import CHUNK, CHUNK_LEVEL, Span, Stored, Swept, tile_root
from failgate.audit.tree import TILE_HEIGHT, TILE_WIDTH, node_hash, root_of
from failgate.base.canonical import base64url

_LEVEL_MASK = 15
_INDEX_MASK = (1 << NODE_BITS) - 1


@dataclass(frozen=True, slots=True)
class Anchor:
    """A head that was kept outside the database, and where: `sidecar`, or the name of a file."""

    checkpoint: Checkpoint
    source: str


class Found(Exception):
    """A finding, which ends the walk over a log: the number of the first bad record, if anything tells it, and why."""

    def __init__(self, first_bad: int | None, reason: str) -> None:
        """Keep both."""
        super().__init__(reason)
        self.first_bad = first_bad
        self.reason = reason


class Walk:
    """One pass over a log: `read` and `skip` take its records in order, `see` its stored nodes, `end` its head."""

    def __init__(self, log: str, number: int, size: int, anchors: Sequence[Anchor]) -> None:
        """Begin before the first record."""
        self.log = log
        self.number = number
        self.size = size
        self._base = record_position(number, 0)
        self._anchors = sorted(anchors, key=_size_of, reverse=True)
        self._seq = 0
        self._last = BEFORE_FIRST
        self._peaks: list[bytes] = []
        self._nodes: dict[int, bytes] = {}
        self._broken_link: int | None = None  # the record whose `prev` differs, until its successor was asked
        self._spoiled: Found | None = None  # a node that ends with the newest record, until its successor was asked

    def begin(self) -> None:
        """Compare with the heads of an empty log that were kept elsewhere. Raises: Found."""
        self._meet_all()

    def read(self, rows: Sequence[Stored]) -> None:
        """Work through records that follow those read before. Raises: Found."""
        for start in range(0, len(rows), TILE_WIDTH):
            tile = rows[start : start + TILE_WIDTH]
            root = self._sweep(tile)
            if root is None:
                self._examine_all(tile)
            else:
                self._last = tile[-1][2]
                self._push(root, TILE_HEIGHT)

    def skip(self, swept: Swept) -> bool:
        """Pass a whole chunk that was found clean, if it follows what was read; tell whether. Raises: Found."""
        if not self._may_pass(CHUNK) or swept.before != self._last:
            return False
        self._last = swept.last
        self._push(swept.root, CHUNK_LEVEL)
        return True

    def _sweep(self, tile: Sequence[Stored]) -> bytes | None:
        if not self._may_pass(TILE_WIDTH):
            return None
        return tile_root(tile, self._base, self.log, self._seq, self._last)

    def _may_pass(self, width: int) -> bool:
        """Tell whether `width` records may pass at once: a perfect subtree, nothing in question, no head inside."""
        is_stop_inside = bool(self._anchors) and self._seq < _size_of(self._anchors[-1]) < self._seq + width
        is_in_question = self._broken_link is not None or self._spoiled is not None
        return self._seq % width == 0 and not is_in_question and not is_stop_inside

    def _examine_all(self, rows: Sequence[Stored]) -> None:
        for row in rows:
            record = self._examine(row, self._seq)
            is_kept = record.prev == base64url(self._last)
            if not is_kept or self._broken_link is not None:
                self._follow_link(self._seq, is_kept=is_kept)
            elif self._spoiled is not None:
                raise self._spoiled
            self._last = row[2]
            self._push(row[2], 0)

    def _examine(self, row: Stored, seq: int) -> Placed:
        """Return the record in `row`, which is what it says by itself and stands where it says. Raises: Found."""
        position, leaf, hashed, obj_id = row
        if position != self._base + seq:
            raise Found(self._blame(seq), f"record {seq} is missing")
        if type(leaf) is not bytes or sha256(b"\x00" + leaf).digest() != hashed:
            raise Found(self._blame(seq), f"record {seq} is not what its hash was made of")
        record = read_leaf(leaf)
        if record is None:
            raise Found(self._blame(seq), f"record {seq} is not canonical")
        if record.seq != seq or record.ws != self.log or record.obj.id != obj_id:
            raise Found(self._blame(seq), f"record {seq} is in a place that is not its own")
        return record

    def _follow_link(self, seq: int, *, is_kept: bool) -> None:
        """Note a broken link, or let this record decide who broke it: the record before, or the one before that."""
        if self._broken_link is None:
            self._broken_link = seq
        else:
            raise Found(seq - 2 if is_kept else seq - 1, "the chain of hashes is broken")

    def _blame(self, seq: int) -> int:
        """Return the record before a broken link instead of `seq`, when there was one."""
        return seq if self._broken_link is None else self._broken_link - 1

    def _push(self, hashed: bytes, level: int) -> None:
        """Add a perfect subtree of 2**level records, then meet the heads of this size. Raises: Found."""
        place = self._seq >> level
        self._seq += 1 << level
        while True:
            if level and level % TILE_HEIGHT == 0:
                self._nodes[node_position(self.number, level // TILE_HEIGHT, place)] = hashed
            if not place & 1:
                break
            hashed = node_hash(self._peaks.pop(), hashed)
            place >>= 1
            level += 1
        self._peaks.append(hashed)
        self._meet_all()

    def _meet_all(self) -> None:
        """Compare the root here with heads of this size that were kept elsewhere. Raises: Found."""
        while self._anchors and _size_of(self._anchors[-1]) == self._seq:
            anchor = self._anchors.pop()
            if self._broken_link is None and root_of(self._peaks) != anchor.checkpoint.root:
                raise Found(None, f"the first {self._seq} records are not those that were signed ({anchor.source})")

    def node_spans(self) -> list[Span]:
        """Return which stored nodes `see` wants to see now: a span of each level of which some were completed."""
        if self._broken_link is not None:
            return []
        levels = {position >> NODE_BITS & _LEVEL_MASK for position in self._nodes}
        of_levels = [[place for place in self._nodes if place >> NODE_BITS & _LEVEL_MASK == level] for level in levels]
        return [(min(places), max(places) + 1) for places in of_levels]

    def see(self, stored: Sequence[tuple[int, bytes]]) -> None:
        """Take the stored nodes of a span: those that are as they should be are done with."""
        for position, hashed in stored:
            if self._nodes.get(position) == hashed:
                del self._nodes[position]

    def compare(self) -> None:
        """Refuse nodes that were completed and not seen. Raises: Found.

        A node that ends with the newest record waits for the link of the next one, which names a bad record exactly.
        """
        if not self._nodes or self._broken_link is not None:
            return
        position = min(self._nodes)
        width = TILE_WIDTH ** (position >> NODE_BITS & _LEVEL_MASK)
        first = (position & _INDEX_MASK) * width
        found = Found(None, f"the tree over the records {first} to {first + width - 1} is not the stored one")
        if first + width < self._seq:
            raise found
        self._spoiled = found
        self._nodes.clear()

    def end(self, stored: StoredHead | None) -> None:
        """Compare with the head of the log, and with anchors beyond it. Raises: Found."""
        if self._broken_link is not None:
            is_last_genuine = stored is not None and stored.head.last == self._last
            raise Found(self._broken_link - is_last_genuine, "the chain of hashes is broken")
        if self._spoiled is not None:
            raise self._spoiled
        if self._seq < self.size:
            raise Found(self._seq, f"record {self._seq} and those after it are missing")
        if self._anchors:
            anchor = self._anchors[0]
            size = anchor.checkpoint.size
            raise Found(self._seq, f"the log has {self._seq} records, {size} were signed ({anchor.source})")
        if stored is not None and stored.head.last != self._last:
            raise Found(self.size - 1 if self.size else None, "the last record is not the one in the head of the log")
        if stored is not None and list(stored.head.peaks) != self._peaks:
            raise Found(None, "the root is not the one in the head of the log")


def _size_of(anchor: Anchor) -> int:
    return anchor.checkpoint.size
