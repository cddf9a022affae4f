"""A name server that changes its mind, and whoever trusts it, in a network of their own.

`python rebinding.py` inside `unshare --user --map-root-user --mount --net`: the loopback device gets a public address
and the one of a cloud's metadata beside 127.0.0.1, /etc/resolv.conf names our server on port 53, and on each address
somebody counts connections. What is asked is the system's resolver, what is dialled is dialled. Prints JSON.
"""

import asyncio
import fcntl
import json
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path

PUBLIC, INSIDE, METADATA, PORT = "198.41.0.4", "127.0.0.1", "169.254.169.254", 8443
SIOCSIFFLAGS, SIOCSIFADDR, UP = 0x8914, 0x8916, 0x41
A, CNAME, AAAA = 1, 5, 28
# What each name answers, one question after the other; the last answer stays. In pairs: type, value.
ANSWERS: dict[str, list[list[tuple[int, str]]]] = {
    "rebind.example": [[(A, PUBLIC)], [(A, INSIDE)]],
    "naive.example": [[(A, PUBLIC)], [(A, INSIDE)]],
    "cloud.example": [[(A, PUBLIC)], [(A, METADATA)]],
    "both.example": [[(A, PUBLIC), (A, INSIDE)]],
    "alias.example": [[(CNAME, "inside.example"), (A, INSIDE)]],
    "mapped.example": [[(A, PUBLIC), (AAAA, "::ffff:127.0.0.1")]],
    "public.example": [[(A, PUBLIC)]],
}


class NameServer(threading.Thread):
    """Answers by UDP with a time to live of zero. Source: RFC 1035 section 4."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((INSIDE, 53))
        self.asked: Counter[str] = Counter()

    def run(self) -> None:
        while True:
            question, sender = self._socket.recvfrom(512)
            self._socket.sendto(self._answer(question), sender)

    def _answer(self, question: bytes) -> bytes:
        labels, at = [], 12
        while length := question[at]:
            labels.append(question[at + 1 : at + 1 + length].decode())
            at += 1 + length
        wanted = struct.unpack(">H", question[at + 1 : at + 3])[0]
        name = ".".join(labels)
        turns = ANSWERS.get(name, [[]])
        records = turns[min(self.asked[name], len(turns) - 1)]
        self.asked[name] += wanted == A  # the question for AAAA beside it counts for the same turn
        written, owner = [], b"\xc0\x0c"  # the name that was asked, until an alias leads on
        for kind, value in records:
            if kind in {wanted, CNAME}:
                written.append(_record(owner, kind, value))
                owner = _name(value) if kind == CNAME else owner
        head = question[:2] + struct.pack(">HHHHH", 0x8580, 1, len(written), 0, 0)
        return head + question[12 : at + 5] + b"".join(written)


def _name(text: str) -> bytes:
    return b"".join(bytes([len(label)]) + label.encode() for label in text.split(".")) + b"\0"


def _record(owner: bytes, kind: int, value: str) -> bytes:
    data = _name(value) if kind == CNAME else socket.inet_pton(socket.AF_INET if kind == A else socket.AF_INET6, value)
    return owner + struct.pack(">HHIH", kind, 1, 0, len(data)) + data


class Listener(threading.Thread):
    """Counts who connects to an address, and closes."""

    def __init__(self, address: str) -> None:
        super().__init__(daemon=True)
        self._socket = socket.create_server((address, PORT))
        self.connections = 0

    def run(self) -> None:
        while True:
            peer, _ = self._socket.accept()
            self.connections += 1
            peer.close()


def settle() -> None:
    """Give the loopback device its addresses; have the resolver of the system ask us alone."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device:
        for name, address in (("lo", INSIDE), ("lo:1", PUBLIC), ("lo:2", METADATA)):
            request = struct.pack("16sH2s4s8x", name.encode(), socket.AF_INET, b"", socket.inet_aton(address))
            fcntl.ioctl(device, SIOCSIFADDR, request)
            fcntl.ioctl(device, SIOCSIFFLAGS, struct.pack("16sh22x", name.encode(), UP))
    folder = Path(tempfile.mkdtemp(prefix="rebinding-"))
    for name, text in (("resolv.conf", f"nameserver {INSIDE}\n"), ("nsswitch.conf", "hosts: dns\n")):
        (folder / name).write_text(text)
        subprocess.run(["mount", "--bind", str(folder / name), f"/etc/{name}"], check=True)


async def ask(url: str) -> str:
    """Return why the server's own way out refused `url`, or `answered`."""
    from failgate.base.destination import OutboundRefused
    from failgate.base.outbound import Outbound

    try:
        await Outbound().get(url)
    except OutboundRefused as refused:
        return refused.reason
    return "answered"


def naive(host: str) -> str:
    """Do what must not be done: judge the address, then connect by the name."""
    judged = socket.getaddrinfo(host, PORT, type=socket.SOCK_STREAM)[0][4][0]
    with socket.create_connection((host, PORT), timeout=5) as peer:
        reached = peer.getpeername()[0]
        peer.recv(1)  # until it is closed, and counted
        return f"{judged} {reached}"


def main() -> None:
    settle()
    names = NameServer()
    listeners = {address: Listener(address) for address in (PUBLIC, INSIDE, METADATA)}
    for thread in (names, *listeners.values()):
        thread.start()
    led = naive("naive.example")
    told: dict[str, list[str]] = {}
    asked: dict[str, int] = {}
    for listener in listeners.values():
        listener.connections = 0
    for host in (
        "public.example",
        "rebind.example",
        "cloud.example",
        "both.example",
        "alias.example",
        "mapped.example",
    ):
        before = names.asked[host]
        told[host] = [asyncio.run(ask(f"https://{host}:{PORT}/metadata")) for _ in range(2)]
        asked[host] = names.asked[host] - before
    connections = {address: listener.connections for address, listener in listeners.items()}
    json.dump({"naive": led, "told": told, "asked": asked, "connections": connections}, sys.stdout)


if __name__ == "__main__":
    main()
