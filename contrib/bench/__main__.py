"""`python contrib/bench [--quick] [--full] [--rounds N] [--profile FILE] [ROW …]`: measure rows of the table.

Each row runs ours and its floor interleaved, in one run on this machine. Nothing here is a test: figures are read, not
asserted. `cpu_us_each` is the processor time of the server for each answer, which a busy machine does not spoil.
`--quick` uses tiny counts and shows only that everything works.
"""

import argparse
import os
import sys
from pathlib import Path

import rows_artifacts
import rows_audit
import rows_capture
import rows_client
import rows_gate
import rows_identity
import rows_intake
import rows_memory
import rows_policy
import rows_redaction
import rows_reports
import rows_sealed
import rows_size
import rows_slow_disk
import rows_start
import rows_waiting
from harness import ROUNDS, Row, report, run_row


def main() -> int:
    """Measure what the command line names; return 1 when a row failed."""
    parser = argparse.ArgumentParser(prog="python contrib/bench", description=__doc__)
    parser.add_argument("rows", nargs="*", type=int, metavar="ROW", help="numbers of rows; all without")
    parser.add_argument("--quick", action="store_true", help="tiny counts and one round, to see it work")
    parser.add_argument(
        "--full", action="store_true",
        help="10^5 reports and 10^6 records in rows 11 and 21 to 23, 1 GiB in rows 13 to 15 and 27, 4 GB in row 28",
    )  # fmt: skip
    parser.add_argument(
        "--corpus", type=Path, metavar="FOLDER", help="keep the large folders there, and take them from there"
    )
    parser.add_argument("--rounds", type=int, help=f"rounds that count (default {ROUNDS}, quick 1)")
    parser.add_argument(
        "--profile", type=Path, metavar="FILE", help="write cProfile's figures of our server there; it slows it down"
    )
    options = parser.parse_args()
    rounds = options.rounds or (1 if options.quick else ROUNDS)
    if options.corpus is not None:
        os.environ["FAILGATE_BENCH_CORPUS"] = str(options.corpus.absolute())
    table = _table(is_quick=options.quick, is_full=options.full, profile=options.profile)
    known = {row.number for row in table}
    if unknown := [str(number) for number in options.rows if number not in known]:
        parser.error(f"no row {', '.join(unknown)} here; there are {', '.join(map(str, sorted(known)))}")
    results = [_measured(row, rounds) for row in table if not options.rows or row.number in options.rows]
    report(results, rounds)
    return 1 if any("failed" in result for result in results) else 0


def _table(*, is_quick: bool, is_full: bool, profile: Path | None) -> list[Row]:
    rows = [
        *rows_reports.rows(is_quick=is_quick, profile=profile),
        *rows_gate.rows(is_quick=is_quick, profile=profile),
        *rows_waiting.rows(is_quick=is_quick),
        *rows_client.rows(is_quick=is_quick, profile=profile),
        *rows_audit.rows(is_quick=is_quick, is_full=is_full, profile=profile),
        *rows_capture.rows(is_quick=is_quick),
        *rows_redaction.rows(is_quick=is_quick),
        *rows_identity.rows(is_quick=is_quick, profile=profile),
        *rows_artifacts.rows(is_quick=is_quick, is_full=is_full),
        *rows_policy.rows(is_quick=is_quick),
        *rows_memory.rows(is_quick=is_quick, is_full=is_full),
        *rows_slow_disk.rows(is_quick=is_quick),
        *rows_intake.rows(is_quick=is_quick),
        *rows_sealed.rows(is_quick=is_quick),
        *rows_start.rows(is_quick=is_quick, is_full=is_full),
        *rows_size.rows(is_quick=is_quick, is_full=is_full, profile=profile),
    ]
    return sorted(rows, key=lambda row: row.number)


def _measured(row: Row, rounds: int) -> dict[str, object]:
    label = row.label or str(row.number)
    print(f"row {label}: {row.title} …", file=sys.stderr, flush=True)
    try:
        return run_row(row, rounds)
    except Exception as error:  # one row that fails does not take the others with it
        return {"row": row.number, "label": label, "title": row.title, "failed": f"{type(error).__name__}: {error}"}


if __name__ == "__main__":
    sys.exit(main())
