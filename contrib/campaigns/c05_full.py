"""C5: no room on the disk, no descriptors, no memory, under load. Denying works, nothing acknowledged is lost.

Without disk and descriptors the server goes on and denials are kept. Without memory a library may end the process: what
was acknowledged is there at the next start.
"""

import asyncio
import contextlib
import itertools
import json
import random
import re
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from c01_killed import look, submission
from campaign import Campaign, Seen
from served import PASSWORD, Connection, Server, founded
from small_disk import MIB, Ballast, inside

DISK_BYTES = 48 * MIB
MOST_KEPT = 30  # of each filler: with little memory the disk keeps room for the next start
CONFIG = '[database]\nreserve = "{reserve}"\n[plugins.filesystem]\nreserve = "1KiB"\n'
WHERE = "/api/v1/workspaces/acme"
FILLERS = 8
ARGUMENT = "x" * 30_000
DESCRIPTORS = 200
LOAD_SECONDS = 3.0  # of each of the three
DENIALS = 12  # in that time
PATIENCE_SECONDS = 20.0  # for an answer
SHORT_SECONDS = 2.0  # for one of a server without memory, which owes none


class Desk:
    """A reviewer who signed in, with one connection that stays open, and requests that wait for them."""

    def __init__(self, server: Server, token: str) -> None:
        import httpx
        import pyotp

        made = server.admin("user", "create", "--email", "r@acme.example", "--with-totp", "--password-stdin")
        server.admin(
            *["workspace", "add-member", "--workspace", "acme", "--email", "r@acme.example", "--role", "reviewer"]
        )
        self._server = server
        self.client = httpx.Client(base_url=self._url, trust_env=False, timeout=PATIENCE_SECONDS)
        self.agent = httpx.Client(
            base_url=self._url, trust_env=False, timeout=PATIENCE_SECONDS, headers={"authorization": f"Bearer {token}"}
        )
        self._form("/signin", email="r@acme.example", password=PASSWORD)
        self._form("/signin/code", code=pyotp.TOTP(made["totp_secret"]).now())
        self.waiting: list[dict[str, Any]] = []

    @property
    def _url(self) -> str:
        return f"http://127.0.0.1:{self._server.port}"

    def _form(self, path: str, **fields: str) -> None:
        token = re.search(r'name="csrf_token" value="([^"]+)"', self.client.get(path).text)
        assert token is not None, path
        answer = self.client.post(path, data=fields | {"csrf_token": token[1]}, headers={"origin": self._url})
        assert answer.status_code == 303, (path, answer.status_code)

    def ask(self, count: int) -> None:
        """Have so many more requests wait."""
        for number in range(count):
            answer = self.agent.post(f"{WHERE}/commands", json=submission(f"wait-{len(self.waiting)}-{number}"))
            assert answer.status_code == 201, answer.text
            self.waiting.append(answer.json())

    def vote(self, view: dict[str, Any], decision: str, seconds: float = PATIENCE_SECONDS) -> int:
        """Return the status of the answer; 0 when none came in time."""
        import httpx

        body = {"decision": decision, "digest": view["digest"]}
        try:
            return self.client.post(
                f"{WHERE}/commands/{view['id']}/votes", json=body, headers={"origin": self._url}, timeout=seconds
            ).status_code
        except httpx.HTTPError:
            return 0

    def is_healthy(self) -> bool:
        """Tell whether somebody who comes anew is answered."""
        import httpx

        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(f"{self._url}/healthz", trust_env=False, timeout=5).status_code == 200
        return False

    def close(self) -> None:
        self.client.close()
        self.agent.close()


async def filling(
    server: Server, token: str, name: str, until: float, acknowledged: dict[str, str], seconds: float
) -> list[int]:
    """Ask for large commands until then; return what was answered."""
    connection, statuses = Connection(server.port, token), list[int]()
    try:
        for number in itertools.count():
            if time.monotonic() > until or statuses.count(201) == MOST_KEPT:
                break
            body = submission(f"{name}-{number}", ARGUMENT)
            status, answer = await asyncio.wait_for(connection.post(f"{WHERE}/commands", body), seconds)
            statuses.append(status)
            if status == 201:
                acknowledged[answer["id"]] = "command.created"
            else:
                await asyncio.sleep(0.01)
    except (OSError, EOFError, TimeoutError):
        statuses.append(0)
    finally:
        connection.close()
    return statuses


async def pressed(
    desk: Desk, server: Server, token: str, name: str, acknowledged: dict[str, str],
    seconds: float = PATIENCE_SECONDS,
) -> tuple[list[int], list[int]]:  # fmt: skip
    """Return what the fillers were answered, and what denials were, while they pressed."""
    until = time.monotonic() + LOAD_SECONDS
    working = [
        asyncio.create_task(filling(server, token, f"{name}-{number}", until, acknowledged, seconds))
        for number in range(FILLERS)
    ]
    denied = list[int]()
    for _ in range(DENIALS):
        await asyncio.sleep(LOAD_SECONDS / (DENIALS + 2))
        if not server.is_running() or denied[-2:] == [0, 0]:
            break
        view = desk.waiting.pop()
        denied.append(await asyncio.to_thread(desk.vote, view, "deny", seconds))
        if denied[-1] == 200:
            acknowledged[view["id"]] = "command.denied"
    return [status for task in working for status in await task], denied


