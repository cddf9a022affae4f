"""Words that a terminal broke at its right edge, put together again. Pure.

A program that prints to a fixed width, or a copy out of a terminal, leaves a line end inside a token. Which width it
was is not known: lines are joined where both sides of the break are characters of tokens, and the scanner decides
whether the joined text has a secret across the break. Everything looks at most `_LONGEST_LINE` bytes back, so that a
stream decides like the whole.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import accumulate, compress
from typing import NamedTuple

_LONGEST_LINE = 1000  # a longer line was not broken by a terminal
_SHORTEST_LINE = 40
_SHORTEST_TOKEN = 20
_MOST_BYTES = 4096  # of one joined text
_HALF = _SHORTEST_TOKEN // 2
_NEXT = re.compile(rb"\n([A-Za-z0-9_\-+/=.~%]+)")
# It begins with the end of a line, which is seldom and found quickest.
_BREAK = re.compile(rb"\n(?<=[A-Za-z0-9_\-+/=.~%\r]\n)(?=[A-Za-z0-9_\-+/=.~%])")
_TOKEN = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-+/=.~%"
_INSIDE = frozenset(_TOKEN)
_DIGITS = b"0123456789"
_LAST = _INSIDE | frozenset(b"\r")
_WIDTHS = frozenset({72, 76, 78, 79, 80, 90, 100, 110, 120, 130, 132, 140, 150, 160, 180, 200, 238, 240})
_WIDTHS_OR_RETURN = _WIDTHS | {width + 1 for width in _WIDTHS}


class Joined(NamedTuple):
    """A text without its line breaks. `pieces` are (offset here, offset there), ascending, one for each line.

    With `is_wide` the first line is as long as a terminal is wide.
    """

    content: bytes
    pieces: list[tuple[int, int]]
    is_wide: bool

    def origin(self, offset: int) -> int:
        """Return the offset in the original of the byte at `offset`."""
        here, there = next(piece for piece in reversed(self.pieces) if piece[0] <= offset)
        return there + offset - here

    def is_across(self, start: int, end: int) -> bool:
        """Tell whether a line break of the original lies inside `start`..`end`."""
        return any(start < here < end for here, _ in self.pieces[1:])


def joined_lines(content: bytes, ends: Iterable[tuple[int, int]]) -> Iterator[Joined]:
    """Yield a text for each of `ends` (see `breaks`) that may hold a token across it, from the line before it on."""
    for newline, last in ends:
        start = _line_start(content, last)
        if start is None or last + 1 - start < _SHORTEST_LINE:
            continue
        match = _NEXT.match(content, newline)
        line = content[start : last + 1]
        if match is None:
            continue
        token = line[len(line.rstrip(_TOKEN)) :] + match[1][:_LONGEST_LINE]
        is_token = len(token) >= _SHORTEST_TOKEN and token.translate(None, _DIGITS) != token
        if is_token and not _goes_on(content, start, line):
            yield _joined(content, start, line, match)


def breaks(content: bytes) -> Iterator[tuple[int, int]]:
    """Give (newline, last byte before it) where a character of a token stands on both sides of a line end.

    On one of the sides stand at least as many as half of the shortest token has.
    """
    return _breaks_of(content, (match.start() for match in _BREAK.finditer(content)))


def breaks_at(content: bytes, newlines: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Yield those of `breaks` whose newline is given, or stands before one within one broken word."""
    yield from _breaks_of(content, sorted(_with_before(content, newlines)))


def _breaks_of(content: bytes, newlines: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Yield those of `breaks` whose newline is given."""
    for newline in newlines:
        last = newline - 1 - (content[newline - 1 : newline] == b"\r")
        if last < 0 or newline + 1 >= len(content):
            continue
        is_inside = content[last] in _INSIDE and content[newline + 1] in _INSIDE
        if is_inside and (
            _is_half(content[max(0, last + 1 - _HALF) : last + 1])
            or _is_half(content[newline + 1 : newline + 1 + _HALF])
        ):
            yield newline, last


def _is_half(piece: bytes) -> bool:
    return len(piece) == _HALF and not piece.translate(None, _TOKEN)


def _with_before(content: bytes, newlines: Iterable[int]) -> set[int]:
    found = set(newlines)
    for newline in tuple(found):
        found.update(_before_in_token(content, newline))
    return found


def wide_lines(content: bytes) -> list[tuple[int, int]]:
    """Return start and end of the lines as long as a terminal is wide that end and go on with parts of tokens."""
    lengths = list(map(len, content.split(b"\n")))
    if not lengths.pop():  # nothing follows the last end
        lengths = lengths[:-1]
    widths = _WIDTHS_OR_RETURN if b"\r\n" in content else _WIDTHS
    after = zip(accumulate(map((1).__add__, lengths)), lengths, strict=True)
    return [
        (at - 1 - length, at - 1)
        for at, length in compress(after, map(widths.__contains__, lengths))
        if content[at] in _INSIDE and content[at - 2] in _LAST
    ]


def _before_in_token(content: bytes, newline: int) -> Iterator[int]:
    """Yield the line ends before `newline`, as far back as whole lines are parts of one broken word."""
    for _ in range(_MOST_BYTES // _SHORTEST_LINE):
        before = content.rfind(b"\n", max(0, newline - _LONGEST_LINE - 2), newline)
        if before < 0 or content[before + 1 : newline].removesuffix(b"\r").rstrip(_TOKEN):
            return
        yield before
        newline = before


def _line_start(content: bytes, last: int) -> int | None:
    """Return where the line begins whose last byte is at `last`; None when it is longer than a terminal's."""
    least = max(0, last - _LONGEST_LINE)
    start = content.rfind(b"\n", least, last) + 1
    return start if start or not least else None


def _goes_on(content: bytes, start: int, line: bytes) -> bool:
    """Tell whether `line` is itself the rest of a broken line: it belongs to what begins there."""
    if line.rstrip(_TOKEN) or start == 0:
        return False
    end = start - 1 - (content[start - 2 : start - 1] == b"\r")
    before = _line_start(content, end - 1) if end > 0 else None
    return before is not None and end - before == len(line) and content[end - 1] in _INSIDE


def _joined(content: bytes, start: int, line: bytes, match: "re.Match[bytes]") -> Joined:
    parts, pieces = [line], [(0, start)]
    size = len(line)
    following: re.Match[bytes] | None = match
    while following is not None and size < _MOST_BYTES:
        part = following[1][:_LONGEST_LINE]
        parts.append(part)
        pieces.append((size, following.start(1)))
        size += len(part)
        if len(part) != len(line):
            break
        end = following.end(1)
        following = _NEXT.match(content, end + (content[end : end + 1] == b"\r"))
    return Joined(b"".join(parts), pieces, len(line) in _WIDTHS)
