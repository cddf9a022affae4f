"""Row 18: what it costs that a command is sealed, at the server and at the agent."""

from collections.abc import Iterator
from contextlib import contextmanager

from harness import Measure, Row, Sample, Side, run_script
from server import scratch_folder


def _job(name: str, job: str, number: int) -> Side:
    @contextmanager
    def opened() -> Iterator[Measure]:
        def measure() -> Sample:
            with scratch_folder(job) as folder:
                seen = run_script("sealing.py", "", job, str(folder / "data"), str(number))
            extra = {member: seen[member] for member in ("p99_ms", "peak_mib", "sealed_kib") if member in seen}
            return Sample(seen["p50_ms"], extra)

        yield measure

    return Side(name, opened)


def rows(*, is_quick: bool) -> list[Row]:
    """Return row 18, for the server and for the agent."""
    number = 20 if is_quick else 500
    return [
        Row(
            18, "Sealed command of 16 KiB, padded: verified, kept, on record, in process", "p50 ms",
            _job("failgate", "relay", number),
            _job("floor: relay with one commit, believing everybody", "relay-floor", number),
            higher_is_better=False, target=1.3, is_durable=True, label="18a",
        ),
        Row(
            18, "What sealing to two reviewers and believing both adds at the agent", "p50 ms",
            _job("failgate", "approval", number), higher_is_better=False, absolute=15.0, label="18b",
        ),
    ]  # fmt: skip
