"""How much of a text's end may still become a secret, when more of the text comes.

A rule's pattern made into one that matches what a match may begin with: up to the end of the text, and not to its own.
It matches wherever more text could make the rule match there, and more often than that: it only holds back. What was
found to its end is no beginning, unless it may go on.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from failgate.redaction.escapes import HIDING_END, UNFINISHED, hidden_in, plain_of
from failgate.redaction.openings import COUNT, ONE
from failgate.redaction.rules import Rule

_WORD = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
_BEHIND = ("(?<=", "(?<!")
_ADDRESS = "/"
_END = r"\Z"
_NEVER = ""


class Beginning(NamedTuple):
    """A pattern, and the one of its beginnings that reach the end of the text (empty: it has none)."""

    whole: str
    begun: str


def beginning_of(rule: Rule) -> str:
    """Return the pattern of what `rule`'s matches begin with. Raises: ValueError (a construct that is not known)."""
    reader = _Reader(rule.pattern)
    found = reader.alternatives()
    if reader.rest():
        raise ValueError(f"rule {rule.id} has an unbalanced pattern")
    return found.begun


class _Reader:
    """Reads a pattern of `re` from the left, as `openings.py` does."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0

    def rest(self) -> str:
        return self._pattern[self._at :]

    def alternatives(self) -> Beginning:
        """Read up to the end of the group (or of the pattern)."""
        choices = [self._sequence()]
        while self.rest().startswith("|"):
            self._at += 1
            choices.append(self._sequence())
        return Beginning(
            "|".join(one.whole for one in choices), "|".join(one.begun for one in choices if one.begun != _NEVER)
        )

    def _sequence(self) -> Beginning:
        pieces: list[Beginning] = []
        while self.rest() and self.rest()[0] not in "|)":
            pieces.append(self._repeated())
        begun = _NEVER
        for one in reversed(pieces):
            here = [one.whole + begun] if begun != _NEVER else []
            here += [one.begun] if one.begun != _NEVER else []
            begun = f"(?:{'|'.join(here)})" if here else _NEVER
        return Beginning("".join(one.whole for one in pieces), begun)

    def _repeated(self) -> Beginning:
        one = self._single()
        if self.rest()[:1] == "?":
            self._at += 1
            return Beginning(f"(?:{one.whole})?", one.begun)
        count = COUNT.match(self._pattern, self._at)
        if count is None:
            return one
        self._at = count.end()
        whole = f"(?:{one.whole}){count[0]}"
        if one.begun == _NEVER:
            return Beginning(whole, _NEVER)
        if count[2] and not count[3]:
            return Beginning(whole, f"(?:{one.whole})*{_group(one.begun)}")
        most = int(count[3] or count[1])
        return Beginning(whole, f"(?:{one.whole}){{0,{most - 1}}}{_group(one.begun)}" if most else _NEVER)

    def _single(self) -> Beginning:
        rest = self.rest()
        for opened in (*_BEHIND, "(?=", "(?!", "(?:", "(?i:", "("):
            if rest.startswith(opened):
                return self._group(opened)
        if rest.startswith(("\\A", "\\Z")):
            self._at += 2
            return Beginning(rest[:2], _NEVER)
        found = ONE.match(rest)
        if found is None:
            raise ValueError(f"no beginning is known for what begins with {rest[:12]!r}")
        self._at += found.end()
        return Beginning(found[0], _END)

    def _group(self, opened: str) -> Beginning:
        self._at += len(opened)
        inner = self.alternatives()
        if self.rest()[:1] != ")":
            raise ValueError("a group without an end")
        self._at += 1
        whole = f"{opened}{inner.whole})"
        if opened in _BEHIND:
            return Beginning(whole, _NEVER)
        if opened == "(?!":  # what the end of the text forbids, more text may allow
            return Beginning("" if _END in inner.whole else whole, _END)
        if opened == "(?=":
            return Beginning(f"(?:{whole}|(?={inner.begun}))" if inner.begun != _NEVER else whole, _END)
        return Beginning(whole, f"{opened}{inner.begun})" if inner.begun != _NEVER else _NEVER)


def _group(pattern: str) -> str:
    return f"(?:{pattern})"


class Beginnings:
    """Tells how much of a text is decided, by rules and by values."""

    def __init__(self, rules: Sequence[Rule], values: Collection[bytes]) -> None:
        """Compile nothing yet: most rules are never asked."""
        self._rules = rules
        self._values = [value for value in values if len(value) > 1]
        self._keywords = [tuple(word.encode() for word in rule.keywords) for rule in rules]
        self._compiled: list[re.Pattern[bytes] | None] = [None] * len(rules)
        # An address before a token is no secret: without it the token is replaced from where it was let go.
        leading = [rule.leading for rule in rules]
        self._before = [(letters.encode(), most) for letters, most in leading if most and _ADDRESS not in letters]

    def decided(self, content: bytes) -> int:
        """Return up to where `content` stays as it is, whatever follows it: no secret that is not whole lies before.

        Escape sequences are set aside as in a search; one that has no end yet is not decided.
        """
        unfinished = UNFINISHED.search(content)
        known = content if unfinished is None else content[: unfinished.start()]
        plain = plain_of(known)
        at = self._open_at(plain.content)
        end = plain.origin(at) if at < len(plain.content) else len(known)
        return min(end, self._hidden_at(known))

    def _hidden_at(self, content: bytes) -> int:
        """Return where the last sequence begins that may have taken the first letter of a secret for its end."""
        last = HIDING_END.search(content)
        if last is not None and self._open_at(content[-1:]) == 0:
            return last.start()
        for piece in hidden_in(content, len(content)):
            is_last = piece.swallowed is not None and piece.start + len(piece.content) == len(content)
            if is_last and self._open_at(piece.content) == 0:
                assert piece.swallowed is not None
                return piece.swallowed
        return len(content)

    def _open_at(self, content: bytes) -> int:
        """Return where the first secret may begin that more text would make one; the text's length where none may."""
        least = len(content)
        lowered = content.lower()
        for number, rule in enumerate(self._rules):
            for at in self._places(lowered, number):
                if rule.is_bounded and at and content[at - 1] in _WORD:
                    continue
                match = self._pattern(number).match(content, at)
                if match is not None:
                    least = min(least, _begins(rule, match))
        for letters, most in self._before:
            last = content[-most:]
            least = min(least, len(content) - len(last) + len(last.rstrip(letters)))
        return min([least, *self._values_at(content)])

    def _places(self, lowered: bytes, number: int) -> Iterator[int]:
        """Yield where a keyword stands, or begins at the end."""
        for keyword in self._keywords[number]:
            at = lowered.find(keyword)
            while at >= 0:
                yield at
                at = lowered.find(keyword, at + 1)
            if not self._rules[number].group:  # before its name's end no named secret begins
                for size in range(1, len(keyword)):
                    if lowered.endswith(keyword[:size]):
                        yield len(lowered) - size

    def _pattern(self, number: int) -> re.Pattern[bytes]:
        found = self._compiled[number]
        if found is None:
            found = self._compiled[number] = re.compile(beginning_of(self._rules[number]).encode())
        return found

    def _values_at(self, content: bytes) -> Iterator[int]:
        for value in self._values:
            tail = content[1 - len(value) :]
            at = tail.find(value[:1])
            while at >= 0:
                if value.startswith(tail[at:]):
                    yield len(content) - len(tail) + at
                    break
                at = tail.find(value[:1], at + 1)


def _begins(rule: Rule, match: re.Match[bytes]) -> int:
    """Return where the secret begins that `match` is the beginning of: behind its name, which may be seen."""
    if rule.group:
        return min((start for start, _ in match.regs[1:] if start >= 0), default=match.end())
    letters, most = rule.leading
    if not most or _ADDRESS in letters:
        return match.start()
    least = max(0, match.start() - most)
    return least + len(match.string[least : match.start()].rstrip(letters.encode()))
