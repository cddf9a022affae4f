"""What the open group commit will write of one log: records are made one by one and written together."""

from binascii import b2a_base64
from collections.abc import Sequence
from hashlib import sha256
from itertools import chain

from failgate.audit.blocks import OpenBlock, Said, note_blocks
from failgate.audit.bodies import Salts, commitment
from failgate.audit.chain import Head, is_step_back
from failgate.audit.encoding import body_in, leaf_of
from failgate.audit.places import SEQ_BITS, node_position
from failgate.audit.record import SERVER, Act, Event
from failgate.audit.tree import TILE_HEIGHT, grow
from failgate.base.canonical import JSON
from failgate.base.db import Transaction
from failgate.base.log import RequestContext

_ADD_RECORDS = [
    (
        width,
        "INSERT INTO audit_record (position, leaf, leaf_hash, obj_id) VALUES "
        + ", ".join(f"(${first}, ${first + 1}, ${first + 2}, ${first + 3})" for first in range(1, 4 * width, 4)),
    )
    for width in (64, 16, 4, 1)  # rows in one statement
]
_ADD_BODIES = [
    (
        width,
        "INSERT INTO audit_body (position, salt, body) VALUES "
        + ", ".join(f"(${first}, ${first + 1}, ${first + 2})" for first in range(1, 3 * width, 3)),
    )
    for width in (64, 16, 4, 1)
]
_ADD_NODE = "INSERT INTO audit_node (position, hash) VALUES ($1, $2)"
_TO_URL = bytes.maketrans(b"+/", b"-_")


class Pending:
    """The records of one log that the open group commit will write together.

    `head` is the stored one that they follow, `open_block` what is known of the block that it ends in; `version` is
    SQLite's mark of the state of the file it was read from. A verb that fails takes back how many of `rows` count,
    which the transaction's cache knows, not the rows.
    """

    __slots__ = (
        "bodies", "clocks_us", "head", "is_written", "number", "open_block", "rows", "said", "salts", "times_us", "tx",
        "version",
    )  # fmt: skip

    def __init__(
        self, tx: Transaction, number: int, version: int, head: Head, open_block: OpenBlock | None = None
    ) -> None:
        """Follow `head` of the log with this number."""
        self.tx = tx
        self.number = number
        self.version = version
        self.head = head
        self.open_block = open_block
        self.rows: list[tuple[int, bytes, bytes, str]] = []  # position, leaf, leaf hash, object
        self.bodies: list[tuple[int, bytes, bytes] | None] = []  # of each row: position, salt, body
        self.salts = Salts()
        self.times_us: list[int] = []  # of each row
        self.clocks_us: list[int] = []  # what the clock said at each
        self.said: list[Said] = []  # by each row
        self.is_written = False

    def record(self, count: int, event: Event, now_us: int, context: RequestContext | None) -> int:
        """Make the record of `event` the row after the first `count`; return how many rows count then.

        A clock that went back by more than a second is recorded first, as `clock.step`.

        Raises: EventRefused.
        """
        clock_us = self.clocks_us[count - 1] if count else self.head.clock_us
        if is_step_back(clock_us, now_us):
            facts: dict[str, JSON] = {"from_us": clock_us, "to_us": now_us}
            self._add(count, Event(Act.CLOCK_STEP, event.ws, "clock", "wall", SERVER, facts), now_us, None)
            count += 1
        self._add(count, event, now_us, context)
        return count + 1

    def _add(self, count: int, event: Event, now_us: int, context: RequestContext | None) -> None:
        rows = self.rows
        if len(rows) != count:
            self._cut(count)
        if self.is_written:
            raise RuntimeError("an audit record after the group commit wrote its records: append in the verb instead")
        head = self.head
        if count:
            last, ts_us = rows[-1][2], self.times_us[-1]
        else:
            last, ts_us = head.last, head.ts_us
        ts_us = max(ts_us, now_us)
        seq = head.size + count
        prev = b2a_base64(last, newline=False).translate(_TO_URL, b"=").decode("ascii")
        position, body, row, pd = self.number << SEQ_BITS | seq, body_in(event, context), None, None
        if body is not None:
            salt = self.salts.take()
            row, pd = (position, salt, body), commitment(salt, body)
        leaf = leaf_of(event, seq, ts_us, prev, context, pd)
        rows.append((position, leaf, sha256(b"\x00" + leaf).digest(), event.obj_id))
        self.bodies.append(row)
        self.times_us.append(ts_us)
        self.clocks_us.append(now_us)
        self.said.append((event.act, event.actor.id))

    def _cut(self, count: int) -> None:
        """Drop rows of verbs that failed."""
        for kept in (self.rows, self.bodies, self.times_us, self.clocks_us, self.said):
            del kept[count:]

    async def write(self, count: int) -> Head:
        """Write the first `count` rows, their bodies and the nodes that they complete; return the head after."""
        self._cut(count)
        rows, head = self.rows, self.head
        await self._add_rows(_ADD_RECORDS, rows)
        await self._add_rows(_ADD_BODIES, [body for body in self.bodies if body is not None])
        peaks, nodes = grow(head.peaks, head.size, [row[2] for row in rows])
        for node, hashed in nodes:
            await self.tx.execute(_ADD_NODE, node_position(self.number, node.level // TILE_HEIGHT, node.place), hashed)
        self.open_block = await note_blocks(self.tx, self.number, head.size, self.said, self.open_block)
        self.is_written = True
        if not count:
            return head
        return Head(head.size + count, rows[-1][2], peaks, self.times_us[-1], self.clocks_us[-1])

    async def _add_rows(self, statements: list[tuple[int, str]], rows: Sequence[tuple[object, ...]]) -> None:
        """Write `rows` by as few statements as there are widths for."""
        start = 0
        for width, statement in statements:
            while len(rows) - start >= width:
                await self.tx.execute(statement, *chain.from_iterable(rows[start : start + width]))
                start += width
