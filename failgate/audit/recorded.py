"""The heads of the workspaces' logs as the log `system` records them: the log of logs.

Whoever takes one workspace's log back, with all that is known of it elsewhere on this machine, contradicts records that
stand in another log, under another signed head. A rollback that an operator accepted excuses what was recorded before.
"""

import binascii
from base64 import urlsafe_b64decode
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Any, Final, Protocol

import msgspec

from failgate.audit.encoding import record_of
from failgate.audit.nodes import StoredTree
from failgate.audit.places import SEQ_BITS, record_position
from failgate.audit.record import SERVER, SYSTEM, Act, Event
from failgate.audit.stored import StoredHead, StoredRecord, read_head
from failgate.base.canonical import base64url
from failgate.base.db import Database

_PAGE: Final = 1024
_ACTS: Final = tuple(f'{{"act":"{act}",'.encode() for act in (Act.HEAD_RECORDED, Act.ROLLBACK_ACCEPTED))
_RECORDS: Final = """
SELECT position, leaf FROM audit_record WHERE position >= $1 AND position < $2 ORDER BY position LIMIT $3
"""


class Newest(Protocol):
    """What reads a log from its end."""

    async def newest(
        self, log: str, before: int | None = None, limit: int = 50, *, obj_id: str | None = None
    ) -> list[StoredRecord]:
        """Return records numbered below `before`, newest first; only those of one object."""
        ...


@dataclass(frozen=True, slots=True)
class RecordedHead:
    """What record `seq` of the log `system` says of another log."""

    log: str
    size: int
    root: bytes
    seq: int


def head_event(stored: StoredHead) -> Event:
    """Return the event that states the head of a log."""
    facts: dict[str, Any] = {"size": stored.head.size, "root": base64url(stored.head.root)}
    return Event(Act.HEAD_RECORDED, SYSTEM, "log", stored.log, SERVER, facts)


async def newest_head(audit: Newest, log: str) -> RecordedHead | None:
    """Return what was recorded last of `log`; None when nothing was, or its rollback was accepted since."""
    before: int | None = None
    while page := await audit.newest(SYSTEM, before, obj_id=log):
        for stored in page:
            found = _read(stored.seq, stored.leaf)
            if found is not None:
                return found if isinstance(found, RecordedHead) else None
        before = page[-1].seq
    return None


async def recorded_heads(database: Database) -> dict[str, list[RecordedHead]]:
    """Return every head that `system` records, by log and in order, without those that are excused."""
    stored = await read_head(database, SYSTEM)
    found: dict[str, list[RecordedHead]] = {}
    async for one in _told(database, stored) if stored is not None else _nothing():
        if isinstance(one, RecordedHead):
            found.setdefault(one.log, []).append(one)
        else:
            found.pop(one, None)
    return found


async def contradiction(database: Database, log: str, heads: Iterable[RecordedHead]) -> tuple[int | None, str] | None:
    """Return the first bad record, if anything tells, and how `log` is not what `heads` say; None when it is.

    Its nodes have to be verified before: roots are made of them.
    """
    stored, tree = await read_head(database, log), StoredTree(database)
    for head in heads:
        size = 0 if stored is None else stored.head.size
        said = f"record {head.seq} of the log {SYSTEM}"
        if stored is None or size < head.size:
            return size, f"the log has {size} records, and {said} tells of {head.size}"
        if await tree.root(stored.number, head.size) != head.root:
            return None, f"the first {head.size} records are not those that {said} tells of"
    return None


async def _told(database: Database, system: StoredHead) -> AsyncIterator[RecordedHead | str]:
    first, end = record_position(system.number, 0), record_position(system.number, system.head.size)
    while rows := await database.fetch(_RECORDS, first, end, _PAGE):
        for row in rows:
            leaf = row["leaf"]
            if isinstance(leaf, bytes) and leaf.startswith(_ACTS):
                found = _read(row["position"] & ((1 << SEQ_BITS) - 1), leaf)
                if found is not None:
                    yield found
        first = rows[-1]["position"] + 1


async def _nothing() -> AsyncIterator[RecordedHead | str]:
    return
    yield


def _read(seq: int, leaf: bytes) -> RecordedHead | str | None:
    """Return the head in a record; the log's name when its rollback is accepted there; None for any other record."""
    if not leaf.startswith(_ACTS):
        return None
    try:
        record = record_of(leaf)
        log, act, facts = record["obj"]["id"], record["act"], record["data"]
        if act == Act.ROLLBACK_ACCEPTED:
            return str(log)
        size, root = facts["size"], urlsafe_b64decode(facts["root"] + "=")
    except (msgspec.DecodeError, KeyError, TypeError, binascii.Error, ValueError):
        return None  # damaged: whoever verifies the log `system` finds it
    is_head = type(log) is str and type(size) is int and len(root) == 32
    return RecordedHead(log, size, root, seq) if is_head else None
