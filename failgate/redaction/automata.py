"""The prefilter in automata of RE2, which is always installed: one finds the next place, one says which rules."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import re2

from failgate.redaction.openings import opening_of
from failgate.redaction.prefilter import Possible
from failgate.redaction.rules import Rule

WINDOW_BYTES: Final = 16 * 1024
"""How much text is searched at once."""
_MOST_PLACES = 64
"""In a window with more places than this, all of it is named: each search for the next place may cross the window."""
_MEMORY_BYTES = 64 * 1024 * 1024


class Automata:
    """`Prefilter` of RE2."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        """Build the automata."""
        openings = [opening_of(rule) for rule in rules]
        self._reach = max((one.reach for one in openings), default=0)
        together = "|".join(f"(?:{one.pattern})" for one in openings)
        self._any = re2.compile(together.encode("latin-1"), _options()) if openings else None
        self._here = _set([one.pattern for one in openings], re2.Set.MatchSet(_options()))
        self._anywhere = _set([one.pattern for one in openings], re2.Set.SearchSet(_options()))

    @property
    def name(self) -> str:
        """Return `re2`."""
        return "re2"

    def possible(self, content: bytes) -> list[Possible]:
        """Return the places as `Prefilter` says, each one byte wide unless there are too many."""
        if self._any is None:
            return []
        found: list[Possible] = []
        for start in range(0, len(content), WINDOW_BYTES):
            end = min(start + WINDOW_BYTES, len(content))
            places = self._places(content, start, end)
            if places is None:
                rules = self._anywhere.Match(content[start : end + self._reach]) or ()
                found.append(Possible(start, end, tuple(sorted(rules))))
            else:
                found += places
        return found

    def _places(self, content: bytes, start: int, end: int) -> list[Possible] | None:
        """Return the places in `start`..`end`; None when there are too many."""
        places: list[Possible] = []
        for at in self._starts(content, start, end):
            if len(places) == _MOST_PLACES:
                return None
            rules = self._here.Match(content[at : at + self._reach]) or ()
            places.append(Possible(at, at + 1, tuple(sorted(rules))))
        return places

    def _starts(self, content: bytes, start: int, end: int) -> Iterator[int]:
        assert self._any is not None
        last = min(end + self._reach, len(content))
        match = self._any.search(content, start, last)
        while match is not None and match.start() < end:
            yield match.start()
            match = self._any.search(content, match.start() + 1, last)


def any_of(values: Sequence[bytes]) -> Any:
    """Return the pattern that matches any of `values`."""
    return re2.compile(b"|".join(re2.escape(value) for value in values), _options())


def _options() -> Any:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.max_mem = _MEMORY_BYTES
    options.log_errors = False
    return options


def _set(patterns: Sequence[str], built: Any) -> Any:
    for pattern in patterns:
        built.Add(pattern.encode("latin-1"))
    built.Compile()
    return built
