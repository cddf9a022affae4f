"""C12: sockets that only wait, messages between them, readers that do not read. None is missed, memory stays."""

import asyncio
import base64
import gc
import json
import os
import random
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from c01_killed import submission
from c13_slow import rss_mib
from campaign import Campaign, Seen
from served import Server, founded

LONG = 60  # seconds from which on it is no smallest level any more
IDLE = {True: 300, False: 10_000}  # by whether it is the smallest level
PAIRS_EACH_SECOND = {True: 40, False: 100}  # a request, and its withdrawal
P99_SECONDS = {True: 1.0, False: 0.25}  # the first on machines that run other tests as well
AGENTS, READERS, SLOW = 4, 9, 1
EVENTS = 2  # of each request: it was made, it was withdrawn
CHURN_SECONDS = 0.05
GROWTH_MIB = 64
SLOPE_SECONDS = 1800  # from which on a slope says something
SLOPE_MIB_HOUR = 1.0
OPENED_AT_ONCE = 100
SETTLE_SECONDS = 30.0


class Socket(asyncio.Protocol):
    """A client's WebSocket: texts in, texts out, pings answered."""

    def __init__(self, request: bytes, on_text: Callable[[bytes], None]) -> None:
        self.opened: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.is_open = False
        self._request, self._on_text, self._held = request, on_text, b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._request)

    def connection_lost(self, _: Exception | None) -> None:
        self.is_open = False
        if not self.opened.done():
            self.opened.set_result(0)

    def data_received(self, data: bytes) -> None:
        self._held += data
        if not self.opened.done():
            head, end, rest = self._held.partition(b"\r\n\r\n")
            if not end:
                return
            self._held, self.is_open = rest, b" 101 " in head[:16]
            self.opened.set_result(int(head[9:12]))
        while (frame := self._frame()) is not None:
            kind, content = frame
            if kind == 0x9:
                self._send(0xA, content)
            elif kind == 0x8:
                self.is_open = False
            elif kind == 0x1:
                self._on_text(content)

    def _frame(self) -> tuple[int, bytes] | None:
        """Return the next whole frame. Source: RFC 6455 section 5.2; servers do not mask, ours do not fragment."""
        held = self._held
        if len(held) < 2:
            return None
        size, start = held[1] & 0x7F, 2
        if size == 126:
            size, start = (struct.unpack_from("!H", held, 2)[0], 4) if len(held) >= 4 else (0, 1 << 62)
        elif size == 127:
            size, start = (struct.unpack_from("!Q", held, 2)[0], 10) if len(held) >= 10 else (0, 1 << 62)
        if len(held) < start + size:
            return None
        self._held = held[start + size :]
        return held[0] & 0x0F, held[start : start + size]

    def _send(self, kind: int, content: bytes) -> None:
        size = len(content)
        length = bytes([0x80 | size]) if size < 126 else b"\xfe" + struct.pack("!H", size)
        assert self._transport is not None
        self._transport.write(bytes([0x80 | kind]) + length + b"\0\0\0\0" + content)  # a mask of zeros is one too

    def say(self, message: dict[str, Any]) -> None:
        self._send(0x1, json.dumps(message).encode())

    def read_no_more(self) -> None:
        assert self._transport is not None
        self._transport.pause_reading()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()


@dataclass
class Hall:
    """A server with its sockets; what was said when, and who heard it."""

    server: Server
    key: str
    token: str
    said: dict[str, float] = field(default_factory=dict[str, float])
    taken: set[str] = field(default_factory=set[str])
    withdrawn: int = 0
    refused: list[str] = field(default_factory=list[str])
    heard: list[set[str]] = field(default_factory=list[set[str]])
    delays: list[float] = field(default_factory=list[float])
    memory: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])

    async def socket(
        self, path: str, token: str, on_text: Callable[[bytes], None], *, is_narrow: bool = False
    ) -> Socket:
        request = (
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.server.port}\r\n"
            "Connection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n"
            f"Authorization: Bearer {token}\r\n\r\n"
        )
        link = socket.socket()
        if is_narrow:
            link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        link.setblocking(False)  # noqa: FBT003  # as sockets have it
        loop = asyncio.get_running_loop()
        await loop.sock_connect(link, ("127.0.0.1", self.server.port))
        _, made = await loop.create_connection(lambda: Socket(request.encode(), on_text), sock=link)
        status = await asyncio.wait_for(made.opened, SETTLE_SECONDS)
        assert status == 101, f"{path} was answered {status}"
        return made

    async def agent(self) -> Socket:
        """Open an agent's socket that withdraws what it asked for as soon as it was taken."""

        def told(text: bytes) -> None:
            message = json.loads(text)
            if message["type"] == "submitted":
                self.taken.add(message["digest"])
                made.say({"type": "cancel", "id": message["id"]})
            elif message["type"] == "cancelled":
                self.withdrawn += 1
            elif message["type"] == "error":
                self.refused.append(message["problem"]["detail"])

        made = await self.socket("/api/v1/agent", self.token, told)
        return made

    async def reader(self) -> Socket:
        mine = set[str]()
        self.heard.append(mine)

        def told(text: bytes) -> None:
            message = json.loads(text)
            digest, event = message["command"]["digest"], message["event"]
            if event != "cancelled" and digest in self.said:
                self.delays.append(time.monotonic() - self.said[digest])
            mine.add(f"{event} {digest}")

        return await self.socket("/api/v1/live?workspace=acme", self.key, told)

    async def speak(self, agents: list[Socket], seconds: float, each_second: int) -> None:
        began, number = time.monotonic(), 0
        while (now := time.monotonic()) < began + seconds:
            if number >= (now - began) * each_second:
                await asyncio.sleep(0.005)
                continue
            body = submission(f"spoken-{number}")
            self.said[body["digest"]] = time.monotonic()
            agents[number % len(agents)].say({"type": "submit", **body, "ref": number})
            number += 1

    async def churn(self) -> None:
        while True:
            (await self.socket("/api/v1/agent", self.token, lambda _: None)).close()
            await asyncio.sleep(CHURN_SECONDS)

    async def weigh(self) -> None:
        while True:
            self.memory.append((time.monotonic(), rss_mib(self.server)))
            await asyncio.sleep(0.5)


