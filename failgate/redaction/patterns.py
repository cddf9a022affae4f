"""Rules that a workspace adds: one RE2 pattern each, which cannot be slow, checked by examples when it is made.

A pattern is searched line by line, and in pieces of at most `PIECE_BYTES` of a line, so that no pattern costs more than
in proportion to the text. Its first group, or all of it where it has none, is what is replaced.
"""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

MOST_CHARACTERS = 500
PIECE_BYTES = 4096
LEAST_BYTES = 4
"""What is shorter is no secret; each tag is longer, and a pattern of one letter would make any text thirty times so."""
_MEMORY_BYTES = 4 * 1024 * 1024


class UnusablePattern(Exception):
    """A pattern that is not RE2, is too large, or matches the empty text. The message says which."""


class Pattern(NamedTuple):
    """One rule of a workspace: its name in findings and tags, and its text as RE2."""

    id: str
    text: str


class PatternMatcher:
    """Patterns, compiled; they may be asked from several threads."""

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        """Compile. Raises: UnusablePattern."""
        self.ids = [one.id for one in patterns]
        self._compiled = [_compiled(one.text) for one in patterns]
        described = "\n".join(f"{one.id} {one.text}" for one in patterns)
        self.version = hashlib.sha256(described.encode()).hexdigest()[:12]
        self._any = _set_of([one.text for one in patterns]) if patterns else None

    def spans(self, content: bytes) -> Iterator[tuple[int, int, int]]:
        """Yield (number of the pattern, start, end) of every match in `content`; matches of one do not overlap."""
        if self._any is None or not self._any.Match(content):
            return
        for start, end in _pieces(content):
            piece = content[start:end]
            for number in sorted(self._any.Match(piece) or ()):
                compiled = self._compiled[number]
                for match in compiled.finditer(piece):
                    first, last = match.span(1 if compiled.groups and match.group(1) is not None else 0)
                    if last - first >= LEAST_BYTES:
                        yield number, start + first, start + last


def check_pattern(text: str) -> None:
    """Refuse a pattern that no rule can have. Raises: UnusablePattern."""
    if not 0 < len(text) <= MOST_CHARACTERS:
        raise UnusablePattern(f"has 1 to {MOST_CHARACTERS} characters")
    if _compiled(text).search(b"") is not None:
        raise UnusablePattern("matches the empty text, and so everywhere")


def _pieces(content: bytes) -> Iterator[tuple[int, int]]:
    """Yield the lines of `content`, a longer one in pieces."""
    start = 0
    while start < len(content):
        end = content.find(b"\n", start, start + PIECE_BYTES)
        end = min(start + PIECE_BYTES, len(content)) if end < 0 else end + 1
        yield start, end
        start = end


def _options() -> Any:
    import re2  # here: a client never needs it

    options = re2.Options()
    options.max_mem = _MEMORY_BYTES
    options.log_errors = False
    options.encoding = re2.Options.Encoding.LATIN1  # over bytes, which need not be UTF-8
    return options


def _compiled(text: str) -> Any:
    import re2

    try:
        return re2.compile(text.encode(), _options())
    except re2.error as error:
        raise UnusablePattern(f"is no RE2 pattern: {str(error)[:160]}") from error


def _set_of(texts: Sequence[str]) -> Any:
    import re2

    built = re2.Set.SearchSet(_options())
    for text in texts:
        built.Add(text.encode())
    built.Compile()
    return built
