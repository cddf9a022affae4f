"""Escape sequences of terminals: set aside before a search, and looked into by themselves.

A colour in the middle of a token does not hide it: what is searched is what a terminal shows. Two things it does not
show are in the bytes all the same: the text inside a string sequence (a window's title, the address of a link), and
the first letter of a word that stands right behind an `ESC`, which is read as the end of a sequence. Both are searched
as pieces of their own. Source: ECMA-48 sections 5.3 to 5.6.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate
from typing import Final, NamedTuple

_STRING: Final = rb"(?:\][^\x07\x1b]{0,2048}(?:\x07|\x1b\\)|[PX^_][^\x1b]{0,2048}\x1b\\)"
_ESCAPES: Final = re.compile(rb"\x1b(?:\[[0-?]{0,64}[ -/]{0,8}[@-~]|" + _STRING + rb"|[ -/]{0,4}[0-~])")
_STRINGS: Final = re.compile(rb"\x1b(" + _STRING + rb")")
_HIDING: Final = re.compile(  # colours are left out: they stand everywhere, and no rule's token begins with their `m`
    rb"\x1b(?:(?P<text>"
    + _STRING
    + rb")|(?!\[[0-?]*m)(?:\[[0-?]{0,64}[ -/]{0,8}[A-Za-z]|[ -/]{0,4}[0-9A-Za-z])(?=[0-9A-Za-z]))"
)
HIDING_END: Final = re.compile(rb"\x1b(?!\[[0-?]*m)(?:\[[0-?]{0,64}[ -/]{0,8}[A-Za-z]|[ -/]{0,4}[0-9A-Za-z])\Z")
"""A sequence at the very end whose last letter may be the first of what follows."""
UNFINISHED: Final = re.compile(
    rb"(?:\x1b(?:\[[0-?]{0,64}[ -/]{0,8}|\][^\x07\x1b]{0,2048}\x1b?|[PX^_][^\x1b]{0,2048}\x1b?|[ -/]{0,4})"
    rb"|[\xc2-\xdf]|[\xe0-\xef][\x80-\xbf]?|[\xf0-\xf4][\x80-\xbf]{0,2})\Z"
)
"""A sequence, or a character, whose end is missing."""
_TERMINATORS: Final = (b"\x1b\\", b"\x07")


class Plain(NamedTuple):
    """Bytes without terminal escapes, and where the pieces came from: ascending (offset here, offset there)."""

    content: bytes
    here: list[int]
    there: list[int]

    def origin(self, offset: int) -> int:
        """Return the offset in the original of the byte at `offset`."""
        at = bisect_right(self.here, offset) - 1
        return self.there[at] + offset - self.here[at]


class Hidden(NamedTuple):
    """Bytes that a terminal does not show as they are: they begin at `start` of the original.

    `swallowed` is where the sequence begins that takes the first of them for its end; None: all of them are its text.
    """

    start: int
    content: bytes
    swallowed: int | None


def plain_of(content: bytes) -> Plain:
    """Return `content` without terminal escape sequences."""
    if b"\x1b" not in content:
        return Plain(content, [0], [0])
    escapes = [match.span() for match in _ESCAPES.finditer(content)]
    there = [0, *(end for _, end in escapes)]
    ends = [*(start for start, _ in escapes), len(content)]
    pieces = [content[start:end] for start, end in zip(there, ends, strict=True)]
    here = list(accumulate(map(len, pieces[:-1]), initial=0))
    return Plain(b"".join(pieces), here, there)


def hidden_in(content: bytes, reach_bytes: int) -> Iterator[Hidden]:
    """Yield what `content` holds besides what a terminal shows; at most `reach_bytes` from a swallowed letter on.

    A piece ends before the next escape, so that all pieces together are no longer than `content`.
    """
    for match in _HIDING.finditer(content):
        if match["text"] is not None:
            terminator = next(end for end in _TERMINATORS if match[0].endswith(end))
            yield Hidden(match.start() + 2, match[0][2 : -len(terminator)], None)
        else:
            last = match.end() - 1
            end = content.find(b"\x1b", last, last + reach_bytes)
            yield Hidden(last, content[last : end if end >= 0 else last + reach_bytes], match.start())


def kept_escapes(span: bytes) -> bytes:
    """Return the escape sequences inside the bytes of a secret, which stay after its tag.

    Those with a text of their own go with it, and so does one at the very beginning: it swallowed the first letter.
    """
    if b"\x1b" not in span:
        return b""
    return b"".join(
        match[0] for match in _ESCAPES.finditer(span) if match.start() > 0 and not _STRINGS.fullmatch(match[0])
    )


def secret_of(span: bytes) -> bytes:
    """Return the secret in its bytes of a text: without escapes, with a first letter that was swallowed."""
    swallowing = _ESCAPES.match(span)
    return plain_of(span if swallowing is None else span[swallowing.end() - 1 :]).content
