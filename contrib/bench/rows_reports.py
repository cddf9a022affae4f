"""Rows 1 to 4: reports arrive, are redacted again, grouped, kept and audited before they are answered."""

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from itertools import count
from pathlib import Path

from harness import Measure, Row, Sample, Side, loaded
from server import HOST, WORKSPACE, floor, serving

CLIENTS = 16
REPORTS = "/api/v1/workspaces/" + WORKSPACE + "/reports"
Opened = Callable[[], AbstractContextManager[Measure]]


def posting(
    port: int, pid: int, path: str, headers: dict[str, str], clients: int, number: int, value: str,
    what: str = "reports",
) -> Measure:  # fmt: skip
    """Measure `number` posts of what `payload.made` calls `what`, through so many connections."""
    seeds = count()

    def measure() -> Sample:
        make = {"what": what, "seed": next(seeds), "count": number}
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


def ours(
    clients: int, number: int, value: str, profile: Path | None, what: str = "reports", under: Sequence[str] = ()
) -> Opened:
    """Return what opens a server and measures posts of reports that are sealed in their one answer.

    `under` is a command that runs the server.
    """

    @contextmanager
    def opened() -> Iterator[Measure]:
        with serving(f"reports-{clients}", profile, under=under) as server:
            headers = {"Authorization": f"Bearer {server.token}"}
            yield posting(server.port, server.pid, REPORTS, headers, clients, number, value, what)

    return opened


def echo(clients: int, number: int, value: str, *, is_durable: bool) -> Opened:
    """Return what opens Litestar and msgspec answering the same bodies."""

    @contextmanager
    def opened() -> Iterator[Measure]:
        with floor("echo-http", is_durable=is_durable) as standing:
            yield posting(standing.port, standing.pid, "/", {}, clients, number, value)

    return opened


def storm(number: int, profile: Path | None) -> Opened:
    """Return what opens a server and measures posts of one failure; `left` are those that no group counts then."""

    @contextmanager
    def opened() -> Iterator[Measure]:
        with serving("storm", profile) as server:
            headers = {"Authorization": f"Bearer {server.token}"}
            post = posting(server.port, server.pid, REPORTS, headers, CLIENTS, number, "rate", "stormy reports")
            sent = 0

            def measure() -> Sample:
                nonlocal sent
                seen = post()
                sent += number
                groups, counted = _counted(server.data)
                return Sample(seen.value, seen.extra | {"left": float(sent - counted), "groups": float(groups)})

            yield measure

    return opened


def _counted(data: Path) -> tuple[int, int]:
    """Return how many groups there are, and how many reports they count."""
    with closing(sqlite3.connect(f"file:{data / 'failgate.sqlite'}?mode=ro", uri=True)) as connection:
        groups, counted = connection.execute("SELECT count(*), COALESCE(SUM(count), 0) FROM report_group").fetchone()
    return int(groups), int(counted)


def bugsink(kind: str) -> Opened:
    """Return what measures Bugsink: the one that the environment names, else one of this run."""

    @contextmanager
    def opened() -> Iterator[Measure]:
        from bugsink_server import running
        from peer_bugsink import digesting

        named = os.environ.get("FAILGATE_BENCH_BUGSINK")
        with nullcontext(named.split(",", 1)) if named else running() as (dsn, database):
            yield digesting(dsn, database, kind)

    return opened


def rows(*, is_quick: bool, profile: Path | None) -> list[Row]:
    """Return rows 1 to 4."""
    many, few, large, stormy = (160, 100, 48, 160) if is_quick else (4000, 2000, 1000, 20_000)
    return [
        Row(
            1, "Ingest 2.7 KB report, 16 connections", "reports/s",
            Side("failgate", ours(CLIENTS, many, "rate", profile)),
            Side("floor: Litestar + msgspec echo, nothing kept", echo(CLIENTS, many, "rate", is_durable=False)),
            target=0.35, is_durable=True, peers=(Side("Bugsink", bugsink("envelopes")),),
        ),
        Row(
            2, "Ingest 2.7 KB report, one connection", "p50 ms",
            Side("failgate", ours(1, few, "p50_ms", profile)),
            Side("floor: Litestar echo + one commit", echo(1, few, "p50_ms", is_durable=True)),
            higher_is_better=False, absolute=0.7, is_durable=True, limits={"p99_ms": 5.0},
        ),
        Row(
            3, "Ingest 50 KB report, 16 connections", "reports/s",
            Side("failgate", ours(CLIENTS, large, "rate", profile, "large reports")),
            Side("Bugsink, digested", bugsink("large envelopes")), target=25, is_durable=True,
        ),
        Row(
            4, f"Storm: {stormy:,} reports of one fingerprint", "reports/s",
            Side("failgate", storm(stormy, profile)),
            Side("row 1: every report another failure", ours(CLIENTS, many, "rate", profile)),
            target=0.9, is_durable=True, limits={"left": 0.0, "groups": 1.0},
        ),
    ]  # fmt: skip
