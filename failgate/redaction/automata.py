"""The prefilter in automata of RE2, which is always installed: one finds the next place, one says which rules."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import re2

from failgate.redaction.openings import opening_of
from failgate.redaction.prefilter import Possible, says_itself
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
        self._all = _Automata(dict(enumerate(rules)))
        self._tokens = _Automata({number: rule for number, rule in enumerate(rules) if says_itself(rule)})

    @property
    def name(self) -> str:
        """Return `re2`."""
        return "re2"

    def possible(self, content: bytes) -> list[Possible]:
        """Return the places as `Prefilter` says, each two bytes wide (see `Opening`) unless there are too many."""
        return self._all.possible(content)

    def tokens(self, content: bytes) -> list[Possible]:
        """Return those of the rules that say themselves."""
        return self._tokens.possible(content)


class _Automata:
    """The automata of rules, by their numbers."""

    def __init__(self, rules: Mapping[int, Rule]) -> None:
        openings = [opening_of(rule) for rule in rules.values()]
        self._numbers = list(rules)
        self._reach = max((one.reach for one in openings), default=0)
        together = "|".join(f"(?:{one.pattern})" for one in openings)
        self._any = re2.compile(together.encode("latin-1"), _options()) if openings else None
        self._here = _set([one.pattern for one in openings], re2.Set.MatchSet(_options()))
        self._anywhere = _set([one.pattern for one in openings], re2.Set.SearchSet(_options()))

    def possible(self, content: bytes) -> list[Possible]:
        if self._any is None:
            return []
        found: list[Possible] = []
        for start in range(0, len(content), WINDOW_BYTES):
            end = min(start + WINDOW_BYTES, len(content))
            places = self._places(content, start, end)
            if places is None:
                found.append(Possible(start, end, self._rules(self._anywhere, content[start : end + self._reach])))
            else:
                found += places
        return found

    def _places(self, content: bytes, start: int, end: int) -> list[Possible] | None:
        """Return the places in `start`..`end`; None when there are too many."""
        places: list[Possible] = []
        for at in self._starts(content, start, end):
            if len(places) == _MOST_PLACES:
                return None
            places.append(Possible(at, at + 2, self._rules(self._here, content[at : at + self._reach])))
        return places

    def _rules(self, automaton: Any, piece: bytes) -> tuple[int, ...]:
        return tuple(self._numbers[at] for at in sorted(automaton.Match(piece) or ()))

    def _starts(self, content: bytes, start: int, end: int) -> Iterator[int]:
        assert self._any is not None
        last = min(end + self._reach, len(content))
        match = self._any.search(content, start, last)
        while match is not None:
            at = match.start()
            if at >= end:
                break
            yield at
            match = self._any.search(content, at + 1, last)


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
