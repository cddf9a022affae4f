"""A rule's pattern made simpler for automata, which know no look-around and pay for long counts.

An opening matches wherever its rule does, and more often than that: it only rules out.
"""

import re
import sys
from typing import NamedTuple

from failgate.redaction.rules import Rule

_LONGESTCOUNT = 12  # more repetitions than this are not counted: each costs states of the automaton
_WIDEST = 256  # what repeats more often than this ends the simpler pattern
_FARTHEST = 128  # and so does what lies farther than this: it bounds how much text a hit points at
COUNT = re.compile(r"\{(\d*)(,?)(\d*)\}")
_ASSERTIONS = ("(?=", "(?!", "(?<=", "(?<!")
ONE = re.compile(r"\[\^?(?:\\.|[^\]\\])+\]|\\(?:[dwsrnt]|[^A-Za-z0-9])|[^\\\[\](){}|?*+^$.]")
_EDGE = ("\\A", "\\Z")


class Opening(NamedTuple):
    """A simpler pattern: it matches wherever the rule's does, within `reach` bytes from there.

    Where the rule's begins with a look at one character before, the opening begins with that character, so it may match
    one byte earlier. `least` is the same without what may be repeated at its end, so that it ends as early as it can.
    `is_cut` says that nothing may follow it.
    """

    pattern: str
    least: str
    reach: int
    is_cut: bool


def opening_of(rule: Rule) -> Opening:
    """Return the opening of `rule`. Raises: ValueError (a pattern with a construct that this does not know)."""
    reader = _Reader(rule.pattern)
    opening = reader.alternatives()
    if reader.rest():
        raise ValueError(f"rule {rule.id} has an unbalanced pattern")
    return opening._replace(pattern=opening.least)


_NOTHING = Opening("", "", 0, is_cut=False)


class _Reader:
    """Reads a pattern of `re` from the left and writes its opening."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0
        self._is_first = True  # nothing was read yet that takes a character

    def rest(self) -> str:
        return self._pattern[self._at :]

    def alternatives(self) -> Opening:
        """Read up to the end of the group (or of the pattern)."""
        is_first = self._is_first
        choices = [self._sequence()]
        while self.rest().startswith("|"):
            self._at += 1
            self._is_first = is_first
            choices.append(self._sequence())
        self._is_first = False
        return Opening(
            "|".join(one.pattern for one in choices),
            "|".join(one.least for one in choices),
            max(one.reach for one in choices),
            is_cut=any(one.is_cut for one in choices),
        )

    def _sequence(self) -> Opening:
        pieces: list[Opening] = []
        reach = 0
        is_cut = False
        while self.rest() and self.rest()[0] not in "|)":
            one = self._repeated()
            self._is_first = self._is_first and one is _NOTHING
            if not is_cut and one is not _NOTHING:
                pieces.append(one)
                reach += one.reach
                is_cut = one.is_cut or reach > _FARTHEST
        before = "".join(one.pattern for one in pieces[:-1])
        last = pieces[-1] if pieces else _NOTHING
        return Opening(before + last.pattern, before + last.least, reach, is_cut)

    def _repeated(self) -> Opening:
        one = self._single()
        if self.rest()[:1] == "?":
            self._at += 1
            return one._replace(pattern=f"(?:{one.pattern})?", least="")
        count = COUNT.match(self._pattern, self._at)
        if count is None:
            return one
        self._at = count.end()
        least = int(count[1] or 0)
        most = int(count[3]) if count[3] else sys.maxsize if count[2] else least
        few = min(least, _LONGESTCOUNT)
        shortest = f"(?:{one.pattern}){{{few}}}" if few else ""
        if one.is_cut or most > _WIDEST or one.reach * most > _FARTHEST:
            once = one.least if few else ""
            if one.is_cut:
                return Opening(once, once, one.reach, is_cut=True)
            return Opening(shortest, shortest, one.reach * max(few, 1), is_cut=True)
        many = f"{{{few},{most}}}" if most <= _LONGESTCOUNT else f"{{{few},}}"
        return Opening(f"(?:{one.pattern}){many}", shortest, one.reach * most, is_cut=False)

    def _single(self) -> Opening:
        rest = self.rest()
        opened = next((opened for opened in (*_ASSERTIONS, "(?:", "(?i:", "(") if rest.startswith(opened)), "")
        if opened:
            is_first = self._is_first
            inner = self._group(opened)
            if opened == "(?<=" and is_first and inner.reach == 1 and not inner.is_cut:
                return inner._replace(pattern=f"(?:{inner.pattern})", least=f"(?:{inner.least})")
            if opened in _ASSERTIONS:
                self._is_first = is_first
                return _NOTHING
            group = "(?:" if opened == "(" else opened
            return inner._replace(pattern=f"{group}{inner.pattern})", least=f"{group}{inner.least})")
        if rest.startswith(_EDGE):
            self._at += 2
            return _NOTHING
        found = ONE.match(rest)
        if found is None:
            raise ValueError(f"no opening is known for what begins with {rest[:12]!r}")
        self._at += found.end()
        space = r"\t-\r " if found[0][0] == "[" else r"[\t-\r ]"
        one = found[0].replace(r"\s", space)
        return Opening(one, one, 1, is_cut=False)

    def _group(self, opened: str) -> Opening:
        self._at += len(opened)
        inner = self.alternatives()
        if self.rest()[:1] != ")":
            raise ValueError("a group without an end")
        self._at += 1
        return inner
