"""The audit logs: one for each workspace, and `system` for what belongs to none.

`append` takes the open transaction of the change that it records, so both are kept or neither is. The head of a log
stays in the transaction's own cache, which forgets what did not commit, and is written once for each group commit.
"""

import asyncio
import logging
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias, cast

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from failgate.audit.chain import BEFORE_FIRST
from failgate.audit.checkpoint import read_unverified
from failgate.audit.last_kept import LastKept
from failgate.audit.nodes import StoredTree
from failgate.audit.notary import Notary
from failgate.audit.pending import Pending
from failgate.audit.places import SEQ_BITS, record_position
from failgate.audit.proof import Proof
from failgate.audit.record import SYSTEM, Act, Event
from failgate.audit.recorded import newest_head
from failgate.audit.rollback import Rollback, accepted
from failgate.audit.signer.asking import SignerProcess
from failgate.audit.stored import StoredHead, StoredRecord, read_head, read_heads, stored_head_of
from failgate.audit.tree import EMPTY_ROOT, TILE_WIDTH, ProofRejected
from failgate.base.background import Background
from failgate.base.clock import Clock
from failgate.base.db import Database, Row, Transaction
from failgate.base.errors import FailgateError, NotFound
from failgate.base.log import RequestContext, request_context

MOST_RECORDS = 1000  # in one page
SIGN_EVERY_SECONDS = 60.0
_SEQ_MASK = (1 << SEQ_BITS) - 1
_LOCK_KEY = 0x6661_6961_7564_6974  # PostgreSQL's advisory lock while a log is begun
_log = logging.getLogger("failgate.audit")
_LAST_ACTS: Final = frozenset({Act.WORKSPACE_EMPTIED, Act.BODY_ERASED})  # what a log that was ended still says
_Place: TypeAlias = tuple[Pending | None, int]  # what the cache keeps of a log: its open end, and how many rows count
_NOWHERE: Final[_Place] = (None, 0)

_HEAD = "SELECT log, number, size, last_hash, peaks, ts_us, clock_us FROM audit_head WHERE log = $1"
_BEGIN_LOG = """
INSERT INTO audit_head (log, number, size, last_hash, peaks, ts_us, clock_us)
SELECT $1, COALESCE(MAX(number), 0) + 1, 0, $2, $3, 0, 0 FROM audit_head
"""
_MOVE_HEAD = "UPDATE audit_head SET size = $1, last_hash = $2, peaks = $3, ts_us = $4, clock_us = $5 WHERE log = $6"
_PAGE = "SELECT position, leaf, leaf_hash FROM audit_record WHERE position >= $1 AND position < $2"
_OLDEST_FIRST = f"{_PAGE} ORDER BY position LIMIT $3"
_NEWEST_FIRST = f"{_PAGE} ORDER BY position DESC LIMIT $3"
_ALL_OF_OBJECT = f"{_PAGE} AND obj_id = $3 ORDER BY position"
_OF_OBJECT = f"{_PAGE} AND obj_id = $3 ORDER BY position DESC LIMIT $4"


class Appended(NamedTuple):
    """Where a record went: its log, its number there, its time in microseconds since 1970."""

    log: str
    seq: int
    ts_us: int


