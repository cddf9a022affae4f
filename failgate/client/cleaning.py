"""Output without its secrets, and still with its times.

Standard output and error are redacted apart, so that a line on the one does not hide a secret that the other writes in
two halves, and put together again in the order in which they came.
"""

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from failgate.client.output import Gap, Piece
from failgate.redaction import Finding, RedactingStream, Scanner
from failgate.redaction.escapes import kept_escapes

_MOST_WAITING = 512 * 1024


class Clean(NamedTuple):
    """Redacted bytes and when they came, in microseconds since the start."""

    at_us: int
    content: bytes


class Due(NamedTuple):
    """Here everything leaves that is no beginning of a secret; a gap without a size comes out behind it."""


class _Entry:
    """A piece on its way: what is clean of it already, and whether that is all."""

    def __init__(self, at_us: int, end: int, lane: "_Lane") -> None:
        self.at_us = at_us
        self.end = end
        self.lane = lane
        self.clean = bytearray()
        self.is_done = False


class _Lane:
    """One stream: what went in, what was let go, and to which piece each byte that comes out belongs."""

    def __init__(self, scanner: Scanner, rules: "Counter[str]") -> None:
        self._scanner = scanner
        self._rules = rules
        self._entries: deque[_Entry] = deque()
        self._restart()

    def feed(self, entry: _Entry, content: bytes) -> None:
        self._fed += len(content)
        entry.end = self._fed
        self._entries.append(entry)
        self._raw += content
        self._give(self._stream.feed(content))

    def enter(self, at_us: int) -> _Entry:
        return _Entry(at_us, 0, self)

    def settle(self) -> None:
        """Let go what stays as it is whatever follows."""
        self._give(self._stream.settle())

    def finish(self) -> None:
        """Let everything go; what follows is another text."""
        self._give(self._stream.finish(), is_last=True)
        self._restart()

    def _restart(self) -> None:
        self._stream = RedactingStream(self._scanner)
        self._fed = self._given = 0
        self._raw = bytearray()

    def _give(self, clean: bytes, *, is_last: bool = False) -> None:
        """Give `clean`, which stands for the input from `_given` on, to the pieces that it came in."""
        end = self._fed if is_last else self._stream.offset
        place = 0
        for start, size, shown in self._spans(end):
            upto = start + size
            while self._entries and self._entries[0].end <= start:
                self._entries.popleft().is_done = True
            if shown is not None:
                self._entries[0].clean += clean[place : place + shown]
                place += shown
                continue
            at = start
            while at < upto:
                entry = self._entries[0]
                part = min(upto, entry.end) - at
                entry.clean += clean[place : place + part]
                at, place = at + part, place + part
                if entry.end <= at:
                    self._entries.popleft().is_done = True
        while self._entries and self._entries[0].end <= end:
            self._entries.popleft().is_done = True
        del self._raw[: end - self._given]
        self._given = end

    def _spans(self, end: int) -> Iterator[tuple[int, int, int | None]]:
        """Yield the input up to `end` as (offset, size, size of its replacement or None where nothing was replaced)."""
        at = self._given
        for found in self._stream.findings:
            if found.start > at:
                yield at, found.start - at, None
            yield found.start, found.end - found.start, len(found.tag.encode()) + self._escapes_in(found)
            at = found.end
            self._rules[found.rule] += 1
        self._stream.findings.clear()
        if end > at:
            yield at, end - at, None

    def _escapes_in(self, found: Finding) -> int:
        """Return the size of the escape sequences inside a secret, which stay after its tag."""
        raw = bytes(self._raw[found.start - self._given : found.end - self._given])
        return len(kept_escapes(raw))


def cleaned(pieces: Iterable[Piece | Gap | Due], scanner: Scanner, rules: "Counter[str]") -> Iterator[Clean | Gap]:
    """Yield `pieces` without secrets; count in `rules` what was found. At most about a MiB waits at any time."""
    lanes: dict[int, _Lane] = {}
    order: deque[_Entry] = deque()
    waiting = 0
    for piece in pieces:
        if isinstance(piece, Gap):
            for lane in lanes.values():
                lane.finish()
            yield from _done(order)
            waiting = 0
            yield piece
            continue
        if isinstance(piece, Due):
            for lane in lanes.values():
                lane.settle()
            yield from _done(order)
            if order and order[0].clean:
                first = order[0]
                yield Clean(first.at_us, bytes(first.clean))
                first.clean.clear()
            yield Gap(0)
            continue
        lane = lanes.get(piece.stream) or lanes.setdefault(piece.stream, _Lane(scanner, rules))
        entry = lane.enter(piece.at_us)
        order.append(entry)
        lane.feed(entry, piece.content)
        waiting += len(piece.content)
        if waiting > _MOST_WAITING and order and not order[0].is_done:
            order[0].lane.finish()  # a stream that was silent for long holds nothing of a secret that still goes on
        for clean in _done(order):
            waiting = max(0, waiting - len(clean.content))
            yield clean
    for lane in lanes.values():
        lane.finish()
    yield from _done(order)


def _done(order: "deque[_Entry]") -> Iterator[Clean]:
    while order and order[0].is_done:
        entry = order.popleft()
        if entry.clean:
            yield Clean(entry.at_us, bytes(entry.clean))
