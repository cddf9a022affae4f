"""C13: heads and bodies that never end, a body of a gigabyte, a hundred thousand headers; others are served."""

import asyncio
import json
import random
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from c01_killed import WHERE, submission
from campaign import Campaign, Seen
from served import Connection, Server, founded

FEW = 1000  # with fewer connections the times are shortened, to `SHORT_SECONDS`
SHORT_SECONDS, SHIPPED_SECONDS = 2.0, 10.0
GRACE_SECONDS = 3.0  # for a machine that takes five thousand in at once, and has others to serve
HEALTHY_SECONDS = {True: 2.0, False: 0.5}  # p99; the first on machines that run other tests as well
GROWTH_MIB = 256
BODY_BYTES = 1 << 30
MOST_TAKEN = 64 << 20  # of such a body, before it is refused
HEADERS = 100_000
DRIPS = 4  # of each, in the time that it has
SPREAD_SECONDS = 1.5  # in which they come
PATIENCE_SECONDS = 10.0  # beyond the time that a connection has


@dataclass
class Attack:
    """A server, and how long each connection lasted, by its kind."""

    server: Server
    token: str
    lasted: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    answered: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    taken: int = 0
    healthy: list[float] = field(default_factory=list[float])
    unhealthy: list[float] = field(default_factory=list[float])

    def note(self, kind: str, began: float, said: bytes) -> None:
        self.lasted.setdefault(kind, []).append(time.monotonic() - began)
        self.answered.setdefault(kind, set()).add(said.split(b"\r\n")[0].decode("latin-1")[9:12])

    def head(self, more: str) -> bytes:
        return (
            f"POST {WHERE}/commands HTTP/1.1\r\nHost: 127.0.0.1:{self.server.port}\r\n"
            f"Authorization: Bearer {self.token}\r\nContent-Type: application/json\r\n{more}"
        ).encode()

    async def drip(self, kind: str, first: bytes, longest: float, after: float) -> None:
        """Send `first` in a moment after so many seconds, then a byte now and then until the server ends it."""
        await asyncio.sleep(after + random.random() * SPREAD_SECONDS)  # slow ones, no flood
        began = time.monotonic()
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        except OSError:
            self.note(kind, began, b"")
            return
        said = b""
        try:
            async with asyncio.timeout(longest):
                writer.write(first)
                listening = asyncio.create_task(reader.read(65536))
                while not listening.done():
                    await asyncio.wait({listening}, timeout=longest / DRIPS / 2)
                    writer.write(b"a")
                said = listening.result()
        except (OSError, TimeoutError):
            pass
        finally:
            writer.transport.abort()
        self.note(kind, began, said)

    async def pour(self, kind: str, first: bytes, piece: bytes, count: int, longest: float) -> None:
        """Send `first` and so many pieces as fast as they are taken, until the server ends it."""
        began, said, sent = time.monotonic(), b"", 0
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        listening = asyncio.create_task(reader.read(65536))
        try:
            async with asyncio.timeout(longest):
                writer.write(first)
                for _ in range(count):
                    if listening.done() or writer.transport.is_closing():
                        break
                    writer.write(piece)
                    sent += len(piece)
                    await writer.drain()
                said = await listening
        except (OSError, TimeoutError):
            if listening.done() and not listening.cancelled() and listening.exception() is None:
                said = listening.result()
        finally:
            listening.cancel()
            writer.transport.abort()
        self.taken = max(self.taken, sent)
        self.note(kind, began, said)


async def visit(port: int, token: str) -> dict[str, list[float]]:
    """Ask as an agent does, over a new connection each second time, until nobody listens to us any more.

    Return how many seconds each answer took, and which were none.
    """
    is_over = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    connection, number, took, unhealthy = Connection(port, token), 0, list[float](), set[float]()
    while not is_over.done():
        number += 1
        began = time.monotonic()
        try:
            status, _ = await connection.post(f"{WHERE}/commands", submission(f"healthy-{number}"))
        except (OSError, EOFError):
            status = 0
        took.append(time.monotonic() - began)
        if status != 201:
            unhealthy.add(status)
        if number % 2 or status != 201:
            connection.close()
            connection = Connection(port, token)
        await asyncio.sleep(0.03)
    connection.close()
    return {"took": took, "unhealthy": sorted(unhealthy)}


