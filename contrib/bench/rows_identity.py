"""Rows 19 and 20: many people who sign in at once, and what it costs to know who speaks."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import payload
from harness import Measure, Row, Sample, Side, run_load, run_script
from rows_gate import APPROVED
from server import HOST, PASSWORD, WORKSPACE, Server, scratch_folder, serving

PEOPLE = 16
PAUSE_MS = 10  # between two decisions: a busy agent, not one that takes a core from the people who sign in


def _storm(each: int, decisions: int, profile: Path | None) -> Side:
    @contextmanager
    def opened() -> Iterator[Measure]:
        with serving("signins", profile) as server:
            server.allow(payload.COMMAND)
            yield _storming(server, _emails(server), each, decisions)

    return Side("failgate", opened)


def _emails(server: Server) -> list[str]:
    emails = [f"person-{place}@bench.example" for place in range(4)]
    for email in emails:
        server.admin("user.create", email=email, password=PASSWORD)
        server.admin("workspace.add_member", workspace=WORKSPACE, email=email, role="developer")
    return emails


def _storming(server: Server, emails: list[str], each: int, decisions: int) -> Measure:
    seeds = count()
    storm = {"port": server.port, "origin": server.origin, "emails": emails, "password": PASSWORD}

    def decide(number: int, **more: Any) -> dict[str, Any]:
        make = {"what": "submissions", "seed": next(seeds), "count": number}
        job = {"kind": "ping_pong", "host": HOST, "port": server.port, "path": "/api/v1/agent"}
        return run_load(job | {"tokens": [server.token], "expect": APPROVED, "make": make, "pause_ms": PAUSE_MS} | more)

    def measure() -> Sample:
        quiet = decide(decisions)["p99_ms"]
        with scratch_folder("storm") as folder, ThreadPoolExecutor(1) as pool:
            beside = folder / "storming"
            deciding = pool.submit(decide, 20 * decisions, beside=str(beside))  # enough for the whole storm
            while not beside.exists() and not deciding.done():
                time.sleep(0.01)
            seen = run_script("signins.py", json.dumps(storm | {"people": PEOPLE, "each": each}))
            beside.unlink()
            worst = deciding.result()["p99_ms"]
        extra = {
            "p99_ms": worst,
            "p99_quiet_ms": quiet,
            "p99_ratio": worst / quiet,
            "healthz_p99_ms": seen["healthz_p99_ms"],
        }
        return Sample(seen["count"] / seen["seconds"], extra)

    return measure


def _argon2(number: int) -> Side:
    @contextmanager
    def opened() -> Iterator[Measure]:
        def measure() -> Sample:
            seen = run_script("identity.py", "", "argon2", ".", str(number))
            return Sample(seen["count"] / seen["seconds"], {"peak_mib": seen["peak_mib"]})

        yield measure

    return Side("floor: argon2 alone, one thread a core", opened)


def _checks(number: int) -> Side:
    @contextmanager
    def opened() -> Iterator[Measure]:
        def measure() -> Sample:
            with scratch_folder("checks") as folder:
                seen = run_script("identity.py", "", "checks", str(folder / "data"), str(number))
            names = ("session_us", "access_token_us", "certificate_us", "floor_us", "queries", "peak_mib")
            return Sample(seen["token_us"], {name: seen[name] for name in names})

        yield measure

    return Side("failgate", opened)


def rows(*, is_quick: bool, profile: Path | None) -> list[Row]:
    """Return rows 19 and 20."""
    each, decisions, checked = (4, 200, 2_000) if is_quick else (20, 500, 200_000)
    return [
        Row(
            19, f"Sign-in storm of {PEOPLE} people, row 5 meanwhile", "sign-ins/s",
            _storm(each, decisions, profile), _argon2(PEOPLE * each),
            target=0.9, limits={"p99_ratio": 3.0, "healthz_p99_ms": 250.0}, is_durable=True,
            notes=(
                "p99_ratio: row 5 during the storm against row 5 before it.",
                "healthz_p99_ms: what whoever watches the server waits meanwhile.",
            ),
        ),
        Row(
            20, "Token check added to a request", "us",
            _checks(checked), higher_is_better=False, absolute=5.0,
            limits={"session_us": 5.0, "access_token_us": 5.0, "certificate_us": 5.0, "queries": 0.0},
            notes=("floor_us: one lookup in a dict.",),
        ),
    ]  # fmt: skip
