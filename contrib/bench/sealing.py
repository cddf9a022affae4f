"""The jobs of row 18, each in a fresh process: `python sealing.py JOB FOLDER NUMBER`; prints one JSON object.

Keys, manifest and commands are made beforehand, as the tests make them; what a job does is what the product does.
"""

import asyncio
import json
import os
import sqlite3
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from harness import peak_memory_mib
from inprocess import opened

from failgate.access.principal import Principal
from failgate.audit.log import AuditLog
from failgate.audit.record import Actor
from failgate.base.canonical import base64url, digest_of
from failgate.base.clock import MICROSECONDS, SystemClock
from failgate.base.ids import new_id
from failgate.relay.room import build_relay
from failgate.sealed.keys import SealingKey, VerifyingKey
from failgate.sealed.manifest import read_payload
from failgate.sealed.policy import read_policy
from failgate.sealed.quorum import decide
from failgate.sealed.sealing import seal_command
from failgate.wire.sealed import NewDeviceKey
from tests.relay.parties import Reviewer, Sealed

SIZE = 16 * 1024
_TOKENS = 85  # of 131 bytes as JSON: signed and in base64 they fill the bucket of 16 KiB


def figures(took: list[float]) -> dict[str, Any]:
    took.sort()
    return {
        "count": len(took),
        "p50_ms": statistics.median(took) * 1000,
        "p99_ms": took[len(took) * 99 // 100] * 1000,
    }


def long_command(parties: Sealed) -> dict[str, Any]:
    return parties.command("/bin/echo", *(base64url(os.urandom(96)) for _ in range(_TOKENS)))


async def relay(folder: Path, number: int) -> dict[str, Any]:
    """Take sealed commands one after another: verified, kept, on record, committed."""
    from failgate_e2ee import E2ee, E2eeSettings

    database, clock = await opened(folder), SystemClock()
    audit = AuditLog(database, clock, folder)
    await audit.open()
    door, workspace = E2ee(E2eeSettings(waiting_per_agent=10_000)), new_id()
    room = build_relay(database, audit, clock, door)
    bot = Principal(kind="agent", agent_id=new_id(), owner_account_id=new_id(), workspace_id=workspace)
    parties = Sealed(workspace, [Reviewer(new_id(), place) for place in range(2)], clock.now_us() // MICROSECONDS, 2)
    for one in parties.people:
        for wish in (
            NewDeviceKey(purpose="opening", jwk=one.opening.public_jwk(), label="bench"),
            NewDeviceKey(purpose="deciding", jwk=one.signing.public_jwk(), label="bench", key_class="native"),
        ):
            who = Actor("user", one.account)
            await database.write(lambda tx, wish=wish, who=who: room.directory.enrol(tx, door, workspace, wish, who))
    own = parties.agent.public_jwk()
    await database.write(lambda tx: room.directory.enrol_agent(tx, door, workspace, own, "bench", Actor.of(bot)))
    admin, signed = Actor("user", new_id()), parties.next()
    await database.write(lambda tx: room.manifests.accept(tx, door, workspace, signed, [parties.policy], admin))
    bodies = [parties.seal(cmd, parties.context(cmd)) for cmd in (long_command(parties) for _ in range(number))]
    took: list[float] = []
    for body in bodies:
        began = time.perf_counter()
        await database.write(lambda tx, body=body: room.commands.submit(tx, door, workspace, bot, body))
        took.append(time.perf_counter() - began)
    await audit.close()
    await database.close()
    return figures(took) | {"sealed_kib": len(json.dumps(bodies[0])) / 1024}


async def relay_floor(folder: Path, number: int) -> dict[str, Any]:
    """Keep as many bytes and hand them on, believing everybody: one row, one record's row, one commit."""
    folder.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(folder / "floor.sqlite", isolation_level=None)
    connection.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE command (id, body);"
                             "CREATE TABLE record (position INTEGER PRIMARY KEY, leaf);")  # fmt: skip
    body = base64url(os.urandom(SIZE * 4 // 3))
    took: list[float] = []
    for place in range(number):
        began = time.perf_counter()
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO command VALUES (?, ?)", (new_id(), body))
        connection.execute("INSERT INTO record VALUES (?, ?)", (place, b"x" * 400))
        connection.execute("COMMIT")
        took.append(time.perf_counter() - began)
    connection.close()
    return figures(took)


async def approval(_folder: Path, number: int) -> dict[str, Any]:
    """What an agent adds for sealing to two reviewers and believing both: seal, sign, verify two decisions."""
    parties = Sealed(new_id(), [Reviewer(new_id(), place) for place in range(2)], int(time.time()), 2)
    payload = parties.payload()
    manifest, policy = read_payload(payload), read_policy(parties.policy)
    parties.epoch, parties.prev = payload["epoch"], digest_of(payload)
    readers = {one.opening.jkt: SealingKey.from_jwk(one.opening.public_jwk()) for one in parties.people}
    ring = {one.signing.jkt: VerifyingKey.from_jwk(one.signing.public_jwk()) for one in parties.people}
    took: list[float] = []
    for _ in range(number):
        cmd = long_command(parties)
        began = time.perf_counter()
        ctx = parties.context(cmd)
        seal_command(cmd, ctx, signer=parties.agent, readers=readers)
        spent = time.perf_counter() - began
        decisions = [parties.decided(one, ctx) for one in parties.people]
        began = time.perf_counter()
        decide(decisions, ctx=ctx, policy=policy, manifest=manifest, keys=ring, now=parties.now)
        took.append(spent + time.perf_counter() - began)
    return figures(took)


JOBS: dict[str, Callable[[Path, int], Any]] = {"relay": relay, "relay-floor": relay_floor, "approval": approval}


def main() -> None:
    """Carry out the job of the command line."""
    job, folder, number = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    print(json.dumps(asyncio.run(JOBS[job](folder, number)) | {"peak_mib": peak_memory_mib("self")}))


if __name__ == "__main__":
    main()
