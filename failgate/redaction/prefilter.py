"""Which rules can find anything in a piece of text, all at once: every rule made simpler, in automata of RE2.

It only rules out: what it names is searched by the rules themselves, so findings are the same without it. RE2 takes a
moment to load, and a small text is searched sooner without it; `Scanner` decides which.
"""

import re
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple, Protocol

from failgate.redaction.rules import Rule

WINDOW_BYTES = 16 * 1024
"""How much text is asked about at once."""
PART_BYTES = 1024
"""How much of it is asked about again when it holds anything: the rules look for their keywords in so much."""
_LONGEST_COUNT = 10  # more repetitions than this are not counted: each costs states of the automaton
_WIDEST = 256  # what repeats more often than this ends the simpler pattern, which bounds how far it reaches
_MEMORY_BYTES = 32 * 1024 * 1024
_COUNT = re.compile(r"\{(\d*)(,?)(\d*)\}")
_ASSERTIONS = ("(?=", "(?!", "(?<=", "(?<!")
_ONE = re.compile(r"\[\^?(?:\\.|[^\]\\])+\]|\\(?:[dws]|[^A-Za-z0-9])|[^\\\[\](){}|?*+^$.]")
_EDGE = ("\\A", "\\Z")


class Possible(NamedTuple):
    """The rules (by their numbers) that may find something that starts in `start`..`end`; all others do not."""

    start: int
    end: int
    rules: Sequence[int]


class Automaton(Protocol):
    """The part of `re2.Set` that is used."""

    def Match(self, text: bytes) -> list[int] | None:  # noqa: N802  # the name that RE2 gave it
        """Return the numbers of the patterns that match somewhere in `text`."""
        ...


class Prefilter:
    """Two automata over all `rules`. They may be asked from several threads.

    Tokens and named values are apart: together they would have as many states as both multiplied.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        """Build the automata. Raises: ImportError (RE2 is not installed)."""
        openings = [opening_of(rule) for rule in rules]
        self._reach = max((opening.reach for opening in openings), default=0)
        self._parts: list[tuple[Automaton, list[int]]] = []
        for is_named in (False, True):
            numbers = [number for number, rule in enumerate(rules) if (rule.group > 0) == is_named]
            if numbers:
                self._parts.append((_automaton([openings[number].pattern for number in numbers]), numbers))

    def possible(self, content: bytes) -> Iterator[Possible]:
        """Yield the windows of `content`, ascending, in which any rule may find something."""
        for start in range(0, len(content), WINDOW_BYTES):
            if not self._matching(content[start : start + WINDOW_BYTES + self._reach]):
                continue
            for part in range(start, min(start + WINDOW_BYTES, len(content)), PART_BYTES):
                rules = self._matching(content[part : part + PART_BYTES + self._reach])
                if rules:
                    yield Possible(part, min(part + PART_BYTES, len(content)), rules)

    def _matching(self, window: bytes) -> list[int]:
        return [numbers[at] for automaton, numbers in self._parts for at in sorted(automaton.Match(window) or ())]


@cache
def prefilter_of(rules: tuple[Rule, ...]) -> Prefilter | None:
    """Return the prefilter of `rules`, one for all who ask, or None when RE2 is not installed."""
    try:
        return Prefilter(rules)
    except ImportError:
        return None


def _automaton(patterns: Sequence[str]) -> Automaton:
    import re2  # here: loading it takes a client's whole time

    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.max_mem = _MEMORY_BYTES
    options.log_errors = False
    built = re2.Set.SearchSet(options)
    for pattern in patterns:
        built.Add(pattern.encode("latin-1"))
    built.Compile()
    automaton: Automaton = built
    return automaton


class Opening(NamedTuple):
    """A simpler pattern for RE2: it matches wherever the rule's does, within `reach` bytes from there.

    `is_cut` says that nothing may follow it.
    """

    pattern: str
    reach: int
    is_cut: bool


def opening_of(rule: Rule) -> Opening:
    """Return the opening of `rule`. Raises: ValueError (a pattern with a construct that this does not know)."""
    reader = _Reader(rule.pattern)
    opening = reader.alternatives()
    if reader.rest():
        raise ValueError(f"rule {rule.id} has an unbalanced pattern")
    before = "(?:^|[^A-Za-z0-9])" if rule.is_bounded else ""
    return opening._replace(pattern=f"{before}(?:{opening.pattern})")


class _Reader:
    """Reads a pattern of `re` from the left and writes its opening."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0

    def rest(self) -> str:
        return self._pattern[self._at :]

    def alternatives(self) -> Opening:
        """Read up to the end of the group (or of the pattern)."""
        pieces: list[str] = []
        reach = 0
        is_cut = False
        while True:
            one = self._sequence()
            pieces.append(one.pattern)
            reach = max(reach, one.reach)
            is_cut = is_cut or one.is_cut
            if not self.rest().startswith("|"):
                return Opening("|".join(pieces), reach, is_cut)
            self._at += 1

    def _sequence(self) -> Opening:
        pieces: list[str] = []
        reach = 0
        is_cut = False
        while self.rest() and self.rest()[0] not in "|)":
            one = self._repeated()
            if not is_cut:
                pieces.append(one.pattern)
                reach += one.reach
                is_cut = one.is_cut
        return Opening("".join(pieces), reach, is_cut)

    def _repeated(self) -> Opening:
        one = self._single()
        if self.rest()[:1] == "?":
            self._at += 1
            return one._replace(pattern=f"(?:{one.pattern})?")
        count = _COUNT.match(self._pattern, self._at)
        if count is None:
            return one
        self._at = count.end()
        least = int(count[1] or 0)
        most = int(count[3]) if count[3] else sys.maxsize if count[2] else least
        few = min(least, _LONGEST_COUNT)
        if one.is_cut or most > _WIDEST:
            pattern = one.pattern if one.is_cut else f"(?:{one.pattern}){{{few}}}"
            return Opening(pattern if few else "", one.reach * max(few, 1), is_cut=True)
        many = f"{{{few},{most}}}" if most <= _LONGEST_COUNT else f"{{{few},}}"
        return Opening(f"(?:{one.pattern}){many}", one.reach * most, is_cut=False)

    def _single(self) -> Opening:
        rest = self.rest()
        opened = next((opened for opened in (*_ASSERTIONS, "(?:", "(?i:", "(") if rest.startswith(opened)), "")
        if opened:
            inner = self._group(opened)
            if opened in _ASSERTIONS:
                return Opening("", 0, is_cut=False)
            return inner._replace(pattern=f"{'(?:' if opened == '(' else opened}{inner.pattern})")
        if rest.startswith(_EDGE):
            self._at += 2
            return Opening("", 0, is_cut=False)
        found = _ONE.match(rest)
        if found is None:
            raise ValueError(f"no opening is known for what begins with {rest[:12]!r}")
        self._at += found.end()
        space = r"\t-\r " if found[0][0] == "[" else r"[\t-\r ]"
        return Opening(found[0].replace(r"\s", space), 1, is_cut=False)

    def _group(self, opened: str) -> Opening:
        self._at += len(opened)
        inner = self.alternatives()
        if self.rest()[:1] != ")":
            raise ValueError("a group without an end")
        self._at += 1
        return inner
