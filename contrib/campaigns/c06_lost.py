"""C6: PostgreSQL that is killed, frozen, refuses, falls silent, loses the answer to a commit, or is another one.

While it is gone nothing is acknowledged. A request that is sent again with its Idempotency-Key has one effect, whatever
became of the first. Afterwards work goes on by itself.
"""

import asyncio
import itertools
import random
import shutil
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from c01_killed import WHERE, submission
from campaign import Campaign, Seen
from ground import verification
from outages import Outage
from postgres import OWNER, Cluster, Line, cluster
from served import Connection, Server

CLIENTS = 4
PATIENCE_SECONDS = 25.0  # of a client for one answer
RECOVERY_SECONDS = 10.0
GAP_SECONDS = 0.6  # for which it is gone in the smallest level
LONG_SECONDS = 30.0  # in the others
MANY = 20  # rounds from which on it is gone for long


@dataclass
class Told:
    """What one try was answered."""

    name: str
    began: float
    ended: float
    status: int
    identifier: str = ""


@dataclass(kw_only=True)
class Place(Outage):
    """A server over its database, with the line between them."""

    cluster: Cluster
    server: Server
    token: str
    database: str
    before: str  # the same, before the work
    told: list[Told] = field(default_factory=list[Told])


@dataclass(frozen=True)
class Beginning:
    """What every place begins with: a database, the data folder to it, and an agent's token."""

    database: str
    data: Path
    token: str


_beginnings = list[Beginning]()


@asynccontextmanager
async def founded(folder: Path, fault: str | None = None) -> AsyncIterator[Place]:
    """Yield a place with a workspace and an agent; a copy of its database from before the work is kept."""
    found = cluster()
    await found.own()
    name = f"fg_{uuid.uuid4().hex[:8]}"
    async with Line(found.socket).laid() as line:
        config = f'[database]\nurl = "postgresql://{OWNER}@127.0.0.1:{line.port}/{{}}?sslmode=disable"\n'
        if not _beginnings:
            await found.sql(f"CREATE DATABASE {name}_first OWNER {OWNER}")
            (folder / "first").mkdir()
            first = Server(folder / "first", config=config.format(f"{name}_first"))
            token = await asyncio.to_thread(_begin, first)
            _beginnings.append(Beginning(f"{name}_first", first.data, token))
        [beginning] = _beginnings
        await found.copy(beginning.database, name)
        server = Server(folder, fault=fault, config=config.format(name))
        shutil.copytree(beginning.data, server.data)
        await asyncio.to_thread(server.start)
        try:
            yield Place(
                cluster=found, line=line, gap=GAP_SECONDS, server=server, token=beginning.token, database=name,
                before=beginning.database,
            )  # fmt: skip
        finally:
            await asyncio.to_thread(server.end)
            await found.alone(name)


def _begin(server: Server) -> str:
    server.migrate()
    server.admin("bootstrap", "--email", "o@acme.example", "--workspace", "acme", "--password-stdin")
    token: str = server.admin("agent", "create", "--workspace", "acme", "--name", "worker")["token"]
    return token


async def client(place: Place, label: str, is_over: asyncio.Event) -> None:
    """Send requests, each with one key until it was taken."""
    connection = Connection(place.server.port, place.token)
    for number in itertools.count():
        if is_over.is_set():
            break
        body, key = submission(f"{label}-{number}"), str(uuid.uuid4())
        for _ in range(10_000):
            began = time.monotonic()
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    status, answer = await connection.post(f"{WHERE}/commands", body, {"Idempotency-Key": key})
            except (OSError, EOFError, ValueError):
                status, answer = 0, {}
                connection.close()
                connection = Connection(place.server.port, place.token)
            place.told.append(Told(f"{label}-{number}", began, time.monotonic(), status, answer.get("id", "")))
            if status == 201:
                break
            await asyncio.sleep(0.03)
    connection.close()


async def kill(place: Place) -> None:
    await place.cluster.kill()


async def freeze(place: Place) -> None:
    await place.away(place.cluster.freeze(place.gap))


async def lead_to(place: Place, other: str | None) -> None:
    """Put a copy of `other` where the database was, or an empty one; then put it back."""
    found, name = place.cluster, place.database
    await place.line.refuse()
    await found.change(name, f"ALTER DATABASE {name} RENAME TO {name}_kept")
    await found.copy(other or "template0", name)
    await place.line.open()
    await place.away(asyncio.sleep(place.gap))
    await place.line.refuse()
    await found.change(name, f"DROP DATABASE {name}")
    await found.change(f"{name}_kept", f"ALTER DATABASE {name}_kept RENAME TO {name}")
    await place.line.open()


