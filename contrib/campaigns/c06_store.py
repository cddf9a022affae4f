"""The part of C6 for an object store: a real S3 (Ceph) that refuses, falls silent, is killed, frozen, loses an answer.

Through the store of the plugin `objectstore`: what was acknowledged is there, what is there is whole, work goes on.
"""

import asyncio
import contextlib
import hashlib
import itertools
import random
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from campaign import Campaign, Seen
from outages import Outage
from postgres import Line

sys.path.insert(0, str(Path(__file__).parents[2]))
BUCKET = "campaign"
CLIENTS = 3
PATIENCE_SECONDS = 60.0  # for all clients to have one object acknowledged again
RECOVERY_SECONDS = 10.0
SIZES = (0, 1_000, 300_000, 11_000_000)  # the last one in parts
PUT = b"PUT /"


class NoCeph(Exception):
    """The programs are missing."""


@dataclass
class Put:
    """One try to keep an object. `is_taken` when the store said that it has it."""

    key: str
    digest: str
    began: float
    ended: float
    is_taken: bool


@dataclass(kw_only=True)
class Place(Outage):
    """The store, the line to it, and the gateway behind that."""

    store: Any
    daemons: Any
    is_believing: bool  # the control: an error is taken for a success
    puts: list[Put] = field(default_factory=list[Put])


@contextlib.contextmanager
def gateway(folder: Path) -> Iterator[Any]:
    """Run Ceph's monitor, store and gateway. Raises: NoCeph."""
    from tests.peers.ceph_rgw import PROGRAMS, Daemons, free_port

    if missing := [program for program in PROGRAMS if shutil.which(program) is None]:
        raise NoCeph(f"C6 needs {', '.join(missing)}: install Debian's radosgw, ceph-mon and ceph-osd")
    daemons = Daemons(folder, free_port(), free_port())
    try:
        daemons.start()
        yield daemons
    finally:
        daemons.end()


@contextlib.asynccontextmanager
async def founded(folder: Path, gap: float, *, is_believing: bool = False) -> AsyncIterator[Place]:
    from failgate_objectstore import plugin

    from failgate.base.clock import SystemClock
    from failgate.plugin import Duration
    from failgate.testing import host_at, opened
    from tests.peers.ceph_rgw import CephRgw

    with gateway(folder / "ceph") as daemons:
        rgw = CephRgw(daemons.endpoint)
        rgw.make_bucket(BUCKET)
        async with Line(daemons.endpoint.removeprefix("http://"), PUT).laid() as line:
            settings = rgw.settings(
                BUCKET, "kept", endpoint=f"http://127.0.0.1:{line.port}", retries=1, timeout=Duration("2s")
            )
            host = host_at(folder, clock=SystemClock(), allow_loopback=True)
            async with opened(plugin, settings, host) as provides:
                yield Place(
                    store=provides.artifact_store, line=line, daemons=daemons, gap=gap, is_believing=is_believing
                )


async def client(place: Place, chance: random.Random, seen: Seen, where: str, is_over: asyncio.Event) -> None:
    """Keep one object after the other, each under a key of its own."""
    from failgate.base.ids import new_id
    from failgate.plugin import Conflict, StorageUnavailable

    while not is_over.is_set():
        content = chance.randbytes(chance.choice(SIZES))
        put = Put(new_id(), hashlib.sha256(content).hexdigest(), time.monotonic(), 0.0, is_taken=True)
        try:
            async with place.store.put(put.key) as incoming:
                for start in range(0, len(content), 1 << 20):
                    await incoming.write(content[start : start + (1 << 20)])
                await incoming.commit()
        except (StorageUnavailable, Conflict):  # the second: the first try was taken, its answer lost
            put.is_taken = place.is_believing
        except Exception as error:
            put.is_taken = False
            seen.expect(is_kept=False, what=f"{where}: {type(error).__name__} instead of a refusal")
        put.ended = time.monotonic()
        place.puts.append(put)
        await asyncio.sleep(0.02)


async def kill(place: Place) -> None:
    """End the gateway at once, and start another one over what is kept."""
    await asyncio.to_thread(place.daemons.kill_gateway)
    await place.away(asyncio.sleep(place.gap))
    await asyncio.to_thread(place.daemons.start_gateway)


async def freeze(place: Place) -> None:
    place.daemons.signal_gateway(signal.SIGSTOP)
    try:
        await place.away(asyncio.sleep(place.gap))
    finally:
        place.daemons.signal_gateway(signal.SIGCONT)


