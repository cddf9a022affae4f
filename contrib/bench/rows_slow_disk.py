"""Row 24: a disk whose every sync takes 1 ms or 5 ms longer, as strace makes it; rows 1 and 6 beside one row a
commit."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from harness import Absent, Measure, Row, Sample, Side, run_script
from rows_gate import AGENTS, decisions
from rows_reports import CLIENTS, ours
from server import scratch_folder

SYNCS = "fsync,fdatasync,sync_file_range,msync"


def slowed(milliseconds: int) -> list[str]:
    """Return the command under which each sync takes that much longer. Raises: Absent.

    Other system calls run at their own speed: the kernel's filter lets them pass. Source: strace(1), --seccomp-bpf.
    """
    if shutil.which("strace") is None:
        raise Absent("strace is not installed (Debian: strace)")
    inject = f"inject={SYNCS}:delay_enter={milliseconds * 1000}"
    return ["strace", "-D", "-f", "-qqq", "--seccomp-bpf", "-o", "/dev/null", "-e", f"trace={SYNCS}", "-e", inject]


def _one_row_a_commit(milliseconds: int, number: int) -> Side:
    @contextmanager
    def opened() -> Iterator[Measure]:
        under = slowed(milliseconds)
        with scratch_folder("commits") as folder:

            def measure() -> Sample:
                seen = run_script("inprocess.py", "", "commit", str(folder), str(number), under=under)
                return Sample(seen["count"] / seen["seconds"])

            yield measure

    return Side("floor: plain sqlite3, one row a commit", opened)


def _reports(milliseconds: int, number: int) -> Side:
    @contextmanager
    def opened() -> Iterator[Measure]:
        with ours(CLIENTS, number, "rate", None, under=slowed(milliseconds))() as measure:
            yield measure

    return Side("failgate", opened)


def _decisions(milliseconds: int, number: int) -> Side:
    @contextmanager
    def opened() -> Iterator[Measure]:
        with decisions(AGENTS, number, "rate", under=slowed(milliseconds)).open() as measure:
            yield measure

    return Side("failgate", opened)


def rows(*, is_quick: bool) -> list[Row]:
    """Return row 24, for two disks and two jobs."""
    reports, decided, commits = (160, 320, 50) if is_quick else (2000, 16_000, 400)
    note = "An agent and a sender wait for their own answer: at most 64 and 16 of them share a commit."
    return [
        Row(
            24, f"{title}, each sync {milliseconds} ms longer", unit,
            side(milliseconds, number), _one_row_a_commit(milliseconds, commits),
            target=10, is_durable=True, label=f"24{label}", notes=(note,),
        )
        for label, milliseconds, title, unit, side, number in (
            ("a", 1, "Row 1", "reports/s", _reports, reports),
            ("b", 5, "Row 1", "reports/s", _reports, reports),
            ("c", 1, "Row 6", "decisions/s", _decisions, decided),
            ("d", 5, "Row 6", "decisions/s", _decisions, decided),
        )
    ]  # fmt: skip
