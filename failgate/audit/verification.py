"""Verification: reads every record of the logs and works everything out anew from the bytes.

For each record: the canonical bytes, its number, its log, its object, the hash of the record before, its own hash, and
that the body beside it is what it commits to, or is erased and a record says so (`erasures.py`). For each log: the root
in its head, the stored nodes of the tree, the last signed head (the sidecar), any checkpoint that somebody kept
elsewhere, and what the log `system` records of the heads of the others. Records are read in pages, so memory stays
flat. The walk over a log (`walk.py`) decides; on SQLite, processes beside it sweep the chunks of a large log ahead
(`sweepers.py`).
"""

import asyncio
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from typing import Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from failgate.audit.beside import bodies_between, has_bodies
from failgate.audit.checkpoint import Checkpoint, NoteRejected, Verifier, open_note, read_unverified
from failgate.audit.erasures import Beside
from failgate.audit.handover import HANDOVERS_FILE, read_handovers
from failgate.audit.places import SEQ_BITS, record_position
from failgate.audit.record import SYSTEM
from failgate.audit.recorded import RecordedHead, contradiction, recorded_heads
from failgate.audit.signer.asking import SignerAway, SignerProcess
from failgate.audit.signing import KEY_FILE, SIDECAR_FILE, Identity, key_in_use, read_sidecar, signer_of
from failgate.audit.stored import HeadUnreadable, read_head, read_heads
from failgate.audit.sweep import CHUNK, SqlitePages
from failgate.audit.sweepers import Sweepers, processes_beside
from failgate.audit.tree import EMPTY_ROOT
from failgate.audit.walk import Anchor, Found, Walk
from failgate.base.db import Database
from failgate.base.errors import StartRefused

PAGE = 1024  # records read at once over PostgreSQL; a multiple of a tile, a part of a chunk
LARGE = 4 * CHUNK  # records from which on other processes pay for their start
State = Literal["intact", "tampered", "incomplete"]
EXIT_CODES: dict[State, int] = {"intact": 0, "tampered": 1, "incomplete": 3}

_RECORDS = """
SELECT position, leaf, leaf_hash, obj_id FROM audit_record WHERE position >= $1 AND position < $2 ORDER BY position
"""
_NODES = "SELECT position, hash FROM audit_node WHERE position >= $1 AND position < $2"
_LAST = """
SELECT size, (SELECT MAX(position) FROM audit_record WHERE position >= $1 AND position < $2) AS last
FROM audit_head WHERE log = $3
"""
_NEXT_NUMBER = "SELECT position FROM audit_record WHERE position >= $1 ORDER BY position LIMIT 1"


@dataclass(frozen=True, slots=True)
class LogVerdict:
    """What was found of one log.

    `first_bad` is the number of the first record whose bytes or place differ, or that is missing; None when nothing
    tells, as after a rewrite of everything behind it.
    """

    log: str
    size: int
    root: bytes
    state: State = "intact"
    first_bad: int | None = None
    reason: str = ""

    @property
    def sentence(self) -> str:
        """Return the verdict for a person."""
        if self.state == "intact":
            return f"{self.log}: intact, {self.size} records, root {self.root.hex()}"
        where = "unknown" if self.first_bad is None else str(self.first_bad)
        return f"{self.log}: {self.state}, first bad record {where}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Verification:
    """The verdicts of all logs."""

    verdicts: tuple[LogVerdict, ...]

    @property
    def state(self) -> State:
        """Return the worst state of all: tampered, then incomplete, then intact."""
        states = {verdict.state for verdict in self.verdicts}
        return "tampered" if "tampered" in states else "incomplete" if "incomplete" in states else "intact"

    @property
    def exit_code(self) -> int:
        """Return 0 intact, 1 tampered, 3 incomplete."""
        return EXIT_CODES[self.state]


