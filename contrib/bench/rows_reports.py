"""Rows 1 and 2: reports arrive, are redacted again, grouped, kept and audited before they are answered."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from pathlib import Path

from harness import Absent, Measure, Row, Sample, Side, loaded
from server import HOST, WORKSPACE, floor, serving

CLIENTS = 16
REPORTS = "/api/v1/workspaces/" + WORKSPACE + "/reports"
Opened = Callable[[], AbstractContextManager[Measure]]


def _posting(port: int, pid: int, path: str, headers: dict[str, str], clients: int, number: int, value: str) -> Measure:
    seeds = count()

    def measure() -> Sample:
        make = {"what": "reports", "seed": next(seeds), "count": number}
        job = {
            "kind": "posts",
            "host": HOST,
            "port": port,
            "path": path,
            "headers": headers,
            "clients": clients,
            "expect": 201,
        }
        return loaded(pid, job | {"make": make}, value)

    return measure


def ours(clients: int, number: int, value: str, profile: Path | None) -> Opened:
    """Return what opens a server and measures posts of reports that are sealed in their one answer."""

    @contextmanager
    def opened() -> Iterator[Measure]:
        with serving(f"reports-{clients}", profile) as server:
            headers = {"Authorization": f"Bearer {server.token}"}
            yield _posting(server.port, server.pid, REPORTS, headers, clients, number, value)

    return opened


def echo(clients: int, number: int, value: str, *, is_durable: bool) -> Opened:
    """Return what opens Litestar and msgspec answering the same bodies."""

    @contextmanager
    def opened() -> Iterator[Measure]:
        with floor("echo-http", is_durable=is_durable) as standing:
            yield _posting(standing.port, standing.pid, "/", {}, clients, number, value)

    return opened


@contextmanager
def bugsink() -> Iterator[Measure]:
    """Measure a Bugsink that somebody set up. Raises: Absent."""
    from peer_bugsink import digesting

    where = os.environ.get("FAILGATE_BENCH_BUGSINK")
    if where is None:
        raise Absent(
            "not installed here; set FAILGATE_BENCH_BUGSINK=DSN,DATABASE of a running one. The floor is compared."
        )
    yield digesting(where)


def rows(*, is_quick: bool, profile: Path | None) -> list[Row]:
    """Return rows 1 and 2."""
    many, few = (160, 100) if is_quick else (4000, 2000)
    return [
        Row(
            1, "Ingest 2.7 KB report, 16 connections", "reports/s",
            Side("failgate", ours(CLIENTS, many, "rate", profile)),
            Side("floor: Litestar + msgspec echo, nothing kept", echo(CLIENTS, many, "rate", is_durable=False)),
            target=0.35, is_durable=True, peers=(Side("Bugsink", bugsink),),
        ),
        Row(
            2, "Ingest 2.7 KB report, one connection", "p50 ms",
            Side("failgate", ours(1, few, "p50_ms", profile)),
            Side("floor: Litestar echo + one commit", echo(1, few, "p50_ms", is_durable=True)),
            higher_is_better=False, absolute=0.7, is_durable=True, limits={"p99_ms": 5.0},
        ),
    ]  # fmt: skip