KINDS: dict[str, Callable[[Place], Awaitable[None]]] = {
    "the answer to a commit is lost": lambda place: place.lose_commits("after"),
    "a commit is lost": lambda place: place.lose_commits("before"),
    "it refuses": Place.refuse,
    "it is killed": kill,
    "it is frozen": freeze,
    "an empty one is there": lambda place: lead_to(place, None),
    "one from before is there": lambda place: lead_to(place, place.before),
    "it is silent": Place.silence,
}


async def round_(place: Place, kind: str, chance: random.Random, seen: Seen, where: str) -> list[float]:
    """Let clients work, do what `kind` says, and wait until each works again; return how long that took, in seconds."""
    place.told, place.gone, is_over = [], [], asyncio.Event()
    labels = [f"{where}.{number}" for number in range(CLIENTS)]
    working = [asyncio.create_task(client(place, label, is_over)) for label in labels]
    await asyncio.sleep(chance.uniform(0.1, 0.4))
    await KINDS[kind](place)
    back = time.monotonic()
    waits = list[float]()
    for label in labels:
        while not (
            after := [
                one
                for one in place.told
                if one.status == 201 and one.began >= back and one.name.startswith(label + "-")
            ]
        ):
            if time.monotonic() - back > 4 * RECOVERY_SECONDS:
                seen.expect(is_kept=False, what=f"{where}, {kind}: {label} was not answered any more")
                break
            await asyncio.sleep(0.01)
        waits.append((after[0].ended if after else time.monotonic()) - back)
    is_over.set()
    await asyncio.wait_for(asyncio.gather(*working), 4 * PATIENCE_SECONDS)
    judge(place, kind, seen, where)
    return waits


def judge(place: Place, kind: str, seen: Seen, where: str) -> None:
    wrong = sorted({one.status for one in place.told} - {201, 503})
    seen.expect(not wrong, f"{where}, {kind}: requests were answered {wrong}")
    for began, ended in place.gone:
        taken = [one for one in place.told if one.status == 201 and one.began > began and one.ended < ended]
        seen.expect(not taken, f"{where}, {kind}: {len(taken)} were acknowledged while the database was gone")


async def compare(place: Place, seen: Seen, known: dict[str, str]) -> None:
    """Compare what was acknowledged with what is kept: each name once, each with its record."""
    rows = await place.cluster.sql("SELECT id FROM gate_command", database=place.database)
    kept = [row["id"] for row in rows]
    seen.expect(set(known.values()) <= set(kept), "what was acknowledged was lost")
    strangers = len(kept) - len(set(known.values()))
    seen.expect(strangers == 0, f"{strangers} requests that were sent again had more than one effect")
    leaves = await place.cluster.sql("SELECT leaf FROM audit_record", database=place.database)
    recorded = sum(b'"command.created"' in bytes(row["leaf"]) for row in leaves)
    seen.expect(recorded == len(kept), f"{len(kept)} requests are kept and {recorded} are recorded")


async def all_rounds(folder: Path, kinds: list[str], chance: random.Random, fault: str | None, gap: float) -> Seen:
    seen, waits, known, lost = Seen(), list[float](), dict[str, str](), 0
    async with founded(folder, fault) as place:
        place.gap = gap
        for number, kind in enumerate(kinds):
            waits += await round_(place, kind, chance, seen, f"round {number}")
            known |= {one.name: one.identifier for one in place.told if one.status == 201}
            lost += sum(one.status == 503 for one in place.told)
            seen.count += 1
        await compare(place, seen, known)
        await asyncio.to_thread(place.server.end)
        state, why = await asyncio.to_thread(verification, place.cluster.url(place.database, OWNER), place.server.data)
        seen.expect(state == "intact", f"the log is {state}: {why}")
    waits.sort()
    p99 = waits[min(len(waits) - 1, len(waits) * 99 // 100)]
    seen.expect(p99 <= RECOVERY_SECONDS, f"p99 of recovery is {p99:.1f} s")
    seen.figures = {"taken": len(known), "refused": lost, "p99 of recovery s": round(p99, 2)}
    return seen


def rounds(folder: Path, count: int, chance: random.Random) -> Seen:
    kinds = list(itertools.islice(itertools.cycle(KINDS), count))
    return asyncio.run(all_rounds(folder, kinds, chance, None, GAP_SECONDS if count < MANY else LONG_SECONDS))


def control(folder: Path, chance: random.Random) -> Seen:
    """A server that forgets keys and takes any database for its own. Both have to be caught."""
    kinds = ["the answer to a commit is lost", "one from before is there"]
    found = asyncio.run(all_rounds(folder, kinds, chance, "forgetful", GAP_SECONDS))
    needed = ("more than one effect", "were acknowledged while")
    is_caught = all(any(word in what for what in found.broken) for word in needed)
    return found if is_caught else Seen()


CAMPAIGN = Campaign(
    "C6", "a lost database acknowledges nothing, a repeated request has one effect, work goes on", "rounds",
    "keys are forgotten; any database is taken for the own", {"ci": 7, "nightly": 200, "release": 1000},
    rounds, control,
)  # fmt: skip