async def verify_logs(
    database: Database,
    data_dir: Path | None = None,
    *,
    against: Sequence[tuple[str, str]] = (),
    vkeys: Sequence[str] = (),
    logs: Sequence[str] | None = None,
    key: Ed25519PrivateKey | None = None,
    elsewhere: SignerProcess | None = None,
) -> Verification:
    """Verify every log of `database`, or those named.

    `data_dir` holds the signer's key and sidecar; without a sidecar in it the verdict is incomplete, because nothing
    outside the database vouches for its length; `key` is the signer's where it is kept elsewhere. A signer that is a
    process of its own is asked for the heads that it signed; while it is away the verdict is incomplete.
    `against` are pairs of a file's name and the signed note in it, which are proven by `vkeys` or by
    the installation's own key.

    Raises: NoteRejected (a note of `against` that no known key signed, or of no log here).
    """
    if elsewhere is None or data_dir is None:
        signer, notes, gap = await asyncio.to_thread(_read_files, data_dir, key)
        known = dict[str, Checkpoint]()
    else:
        signer, notes, gap, known = await _ask_signer(data_dir, elsewhere)
    try:
        heads = {stored.log: stored for stored in await read_heads(database)}
    except HeadUnreadable as error:
        return Verification((LogVerdict("all logs", 0, EMPTY_ROOT, "tampered", None, error.sentence),))
    anchors, verdicts = _sidecar_anchors(signer, notes)
    for log, head in known.items():
        anchors.setdefault(log, []).append(Anchor(head, "the signer"))
    for source, note in against:
        log, checkpoint = _kept_elsewhere(note, signer, vkeys, {*heads, *anchors})
        anchors.setdefault(log, []).append(Anchor(checkpoint, source))
    system = await verify_log(database, SYSTEM, anchors.get(SYSTEM, ()))
    recorded = await recorded_heads(database) if system.state == "intact" else {}
    for log in sorted({*heads, *anchors, *recorded} if logs is None else set(logs)):
        if log == SYSTEM:
            verdicts.append(system)
            continue
        verdict = await verify_log(database, log, anchors.get(log, ()))
        verdicts.append(await _as_recorded(database, verdict, recorded.get(log, ())))
    if logs is None:
        verdicts += await _strays(database, {stored.number for stored in heads.values()})
    if gap:
        verdicts.append(LogVerdict("all logs", 0, EMPTY_ROOT, "incomplete", None, gap))
    return Verification(tuple(verdicts))


async def _as_recorded(database: Database, verdict: LogVerdict, recorded: Sequence[RecordedHead]) -> LogVerdict:
    """Compare an intact log with what the log `system` records of it."""
    wrong = await contradiction(database, verdict.log, recorded) if verdict.state == "intact" else None
    return verdict if wrong is None else replace(verdict, state="tampered", first_bad=wrong[0], reason=wrong[1])


async def verify_log(database: Database, log: str, anchors: Sequence[Anchor] = ()) -> LogVerdict:
    """Verify one log against its head, its nodes and the heads that were kept elsewhere.

    A log that grows meanwhile is verified up to where it was.
    """
    stored = await read_head(database, log)
    number, size, root = (0, 0, EMPTY_ROOT) if stored is None else (stored.number, stored.head.size, stored.head.root)
    walk, beside = Walk(log, number, size, anchors), Beside(number)
    try:
        walk.begin()
        path = await _file_of(database)
        await (_walk_rows(walk, beside, database) if path is None else _walk_file(walk, beside, path))
        walk.end(stored)
        await _no_more(database, log, number, size)
        await beside.end(database, log)
    except Found as found:
        return LogVerdict(log, size, root, "tampered", found.first_bad, found.reason)
    return LogVerdict(log, size, root)


async def _file_of(database: Database) -> Path | None:
    """Return the file that SQLite keeps `database` in, or None."""
    if database.dialect != "sqlite":
        return None
    names = [row["file"] for row in await database.fetch("PRAGMA database_list") if row["name"] == "main"]
    return Path(names[0]) if names and names[0] else None


async def _walk_rows(walk: Walk, beside: Beside, database: Database) -> None:
    """Read a log through `database`; nothing is read ahead, for the walk would wait anyway. Raises: Found."""
    base = record_position(walk.number, 0)
    is_with_bodies = database.dialect == "sqlite" or await has_bodies(database)
    for start in range(0, walk.size, CHUNK):
        end = min(start + CHUNK, walk.size)
        for first in range(start, end, PAGE):
            last = min(first + PAGE, end)
            found = await database.fetch(_RECORDS, base + first, base + last)
            rows = [(row["position"], row["leaf"], row["leaf_hash"], row["obj_id"]) for row in found]
            walk.read(rows)
            bodies = await bodies_between(database, walk.number, first, first + len(rows)) if is_with_bodies else {}
            beside.read(rows, bodies)
        for span in walk.node_spans():
            walk.see([(row["position"], row["hash"]) for row in await database.fetch(_NODES, *span)])
        walk.compare()


async def _walk_file(walk: Walk, beside: Beside, path: Path) -> None:
    """Read a log from a SQLite file in a thread, which saves a hand-over for each page. Raises: Found."""
    is_left = Event()
    try:
        await asyncio.to_thread(_walk_in_thread, walk, beside, path, is_left)
    finally:
        is_left.set()


def _walk_in_thread(walk: Walk, beside: Beside, path: Path, is_left: Event) -> None:
    chunks = walk.size // CHUNK
    base = record_position(walk.number, 0)
    others = processes_beside() if walk.size >= LARGE else 0
    with SqlitePages(path) as pages, closing(Sweepers(path, walk.log, walk.number, chunks, beside=others)) as sweepers:
        for chunk, start in enumerate(range(0, walk.size, CHUNK)):
            if is_left.is_set():
                return
            swept = sweepers.take(chunk, pages) if others and chunk < chunks else None
            if swept is not None and walk.skip(swept):
                beside.skip(swept)
            else:
                for rows in pages.records((base + start, base + min(start + CHUNK, walk.size))):
                    walk.read(rows)
                    beside.read(rows, pages.bodies(base, (rows[0][0], rows[0][0] + len(rows))))
            for span in walk.node_spans():
                walk.see(pages.nodes(span))
            walk.compare()


