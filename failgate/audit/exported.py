"""What arrived elsewhere, compared with the log: which records are missing there, which differ, which were never ours.

An exporter's other side may say that it has a record and lose it. Who collects the lines there gives them here: each is
`{"log":…,"seq":…,"record":…}`, maybe with a `body` before the record, alone or at the end of a longer line, as syslog
writes it.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from failgate.audit.exporter import TEST_LOG
from failgate.audit.log import MOST_RECORDS, AuditLog

AT_ONCE: Final = 5_000  # lines
MOST_NAMED: Final = 20  # ranges and numbers in a sentence
_LINE: Final = re.compile(
    rb'\{"log":("(?:[^"\\]|\\.)*"),"seq":([0-9]{1,15}),(?:"body":\{[^{}]*\},)?"record":(.*)\}\s*\Z', re.DOTALL
)


@dataclass(slots=True)
class Compared:
    """One log: how many of its records should be there, which are not, which differ, which the log never had."""

    log: str
    due: int
    missing: list[range] = field(default_factory=list[range])
    differing: list[int] = field(default_factory=list[int])
    unknown: list[int] = field(default_factory=list[int])

    @property
    def is_whole(self) -> bool:
        """Tell whether everything arrived as it was."""
        return not (self.missing or self.differing or self.unknown)

    @property
    def sentence(self) -> str:
        """Return what was found, for people."""
        if self.is_whole:
            return f"{self.log}: all {self.due} records are there"
        count = sum(map(len, self.missing))
        said = [f"{count} of {self.due} records are missing: {_ranges(self.missing)}"] if self.missing else []
        said += [f"{len(self.differing)} differ: {_numbers(self.differing)}"] if self.differing else []
        said += [f"{len(self.unknown)} the log does not have: {_numbers(self.unknown)}"] if self.unknown else []
        return f"{self.log}: {'; '.join(said)}"


@dataclass(slots=True)
class Comparison:
    """Every log, in the order of their names, and how many lines were no exported record."""

    logs: list[Compared]
    unread: int


async def compare(audit: AuditLog, lines: Iterable[bytes], due: Mapping[str, int] | None = None) -> Comparison:
    """Return how `lines` stand against the log.

    `due` says how many records of each log should be there; without it, all up to the highest number among the lines.
    Test records are passed over, and what comes twice counts once.
    """
    seen: dict[str, bytearray] = {log: bytearray(size) for log, size in (due or {}).items()}
    found: dict[str, Compared] = {}
    unread = 0
    stream = iter(lines)
    while chunk := list(islice(stream, AT_ONCE)):
        by_log: dict[str, dict[int, bytes]] = {}
        for line in chunk:
            head = _LINE.search(line)
            if head is None:
                unread += bool(line.strip())
            elif (log := str(json.loads(head[1]))) != TEST_LOG:
                by_log.setdefault(log, {})[int(head[2])] = head[3]
        for log, records in by_log.items():
            compared = found.setdefault(log, Compared(log, 0))
            await _mark(audit, compared, records, seen.setdefault(log, bytearray()))
    for log, marks in seen.items():
        compared = found.setdefault(log, Compared(log, 0))
        compared.due = len(marks) if due is None else due.get(log, len(marks))
        compared.missing = _gaps(marks[: compared.due])
    return Comparison([found[log] for log in sorted(found)], unread)


async def _mark(audit: AuditLog, compared: Compared, records: Mapping[int, bytes], marks: bytearray) -> None:
    """Mark in `marks` which of `records` the log has byte for byte; note the others."""
    waiting = sorted(records)
    while waiting:
        page = {one.seq: one.leaf for one in await audit.records(compared.log, waiting[0] - 1, MOST_RECORDS)}
        last = max(page, default=waiting[-1])
        now, waiting = [seq for seq in waiting if seq <= last], [seq for seq in waiting if seq > last]
        for seq in now:
            if seq not in page:
                compared.unknown.append(seq)
                continue
            if len(marks) <= seq:
                marks.extend(bytes(seq + 1 - len(marks)))
            marks[seq] = 1  # what differs is there, too: it is not missing
            if page[seq] != records[seq]:
                compared.differing.append(seq)


def _gaps(marks: bytearray) -> list[range]:
    gaps: list[range] = []
    start = marks.find(0)
    while start >= 0:
        end = marks.find(1, start)
        end = len(marks) if end < 0 else end
        gaps.append(range(start, end))
        start = marks.find(0, end)
    return gaps


def _ranges(ranges: list[range]) -> str:
    said = [str(one.start) if len(one) == 1 else f"{one.start} to {one.stop - 1}" for one in ranges[:MOST_NAMED]]
    return ", ".join(said) + (" and more" if len(ranges) > MOST_NAMED else "")


def _numbers(numbers: list[int]) -> str:
    return _ranges([range(number, number + 1) for number in sorted(set(numbers))])
