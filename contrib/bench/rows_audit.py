"""Rows 10, 11 and 12: the audit log in process, appending, verifying, proving."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness import Measure, Row, Sample, Side, run_script
from server import scratch_folder


def measured(job: str, folder: Path, number: int) -> Measure:
    """Measure a job of `inprocess.py` in `folder`."""

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
            yield measured(job, folder, number)

    return Side(name, opened)


def _on_corpus(name: str, job: str, reports: int, records: int) -> Side:
    @contextmanager
    def opened() -> Iterator[Measure]:
        from corpus import prepared

        yield measured(job, prepared(reports, records), records)

    return Side(name, opened)


def _proving(reports: int, records: int, number: int) -> Side:
    @contextmanager
    def opened() -> Iterator[Measure]:
        from corpus import copied

        with copied(reports, records) as folder:

            def measure() -> Sample:
                seen = run_script("inprocess.py", "", "proofs", str(folder), str(number))
                return Sample(
                    seen["p99_ms"], {name: seen[name] for name in ("p50_ms", "hashes", "records", "peak_mib")}
                )

            yield measure

    return Side("failgate", opened)


def rows(*, is_quick: bool, is_full: bool, profile: Path | None) -> list[Row]:
    """Return rows 10, 11 and 12."""
    del profile
    from corpus import FULL, TINY

    appended = 2_000 if is_quick else 50_000
    reports, verified = TINY if is_quick else FULL if is_full else (0, FULL[1])
    return [
        Row(
            10, "Audit append in process, groups of 100", "records/s",
            _on_growing_folder("failgate", "append", appended),
            _on_growing_folder("floor: plain sqlite3, same tables, groups of 100", "append-floor", appended),
            target=0.5, is_durable=True,
        ),
        Row(
            11, f"Verify {verified:,} records", "records/s",
            _on_corpus("failgate", "verify", reports, verified),
            _on_corpus("floor: canonical encoding alone", "verify-floor", reports, verified),
            absolute=250_000, limits={"peak_mib": 64.0},
        ),
        Row(
            12, "What the Merkle tree adds to row 10", "records/s",
            _on_growing_folder("failgate", "append", appended),
            _on_growing_folder("floor: the same without the tree", "append-treeless", appended),
            target=1 / 1.1, is_durable=True, label="12a",
        ),
        Row(
            12, f"Proofs of inclusion and consistency at {verified:,} records", "p99 ms",
            _proving(reports, verified, 50 if is_quick else 1000),
            higher_is_better=False, absolute=1.0, limits={"hashes": 20.0}, label="12b",
        ),
    ]  # fmt: skip