class AuditLog:
    """Appends, reads, proves and signs. `open` compares the database with what was signed; `close` signs all heads."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        data_dir: Path,
        *,
        origin: str | None = None,
        key: Ed25519PrivateKey | None = None,
        previous_key: Ed25519PrivateKey | None = None,
        signer: SignerProcess | None = None,
        sign_every_seconds: float = SIGN_EVERY_SECONDS,
    ) -> None:
        """Keep where things are: key (unless given, or with `signer`) and sidecar lie in `data_dir`."""
        self._database = database
        self._clock = clock
        self._tree = StoredTree(database)
        self.notary = Notary(database, data_dir, origin, key, previous_key, signer)
        self._sign_every_seconds = sign_every_seconds
        self._numbers: dict[str, int] = {}
        self._ended: set[str] = set()
        self._last_kept = LastKept()
        self._listeners: set[asyncio.Event] = set()
        self._grew = asyncio.Event()
        self._signing = Background("audit-signing", self._step)

    async def open(self, *, accept_rollback: bool = False) -> list[Rollback]:
        """Compare every log with its signed and its recorded head, then sign in the background; return the rollbacks.

        Each one that is accepted is recorded in its log and in `system`, and signed at once.

        Raises: StartRefused (the database is behind what was signed or differs from it, or a file of the signer is
        missing or damaged).
        """
        stored_heads = await self.heads()
        self._last_kept.note_newest(stored_heads)
        self._database.recognise_by(self._last_kept.recognise)
        heads = [await newest_head(self, stored.log) for stored in stored_heads if stored.log != SYSTEM]
        recorded = [head for head in heads if head is not None]
        rollbacks = await self.notary.open(accept_rollback=accept_rollback, recorded=recorded)
        for event in (event for rollback in rollbacks for event in accepted(rollback)):
            await self.record(event)
        await self.notary.sign_all()
        self._signing.start()
        return rollbacks

    async def close(self) -> None:
        """Sign every head and stop; what cannot be signed is logged. The database is still open when this is called."""
        if self._signing.is_running():
            await self._signing.close()
            await self._try_sign()

    # Appending

    async def append(self, tx: Transaction, event: Event, context: RequestContext | None = None) -> Appended:
        """Record `event` in the transaction `tx`: kept if and only if the rest of the transaction is.

        `context` is the request that caused it; without one, the request being served here.

        Records are written together at the end of the group commit: inside a transaction they are read by `of_object`,
        not by a query. The time is never before that of the record before; a clock that went back by more than a
        second is recorded first, as `clock.step`.

        Raises: EventRefused (the catalogue does not allow it), NotFound (the log was ended): the caller's change is
        undone with it.
        """
        return await self.append_all(tx, event.ws, ((event, context or request_context.get()),))

    async def append_all(
        self, tx: Transaction, log: str, events: Iterable[tuple[Event, RequestContext | None]]
    ) -> Appended:
        """Record `events`, all of `log`, each with its request, as `append` does one; return where the last one went.

        Raises: as `append`.
        """
        key, state = ("audit_head", log), tx.state
        pending, count = cast("_Place", state.get(key, _NOWHERE))
        if pending is None or pending.tx is not tx:
            pending, count = await self._enter(tx, log, pending), 0
        for event, context in events:
            if event.act not in _LAST_ACTS:
                self.must_be_open(tx, log)
            count = pending.record(count, event, self._clock.now_us(), context)
        state[key] = pending, count
        return Appended(log, pending.head.size + count - 1, pending.times_us[-1])

    async def record(self, event: Event) -> Appended:
        """Record `event` by itself; return once it is durable. Raises: EventRefused, StorageUnavailable."""
        context = request_context.get()  # the caller's: the writer runs verbs in a context of its own
        return await self._database.write(lambda tx: self.append(tx, event, context))

    def end(self, tx: Transaction, log: str) -> None:
        """Let nobody change anything more in a workspace that is closed: whatever is to be recorded there is refused.

        No change of state is made without its record, so a request that was under way when the workspace was closed
        changes nothing either. The log stays, and its last record is that the workspace was emptied.
        """
        tx.state["audit_end", log] = True
        tx.after_commit(lambda: self._ended.add(log))

    def must_be_open(self, tx: Transaction, log: str) -> None:
        """Return when `log` was not ended; for a change that has no record of its own. Raises: NotFound."""
        if log in self._ended or tx.state.get(("audit_end", log)):
            raise NotFound("There is no such workspace.")

    def keep_ended(self, logs: Iterable[str]) -> None:
        """Know at the start which logs were ended."""
        self._ended.update(logs)

    async def of_object(self, tx: Transaction, log: str, obj_id: str) -> list[StoredRecord]:
        """Return all records about one object, oldest first; those that the open transaction is to write too."""
        pending, count = cast("_Place", tx.state.get(("audit_head", log), _NOWHERE))
        number = self._numbers.get(log) if pending is None else pending.number
        if number is None:
            row = await tx.fetch_one(_HEAD, log)
            if row is None:
                return []
            number = row["number"]
        bounds = record_position(number, 0), record_position(number + 1, 0)
        found = [_stored(log, row) for row in await tx.fetch(_ALL_OF_OBJECT, *bounds, obj_id)]
        if pending is not None and pending.tx is tx and not pending.is_written:
            waiting = pending.rows[:count]
            found += [
                StoredRecord(log, position & _SEQ_MASK, leaf, hashed)
                for position, leaf, hashed, name in waiting
                if name == obj_id
            ]
        return found

    async def _enter(self, tx: Transaction, log: str, cached: Pending | None) -> Pending:
        """Return the head of `log` at its first record of a group commit.

        Another process may have written meanwhile. SQLite tells by a number that changes with every foreign commit; on
        PostgreSQL the head's row is read again, and held until the commit.
        """
        tx.before_commit(("audit_head", log), partial(self._write, log))
        version = 0
        if tx.dialect == "sqlite":
            version = (await tx.fetch("PRAGMA data_version"))[0]["data_version"]
            if cached is not None and cached.version == version:
                return Pending(tx, cached.number, version, cached.head, cached.open_block)
        query = _HEAD if tx.dialect == "sqlite" else f"{_HEAD} FOR UPDATE"
        row = await tx.fetch_one(query, log)
        if row is None:
            if tx.dialect == "postgres":
                await tx.fetch("SELECT pg_advisory_xact_lock($1)", _LOCK_KEY)
                row = await tx.fetch_one(query, log)
            if row is None:
                await tx.execute(_BEGIN_LOG, log, BEFORE_FIRST, b"")
                row = await tx.fetch_one(query, log)
        assert row is not None
        stored = stored_head_of(row)
        return Pending(tx, stored.number, version, stored.head)

    async def _write(self, log: str, tx: Transaction) -> None:
        """Write the records of this group commit, the nodes that they complete, and the head."""
        key = "audit_head", log
        pending, count = cast("_Place", tx.state.get(key, _NOWHERE))
        if pending is None or pending.tx is not tx:
            return
        head = await pending.write(count)
        written = Pending(tx, pending.number, pending.version, head, pending.open_block)
        written.is_written = True
        tx.state[key] = written, 0
        await tx.execute(_MOVE_HEAD, head.size, head.last, b"".join(head.peaks), head.ts_us, head.clock_us, log)
        tx.after_commit(partial(self._last_kept.note, pending.number, head.size, head.last))
        tx.after_commit(self._announce)

    # Waking

    def listen(self) -> asyncio.Event:
        """Return an event that is set after every commit that added a record, until `unlisten`."""
        event = asyncio.Event()
        self._listeners.add(event)
        return event

    def unlisten(self, event: asyncio.Event) -> None:
        """Forget an event of `listen`."""
        self._listeners.discard(event)

    def _announce(self) -> None:
        self._grew.set()
        for event in self._listeners:
            event.set()

    # Reading

    async def heads(self) -> list[StoredHead]:
        """Return the committed head of every log, oldest log first."""
        return await read_heads(self._database)

    async def stored(self) -> tuple[int, int]:
        """Return how many records all logs hold, and about how many bytes: by the size of the newest two hundred."""
        heads = await self._database.fetch_one(
            "SELECT CAST(COALESCE(SUM(size), 0) AS BIGINT) AS records FROM audit_head"
        )
        newest = await self._database.fetch_one(
            "SELECT AVG(length(leaf)) AS bytes FROM"
            " (SELECT leaf FROM audit_record ORDER BY position DESC LIMIT 200) AS newest"
        )
        records = int(heads["records"]) if heads is not None else 0
        each = float(newest["bytes"]) if newest is not None and newest["bytes"] is not None else 0.0
        return records, round(records * each)

    async def size(self, log: str) -> int:
        """Return how many records `log` has."""
        stored = await read_head(self._database, log)
        return 0 if stored is None else stored.head.size

    async def root(self, log: str, size: int | None = None) -> bytes:
        """Return the root of `log`, now or when it had `size` records. Raises: ProofRejected (it has fewer)."""
        stored = await read_head(self._database, log)
        if stored is None:
            _require(size or 0, 0)
            return EMPTY_ROOT
        if size is None:
            return stored.head.root
        _require(size, stored.head.size)
        return await self._tree.root(stored.number, size)

    async def records(self, log: str, after: int | None = None, limit: int = 100) -> list[StoredRecord]:
        """Return up to `limit` (at most 1,000) records numbered above `after`, oldest first; from the start without."""
        first = 0 if after is None else max(after + 1, 0)
        return await self._page(log, _OLDEST_FIRST, first, _SEQ_MASK, limit)

    async def newest(
        self, log: str, before: int | None = None, limit: int = 50, *, obj_id: str | None = None
    ) -> list[StoredRecord]:
        """Return up to `limit` records numbered below `before`, newest first; only those of one object when given."""
        end = _SEQ_MASK if before is None else max(before, 0)
        if obj_id is None:
            return await self._page(log, _NEWEST_FIRST, 0, end, limit)
        return await self._page(log, _OF_OBJECT, 0, end, limit, obj_id)

    async def record_at(self, log: str, seq: int) -> StoredRecord:
        """Return one record. Raises: NotFound."""
        found = await self._page(log, _OLDEST_FIRST, seq, seq + 1, 1) if seq >= 0 else []
        if not found:
            raise NotFound("The audit log has no such record.")
        return found[0]

    async def _page(self, log: str, query: str, first: int, end: int, limit: int, *args: object) -> list[StoredRecord]:
        number = await self._number(log)
        if number is None or limit < 1:
            return []
        bounds = record_position(number, min(first, _SEQ_MASK)), record_position(number, min(end, _SEQ_MASK))
        rows = await self._database.fetch(query, *bounds, *args, min(limit, MOST_RECORDS))
        return [_stored(log, row) for row in rows]

    async def _number(self, log: str) -> int | None:
        number = self._numbers.get(log)
        if number is None:
            stored = await read_head(self._database, log)
            if stored is None:
                return None
            number = self._numbers[log] = stored.number
        return number

    # Proving

    async def checkpoint(self, log: str) -> str:
        """Return the signed note of the head of `log`. Raises: StorageUnavailable, StartRefused."""
        return await self.notary.note(log)

    async def checkpoints(self) -> dict[str, str]:
        """Return the signed note of the head of every log. Raises: StorageUnavailable, StartRefused."""
        return await self.notary.notes()

    async def vkey(self, log: str) -> str:
        """Return the verifier key that proves checkpoints of `log`, as text."""
        return (await self.notary.signer()).verifier(log).vkey

    async def inclusion(self, log: str, seq: int, size: int | None = None) -> Proof:
        """Return the proof that record `seq` is in `log` as it is now, or as it was with `size` records.

        Raises: ProofRejected (no such record or size).
        """
        note, size = await self._sized(log, size)
        number = await self._number(log)
        if number is None or not 0 <= seq < size:
            raise ProofRejected(f"The log of {size} records has no record {seq}.")
        return Proof(await self._tree.inclusion(number, seq, size), size, note)

    async def consistency(self, log: str, old: int, new: int | None = None) -> Proof:
        """Return the proof that `log`, as it is now or with `new` records, begins with its first `old` records.

        Raises: ProofRejected (no such size).
        """
        note, new = await self._sized(log, new)
        _require(old, new)
        number = await self._number(log)
        hashes = [] if number is None else await self._tree.consistency(number, old, new)
        return Proof(hashes, new, note)

    async def tile(self, log: str, level: int, index: int, width: int = TILE_WIDTH) -> list[bytes]:
        """Return the hashes of a tile of the tree, as C2SP tlog-tiles counts them. Raises: NotFound (not all there)."""
        number = await self._number(log)
        is_sane = 0 <= level < 6 and 0 <= index < 1 << 32 and 1 <= width <= TILE_WIDTH
        hashes = await self._tree.tile(number, level, index, width) if number is not None and is_sane else []
        if not hashes or len(hashes) < width:
            raise NotFound("The audit log has no such tile.")
        return hashes

    async def _sized(self, log: str, size: int | None) -> tuple[str, int]:
        note = await self.checkpoint(log)
        signed = read_unverified(note).size
        if size is None:
            return note, signed
        _require(size, signed)
        return note, size

    async def _step(self) -> None:
        await self._grew.wait()
        await asyncio.sleep(self._sign_every_seconds)
        self._grew.clear()
        await self._try_sign()

    async def _try_sign(self) -> None:
        try:
            await self.notary.sign_all()
        except FailgateError as error:
            self._grew.set()  # what is not signed is tried again
            _log.error("checkpoint.refused: %s", error.sentence)


def _stored(log: str, row: Row) -> StoredRecord:
    return StoredRecord(log, row["position"] & _SEQ_MASK, bytes(row["leaf"]), bytes(row["leaf_hash"]))


def _require(size: int, largest: int) -> None:
    if not 0 <= size <= largest:
        raise ProofRejected(f"The log has {largest} records, not {size}.")
