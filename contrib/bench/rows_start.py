"""Row 21: from the start of the process to its first 200, on an empty folder and on a large one."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness import Absent, Measure, Row, Sample, Side, cpu_seconds, peak_memory_mib
from server import Floor, Server, scratch_folder, wait_for_200


def _started(data: Path, *, is_emptied: bool) -> Measure:
    def measure() -> Sample:
        if is_emptied:
            shutil.rmtree(data, ignore_errors=True)
        server = Server(data)
        began = time.perf_counter()
        server.start()
        seconds = time.perf_counter() - began
        try:
            return Sample(seconds, {"cpu_s": cpu_seconds(server.pid), "peak_mib": peak_memory_mib(server.pid)})
        finally:
            server.stop()

    return measure


@contextmanager
def _on_empty_folder() -> Iterator[Measure]:
    with scratch_folder("start") as folder:
        yield _started(folder / "data", is_emptied=True)


def _on_corpus(reports: int, records: int) -> Side:
    @contextmanager
    def opened() -> Iterator[Measure]:
        from corpus import prepared

        yield _started(prepared(reports, records), is_emptied=False)

    return Side("failgate", opened)


@contextmanager
def _echo() -> Iterator[Measure]:
    def measure() -> Sample:
        began = time.perf_counter()
        standing = Floor("echo-http")
        try:
            wait_for_200(standing.port, "/readyz", 30, standing.process)
            seconds = time.perf_counter() - began
            return Sample(seconds, {"cpu_s": cpu_seconds(standing.pid), "peak_mib": peak_memory_mib(standing.pid)})
        finally:
            standing.stop()

    yield measure


@contextmanager
def _bugsink() -> Iterator[Measure]:
    raise Absent("not started here; 5.0 s and 420 MiB empty were measured once.")
    yield  # pragma: no cover


def rows(*, is_quick: bool, is_full: bool) -> list[Row]:
    """Return row 21: on an empty folder, and on the large one when it was asked for."""
    floor = Side("floor: Litestar echo, no database", _echo)
    limits = {"peak_mib": 110.0}
    found = [
        Row(
            21, "Start to the first 200, empty folder", "s", Side("failgate", _on_empty_folder), floor,
            higher_is_better=False, absolute=1.0, limits=limits, label="21a", peers=(Side("Bugsink", _bugsink),),
            notes=() if is_full or is_quick else ("with 10^5 reports and 10^6 records: give --full (takes minutes).",),
        )
    ]  # fmt: skip
    if is_full or is_quick:
        from corpus import FULL, TINY

        reports, records = TINY if is_quick else FULL
        title = f"Start to the first 200, {reports:,} reports, {records:,} records"
        found.append(
            Row(
                21,
                title,
                "s",
                _on_corpus(reports, records),
                floor,
                higher_is_better=False,
                absolute=1.0,
                limits=limits,
                label="21b",
            )
        )
    return found
