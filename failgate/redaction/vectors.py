"""The prefilter in Hyperscan (Vectorscan), where it is installed: one pass over the text for all rules."""

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import hyperscan

from failgate.redaction.compiling import compiled
from failgate.redaction.openings import Opening, opening_of
from failgate.redaction.prefilter import Possible, says_itself
from failgate.redaction.rules import Rule

PIECE_BYTES: Final = 1024 * 1024
"""How much text is searched at once, after as much of what stands before as an opening can be long."""


class Vectors:
    """`Prefilter` of Hyperscan: it says where an opening ends, and so where it can have begun."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        """Compile; that takes up to a second, and other threads go on meanwhile."""
        every = {number: opening_of(rule) for number, rule in enumerate(rules)}
        tokens = {number: every[number] for number, rule in enumerate(rules) if says_itself(rule)}
        sets = [{number: one.pattern for number, one in openings.items()} for openings in (every, tokens)]
        self._all, self._tokens = map(_Vectors, (every, tokens), compiled(sets))

    @property
    def name(self) -> str:
        """Return `hyperscan`."""
        return "hyperscan"

    def possible(self, content: bytes) -> list[Possible]:
        """Return the places as `Prefilter` says, each as wide as its rule's opening can be long."""
        return self._all.possible(content)

    def tokens(self, content: bytes) -> list[Possible]:
        """Return those of the rules that say themselves."""
        return self._tokens.possible(content)


class _Vectors:
    """One database for rules, by their numbers."""

    def __init__(self, openings: Mapping[int, Opening], database: Any) -> None:
        self._reaches = {number: one.reach for number, one in openings.items()}
        self._reach = max(self._reaches.values(), default=0)
        self._alone = {number: (number,) for number in openings}
        self._database = database
        self._threads = threading.local()

    def possible(self, content: bytes) -> list[Possible]:
        if not self._reaches:
            return []
        found: list[Possible] = []
        for start in range(0, len(content), PIECE_BYTES):
            found += self._ending(content, start, start + PIECE_BYTES)
        return found

    def _ending(self, content: bytes, start: int, end: int) -> list[Possible]:
        """Return the places of the openings that end after `start` and up to `end`."""
        offset = max(0, start - self._reach)
        ends: list[tuple[int, int]] = []

        def ended(rule: int, _start: int, end: int, _flags: int, _context: object) -> None:
            ends.append((end + offset, rule))

        piece = content if len(content) <= end and not offset else content[offset:end]
        self._database.scan(piece, match_event_handler=ended, scratch=self._scratch())
        ends.sort()
        return list(self._places(at for at in ends if at[0] > start))

    def _places(self, ends: Iterable[tuple[int, int]]) -> Iterator[Possible]:
        """Yield where the openings can have begun that end at `ends`; what overlaps for one rule is one place."""
        open_places: dict[int, tuple[int, int]] = {}
        for end, rule in ends:
            start = max(0, end - self._reaches[rule])
            begun, last = open_places.get(rule, (start, end))
            if last < start:
                yield Possible(begun, last, self._alone[rule])
                begun = start
            open_places[rule] = begun, end
        for rule, (begun, last) in open_places.items():
            yield Possible(begun, last, self._alone[rule])

    def _scratch(self) -> Any:
        """Return this thread's own scratch space, which no two scans may share."""
        scratch: Any = getattr(self._threads, "scratch", None)
        if scratch is None:
            scratch = self._threads.scratch = hyperscan.Scratch(self._database)
        return scratch
