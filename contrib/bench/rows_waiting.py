"""Row 8: ten thousand requests that wait for a reviewer, each held on a WebSocket of its own, and row 5 meanwhile."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import payload
from harness import Measure, Row, Sample, Side, peak_memory_mib
from rows_gate import deciding
from server import HOST, Server, serving

AGENTS = 20
AT_ONCE = 32
SECONDS = 600.0


def _measured(server: Server, decisions: int, opening: dict[str, float]) -> Measure:
    """Measure row 5 on this server, however many wait there."""
    decide = deciding(server.port, server.pid, "/api/v1/agent", [server.token], decisions, "p99_ms")

    def measure() -> Sample:
        seen = decide()
        return Sample(seen.value, seen.extra | opening)

    return measure


def _empty(decisions: int) -> Side:
    @contextmanager
    def opened() -> Iterator[Measure]:
        with serving("nobody-waits") as server:
            server.allow(payload.COMMAND)
            yield _measured(server, decisions, {})

    return Side("failgate, nobody waits", opened)


def _full(waiting: int, decisions: int) -> Side:
    @contextmanager
    def opened() -> Iterator[Measure]:
        with serving("many-wait") as server:
            server.allow(payload.COMMAND)
            empty_mib = peak_memory_mib(server.pid)
            tokens = [server.new_agent(f"waiting-{place}") for place in range(AGENTS)]
            with _held(server, tokens, waiting) as seconds:
                each = (peak_memory_mib(server.pid) - empty_mib) / waiting * 1024
                yield _measured(server, decisions, {"kib_each": each, "opened_s": seconds})

    return Side(f"failgate, {waiting:,} wait", opened)


@contextmanager
def _held(server: Server, tokens: list[str], waiting: int) -> Iterator[float]:
    """Yield the seconds that it took until all wait; they are let go afterwards, and none of them was told anything.

    Raises: RuntimeError.
    """
    beside = server.data.with_name("all-wait")
    job = {
        "kind": "waiting", "host": HOST, "port": server.port, "path": "/api/v1/agent", "tokens": tokens,
        "at_once": AT_ONCE, "beside": str(beside), "make": {"what": "waiting", "seed": 7, "count": waiting},
    }  # fmt: skip
    command = [sys.executable, str(Path(__file__).with_name("load.py"))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as holder:
        assert holder.stdin is not None
        holder.stdin.write(json.dumps(job).encode())
        holder.stdin.close()
        holder.stdin = None
        try:
            began = time.monotonic()
            while not beside.exists() and holder.poll() is None and time.monotonic() < began + SECONDS:
                time.sleep(0.05)
            seconds = time.monotonic() - began
            if beside.exists():
                yield seconds
            beside.unlink(missing_ok=True)
            said, complaint = holder.communicate(timeout=60)
        finally:
            holder.kill()
    if holder.returncode:
        raise RuntimeError(f"load.py failed: {complaint.decode().strip()[-1500:]}")
    seen = json.loads(said)
    if seen["failed"] or seen["count"] != waiting:
        raise RuntimeError(f"{seen['failed']} of {seen['count']} were not left waiting: {seen['failures']}")


def rows(*, is_quick: bool) -> list[Row]:
    """Return row 8."""
    waiting, decisions = (200, 100) if is_quick else (10_000, 3000)
    return [
        Row(
            8, f"Row 5 while {waiting:,} requests wait, each on its WebSocket", "p99 ms",
            _full(waiting, decisions), _empty(decisions),
            higher_is_better=False, target=1.5, is_durable=True, limits={"peak_mib": 300.0},
            notes=("kib_each: memory of the server for each request that waits, its socket included.",),
        )
    ]  # fmt: skip
