"""The load, in a process of its own: raw sockets, frames made beforehand, so that the client is not what is measured.

Reads one JSON job on standard input; prints one JSON object: count, seconds, and latencies in milliseconds.
"""

import asyncio
import base64
import json
import os
import statistics
import struct
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import payload


def frame(payload: bytes) -> bytes:
    """Return a WebSocket text frame as a client sends it; the mask is zero, so the payload stays as it is."""
    size = len(payload)
    if size < 126:
        return struct.pack("!BB", 0x81, 0x80 | size) + b"\0\0\0\0" + payload
    if size < 65536:
        return struct.pack("!BBH", 0x81, 0x80 | 126, size) + b"\0\0\0\0" + payload
    return struct.pack("!BBQ", 0x81, 0x80 | 127, size) + b"\0\0\0\0" + payload


class Socket(asyncio.Protocol):
    """A WebSocket client that hands over whole text messages."""

    def __init__(self, path: str, host: str, headers: dict[str, str]) -> None:
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [
            f"GET {path} HTTP/1.1",
            f"Host: {host}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {key}",
        ]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self._hello = ("\r\n".join(lines) + "\r\n\r\n").encode()
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.on_message: Callable[[bytes], None] = lambda _message: None
        self.on_lost: Callable[[], None] = lambda: None
        self._buffer = b""
        self.transport: asyncio.Transport

    def connection_made(self, transport) -> None:
        self.transport = transport
        transport.write(self._hello)

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data
        if not self.opened.done():
            head, mark, buffer = buffer.partition(b"\r\n\r\n")
            if not mark:
                self._buffer = head
                return
            if b" 101 " not in head.split(b"\r\n")[0]:
                self.opened.set_exception(ConnectionError((head + mark + buffer).decode(errors="replace")))
                return
            self.opened.set_result(None)
        while len(buffer) >= 2:
            size, start = buffer[1] & 127, 2
            if size == 126:
                if len(buffer) < 4:
                    break
                size, start = int.from_bytes(buffer[2:4], "big"), 4
            elif size == 127:
                if len(buffer) < 10:
                    break
                size, start = int.from_bytes(buffer[2:10], "big"), 10
            if len(buffer) < start + size:
                break
            opcode, payload, buffer = buffer[0] & 15, buffer[start : start + size], buffer[start + size :]
            if opcode == 1:
                self.on_message(payload)
            elif opcode == 9:
                self.transport.write(struct.pack("!BB", 0x8A, 0x80 | len(payload)) + b"\0\0\0\0" + payload)
        self._buffer = buffer

    def connection_lost(self, _error) -> None:
        if not self.opened.done():
            self.opened.set_exception(ConnectionError("closed"))
        self.on_lost()


class Poster(asyncio.Protocol):
    """One HTTP connection that posts what `requests` yields, one after another; opened anew where a server closes it.

    Opening is not in a latency, but in the rate. Gunicorn's plain workers answer one request each.
    """

    def __init__(self, requests: Iterator[bytes], expect: int, latencies: list[float], failures: list[str]) -> None:
        self._requests, self._expect, self._latencies, self._failures = (
            requests,
            f"HTTP/1.1 {expect} ".encode(),
            latencies,
            failures,
        )
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._buffer = b""
        self._sent = 0.0
        self._peer: tuple[str, int]
        self._opening: asyncio.Task[None] | None = None
        self._is_closing = False
        self.transport: asyncio.Transport

    def connection_made(self, transport) -> None:
        self.transport = transport
        self._peer = transport.get_extra_info("peername")[:2]

    async def _open_again(self) -> None:
        try:
            await asyncio.get_running_loop().create_connection(lambda: self, *self._peer)
        except OSError as error:
            self.done.set_exception(error)
        else:
            self.send()

    def send(self) -> None:
        request = next(self._requests, None)
        if request is None:
            self.done.set_result(None)
            self.transport.close()
            return
        self._sent = time.perf_counter()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer = self._buffer + data
        end = buffer.find(b"\r\n\r\n")
        if end < 0 or len(buffer) < end + 4 + length_of(buffer[:end]):
            return
        self._latencies.append(time.perf_counter() - self._sent)
        if not buffer.startswith(self._expect):
            self._failures.append(buffer.decode(errors="replace")[-300:])
        self._buffer = b""
        self._is_closing = b"\r\nconnection: close" in buffer[:end].lower()
        if self._is_closing:
            self.transport.close()
        else:
            self.send()

    def connection_lost(self, _error) -> None:
        if self._is_closing:
            self._is_closing = False
            self._opening = asyncio.get_running_loop().create_task(self._open_again())
        elif not self.done.done():
            self.done.set_exception(ConnectionError("the server closed the connection"))