async def _no_more(database: Database, log: str, number: int, size: int) -> None:
    """Refuse records beyond the head. Head and last record are read in one statement: the log may be growing."""
    bounds = record_position(number, 0), record_position(number + 1, 0)
    row = await database.fetch_one(_LAST, *bounds, log)
    if row is not None and row["last"] is not None and row["last"] - bounds[0] >= max(row["size"], size):
        raise Found(max(row["size"], size), "there are records beyond the head of the log")


async def _strays(database: Database, known: set[int]) -> list[LogVerdict]:
    """Return a verdict for each run of records whose log has no head."""
    verdicts: list[LogVerdict] = []
    number = 0
    while row := await database.fetch_one(_NEXT_NUMBER, record_position(number, 0)):
        number = row["position"] >> SEQ_BITS
        if number not in known:
            verdicts.append(
                LogVerdict(
                    f"log number {number}", 0, EMPTY_ROOT, "tampered", 0, "there are records, but no head of the log"
                )
            )
        number += 1
    return verdicts


def _read_files(data_dir: Path | None, given: Ed25519PrivateKey | None) -> tuple[Identity | None, dict[str, str], str]:
    """Return the signer, the sidecar's notes, and what is missing of them."""
    if data_dir is None:
        return None, {}, ""
    try:
        key, notes = key_in_use(data_dir / KEY_FILE, given), read_sidecar(data_dir / SIDECAR_FILE)
    except StartRefused as error:
        return None, {}, error.sentence
    if key is None or notes is None:
        absent = data_dir / (KEY_FILE if key is None else SIDECAR_FILE)
        return None, {}, f"{absent} is missing: nothing outside the database vouches for it"
    try:
        return signer_of(data_dir, key), notes, ""
    except StartRefused as error:
        return None, {}, error.sentence


async def _ask_signer(
    data_dir: Path, elsewhere: SignerProcess
) -> tuple[Identity | None, dict[str, str], str, dict[str, Checkpoint]]:
    """Return who signs, the sidecar's notes, what is missing, and the heads that the signer knows."""
    try:
        notes = await asyncio.to_thread(read_sidecar, data_dir / SIDECAR_FILE)
        kept = await asyncio.to_thread(read_handovers, data_dir / HANDOVERS_FILE)
    except StartRefused as error:
        return None, {}, error.sentence, {}
    gap = "" if notes is not None else f"{data_dir / SIDECAR_FILE} is missing: only the signer vouches for the logs"
    try:
        identity, known = (await elsewhere.introduction()).identity, await elsewhere.heads()
    except (SignerAway, StartRefused) as error:
        if kept is None:
            return None, {}, error.sentence, {}
        identity, known, gap = Identity(kept.current, kept.origin, kept.retired), {}, error.sentence
    return identity, notes or {}, gap, known


def _sidecar_anchors(
    signer: Identity | None, notes: dict[str, str]
) -> tuple[dict[str, list[Anchor]], list[LogVerdict]]:
    anchors: dict[str, list[Anchor]] = {}
    verdicts: list[LogVerdict] = []
    for log, note in notes.items() if signer is not None else ():
        try:
            assert signer is not None
            anchors[log] = [Anchor(_signed_by(note, signer, log), "sidecar")]
        except NoteRejected as error:
            verdicts.append(
                LogVerdict(log, 0, EMPTY_ROOT, "tampered", None, f"the signed head is not ours: {error.sentence}")
            )
    return anchors, verdicts


def _signed_by(note: str, signer: Identity, log: str) -> Checkpoint:
    """Return the head in `note`, signed for `log` under whatever name the installation has."""
    checkpoint = read_unverified(note)
    if not checkpoint.origin.endswith(f"/log/{log}"):
        raise NoteRejected(f"The note is of {checkpoint.origin}.")
    return signer.vouched(note)


def _kept_elsewhere(note: str, signer: Identity | None, vkeys: Sequence[str], logs: set[str]) -> tuple[str, Checkpoint]:
    checkpoint = read_unverified(note)
    verifiers = [Verifier.parse(vkey) for vkey in vkeys]
    try:
        open_note(note, [verifier for verifier in verifiers if verifier.name == checkpoint.origin])
    except NoteRejected:
        if signer is None:
            raise
        signer.vouched(note)
    log = checkpoint.origin.rpartition("/log/")[2]
    if "/log/" not in checkpoint.origin or (not logs and not checkpoint.size):
        raise NoteRejected(f"The note is of {checkpoint.origin}, which is no log of this database.")
    return log, checkpoint