KINDS: dict[str, Callable[[Place], Awaitable[None]]] = {
    "the answer to a put is lost": lambda place: place.lose_commits("after"),
    "a put is lost": lambda place: place.lose_commits("before"),
    "it refuses": Place.refuse,
    "it is killed": kill,
    "it is frozen": freeze,
    "it is silent": Place.silence,
}


async def round_(place: Place, kind: str, chance: random.Random, seen: Seen, where: str) -> float:
    """Let clients work, do what `kind` says, wait until objects are taken again; return after how many seconds."""
    is_over = asyncio.Event()
    chances = [random.Random(chance.randrange(1 << 32)) for _ in range(CLIENTS)]
    place.gone.clear()
    first = len(place.puts)
    working = [asyncio.create_task(client(place, one, seen, f"{where}, {kind}", is_over)) for one in chances]
    await asyncio.sleep(chance.uniform(0.1, 0.4))
    await KINDS[kind](place)
    back, taken = time.monotonic(), list[Put]()
    while not taken and time.monotonic() - back < PATIENCE_SECONDS:
        await asyncio.sleep(0.01)
        taken = [one for one in place.puts[first:] if one.is_taken and one.began >= back]
    seen.expect(bool(taken), f"{where}, {kind}: no object was taken any more")
    wait = (min(one.ended for one in taken) if taken else time.monotonic()) - back
    is_over.set()
    await asyncio.wait_for(asyncio.gather(*working), PATIENCE_SECONDS)
    for began, ended in place.gone:
        wrong = [one for one in place.puts[first:] if one.is_taken and one.began > began and one.ended < ended]
        seen.expect(not wrong, f"{where}, {kind}: {len(wrong)} objects were acknowledged while the store was gone")
    return wait


async def compare(place: Place, seen: Seen) -> None:
    """What was acknowledged is there, and what is there is whole."""
    known = {one.key: one for one in place.puts}
    listing = place.store.keys()
    there = {key async for key in listing}
    for key in sorted(there):
        found = hashlib.sha256()
        async for piece in place.store.open(key):
            found.update(piece)
        seen.expect(key in known and found.hexdigest() == known[key].digest, f"object {key} is there and not whole")
    lost = {one.key for one in place.puts if one.is_taken} - there
    seen.expect(not lost, f"{len(lost)} objects that were acknowledged were lost")


async def all_rounds(folder: Path, kinds: list[str], chance: random.Random, gap: float, *, is_believing: bool) -> Seen:
    seen, waits = Seen(), list[float]()
    async with founded(folder, gap, is_believing=is_believing) as place:
        for number, kind in enumerate(kinds):
            waits.append(await round_(place, kind, chance, seen, f"object store, round {number}"))
            seen.count += 1
        await compare(place, seen)
        taken = sum(one.is_taken for one in place.puts)
        seen.figures = {"objects taken": taken, "objects refused": len(place.puts) - taken}
    waits.sort()
    p99 = waits[min(len(waits) - 1, len(waits) * 99 // 100)]
    seen.expect(p99 <= RECOVERY_SECONDS, f"object store: p99 of recovery is {p99:.1f} s")
    seen.figures["p99 of the store's recovery s"] = round(p99, 2)
    return seen


def rounds(folder: Path, count: int, chance: random.Random, gap: float) -> Seen:
    kinds = list(itertools.islice(itertools.cycle(KINDS), count))
    return asyncio.run(all_rounds(folder, kinds, chance, gap, is_believing=False))


def control(folder: Path, chance: random.Random, gap: float) -> Seen:
    """A store whose errors are taken for successes. Both that follows from it has to be caught."""
    found = asyncio.run(all_rounds(folder, ["it refuses"], chance, gap, is_believing=True))
    needed = ("were lost", "were acknowledged while")
    return found if all(any(word in what for what in found.broken) for word in needed) else Seen()


GAP_SECONDS = 0.6
LONG_SECONDS = 30.0
MANY = 20
CAMPAIGN = Campaign(
    "C6-S3", "an object store that is lost acknowledges nothing, nothing is lost nor there in part", "rounds",
    "its errors are taken for successes", {"ci": 6, "nightly": 200, "release": 1000},
    lambda folder, count, chance: rounds(folder, count, chance, GAP_SECONDS if count < MANY else LONG_SECONDS),
    lambda folder, chance: control(folder, chance, GAP_SECONDS),
)  # fmt: skip
