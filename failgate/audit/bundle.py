"""What leaves as a bundle: a log, or a period of it, that an auditor verifies without this server.

`checkpoint`, `vkey` and `manifest.json`; the records under `entries/`, laid out as the tiles of C2SP tlog-tiles, and
their hashes under `tile/`, by which a verifier names the one record that is not what was signed; the bodies beside them
in `bodies.jsonl`, where they are asked for: what has left cannot be erased. A period holds whole tiles of 256 records,
from the one with the record before it to the one with the record behind it, so that its borders show by their times;
all others are there as hashes: the whole tree still leads to the signed root.
"""

import json
from collections.abc import AsyncIterator
from typing import NamedTuple

from failgate.audit.beside import bodies_between
from failgate.audit.checkpoint import Checkpoint
from failgate.audit.log import AuditLog
from failgate.audit.nodes import StoredTree
from failgate.audit.proof import Proof, entries_tile, tlog_proof
from failgate.audit.search import first_since
from failgate.audit.stored import StoredRecord, read_head
from failgate.audit.tiles import TilePlace, tile_path
from failgate.audit.tree import TILE_WIDTH, ProofRejected, leaf_hash, verify_inclusion
from failgate.base.canonical import base64url
from failgate.base.clock import to_rfc3339
from failgate.base.db import Database
from failgate.base.errors import BadInput, NotFound, StorageUnavailable

FORMAT = "failgate-audit-export"
CHECKPOINT = "checkpoint"
BODIES = "bodies.jsonl"
BODIES_AT_ONCE = 4_096


class Period(NamedTuple):
    """Records from a time (included) to a time (left out), in microseconds since 1970; None is open."""

    from_us: int | None = None
    to_us: int | None = None


class Head(NamedTuple):
    """A signed head: the log's name here, its checkpoint, the note of that and the key that proves it."""

    log: str
    checkpoint: Checkpoint
    note: str
    vkey: str


class Span(NamedTuple):
    """The first and the last record of a period."""

    first: int
    last: int


async def span_of(audit: AuditLog, head: Head, period: Period) -> Span:
    """Return which records of the signed log are of `period`; times never go back, so they stand together.

    Raises: BadInput (none), StorageUnavailable (a record is missing).
    """
    size = head.checkpoint.size
    first = 0 if period.from_us is None else await first_since(audit, head.log, size, period.from_us)
    end = size if period.to_us is None else await first_since(audit, head.log, size, period.to_us)
    if first >= end:
        raise BadInput(
            "The log has no record in this period.", hint="Times are UTC; --from is included, --to is not any more."
        )
    return Span(first, end - 1)


async def files_of(
    audit: AuditLog, head: Head, period: Period, *, tool: str, made_us: int
) -> AsyncIterator[tuple[str, bytes]]:
    """Yield the files of a bundle, by their names in it; small ones first, records in their order.

    `tool` names what made it, `made_us` when. The bodies of its records stay here; `lines_of_bodies` gives them.

    Raises: BadInput (no record in the period), StorageUnavailable (a record or a hash is missing in the database).
    """
    span, size = await span_of(audit, head, period), head.checkpoint.size
    manifest = {
        "format": FORMAT,
        "v": 1,
        "origin": head.checkpoint.origin,
        "size": size,
        "first": span.first,
        "last": span.last,
        "from": None if period.from_us is None else to_rfc3339(period.from_us),
        "to": None if period.to_us is None else to_rfc3339(period.to_us),
        "made_at": to_rfc3339(made_us),
        "tool": tool,
    }
    yield "manifest.json", json.dumps(manifest, indent=1).encode() + b"\n"
    yield "vkey", head.vkey.encode() + b"\n"
    yield CHECKPOINT, head.note.encode()
    begin, end = max(span.first - 1, 0) // TILE_WIDTH, min(span.last + 1, size - 1) // TILE_WIDTH + 1
    async for file in _hashes(audit, head, end):
        yield file
    for number in range(begin, end):
        width = min(TILE_WIDTH, size - number * TILE_WIDTH)
        records = await _records(audit, head.log, number, width)
        yield f"tile/{tile_path(TilePlace(0, number, width))}", b"".join(record.leaf_hash for record in records)
        yield tile_path(TilePlace(None, number, width)), entries_tile(records)


async def lines_of_bodies(database: Database, audit: AuditLog, head: Head, period: Period) -> AsyncIterator[bytes]:
    """Yield the file `bodies.jsonl` of a bundle: a line for each body that is there, in their order.

    What is yielded at once is of `BODIES_AT_ONCE` records, some 150 bytes for each, and all that is held. Raises: as
    `files_of`.
    """
    span, stored = await span_of(audit, head, period), await read_head(database, head.log)
    assert stored is not None  # its head was signed
    for first in range(span.first, span.last + 1, BODIES_AT_ONCE):
        end = min(first + BODIES_AT_ONCE, span.last + 1)
        found = await bodies_between(database, stored.number, first, end)
        yield b"".join(
            b'{"body":%b,"salt":"%b","seq":%d}\n' % (body, base64url(salt).encode(), seq)
            for seq, (salt, body, _) in found.items()
            if isinstance(salt, bytes) and isinstance(body, bytes)
        )


async def proof_of(database: Database, audit: AuditLog, head: Head, seq: int) -> str:
    """Return the proof that record `seq` is under the signed head, as C2SP tlog-proof text with the record in `extra`.

    Raises: BadInput (no such record), StorageUnavailable (the database does not lead to what was signed).
    """
    size, root = head.checkpoint.size, head.checkpoint.root
    if not 0 <= seq < size:
        raise BadInput(f"The log of {size} records has no record {seq}.", hint="Numbers begin at 0.")
    try:
        stored = await audit.record_at(head.log, seq)
        log = await read_head(database, head.log)
        hashes = [] if log is None else await StoredTree(database).inclusion(log.number, seq, size)
        verify_inclusion(leaf_hash(stored.leaf), seq, size, hashes, root)
    except (NotFound, ProofRejected) as error:
        raise StorageUnavailable(
            f"Record {seq} does not lead to the signed root: {error.sentence}", hint="Run `failgate audit verify`."
        ) from error
    return tlog_proof(seq, Proof(hashes, size, head.note), extra=stored.leaf)


async def _hashes(audit: AuditLog, head: Head, end: int) -> AsyncIterator[tuple[str, bytes]]:
    """Yield the hash of every full tile of records, and those in the last tile when its records are not there."""
    full, rest = divmod(head.checkpoint.size, TILE_WIDTH)
    try:
        for start in range(0, full, TILE_WIDTH):
            place = TilePlace(1, start // TILE_WIDTH, min(TILE_WIDTH, full - start))
            yield f"tile/{tile_path(place)}", b"".join(await audit.tile(head.log, 1, place.number, place.width))
        if rest and end <= full:
            hashes = await audit.tile(head.log, 0, full, rest)
            yield f"tile/{tile_path(TilePlace(0, full, rest))}", b"".join(hashes)
    except NotFound:
        raise StorageUnavailable(
            "A part of the audit tree is missing in the database.", hint="Run `failgate audit verify`."
        ) from None


async def _records(audit: AuditLog, log: str, number: int, width: int) -> list[StoredRecord]:
    first = number * TILE_WIDTH
    records = await audit.records(log, first - 1 if first else None, width)
    for seq, record in enumerate(records, first):
        if record.seq != seq:
            break
    else:
        if len(records) == width:
            return records
    raise StorageUnavailable(
        f"A record from {first} to {first + width - 1} is missing in the database.", hint="Run `failgate audit verify`."
    )