@contextlib.contextmanager
def few_descriptors(server: Server) -> Iterator[int]:
    """Leave the server no descriptor; yield how many sockets that took."""
    import socket

    before = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (DESCRIPTORS, before[1]))
    idle = list[socket.socket]()
    try:
        for _ in range(DESCRIPTORS):
            idle.append(socket.create_connection(("127.0.0.1", server.port), 5))
        yield len(idle)
    finally:
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, before)
        for one in idle:
            one.close()


@contextlib.contextmanager
def little_memory(server: Server) -> Iterator[None]:
    """Leave the server 16 MiB more of address space than it has."""
    pages = int(Path(f"/proc/{server.pid}/statm").read_text().split()[0])
    size = pages * resource.getpagesize() + 16 * MIB
    before = resource.prlimit(server.pid, resource.RLIMIT_AS, (size, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):  # it may have ended
            resource.prlimit(server.pid, resource.RLIMIT_AS, before)


def round_(disk: Path, *, reserve: str) -> Seen:
    """Fill the disk, take the descriptors, take the memory; then kill, start again and compare."""
    seen, acknowledged = Seen(count=1), dict[str, str]()
    (disk / "work").mkdir()
    with founded(disk / "work", config=CONFIG.format(reserve=reserve)) as (server, _, token):
        desk = Desk(server, token)
        try:
            desk.ask(3 * DENIALS + 3)
            full_disk(seen, desk, server, token, disk, acknowledged)
            if not seen.broken:
                others(seen, desk, server, token, acknowledged)
        finally:
            desk.close()
        server.end()
        server.start()
        look(server, acknowledged, seen, "after the kill")
    seen.figures["events acknowledged"] = len(acknowledged)
    return seen


def full_disk(seen: Seen, desk: Desk, server: Server, token: str, disk: Path, acknowledged: dict[str, str]) -> None:
    ballast = Ballast(disk)
    ballast.fill(left=2 * MIB)
    answers, denied = asyncio.run(pressed(desk, server, token, "disk", acknowledged))
    seen.expect(201 in answers and 503 in answers, f"the disk did not fill under load: {sorted(set(answers))}")
    seen.expect(set(answers) <= {201, 503}, f"full disk: commands were answered {sorted(set(answers))}")
    seen.expect(set(denied) == {200}, f"full disk: denials were answered {denied}")
    approved = desk.vote(desk.waiting[-1], "approve")
    seen.expect(approved == 503, f"full disk: an approval was answered {approved}")
    seen.expect(desk.is_healthy(), "full disk: /healthz does not answer")
    seen.figures |= {"kept before the disk was full": answers.count(201), "refused": answers.count(503)}
    ballast.release()
    approved = desk.vote(desk.waiting.pop(), "approve")
    seen.expect(approved == 200, f"room again: an approval was answered {approved}")


def others(seen: Seen, desk: Desk, server: Server, token: str, acknowledged: dict[str, str]) -> None:
    with few_descriptors(server) as idle:
        denied = [desk.vote(desk.waiting.pop(), "deny") for _ in range(DENIALS)]
        seen.expect(set(denied) == {200}, f"no descriptors: denials were answered {denied}")
    seen.figures["idle sockets"] = idle
    deadline = time.monotonic() + 15
    while not desk.is_healthy() and time.monotonic() < deadline:
        time.sleep(0.1)
    seen.expect(desk.is_healthy(), "descriptors again: nobody who comes anew is answered")
    seen.expect(server.is_running(), "without disk or descriptors the server ended by itself")
    with little_memory(server):
        answers, _ = asyncio.run(pressed(desk, server, token, "memory", acknowledged, SHORT_SECONDS))
    wrong = set(answers) - {0, 201, 503}  # a library may end the process where it gets no memory; nothing may be lost
    seen.expect(not wrong, f"no memory: commands were answered {sorted(wrong)}")
    seen.figures["ended without memory"] = not server.is_running()


def rounds(folder: Path, count: int, _: random.Random, *, reserve: str = "4MiB") -> Seen:
    seen = Seen()
    for number in range(count):
        place = folder / str(number)
        place.mkdir()
        printed = inside(place, DISK_BYTES, str(Path(__file__)), reserve)
        found = json.loads(printed.splitlines()[-1])
        seen.count += found["count"]
        seen.broken += found["broken"]
        seen.figures = found["figures"]
    return seen


def control(folder: Path, chance: random.Random) -> Seen:
    """Nothing is put by: denials are refused like everything else."""
    return rounds(folder, 1, chance, reserve="0B")


CAMPAIGN = Campaign(
    "C5", "denying works without disk and descriptors; without memory too nothing acknowledged is lost", "rounds",
    "no space is put by for denials", {"ci": 1, "nightly": 20, "release": 50}, rounds, control,
)  # fmt: skip


if __name__ == "__main__":
    found = round_(Path(sys.argv[2]), reserve=sys.argv[1])
    print(json.dumps({"count": found.count, "broken": found.broken, "figures": found.figures}))
