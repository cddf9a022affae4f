"""A text without its line ends, in which a prefilter sees what lies across them.

Most line ends have nothing across them. A rule's match begins where its opening does: in a line, or across its end,
and then the text without line ends has an opening that the text itself has not.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Container, Iterable, Iterator
from itertools import accumulate

from failgate.redaction.prefilter import Possible, Prefilter
from failgate.redaction.wrapping import wide_lines

_BLOCK_BYTES = 4096


NEAR_BYTES = 192
"""More than any opening is long (a test measures it): what begins in a line ends as near behind it."""


def across_wide(content: bytes, prefilter: Prefilter) -> set[int]:
    """Return the ends of lines as wide as a terminal that a rule may have something across.

    Its opening begins in the line: those lines, each with what follows it without line ends, are searched at once.
    """
    lines = wide_lines(content)
    near = [content[start : end + NEAR_BYTES].translate(None, b"\r\n") for start, end in lines]
    starts = list(accumulate(map((1).__add__, map(len, near)), initial=0))
    found: set[int] = set()
    for place in prefilter.possible(b"\n".join(near)):
        for at in range(bisect_right(starts, place.start) - 1, min(bisect_right(starts, place.end), len(lines))):
            start, end = lines[at]
            if place.start <= starts[at] + end - start:
                found.add(end)
    return found


def _ends_around(content: bytes, place: Possible) -> Iterator[int]:
    """Yield the line ends of `content` within `place` and the one that follows."""
    at = content.find(b"\n", place.start)
    while at >= 0:
        yield at
        if at >= place.end:
            break
        at = content.find(b"\n", at + 1)


class Unbroken:
    """`content` is the text without line ends. It is made of blocks, each with the offset of its first byte."""

    def __init__(self, original: bytes) -> None:
        """Take the line ends out of `original`."""
        self._original = original
        self._has_returns = b"\r\n" in original
        self._there, self._here = [0], [0]  # where each block begins in the original, and here
        parts: list[bytes] = []
        end = 0
        while end < len(original):
            start, end = end, min(end + _BLOCK_BYTES, len(original))
            end += original[end - 1 : end + 1] == b"\r\n"  # which no two blocks share
            parts.append(self._without(original[start:end]))
            self._there.append(end)
            self._here.append(self._here[-1] + len(parts[-1]))
        self.content = b"".join(parts)
        self._lines: dict[int, tuple[list[int], list[int]]] = {}

    def suspects(self, places: Iterable[Possible], here: Iterable[Possible], rules: Container[int]) -> set[int]:
        """Return the line ends that one of `rules` may have something across: it begins at `places`, or at `here`.

        `places` are in the original, `here` in `content`.
        """
        newlines: set[int] = set()
        for place in places:
            if any(rule in rules for rule in place.rules):
                newlines.update(_ends_around(self._original, place))
        for place in here:
            if any(rule in rules for rule in place.rules):
                newlines.update(self._within(place))
        return newlines

    def _without(self, piece: bytes) -> bytes:
        return (piece.replace(b"\r\n", b"") if self._has_returns else piece).replace(b"\n", b"")

    def _within(self, place: Possible) -> Iterator[int]:
        """Yield the line ends of the original that stood within `place`, and the one on either side."""
        first = max(0, bisect_left(self._here, place.start) - 1)
        last = min(bisect_right(self._here, place.end), len(self._here) - 2)
        for block in range(first, last + 1):
            newlines, here = self._lines.get(block) or self._read(block)
            yield from newlines[max(0, bisect_left(here, place.start) - 1) : bisect_right(here, place.end) + 1]

    def _read(self, block: int) -> tuple[list[int], list[int]]:
        """Return the line ends of a block, and where each stood here."""
        newlines, here = [], []
        at, end, removed = self._there[block], self._there[block + 1], self._there[block] - self._here[block]
        while (newline := self._original.find(b"\n", at, end)) >= 0:
            at = newline + 1
            has_return = self._has_returns and self._original[newline - 1 : newline] == b"\r"
            newlines.append(newline)
            here.append(newline - has_return - removed)
            removed += 1 + has_return
        self._lines[block] = newlines, here
        return newlines, here
