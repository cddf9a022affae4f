"""Row 25: one decision of the allowlist among 10,000 rules, in a process of its own; processor time counts."""

from collections.abc import Iterator
from contextlib import contextmanager

from harness import Measure, Row, Sample, Side, run_script


def _judging(rules: int, decisions: int) -> Side:
    @contextmanager
    def opened() -> Iterator[Measure]:
        def measure() -> Sample:
            seen = run_script("deciding.py", "", str(rules), str(decisions))
            return Sample(seen["p99_us"] / 1000, {name: seen[name] for name in ("p50_us", "wall_p99_us", "allowed")})

        yield measure

    return Side("failgate", opened)


def rows(*, is_quick: bool) -> list[Row]:
    """Return row 25."""
    rules, decisions = (1000, 500) if is_quick else (10_000, 20_000)
    notes = ("exact, prefix, argument and RE2 rules; a tenth of the commands are lines for a shell, never seen before",)
    return [
        Row(
            25, f"one decision among {rules} rules, p99", "ms", _judging(rules, decisions),
            higher_is_better=False, absolute=1.0, notes=notes,
        )
    ]  # fmt: skip