def slope_mib_hour(samples: list[tuple[float, float]]) -> float:
    """Return the slope of the line through the last two thirds."""
    late = samples[len(samples) // 3 :]
    middle_x, middle_y = (sum(one[place] for one in late) / len(late) for place in (0, 1))
    spread = sum((x - middle_x) ** 2 for x, _ in late) or 1.0
    return 3600 * sum((x - middle_x) * (y - middle_y) for x, y in late) / spread


async def held(hall: Hall, seen: Seen, seconds: float, idle_count: int, each_second: int) -> None:
    idle, agents, readers, slow = list[Socket](), list[Socket](), list[Socket](), list[Socket]()
    try:
        while len(idle) < idle_count:
            wanted = min(OPENED_AT_ONCE, idle_count - len(idle))
            idle += await asyncio.gather(
                *(hall.socket("/api/v1/agent", hall.token, lambda _: None) for _ in range(wanted))
            )
        agents = [await hall.agent() for _ in range(AGENTS)]
        readers = [await hall.reader() for _ in range(READERS)]
        slow = [
            await hall.socket("/api/v1/live?workspace=acme", hall.key, lambda _: None, is_narrow=True)
            for _ in range(SLOW)
        ]
        for one in slow:
            one.read_no_more()
        gc.collect()
        gc.freeze()  # what is measured is the server, not what this process looks through now and then
        beside = [asyncio.create_task(hall.churn()), asyncio.create_task(hall.weigh())]
        await hall.speak(agents, seconds, each_second)
        deadline = time.monotonic() + min(SETTLE_SECONDS, max(seconds, 3.0))
        while time.monotonic() < deadline and not (
            hall.withdrawn == len(hall.said) and all(len(one) == EVENTS * len(hall.said) for one in hall.heard)
        ):
            await asyncio.sleep(0.05)
        for task in beside:
            task.cancel()
        ended = await asyncio.gather(*beside, return_exceptions=True)
        failed = [one for one in ended if isinstance(one, Exception)]
        seen.expect(not failed, f"beside them: {failed}")
        lost = sum(not one.is_open for one in (*idle, *agents, *readers))
        seen.expect(lost == 0, f"{lost} sockets that waited were closed")
    finally:
        for one in (*idle, *agents, *readers, *slow):
            one.close()


def talk(folder: Path, seconds: float, idle_count: int, each_second: int, fault: str | None) -> tuple[Seen, Hall]:
    seen = Seen(count=round(seconds))
    with founded(folder, fault=fault) as (server, key, token):
        hall = Hall(server, key, token)
        asyncio.run(held(hall, seen, seconds, idle_count, each_second))
    missed = sum(abs(EVENTS * len(hall.said) - len(one)) for one in hall.heard)
    seen.expect(missed == 0, f"{missed} events were missed by readers")
    seen.expect(not hall.refused, f"{len(hall.refused)} requests were refused: {hall.refused[:1]}")
    withdrawn, said = hall.withdrawn, len(hall.said)
    seen.expect(withdrawn == said == len(hall.taken), f"of {said} requests {withdrawn} were withdrawn")
    return seen, hall


def rounds(folder: Path, count: int, _: random.Random) -> Seen:
    is_short = count < LONG
    seen, hall = talk(folder, count, IDLE[is_short], PAIRS_EACH_SECOND[is_short], None)
    delays = sorted(hall.delays) or [float("inf")]
    p99 = delays[len(delays) * 99 // 100]
    seen.expect(p99 <= P99_SECONDS[is_short], f"p99 from a request to its reader is {1000 * p99:.0f} ms")
    grown, slope = hall.memory[-1][1] - hall.memory[0][1], slope_mib_hour(hall.memory)
    seen.expect(grown < GROWTH_MIB, f"the server grew by {grown:.0f} MiB")
    seen.expect(count < SLOPE_SECONDS or slope < SLOPE_MIB_HOUR, f"it grows by {slope:.1f} MiB an hour")
    seen.figures = {
        "idle": IDLE[is_short], "requests": len(hall.said), "p99 ms": round(1000 * p99), "grown MiB": round(grown, 1),
        "RSS MiB": round(hall.memory[-1][1]), "MiB an hour": round(slope, 1) if count >= SLOPE_SECONDS else "too short",
    }  # fmt: skip
    return seen


def control(folder: Path, _: random.Random) -> Seen:
    """A server that does not tell one reader of each twentieth event."""
    seen, _hall = talk(folder, 1.0, 10, 40, "deaf")
    return Seen(1, [one for one in seen.broken if "missed" in one])


CAMPAIGN = Campaign(
    "C12", "ten thousand sockets wait, messages reach every reader in time, memory stays", "seconds",
    "one reader is not told of each twentieth event", {"ci": 3, "nightly": 3600, "release": 28_800}, rounds, control,
)  # fmt: skip