def length_of(head: bytes) -> int:
    """Return the content length in a head of HTTP."""
    lowered = head.lower()
    start = lowered.find(b"content-length:")
    return int(lowered[start + 15 :].split(b"\r\n", 1)[0]) if start >= 0 else 0


def post(job: dict, path: str, headers: dict[str, str], body: bytes) -> bytes:
    """Return the bytes of one POST."""
    named = {"Host": f"{job['host']}:{job['port']}", "Content-Type": "application/json", "Content-Length": len(body)}
    lines = "".join(f"{name}: {value}\r\n" for name, value in (named | headers).items())
    return f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode() + body


async def open_socket(job: dict, path: str, headers: dict[str, str]) -> Socket:
    loop = asyncio.get_running_loop()
    _, socket = await loop.create_connection(
        lambda: Socket(path, f"{job['host']}:{job['port']}", headers), job["host"], job["port"]
    )
    await socket.opened
    return socket


async def ping_pong(job: dict) -> dict:
    """Each client sends a frame of its own share, waits for the answer, sends the next; each has one of `tokens`.

    With `pause_ms` it waits so long before the next, so that a latency is seen at a rate and not at the highest one.
    With `beside` it makes that file as soon as it is ready to send, and ends when somebody has taken it away.
    """
    loop, pause = asyncio.get_running_loop(), job.get("pause_ms", 0) / 1000
    messages = payload.made(job["make"])
    sockets = [await open_socket(job, job["path"], {"Authorization": f"Bearer {token}"}) for token in job["tokens"]]
    latencies: list[float] = []
    failures: list[str] = []
    done: asyncio.Future[None] = loop.create_future()
    expected = job["expect"].encode()
    is_open = [True] * len(sockets)
    beside = Path(job["beside"]) if "beside" in job else None

    def drive(place: int, socket: Socket, mine: Iterator[bytes]) -> None:
        sent = 0.0

        def send() -> None:
            nonlocal sent
            text = next(mine, None)
            if text is not None and (beside is None or beside.exists()):
                sent = time.perf_counter()
                socket.transport.write(text)
                return
            is_open[place] = False
            if not any(is_open) and not done.done():
                done.set_result(None)

        def answered(message: bytes) -> None:
            latencies.append(time.perf_counter() - sent)
            if expected not in message:
                failures.append(message[:300].decode(errors="replace"))
            if pause:
                loop.call_later(pause, send)
            else:
                send()

        def lost() -> None:
            if is_open[place] and not done.done():
                done.set_exception(ConnectionError("the server closed a socket"))

        socket.on_message, socket.on_lost = answered, lost
        send()

    shares = [iter([frame(text.encode()) for text in share]) for share in dealt(messages, len(sockets))]
    if beside is not None:
        beside.touch()
    started = time.perf_counter()
    for place, (socket, share) in enumerate(zip(sockets, shares, strict=True)):
        drive(place, socket, share)
    await done
    return summary(time.perf_counter() - started, latencies, failures)


def dealt(messages: Sequence[str], clients: int) -> list[Sequence[str]]:
    """Return one share of the messages for each client."""
    return [messages[place::clients] for place in range(clients)]


async def approvals(job: dict) -> dict:
    """The full circle, one at a time: the agent submits, the reviewer votes, the agent hears the verdict."""
    agent = await open_socket(job, job["agent_path"], job["agent_headers"])
    reviewer = await open_socket(job, job["reviewer_path"], job["reviewer_headers"])
    loop = asyncio.get_running_loop()
    latencies: list[float] = []
    failures: list[str] = []
    heard: asyncio.Future[tuple[str, str]]
    verdict: asyncio.Future[bool]

    def on_review(message: bytes) -> None:
        event = json.loads(message)
        if event.get("event") == "created" and not heard.done():
            heard.set_result((event["command"]["id"], event["command"]["digest"]))

    def on_agent(message: bytes) -> None:
        said = json.loads(message)
        if said.get("type") == "verdict" and not verdict.done():
            verdict.set_result(said.get("state") == "approved")
        elif said.get("type") == "error":
            failures.append(message[:300].decode(errors="replace"))

    reviewer.on_message, agent.on_message = on_review, on_agent
    if job["vote"] == "http":
        reader, writer = await asyncio.open_connection(job["host"], job["port"])
    for text in payload.made(job["make"]):
        heard, verdict = loop.create_future(), loop.create_future()
        sent = frame(text.encode())
        started = time.perf_counter()
        agent.transport.write(sent)
        async with asyncio.timeout(10):
            identifier, digest = await heard
            vote = json.dumps({"type": "vote", "id": identifier, "decision": "approve", "digest": digest})
            if job["vote"] == "http":
                body = json.dumps({"decision": "approve", "digest": digest}).encode()
                writer.write(post(job, job["vote_path"].replace("{id}", identifier), job["vote_headers"], body))
            else:
                reviewer.transport.write(frame(vote.encode()))
            is_approved = await verdict
        latencies.append(time.perf_counter() - started)
        if job["vote"] == "http":
            status, answer = await read_answer(reader)
            if status != 200:
                failures.append(f"{status} {answer[:300].decode(errors='replace')}")
        if not is_approved:
            failures.append("not approved")
    return summary(sum(latencies), latencies, failures)


