"""C1: kill -9 at a random millisecond while 50 clients work. Nothing acknowledged is lost, nothing is unrecorded."""

import asyncio
import base64
import contextlib
import hashlib
import json
import random
import uuid
from pathlib import Path
from typing import Any

from campaign import Campaign, Seen
from ground import opened, records, verification
from served import Connection, Server, founded

CLIENTS = 50
LONGEST_MS = 500
WHERE = "/api/v1/workspaces/acme"


def submission(*words: str) -> dict[str, Any]:
    command = {
        "v": 1, "argv": ["make", *words], "cwd": "/src", "env": {}, "host": "builder", "nonce": str(uuid.uuid4()),
    }  # fmt: skip
    octets = json.dumps(command, sort_keys=True, separators=(",", ":")).encode()
    digest = base64.urlsafe_b64encode(hashlib.sha256(octets).digest()).decode().rstrip("=")
    return {"command": command, "digest": digest, "ttl_seconds": 600}


async def client(server: Server, key: str, token: str, name: str, acknowledged: dict[str, str]) -> None:
    """Work until the connection breaks; note each change whose answer came, by its object's id."""
    asking, owning = Connection(server.port, token), Connection(server.port, key)
    try:
        for number in range(10_000):
            status, answer = await asking.post(f"{WHERE}/commands", submission(f"{name}-{number}"))
            if status == 201:
                acknowledged[answer["id"]] = "command.created"
                if number % 2:
                    status, _ = await asking.post(f"{WHERE}/commands/{answer['id']}/cancel", {})
                    if status == 200:
                        acknowledged[answer["id"]] = "command.cancelled"
            if number % 3 == 0:
                status, answer = await owning.post(f"{WHERE}/agents", {"name": f"{name}-{number}"})
                if status == 201:
                    acknowledged[answer["id"]] = "agent.created"
    except (ConnectionError, EOFError, asyncio.IncompleteReadError, ValueError):
        return
    finally:
        asking.close()
        owning.close()


async def load(server: Server, key: str, token: str, name: str, after_ms: float) -> dict[str, str]:
    acknowledged: dict[str, str] = {}
    working = [
        asyncio.create_task(client(server, key, token, f"{name}-{number}", acknowledged)) for number in range(CLIENTS)
    ]
    await asyncio.sleep(after_ms / 1000)
    await asyncio.to_thread(server.end)
    for task in working:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(task, 10)
    return acknowledged


def look(server: Server, acknowledged: dict[str, str], seen: Seen, where: str) -> None:
    """Compare what was acknowledged, what is kept and what is recorded; verify the logs."""
    database = server.data / "failgate.sqlite"
    with opened(database) as connection:
        told: dict[str, set[str]] = {}
        for record in records(connection):
            told.setdefault(record["obj"]["id"], set()).add(record["act"])
        commands = dict(connection.execute("SELECT id, state FROM gate_command").fetchall())
        agents = {row[0] for row in connection.execute("SELECT id FROM agent")}
    for identifier, act in acknowledged.items():
        is_kept = identifier in (agents if act.startswith("agent") else commands)
        seen.expect(
            is_kept and act in told.get(identifier, ()), f"{where}: {act} of {identifier} was acknowledged and lost"
        )
    for identifier, state in commands.items():
        needed = {"command.created"} | ({"command.cancelled"} if state == "cancelled" else set())
        seen.expect(needed <= told.get(identifier, set()), f"{where}: command {identifier} is {state} without a record")
    for identifier in agents:
        seen.expect("agent.created" in told.get(identifier, ()), f"{where}: agent {identifier} has no record")
    state, why = verification(database, server.data)
    seen.expect(state == "intact", f"{where}: the log is {state}: {why}")


def rounds(folder: Path, count: int, chance: random.Random, fault: str | None = None) -> Seen:
    seen, acknowledged, slowest = Seen(), 0, 0.0
    with founded(folder, fault=fault) as (server, key, token):
        for number in range(count):
            after_ms = chance.uniform(20, LONGEST_MS)
            told = asyncio.run(load(server, key, token, f"r{number}", after_ms))
            acknowledged += len(told)
            look(server, told, seen, f"round {number}, killed after {after_ms:.0f} ms")
            if fault is not None and seen.broken:
                return seen
            server.start()
            slowest = max(slowest, server.start_seconds)
            seen.expect(server.start_seconds <= 15, f"round {number}: it took {server.start_seconds:.1f} s to start")
            seen.count += 1
    seen.expect(fault is not None or acknowledged > count, f"only {acknowledged} events were acknowledged")
    seen.figures = {"events acknowledged": acknowledged, "slowest start s": round(slowest, 2)}
    return seen


def control(folder: Path, chance: random.Random) -> Seen:
    """Two faults: answers before the commit, and changes without their record. Both have to be caught."""
    found = Seen()
    for fault in ("late_commit", "no_leaf"):
        (folder / fault).mkdir()
        seen = rounds(folder / fault, 8, chance, fault)  # until the first that is caught: one may end before the work
        if not seen.broken:
            return Seen()
        found.broken += seen.broken
    return found


CAMPAIGN = Campaign(
    "C1", "killed under load, nothing acknowledged is lost and nothing is unrecorded", "kills",
    "answers before the commit; changes without a record", {"ci": 6, "nightly": 500, "release": 3000}, rounds, control,
)  # fmt: skip
