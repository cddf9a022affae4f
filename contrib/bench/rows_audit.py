"""Rows 10 and 11: the audit log in process, appending and verifying."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness import Measure, Row, Sample, Side, run_script
from server import scratch_folder


def _measured(job: str, folder: Path, number: int) -> Measure:
    def measure() -> Sample:
        seen = run_script("inprocess.py", "", job, str(folder), str(number))
        spent_us = seen["cpu_seconds"] / seen["count"] * 1e6
        extra = {"cpu_us_each": spent_us, "peak_mib": seen["peak_mib"], "imports_mib": seen["imports_mib"]}
        return Sample(seen["count"] / seen["seconds"], extra)

    return measure


def _on_growing_folder(name: str, job: str, number: int) -> Side:
    @contextmanager
    def opened() -> Iterator[Measure]:
        with scratch_folder(job) as folder:
            yield _measured(job, folder, number)

    return Side(name, opened)


def _on_corpus(name: str, job: str, records: int) -> Side:
    @contextmanager
    def opened() -> Iterator[Measure]:
        from corpus import prepared

        yield _measured(job, prepared(0, records), records)

    return Side(name, opened)


def rows(*, is_quick: bool, profile: Path | None) -> list[Row]:
    """Return rows 10 and 11."""
    del profile
    appended, verified = (2_000, 20_000) if is_quick else (50_000, 1_000_000)
    return [
        Row(
            10, "Audit append in process, groups of 100", "records/s",
            _on_growing_folder("failgate", "append", appended),
            _on_growing_folder("floor: plain sqlite3, same tables, groups of 100", "append-floor", appended),
            target=0.5, is_durable=True,
        ),
        Row(
            11, f"Verify {verified:,} records", "records/s",
            _on_corpus("failgate", "verify", verified),
            _on_corpus("floor: canonical encoding alone", "verify-floor", verified),
            absolute=250_000, limits={"peak_mib": 64.0},
        ),
    ]  # fmt: skip