async def waiting(job: dict) -> dict:
    """One socket for each message, opened a few at once; each asks, hears that it waits, and is held.

    Makes the file `beside` when all wait, and ends when somebody has taken it away. Whatever is heard meanwhile, and a
    socket that is closed, is a failure.
    """
    messages = payload.made(job["make"])
    beside, failures, latencies = Path(job["beside"]), [], []
    turn, held = asyncio.Semaphore(job["at_once"]), []

    async def hold(place: int, text: str) -> None:
        async with turn:
            headers = {"Authorization": f"Bearer {job['tokens'][place % len(job['tokens'])]}"}
            socket = await open_socket(job, job["path"], headers)
            told: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
            socket.on_message = told.set_result
            socket.on_lost = lambda: told.done() or told.set_exception(ConnectionError("closed"))
            sent = time.perf_counter()
            socket.transport.write(frame(text.encode()))
            answer = await told
            latencies.append(time.perf_counter() - sent)
            if b'"state":"pending"' not in answer:
                failures.append(answer[:300].decode(errors="replace"))
            socket.on_message = lambda message: failures.append(message[:300].decode(errors="replace"))
            socket.on_lost = lambda: failures.append("the server closed a socket")
            held.append(socket)

    started = time.perf_counter()
    await asyncio.gather(*(hold(place, text) for place, text in enumerate(messages)))
    seconds = time.perf_counter() - started
    beside.touch()
    while beside.exists():
        await asyncio.sleep(0.1)
    return summary(seconds, latencies, failures)


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    size = length_of(head)
    return int(head.split(b" ", 2)[1]), await reader.readexactly(size) if size else b""


async def posts(job: dict) -> dict:
    """`clients` connections post the messages, one after another; each answer has the status `expect`."""
    latencies: list[float] = []
    failures: list[str] = []
    requests = iter([post(job, job["path"], job["headers"], text.encode()) for text in payload.made(job["make"])])
    loop = asyncio.get_running_loop()
    posters = []
    for _ in range(job["clients"]):
        _, poster = await loop.create_connection(
            lambda: Poster(requests, job["expect"], latencies, failures), job["host"], job["port"]
        )
        posters.append(poster)
    started = time.perf_counter()
    for poster in posters:
        poster.send()
    await asyncio.gather(*(poster.done for poster in posters))
    return summary(time.perf_counter() - started, latencies, failures)


async def gets(job: dict) -> dict:
    """One keep-alive connection asks for each of `paths` in turn, `rounds` times; the latencies of each are told."""
    reader, writer = await asyncio.open_connection(job["host"], job["port"])
    latencies: dict[str, list[float]] = {path: [] for path in job["paths"]}
    failures: list[str] = []
    began = time.perf_counter()
    for _ in range(job["rounds"]):
        for path, seen in latencies.items():
            lines = [f"GET {path} HTTP/1.1", f"Host: {job['host']}:{job['port']}"]
            lines += [f"{name}: {value}" for name, value in job["headers"].items()]
            sent = time.perf_counter()
            writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
            status, answer = await read_answer(reader)
            seen.append(time.perf_counter() - sent)
            if status != job["expect"]:
                failures.append(f"{path}: {status} {answer[:300].decode(errors='replace')}")
    result = summary(time.perf_counter() - began, [one for seen in latencies.values() for one in seen], failures)
    worst = {path: sorted(seen)[int(len(seen) * 0.99)] * 1000 for path, seen in latencies.items()}
    return result | {"p99_ms_by_path": worst}


def summary(seconds: float, latencies: list[float], failures: list[str]) -> dict:
    ordered = sorted(latencies)
    return {
        "count": len(ordered),
        "seconds": seconds,
        "rate": len(ordered) / seconds,
        "p50_ms": statistics.median(ordered) * 1000,
        "p99_ms": ordered[int(len(ordered) * 0.99)] * 1000,
        "failures": failures[:3],
        "failed": len(failures),
    }


def main() -> None:
    job = json.loads(sys.stdin.read())
    kinds = {"ping_pong": ping_pong, "approvals": approvals, "posts": posts, "gets": gets, "waiting": waiting}
    try:
        import uvloop

        result = uvloop.run(kinds[job["kind"]](job))
    except ImportError:
        result = asyncio.run(kinds[job["kind"]](job))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
