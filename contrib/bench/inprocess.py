"""The jobs that are measured without a server, each in a fresh process: `python inprocess.py JOB FOLDER NUMBER`.

Prints one JSON object: seconds, count, the process's peak memory in MiB before and after.
"""

import asyncio
import json
import random
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import payload
from harness import peak_memory_mib

from failgate.audit.log import AuditLog
from failgate.audit.record import Actor, Event
from failgate.audit.tables import record_position
from failgate.audit.tree import leaf_hash, verify_consistency, verify_inclusion
from failgate.audit.verification import verify_logs
from failgate.base.canonical import canonical
from failgate.base.clock import SystemClock
from failgate.base.db import Database, Transaction
from failgate.base.migrate import core_migrations, migrate
from failgate.base.open_database import open_database

GROUP = 100
PAGE = 1024
WORKSPACE = "0199e0a0-0000-7000-8000-000000000001"
AGENT = Actor("agent", "0199e0a0-0000-7000-8000-000000000002", ("token",))


class Clock:
    """Wall time and processor time of this process, of every span between `start` and `stop`."""

    def __init__(self, *, is_running: bool = True) -> None:
        self._wall = self._spent = 0.0
        if is_running:
            self.start()

    def start(self) -> None:
        self._wall -= time.perf_counter()
        self._spent -= time.process_time()

    def stop(self) -> None:
        self._wall += time.perf_counter()
        self._spent += time.process_time()

    def result(self, count: int) -> dict[str, Any]:
        return {"count": count, "seconds": self._wall, "cpu_seconds": self._spent}


async def opened(folder: Path) -> Database:
    folder.mkdir(parents=True, exist_ok=True)
    database = await open_database(f"sqlite://{(folder / 'failgate.sqlite').absolute()}")
    await migrate(database, core_migrations())
    return database


def events(seed: int, number: int) -> list[Event]:
    """Return `number` events of decisions, made before the time counts."""
    from corpus import decision

    identifiers = payload.identifiers(seed)
    return [decision(WORKSPACE, next(identifiers), AGENT) for _ in range(number)]


async def append(folder: Path, number: int) -> dict[str, Any]:
    """`AuditLog.append`, a hundred in each commit."""
    database = await opened(folder)
    audit = AuditLog(database, SystemClock(), folder)
    await audit.open()
    made = events(await audit.size(WORKSPACE) + 1, number)
    groups = [made[start : start + GROUP] for start in range(0, number, GROUP)]

    async def keep(tx: Transaction, group: list[Event]) -> None:
        for event in group:
            await audit.append(tx, event)

    clock = Clock()
    for group in groups:
        await database.write(lambda tx, group=group: keep(tx, group))
    clock.stop()
    await audit.close()
    await database.close()
    return clock.result(number)


async def append_treeless(folder: Path, number: int) -> dict[str, Any]:
    """The same without the Merkle tree: only canonical form, chain and rows. Such a log proves nothing."""
    from failgate.audit import pending

    pending.grow = lambda peaks, _size, _leaves: (peaks, [])
    return await append(folder, number)


