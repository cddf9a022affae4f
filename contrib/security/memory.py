"""Hostile bodies, frames and connections against a real server process, and by how much its memory grew with each.

Resident memory is read from /proc: the most of it while the attack goes on, against what it was before.
"""

import contextlib
import gzip
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.journeys import team
from tests.journeys.harness import Server
from tests.journeys.team import WHERE, person

MEBIBYTE = 1024 * 1024


class Attack:
    """A server, an agent's token, and how much is sent."""

    def __init__(self, server: Server, token: str, *, is_quick: bool) -> None:
        """Take `server`; `is_quick` sends a fraction."""
        self.server = server
        self.token = token
        self.times = 8 if is_quick else 200
        self.connections = 400 if is_quick else 4000
        self.large = 100 * MEBIBYTE
        self.bomb = (32 if is_quick else 1024) * MEBIBYTE
        self.client = httpx.Client(timeout=60, trust_env=False)
        host, _, port = server.url.removeprefix("http://").partition(":")
        self.address = host, int(port)

    def post(self, path: str, content: bytes | Iterator[bytes], **headers: str) -> int:
        """Send a body to a door that would take it; return the status, 0 when the connection was cut."""
        head = {"authorization": f"Bearer {self.token}", "content-type": "application/json", **headers}
        with contextlib.suppress(httpx.TransportError):
            return self.client.post(self.server.url + path, content=content, headers=head).status_code
        return 0

    def deep(self) -> list[int]:
        """Send JSON nested without bottom."""
        body = b"[" * 500_000 + b"]" * 500_000
        return [self.post(f"{WHERE}/commands", body) for _ in range(self.times)]

    def wide(self) -> list[int]:
        """Send JSON of as many small values as fit, eight at a time."""
        body = b'{"command":[' + b"{}," * 340_000 + b"{}]}"
        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(lambda _: self.post(f"{WHERE}/commands", body), range(self.times)))

    def packed(self) -> list[int]:
        """Send zeros as a thousandth of gzip, at doors that take packed bodies and at others."""
        bomb = gzip.compress(bytes(self.bomb), 1)
        paths = (f"{WHERE}/commands", "/api/1/envelope/", "/scim/v2/Users", "/signin")
        return [self.post(path, bomb, **{"content-encoding": "gzip"}) for path in paths for _ in range(3)]

    def large_bodies(self) -> list[int]:
        """Send 100 MB, with a length and in chunks, to a JSON door and to an upload that nobody began."""
        piece = bytes(MEBIBYTE)
        artifact = f"{WHERE}/reports/{'0' * 8}-0000-7000-8000-{'0' * 12}/artifacts/{'0' * 64}"
        found = [self.post(f"{WHERE}/commands", iter([piece] * 100)) for _ in range(3)]
        found += [self.post(f"{WHERE}/commands", iter([piece] * 100), **{"content-length": str(self.large)})]
        with contextlib.suppress(httpx.TransportError):
            head = {"authorization": f"Bearer {self.token}"}
            found.append(
                self.client.put(self.server.url + artifact, content=iter([piece] * 100), headers=head).status_code
            )
        return found

    def frames(self) -> list[int]:
        """Send 100 MB as one frame of the agent's socket, and as a message in many."""
        url = self.server.url.replace("http", "ws", 1) + "/api/v1/agent"
        found = []
        for message in ("x" * self.large, iter(["x" * 60_000] * 1700)):
            with connect(url, additional_headers={"authorization": f"Bearer {self.token}"}, proxy=None) as peer:
                try:
                    peer.send(message)
                    peer.recv(timeout=10)
                except ConnectionClosed as closed:
                    found.append(closed.rcvd.code if closed.rcvd is not None else 0)
        return found

    def head(self, path: str, kind: str) -> bytes:
        """Return the head of a request that announces a body of 1 MB."""
        lines = (
            f"POST {path} HTTP/1.1", f"host: {self.address[0]}:{self.address[1]}", f"origin: {self.server.url}",
            f"authorization: Bearer {self.token}", f"content-type: {kind}", "content-length: 1000000",
        )  # fmt: skip
        return "\r\n".join((*lines, "", "")).encode()

    def held(self) -> list[int]:
        """Send almost a whole body on each of many connections, to doors of strangers and of an agent, and hold it."""
        peers: list[socket.socket] = []
        form = self.head("/signin", "application/x-www-form-urlencoded")
        value = self.head(f"{WHERE}/commands", "application/json")
        try:
            for number in range(self.connections // 2):
                peer = socket.create_connection(self.address, timeout=10)
                peers.append(peer)
                with contextlib.suppress(OSError):
                    peer.sendall((value if number % 2 else form) + b" " * 900_000)
            return [self.client.get(f"{self.server.url}/healthz").status_code]
        finally:
            for peer in peers:
                peer.close()

    def slow(self) -> list[int]:
        """Open many connections; a third says nothing, a third half a head, a third a body that drips."""
        heads = (
            b"",
            b"POST /signin HTTP/1.1\r\nhost: x\r\nx-filler: " + b"y" * 8000,
            self.head(f"{WHERE}/commands", "application/json") + b" " * 60_000,
        )
        peers: list[socket.socket] = []
        try:
            for number in range(self.connections):
                peer = socket.create_connection(self.address, timeout=10)
                peers.append(peer)
                with contextlib.suppress(OSError):
                    peer.sendall(heads[number % 3])
            time.sleep(0.5)
            return [self.client.get(f"{self.server.url}/healthz").status_code]
        finally:
            for peer in peers:
                peer.close()


def measure(data: Path, *, is_quick: bool) -> list[dict[str, object]]:
    """Return a line for each attack: statuses, memory before, at most while it went on, and the growth, in MiB."""
    data.parent.mkdir(exist_ok=True)
    with team.served(Server(data)) as server:
        team.found_acme(server)
        lead = person(server, "lead", "owner")
        token = team.admin(server, "agent.create", workspace="acme", name="ci", owner=lead.email)["token"]
        attack = Attack(server, token, is_quick=is_quick)
        attack.post(f"{WHERE}/commands", b"{}")  # what the first request loads is no growth
        assert server.process is not None
        attacks = (
            attack.deep,
            attack.wide,
            attack.packed,
            attack.large_bodies,
            attack.frames,
            attack.held,
            attack.slow,
        )
        return [_measured(server.process.pid, one) for one in attacks]


def _measured(pid: int, attack: Callable[[], list[int]]) -> dict[str, object]:
    before, began = _resident(pid), time.monotonic()
    Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak begins anew: proc(5)
    answers = attack()
    peak = _resident(pid, "VmHWM")
    return {
        "attack": attack.__name__,
        "answers": {str(one): answers.count(one) for one in sorted(set(answers))},
        "before_mib": round(before, 1),
        "peak_mib": round(peak, 1),
        "growth_mib": round(peak - before, 1),
        "seconds": round(time.monotonic() - began, 1),
    }


def _resident(pid: int, name: str = "VmRSS") -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / 1024
    raise LookupError(name)
