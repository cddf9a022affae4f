"""Row 29: a hundred reports of vulnerabilities a second from one address, and row 5 meanwhile."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import payload
from harness import Measure, Row, Sample, Side, run_script
from rows_gate import deciding
from server import Server, scratch_folder, serving

RATE = 100
SECONDS = 60.0  # until the first report is sent
DESK = """
[plugins.disclosure]
contacts = ["mailto:security@bench.example"]
expires = 2099-01-01
changed = 2026-01-01
"""


def _decisions(server: Server, number: int) -> Measure:
    server.allow(payload.COMMAND)
    return deciding(server.port, server.pid, "/api/v1/agent", [server.token], number, "p50_ms")


def _quiet(number: int) -> Side:
    @contextmanager
    def opened() -> Iterator[Measure]:
        with serving("no-intakes", config=DESK) as server:
            yield _decisions(server, number)

    return Side("failgate, nobody reports", opened)


def _busy(number: int) -> Side:
    @contextmanager
    def opened() -> Iterator[Measure]:
        with serving("intakes", config=DESK) as server:
            decide = _decisions(server, number)
            yield lambda: _beside(server, decide)

    return Side(f"failgate, {RATE} reports a second", opened)


def _beside(server: Server, decide: Measure) -> Sample:
    """Measure while reports come. Raises: RuntimeError (they did not, or were answered otherwise)."""
    with scratch_folder("intakes") as folder, ThreadPoolExecutor(1) as pool:
        beside = folder / "reporting"
        job = {"port": server.port, "origin": server.origin, "rate": RATE, "beside": str(beside)}
        reporting = pool.submit(run_script, "intakes.py", json.dumps(job))
        until = time.monotonic() + SECONDS
        while not beside.exists() and not reporting.done() and time.monotonic() < until:
            time.sleep(0.01)
        try:
            seen = decide()
        finally:
            beside.unlink(missing_ok=True)
        told = reporting.result()
    rate = told["count"] / told["seconds"]
    more = {"intakes_per_s": rate, "taken": told["taken"], "turned_away": told["turned_away"]}
    return Sample(seen.value, seen.extra | more)


def rows(*, is_quick: bool) -> list[Row]:
    """Return row 29."""
    number = 300 if is_quick else 6000
    return [
        Row(
            29, f"Row 5 while {RATE} reports of vulnerabilities a second come from one address", "p50 ms",
            _busy(number), _quiet(number),
            higher_is_better=False, target=1.5, is_durable=True,
            notes=(
                "Each report is a whole form with a log of 20 KB beside it; taken: how many the desk kept.",
                "turned_away: answered 429 with Retry-After; any other answer ends the row.",
            ),
        )
    ]  # fmt: skip