def rss_mib(server: Server) -> float:
    status = Path(f"/proc/{server.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


async def attacked(attack: Attack, count: int, seconds: float, chance: random.Random) -> None:
    longest = seconds + (PATIENCE_SECONDS if seconds > SHORT_SECONDS else GRACE_SECONDS + 0.5)
    visitor = subprocess.Popen(  # a process of its own: what it waits for is the server
        [sys.executable, __file__, str(attack.server.port), attack.token],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    await asyncio.sleep(1)
    half_head = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "
    half_body = attack.head("Content-Length: 1000\r\n\r\n") + b'{"'
    piece = b"x" * 65536
    chunk = b"10000\r\n" + piece + b"\r\n"
    heads = attack.head("") + b"".join(b"X-%d: 1\r\n" % number for number in range(HEADERS)) + b"\r\n"
    whole = [
        *(
            attack.drip("half a head", half_head[: chance.randint(1, len(half_head))], longest, 0.0)
            for _ in range(count)
        ),
        *(attack.drip("half a body", half_body, longest, SPREAD_SECONDS) for _ in range(max(count // 20, 5))),
        attack.pour("a large body", attack.head(f"Content-Length: {BODY_BYTES}\r\n\r\n"), piece, 1 << 14, longest),
        attack.pour("a body in pieces", attack.head("Transfer-Encoding: chunked\r\n\r\n"), chunk, 1 << 14, longest),
        attack.pour("many headers", b"", heads, 1, longest),
    ]
    await asyncio.gather(*whole)
    said, _ = await asyncio.to_thread(visitor.communicate, "", 60)
    found = json.loads(said)
    attack.healthy, attack.unhealthy = sorted(found["took"]), found["unhealthy"]


def rounds(folder: Path, count: int, chance: random.Random, fault: str | None = None) -> Seen:
    seen, is_short = Seen(), count < FEW
    seconds = SHORT_SECONDS if is_short else SHIPPED_SECONDS
    config = '[server]\nheader_timeout = "2s"\n' if is_short else ""
    with founded(folder, fault=fault or ("hurried" if is_short else None), config=config) as (server, _, token):
        attack, before = Attack(server, token), rss_mib(server)
        asyncio.run(attacked(attack, count, seconds, chance))
        grown = rss_mib(server) - before
        seen.expect(server.is_running(), "the server ended by itself")
    for kind, lasted in attack.lasted.items():
        late = [each for each in lasted if each > seconds + GRACE_SECONDS]
        seen.expect(not late, f"{kind}: {len(late)} of {len(lasted)} lasted up to {max(lasted):.1f} s")
    wanted = {"half a body": {"408"}, "a large body": {"413"}, "a body in pieces": {"413"}, "many headers": {"431"}}
    for kind, statuses in wanted.items():  # a reset may overtake the answer
        seen.expect(attack.answered[kind] <= statuses | {""}, f"{kind}: answered {sorted(attack.answered[kind])}")
    p99 = attack.healthy[len(attack.healthy) * 99 // 100]
    seen.expect(p99 < HEALTHY_SECONDS[is_short], f"others waited for {1000 * p99:.0f} ms (p99)")
    seen.expect(not attack.unhealthy, f"others were answered {attack.unhealthy}")
    seen.expect(attack.taken <= MOST_TAKEN, f"{attack.taken >> 20} MiB of a body were taken")
    seen.expect(grown < GROWTH_MIB, f"the server grew by {grown:.0f} MiB")
    seen.count = count
    seen.figures = {
        "longest half head s": round(max(attack.lasted["half a head"]), 2), "healthy answers": len(attack.healthy),
        "p99 of others ms": round(1000 * p99), "grown MiB": round(grown), "taken of a body KiB": attack.taken >> 10,
    }  # fmt: skip
    return seen


def control(folder: Path, chance: random.Random) -> Seen:
    """A server that waits for heads and bodies as long as they like."""
    return rounds(folder, 10, chance, "patient")


CAMPAIGN = Campaign(
    "C13", "who is slow or endless is dropped in time, and others are served meanwhile", "half heads",
    "heads and bodies may take as long as they like", {"ci": 300, "nightly": 5000, "release": 5000}, rounds, control,
)  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(asyncio.run(visit(int(sys.argv[1]), sys.argv[2]))))
