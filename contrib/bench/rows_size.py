"""Rows 22 and 23: what 10^5 reports and 10^6 records cost: verbs beside the same on an empty folder, and searches."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from urllib.parse import quote

import payload
from corpus import FULL, TINY, copied
from harness import Measure, Row, Sample, Side, cpu_seconds, run_load
from rows_audit import measured as appending
from rows_gate import deciding
from rows_reports import CLIENTS, REPORTS, posting
from server import HOST, OWNER, WORKSPACE, Server, scratch_folder, serving

Size = tuple[int, int]
Opened = Callable[[], AbstractContextManager[Measure]]
SEARCHES = {
    "one word of every report": "q=pytest",
    "one word of many": "q=assertionerror",
    "one word of few": "q=w4711",
    "no word of any": "q=nothingofthesort",
    "the beginning of a word": "q=w12",
    "the beginning of most words": "q=w",
    "two words": f"q={quote('keyerror module')}",
    "two words that never meet": f"q={quote('keyerror timeouterror')}",
    "four words": f"q={quote('w1 w2 w3 timeouterror')}",
    "a word of the command": "command=pytest",
    "an exit code": "exit_code=3",
    "a word and an exit code": "q=connectionrefusederror&exit_code=2",
    "a word of some days": "q=pytest&since=2026-01-01&until=2026-12-31",
}


@contextmanager
def _large(size: Size) -> Iterator[Server]:
    """Yield a server over a copy of the large folder, with an agent of its own."""
    with copied(*size) as data:
        server = Server(data).start()
        try:
            server.token = server.new_agent(f"agent-{time.time_ns()}")  # the folder may have seen others
            yield server
        finally:
            server.stop()


def _reports(size: Size | None, number: int) -> Opened:
    @contextmanager
    def opened() -> Iterator[Measure]:
        with _large(size) if size else serving("growth-reports") as server:
            headers = {"Authorization": f"Bearer {server.token}"}
            yield posting(server.port, server.pid, REPORTS, headers, CLIENTS, number, "rate")

    return opened


def _decisions(size: Size | None, number: int) -> Opened:
    @contextmanager
    def opened() -> Iterator[Measure]:
        with _large(size) if size else serving("growth-gate") as server:
            server.allow(payload.COMMAND)
            yield deciding(server.port, server.pid, "/api/v1/agent", [server.token], number, "p50_ms")

    return opened


def _appends(size: Size | None, number: int) -> Opened:
    @contextmanager
    def opened() -> Iterator[Measure]:
        with copied(*size) if size else scratch_folder("growth-append") as folder:
            yield appending("append", folder, number)

    return opened


def _asking(size: Size, queries: dict[str, str], number: int) -> Opened:
    """Return what opens a server over the large folder and asks for pages of 50; the value is the p99 of all in ms."""

    @contextmanager
    def opened() -> Iterator[Measure]:
        with _large(size) as server:
            key = server.admin("api_key.create", email=OWNER, workspace=WORKSPACE)["api_key"]
            middle = _middle(server.data)
            names = {f"{REPORTS}?limit=50&{query.replace('{middle}', middle)}": name for name, query in queries.items()}
            job = {
                "kind": "gets", "host": HOST, "port": server.port, "headers": {"Authorization": f"Bearer {key}"},
                "expect": 200, "rounds": number, "paths": list(names),
            }  # fmt: skip

            def measure() -> Sample:
                before = cpu_seconds(server.pid)
                seen = run_load(job)
                extra = {f"p99 of {names[path]}": figure for path, figure in seen["p99_ms_by_path"].items()}
                spent = (cpu_seconds(server.pid) - before) / seen["count"] * 1e6
                return Sample(seen["p99_ms"], {"p50_ms": seen["p50_ms"], "cpu_us_each": spent} | extra)

            yield measure

    return opened


def _middle(data: Path) -> str:
    """Return the id of a report in the middle of all."""
    with closing(sqlite3.connect(f"file:{data / 'failgate.sqlite'}?mode=ro", uri=True)) as connection:
        query = "SELECT id FROM report ORDER BY id LIMIT 1 OFFSET (SELECT count(*) / 2 FROM report)"
        return str(connection.execute(query).fetchone()[0])


def rows(*, is_quick: bool, is_full: bool, profile: Path | None) -> list[Row]:
    """Return rows 22 and 23, when the large folder was asked for."""
    del profile
    if not is_quick and not is_full:
        return []
    size = TINY if is_quick else FULL
    reports, decisions, appended, asked = (160, 100, 2_000, 3) if is_quick else (4000, 3000, 50_000, 40)
    name = f"{size[0]:,} reports, {size[1]:,} records"
    large, empty = f"failgate with {name}", "failgate, empty"
    pages = {"the newest": "state=sealed", "older ones": "after={middle}", "all": ""}
    return [
        Row(
            22, f"Growth of row 1: ingest with {name}", "reports/s",
            Side(large, _reports(size, reports)), Side(empty, _reports(None, reports)),
            target=1 / 1.1, is_durable=True, label="22a",
        ),
        Row(
            22, f"Growth of row 5: a decision with {name}", "p50 ms",
            Side(large, _decisions(size, decisions)), Side(empty, _decisions(None, decisions)),
            higher_is_better=False, target=1.1, is_durable=True, label="22b",
        ),
        Row(
            22, f"Growth of row 10: appends with {name}", "records/s",
            Side(large, _appends(size, appended)), Side(empty, _appends(None, appended)),
            target=1 / 1.1, is_durable=True, label="22c",
        ),
        Row(
            23, f"Report list (50) over HTTP, {name}", "p99 ms", Side("failgate", _asking(size, pages, asked * 5)),
            higher_is_better=False, absolute=10.0, label="23a",
        ),
        Row(
            23, f"Text search over HTTP, {name}", "p99 ms", Side("failgate", _asking(size, SEARCHES, asked)),
            higher_is_better=False, absolute=50.0, label="23b",
        ),
    ]  # fmt: skip
