"""Looking for records: by act, who did it, what it happened to, and when. Quick whatever the log holds.

Each condition has an index over the hashed bytes themselves (migration 0050). The rarest kind of condition leads, and a
page reads what its index names, newest first; the others are compared as it goes. Where they leave out almost
everything it stops after `MOST_READ` records and says how far it came: a page never reads a log from end to end.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from failgate.audit.log import AuditLog
from failgate.audit.places import SEQ_BITS, record_position
from failgate.audit.stored import StoredRecord, read_head
from failgate.base.clock import to_rfc3339
from failgate.base.db import Database, Row
from failgate.base.errors import NotFound, StorageUnavailable

MOST_READ: Final = 20_000  # records that a page compares before it answers with what it has
_CHUNK: Final = 1_000
_SEQ_MASK: Final = (1 << SEQ_BITS) - 1
# As in migration 0050, letter by letter.
_INDEXED: Final = {
    "sqlite": {
        "act": "CAST(substr(leaf, 9, instr(substr(leaf, 9, 80), X'22') - 1) AS TEXT)",
        "actor": "CAST(substr(leaf, instr(leaf, X'226964223A22') + 6,"
        " instr(substr(leaf, instr(leaf, X'226964223A22') + 6, 160), X'22') - 1) AS TEXT)",
        "object": "obj_id",
    },
    "postgres": {
        "act": "split_part(encode(substring(leaf FROM 9 FOR 80), 'escape'), '\"', 1)",
        "actor": "split_part(split_part(encode(substring(leaf FROM 1 FOR 1024), 'escape'), '\"id\":\"', 2), '\"', 1)",
        "object": "obj_id",
    },
}
# PostgreSQL guesses how rare a value is, and walks the whole log backwards when it guesses wrong; comparing the pair
# that is indexed leaves it no choice. SQLite takes the index of what is equal.
_NEWEST: Final = {
    "sqlite": "SELECT position, leaf, leaf_hash FROM audit_record"
    " WHERE {by} = ${value} AND position >= $1 AND position < $2 ORDER BY position DESC LIMIT $3",
    "postgres": "SELECT position, leaf, leaf_hash FROM audit_record"
    " WHERE ({by}, position) >= (${value}::text, $1::bigint) AND ({by}, position) < (${value}::text, $2::bigint)"
    " ORDER BY {by} DESC, position DESC LIMIT $3",
}
_OLDEST: Final = {
    "sqlite": _NEWEST["sqlite"].replace("DESC", "ASC"),
    "postgres": _NEWEST["postgres"].replace("DESC", "ASC"),
}


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
        while first < end:
            wish = min(_CHUNK, limit + 1 if _is_single(wanted) else _CHUNK)
            rows = await self._rows(log, wanted, first, end, wish)
            for record in rows:
                if _meets(record, wanted):
                    if len(found) == limit:
                        return Page(tuple(found), found[-1].seq)
                    found.append(record)
            if len(rows) < wish:
                break
            end, read = rows[-1].seq, read + len(rows)
            if read >= most_read:
                return Page(tuple(found), end, is_cut=True)
        return Page(tuple(found), None)

    async def of_acts(self, log: str, acts: Sequence[str], first: int, end: int) -> AsyncIterator[StoredRecord]:
        """Yield the records of `acts` from number `first` up to below `end`, oldest first, without holding them all."""
        wanted, low = Wanted(tuple(acts)), first
        while low < end and acts:
            rows = await self._of(log, "act", acts, (low, end, _CHUNK), is_newest=False)
            for record in rows:
                if _meets(record, wanted):
                    yield record
            if len(rows) < _CHUNK:
                return
            low = rows[-1].seq + 1

    async def of_objects(self, log: str, object_ids: Sequence[str], end: int) -> AsyncIterator[StoredRecord]:
        """Yield the records about any of some objects (at most 100), numbered below `end`, oldest first."""
        low = 0
        while low < end and object_ids:
            rows = await self._of(log, "object", object_ids, (low, end, _CHUNK), is_newest=False)
            for record in rows:
                yield record
            if len(rows) < _CHUNK:
                return
            low = rows[-1].seq + 1

    async def of_actor(self, log: str, actor_id: str, end: int, limit: int) -> list[StoredRecord]:
        """Return up to `limit` records of what somebody did, numbered below `end`, newest first."""
        return await self._of(log, "actor", (actor_id,), (0, end, limit))

    async def span(self, log: str, from_us: int | None, to_us: int | None, size: int | None = None) -> tuple[int, int]:
        """Return the first record not before `from_us` and the first not before `to_us`, of the first `size`.

        Times never go back in a log, so what is between stands together.

        Raises: StorageUnavailable (a record is missing).
        """
        size = await self._audit.size(log) if size is None else size
        first = 0 if from_us is None else await first_since(self._audit, log, size, from_us)
        return first, size if to_us is None else await first_since(self._audit, log, size, to_us)

    async def _rows(self, log: str, wanted: Wanted, first: int, end: int, limit: int) -> Sequence[StoredRecord]:
        bounds = first, end, limit
        if wanted.object_id is not None:
            return await self._of(log, "object", (wanted.object_id,), bounds)
        if wanted.actor_id is not None:
            return await self._of(log, "actor", (wanted.actor_id,), bounds)
        if wanted.acts:
            return await self._of(log, "act", wanted.acts, bounds)
        found = await self._audit.newest(log, end, limit)
        return [record for record in found if record.seq >= first]

    async def _of(
        self, log: str, by: str, values: Sequence[str], bounds: tuple[int, int, int], *, is_newest: bool = True
    ) -> list[StoredRecord]:
        """Return the newest (or oldest) records that have one of `values`; bounds are first, end and how many."""
        head = await read_head(self._db, log)
        if head is None:
            return []
        first, end, limit = bounds
        dialect = self._db.dialect
        shape = (_NEWEST if is_newest else _OLDEST)[dialect]
        each = [shape.format(by=_INDEXED[dialect][by], value=number) for number in range(4, 4 + len(values))]
        order = "DESC" if is_newest else "ASC"
        query = each[0]
        if len(each) > 1:  # one walk for each act, merged: an index is in order for one value alone
            parts = " UNION ALL ".join(f"SELECT * FROM ({one}) AS part{number}" for number, one in enumerate(each))
            query = f"SELECT * FROM ({parts}) AS every ORDER BY position {order} LIMIT $3"
        places = record_position(head.number, first), record_position(head.number, end)
        rows = await self._db.fetch(query, *places, limit, *values)
        return [_stored(log, row) for row in rows]


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


def _is_single(wanted: Wanted) -> bool:
    """Tell whether one index answers the whole question."""
    return sum((bool(wanted.acts), wanted.actor_id is not None, wanted.object_id is not None)) <= 1


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