async def proofs(folder: Path, number: int) -> dict[str, Any]:
    """Inclusion proofs of records all over the log of the workspace, and consistency proofs from all over it.

    Each is verified, outside of the time that counts.
    """
    database = await opened(folder)
    audit = AuditLog(database, SystemClock(), folder)
    await audit.open()
    log = max(await audit.heads(), key=lambda stored: stored.head.size).log
    size = await audit.size(log)
    root = await audit.root(log)
    places = random.Random(12)
    took: list[float] = []
    longest = 0
    for _ in range(number):
        seq, old = places.randrange(size), places.randrange(1, size)
        leaf = (await audit.record_at(log, seq)).leaf
        began = time.perf_counter()
        included = await audit.inclusion(log, seq, size)
        took.append(time.perf_counter() - began)
        verify_inclusion(leaf_hash(leaf), seq, size, included.hashes, root)
        old_root = await audit.root(log, old)
        began = time.perf_counter()
        consistent = await audit.consistency(log, old, size)
        took.append(time.perf_counter() - began)
        verify_consistency(old, size, consistent.hashes, old_root, root)
        longest = max(longest, len(included.hashes))
    await audit.close()
    await database.close()
    took.sort()
    return {
        "count": len(took), "seconds": sum(took), "p50_ms": took[len(took) // 2] * 1000,
        "p99_ms": took[int(len(took) * 0.99)] * 1000, "hashes": longest, "records": size,
    }  # fmt: skip


async def append_floor(folder: Path, number: int) -> dict[str, Any]:
    """The same rows in the same tables by plain sqlite3, made beforehand: no chain, no tree, no canonical form."""
    if not (folder / "failgate.sqlite").exists():
        await (await opened(folder)).close()
    connection = sqlite3.connect(folder / "failgate.sqlite", isolation_level=None)
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(
        "INSERT INTO audit_head (log, number, size, last_hash, peaks, ts_us, clock_us)"
        " VALUES ('floor', 1, 0, x'', x'', 0, 0) ON CONFLICT DO NOTHING"
    )
    first = connection.execute("SELECT size FROM audit_head WHERE log = 'floor'").fetchone()[0]
    rows = _rows(first, number)
    groups = [rows[start : start + GROUP] for start in range(0, number, GROUP)]
    clock = Clock()
    for place, group in enumerate(groups):
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(
            "INSERT INTO audit_record (position, leaf, leaf_hash, obj_id) VALUES (?, ?, ?, ?)", group
        )
        connection.execute(
            "UPDATE audit_head SET size = ?, last_hash = ?, ts_us = ? WHERE log = 'floor'",
            (first + (place + 1) * GROUP, group[-1][2], place),
        )
        connection.execute("COMMIT")
    clock.stop()
    connection.close()
    return clock.result(number)


def _rows(first: int, number: int) -> list[tuple[int, bytes, bytes, str]]:
    from failgate.audit.encoding import leaf_of
    from failgate.audit.tree import leaf_hash
    from failgate.base.canonical import base64url

    rows, last = [], b"\0" * 32
    for place, event in enumerate(events(first + 1, number)):
        leaf = leaf_of(event, first + place, 1_760_000_000_000_000 + place, base64url(last))
        last = leaf_hash(leaf)
        rows.append((record_position(1, first + place), leaf, last, event.obj_id))
    return rows


async def commit(folder: Path, number: int) -> dict[str, Any]:
    """One row a commit, by plain sqlite3."""
    connection = sqlite3.connect(folder / "commits.sqlite", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE IF NOT EXISTS message (id INTEGER PRIMARY KEY, body TEXT NOT NULL)")
    clock = Clock()
    for _ in range(number):
        connection.execute("INSERT INTO message (body) VALUES (?)", ("x" * 500,))
    clock.stop()
    connection.close()
    return clock.result(number)


async def verify(folder: Path, _number: int) -> dict[str, Any]:
    """`verify_logs` over every log of the folder."""
    database = await open_database(f"sqlite://{(folder / 'failgate.sqlite').absolute()}")
    clock = Clock()
    found = await verify_logs(database, folder)
    clock.stop()
    await database.close()
    if found.state != "intact":
        raise RuntimeError("; ".join(verdict.sentence for verdict in found.verdicts))
    return clock.result(sum(verdict.size for verdict in found.verdicts))


async def verify_floor(folder: Path, _number: int) -> dict[str, Any]:
    """The canonical form of every record alone: neither hashed nor chained nor compared with anything."""
    clock, count = Clock(is_running=False), 0
    for leaves in _pages(folder):
        records = [json.loads(leaf) for leaf in leaves]
        clock.start()
        for record in records:
            canonical(record)
        clock.stop()
        count += len(records)
    return clock.result(count)


def _pages(folder: Path) -> Iterator[list[bytes]]:
    connection = sqlite3.connect(f"file:{folder / 'failgate.sqlite'}?mode=ro", uri=True)
    cursor = connection.execute("SELECT leaf FROM audit_record ORDER BY position")
    while rows := cursor.fetchmany(PAGE):
        yield [row[0] for row in rows]
    connection.close()


JOBS: dict[str, Callable[[Path, int], Any]] = {
    "append": append,
    "append-floor": append_floor,
    "append-treeless": append_treeless,
    "proofs": proofs,
    "commit": commit,
    "verify": verify,
    "verify-floor": verify_floor,
}


def main() -> None:
    """Carry out the job of the command line."""
    job, folder, number = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    before = peak_memory_mib("self")
    work = JOBS[job](folder, number)
    try:
        import uvloop

        result = uvloop.run(work)
    except ImportError:
        result = asyncio.run(work)
    print(json.dumps(result | {"imports_mib": before, "peak_mib": peak_memory_mib("self")}))


if __name__ == "__main__":
    main()
