"""Looking for records: by act, who did it, what it happened to, and when. Quick whatever the log holds.

What happened to one object has an index of its own. Acts and actors are noted for each block of 1,024 records
(`blocks.py`): blocks that cannot hold what is wanted are left out, all others are read, newest first, and each record
is compared. Where that leaves out almost everything a page stops after `MOST_READ` records and says how far it came: a
page never reads a log from end to end.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from failgate.audit.blocks import BLOCK_BITS, blocks_with
from failgate.audit.log import AuditLog
from failgate.audit.places import SEQ_BITS, record_position
from failgate.audit.stored import StoredHead, StoredRecord, read_head
from failgate.base.clock import to_rfc3339
from failgate.base.db import Database, Row
from failgate.base.errors import NotFound, StorageUnavailable

MOST_READ: Final = 20_000  # records that a page compares before it answers with what it has
_CHUNK: Final = 1_000
_SEQ_MASK: Final = (1 << SEQ_BITS) - 1
_BLOCKS: Final = 64  # asked for at once
_NEWEST: Final = """
SELECT position, leaf, leaf_hash FROM audit_record WHERE position >= $1 AND position < $2 ORDER BY position DESC
"""
_OLDEST: Final = _NEWEST.replace("DESC", "ASC")
# PostgreSQL guesses how rare a value is, and walks the whole log backwards when it guesses wrong; comparing the pair
# that is indexed leaves it no choice. SQLite takes the index of what is equal.
_NEWEST_OF: Final = {
    "sqlite": "SELECT position, leaf, leaf_hash FROM audit_record"
    " WHERE obj_id = ${value} AND position >= $1 AND position < $2 ORDER BY position DESC LIMIT $3",
    "postgres": "SELECT position, leaf, leaf_hash FROM audit_record"
    " WHERE (obj_id, position) >= (${value}::text, $1::bigint) AND (obj_id, position) < (${value}::text, $2::bigint)"
    " ORDER BY obj_id DESC, position DESC LIMIT $3",
}
_OLDEST_OF: Final = {dialect: query.replace("DESC", "ASC") for dialect, query in _NEWEST_OF.items()}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for: records that meet all conditions; None and an empty tuple are none.

    `acts` are alternatives. Times are microseconds since 1970; `from_us` is included, `to_us` is not.
    """

    acts: tuple[str, ...] = ()
    actor_id: str | None = None
    object_id: str | None = None
    from_us: int | None = None
    to_us: int | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Records, newest first; what lies below `before` was not looked at, None when everything was.

    `is_cut` when the page is not full because looking on took too long.
    """

    records: tuple[StoredRecord, ...]
    before: int | None
    is_cut: bool = False


class _Named(msgspec.Struct):
    id: str


class _Looked(msgspec.Struct):
    act: str
    actor: _Named
    obj: _Named


_decode = msgspec.json.Decoder(_Looked).decode


class Search:
    """Finds records of one log at a time."""

    def __init__(self, database: Database, audit: AuditLog) -> None:
        """Look in `database`, where `audit` writes."""
        self._db = database
        self._audit = audit

    async def newest(
        self, log: str, wanted: Wanted, before: int | None = None, limit: int = 50, *, most_read: int = MOST_READ
    ) -> Page:
        """Return up to `limit` records that meet `wanted`, numbered below `before`, newest first.

        Raises: StorageUnavailable (a record is missing).
        """
        first, end = await self.span(log, wanted.from_us, wanted.to_us)
        end = end if before is None else min(end, before)
        found: list[StoredRecord] = []
        read = 0
        async for low, records in self._parts(log, wanted, first, end, is_newest=True):
            for record in records:
                if _meets(record, wanted):
                    if len(found) == limit:
                        return Page(tuple(found), found[-1].seq)
                    found.append(record)
            read += len(records)
            if read >= most_read and low > first:
                return Page(tuple(found), low, is_cut=True)
        return Page(tuple(found), None)

    async def of_acts(self, log: str, acts: Sequence[str], first: int, end: int) -> AsyncIterator[StoredRecord]:
        """Yield the records of `acts` from number `first` up to below `end`, oldest first, without holding them all."""
        wanted = Wanted(tuple(acts))
        if not acts:
            return
        async for _, records in self._parts(log, wanted, first, end, is_newest=False):
            for record in records:
                if _meets(record, wanted):
                    yield record

    async def of_objects(self, log: str, object_ids: Sequence[str], end: int) -> AsyncIterator[StoredRecord]:
        """Yield the records about any of some objects (at most 100), numbered below `end`, oldest first."""
        low, head = 0, await read_head(self._db, log)
        while low < end and object_ids and head is not None:
            records = await self._of(head, object_ids, (low, end, _CHUNK), is_newest=False)
            for record in records:
                yield record
            if len(records) < _CHUNK:
                return
            low = records[-1].seq + 1

    async def of_actor(self, log: str, actor_id: str, end: int, limit: int) -> list[StoredRecord]:
        """Return up to `limit` records of what somebody did, numbered below `end`, newest first."""
        wanted = Wanted(actor_id=actor_id)
        found: list[StoredRecord] = []
        async for _, records in self._parts(log, wanted, 0, end, is_newest=True):
            found += [record for record in records if _meets(record, wanted)]
            if len(found) >= limit:
                break
        return found[:limit]

    async def span(self, log: str, from_us: int | None, to_us: int | None, size: int | None = None) -> tuple[int, int]:
        """Return the first record not before `from_us` and the first not before `to_us`, of the first `size`.

        Times never go back in a log, so what is between stands together.

        Raises: StorageUnavailable (a record is missing).
        """
        size = await self._audit.size(log) if size is None else size
        first = 0 if from_us is None else await first_since(self._audit, log, size, from_us)
        return first, size if to_us is None else await first_since(self._audit, log, size, to_us)

    async def _parts(
        self, log: str, wanted: Wanted, first: int, end: int, *, is_newest: bool
    ) -> AsyncIterator[tuple[int, list[StoredRecord]]]:
        """Yield parts of a log, each with the number of the first record that it looked at, the newest first or last.

        What lies between them cannot meet `wanted`; the records in them may.
        """
        head = await read_head(self._db, log)
        end = 0 if head is None else min(end, head.head.size)
        if head is None or first >= end:
            return
        if wanted.object_id is not None:
            while first < end:
                records = await self._of(head, (wanted.object_id,), (first, end, _CHUNK), is_newest=is_newest)
                is_last = len(records) < _CHUNK
                low = first if is_last else min(records[0].seq, records[-1].seq)
                yield low, records
                if is_last:
                    return
                first, end = (first, low) if is_newest else (records[-1].seq + 1, end)
            return
        async for low, high in self._spans(head, wanted, first, end, is_newest=is_newest):
            bounds = record_position(head.number, low), record_position(head.number, high)
            rows = await self._db.fetch(_NEWEST if is_newest else _OLDEST, *bounds)
            yield low, [_stored(log, row) for row in rows]

    async def _spans(
        self, head: StoredHead, wanted: Wanted, first: int, end: int, *, is_newest: bool
    ) -> AsyncIterator[tuple[int, int]]:
        """Yield from where to where a block may hold what is wanted, within `first` and `end`, in order."""
        begin, stop = first >> BLOCK_BITS, (end - 1 >> BLOCK_BITS) + 1
        full = min(stop, head.head.size >> BLOCK_BITS)  # the block behind these is not noted yet
        is_any = not wanted.acts and wanted.actor_id is None
        if is_newest and full < stop:
            yield max(first, full << BLOCK_BITS), end
        while begin < full:
            if is_any:
                blocks = list(range(begin, full))
                blocks = blocks[: -_BLOCKS - 1 : -1] if is_newest else blocks[:_BLOCKS]
            else:
                bounds = begin, full, _BLOCKS
                blocks = await blocks_with(
                    self._db, head.number, wanted.acts, wanted.actor_id, bounds, is_newest=is_newest
                )
            for block in blocks:
                yield max(first, block << BLOCK_BITS), min(end, (block + 1) << BLOCK_BITS)
            if len(blocks) < _BLOCKS:
                break
            begin, full = (begin, blocks[-1]) if is_newest else (blocks[-1] + 1, full)
        if not is_newest and (tail := head.head.size >> BLOCK_BITS) < stop:
            yield max(first, tail << BLOCK_BITS), end

    async def _of(
        self, head: StoredHead, object_ids: Sequence[str], bounds: tuple[int, int, int], *, is_newest: bool
    ) -> list[StoredRecord]:
        """Return the newest (or oldest) records about `object_ids`; bounds are first, end and how many."""
        first, end, limit = bounds
        shape = (_NEWEST_OF if is_newest else _OLDEST_OF)[self._db.dialect]
        each = [shape.format(value=number) for number in range(4, 4 + len(object_ids))]
        order = "DESC" if is_newest else "ASC"
        query = each[0]
        if len(each) > 1:  # one walk for each object, merged: an index is in order for one value alone
            parts = " UNION ALL ".join(f"SELECT * FROM ({one}) AS part{number}" for number, one in enumerate(each))
            query = f"SELECT * FROM ({parts}) AS every ORDER BY position {order} LIMIT $3"
        places = record_position(head.number, first), record_position(head.number, end)
        rows = await self._db.fetch(query, *places, limit, *object_ids)
        return [_stored(head.log, row) for row in rows]


async def first_since(audit: AuditLog, log: str, size: int, us: int) -> int:
    """Return the first of `size` records whose time is not before `us`, or `size`. Raises: StorageUnavailable."""
    ts, low, high = to_rfc3339(us), 0, size
    while low < high:
        middle = (low + high) // 2
        try:
            record = (await audit.record_at(log, middle)).record
        except NotFound:
            raise StorageUnavailable(
                f"Record {middle} is missing in the database.", hint="Run `failgate audit verify`."
            ) from None
        if str(record["ts"]) < ts:
            low = middle + 1
        else:
            high = middle
    return low


def _meets(record: StoredRecord, wanted: Wanted) -> bool:
    """Tell whether the bytes say what is wanted; an index that was tampered with adds nothing to a page."""
    try:
        said = _decode(record.leaf)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return not (wanted.acts or wanted.actor_id or wanted.object_id)
    return (
        (not wanted.acts or said.act in wanted.acts)
        and wanted.actor_id in {None, said.actor.id}
        and wanted.object_id in {None, said.obj.id}
    )


def _stored(log: str, row: Row) -> StoredRecord:
    return StoredRecord(log, row["position"] & _SEQ_MASK, bytes(row["leaf"]), bytes(row["leaf_hash"]))
