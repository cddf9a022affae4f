"""Where the secrets are: candidates by keyword, judged, without overlaps, replaced by a tag.

Everything works on bytes: lower-casing ASCII keeps offsets, and output of programs need not be UTF-8. Escape
sequences of terminals are set aside before the search, so that a colour in the middle of a token does not hide it.
"""

import hashlib
import hmac
import re
import secrets
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

from failgate.redaction.catalogue import RULES, RULES_VERSION
from failgate.redaction.escapes import Plain, hidden_in, kept_escapes, plain_of, secret_of
from failgate.redaction.judgement import is_varied
from failgate.redaction.patterns import PatternMatcher
from failgate.redaction.prefilter import PATIENCE_BYTES, Possible, Prefilter, engines_of, says_itself
from failgate.redaction.rules import Rule
from failgate.redaction.unbroken import Unbroken, across_wide
from failgate.redaction.wrapping import Joined, breaks, breaks_at, joined_lines

_TAG = re.compile(rb"\[redacted:[a-z0-9-]{1,40}:[0-9a-f]{8}\]")
_WORD = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
_LONGEST_KEYWORD = 32
_FEW_VALUES = 8  # as many are found sooner one by one than by an automaton
_APART = b"\n\n"
ENVIRONMENT = "environment"
HOLD_BYTES = 24 * 1024
"""More than the longest secret of any rule (a test measures it): how far behind its beginning its end is looked for."""


class Finding(NamedTuple):
    """One secret: `start` and `end` are offsets (characters in `redact`, bytes in `redact_bytes`) in the given text."""

    rule: str
    start: int
    end: int
    tag: str


class Redacted(NamedTuple):
    """A text without its secrets, and what was found in the text as it was given."""

    text: str
    findings: list[Finding]


class Candidate(NamedTuple):
    """A span of bytes that a rule names a secret."""

    start: int
    end: int
    precedence: int
    rule: str


class Scanner:
    """Finds secrets by the rules and by given values; names each by a tag that does not reveal it.

    The same secret has the same tag for the same `key` (32 bytes; default: fresh for this object), and without the key
    a tag cannot be tried against guesses.
    """

    def __init__(
        self,
        *,
        values: Mapping[str, bytes] | None = None,
        key: bytes | None = None,
        rules: tuple[Rule, ...] = RULES,
        patterns: PatternMatcher | None = None,
        patience_bytes: int = PATIENCE_BYTES,
    ) -> None:
        """Take `values`: spellings of known secrets, each with its secret (see `environment_secrets`).

        `patterns` are a workspace's own rules; they come after the `rules`.

        After `patience_bytes` of text RE2 is loaded and speeds up what follows, and after much more Hyperscan, if it
        is installed; `prepare` chooses now. Findings are the same.
        """
        self._key = key if key is not None else secrets.token_bytes(32)
        self._rules = rules
        self._tokens = frozenset(number for number, rule in enumerate(rules) if says_itself(rule))
        self._named = frozenset(range(len(rules))) - self._tokens
        self._matchers: list[Matcher | None] = [None] * len(rules)
        self._keywords = [tuple(word.encode() for word in rule.keywords) for rule in rules]
        self._meanings = {spelling.encode(): secret for spelling, secret in (values or {}).items() if spelling}
        self._values = tuple(sorted(self._meanings, key=len, reverse=True))
        self._any_value: Any = None
        self._engines = engines_of(rules)
        self._prefilter: Prefilter | None = None
        self._is_settled = False
        self._patience = patience_bytes
        self._patterns = patterns
        self._beginnings: Any = None

    @property
    def version(self) -> str:
        """Return the name of the rules that this scanner uses, with those of the workspace."""
        return RULES_VERSION if self._patterns is None else f"{RULES_VERSION}+{self._patterns.version}"

    def prepare(self, name: str = "") -> str:
        """Choose the engine `name` (see `ENGINES`) for good, or the best that is ready now; return which it is.

        Without a name the process is taken for one that stays, and gets a faster engine sooner than others do.
        """
        if name:
            self._is_settled = True
            self._prefilter = self._engines.named(name)
        else:
            self._patience = 0
            self._engines.stay()
            self._prefilter = self._engines.after(0)
        return self.engine

    @property
    def engine(self) -> str:
        """Return which of `ENGINES` is in use."""
        return self._prefilter.name if self._prefilter is not None else "re"

    def tag(self, rule: str, secret: bytes) -> str:
        """Return `[redacted:<rule>:<8 hex>]`: the same for the same secret and key, wherever its lines are broken."""
        whole = secret.replace(b"\r\n", b"").replace(b"\n", b"")
        secret = self._meanings.get(secret) or self._meanings.get(whole, whole)
        return f"[redacted:{rule}:{hmac.new(self._key, secret, hashlib.sha256).hexdigest()[:8]}]"

    def candidates(self, content: bytes) -> list[Candidate]:
        """Return every span in `content` (plain bytes) that is a secret, sorted by start, overlaps included."""
        prefilter = self._engine(len(content))
        places = self._places(content, prefilter)
        found = [*self._by_value(content), *self._by_rule(content, places), *self._by_pattern(content)]
        known = {(one.start, one.rule) for one in found}
        found += self._across_lines(self._joined(content, places, prefilter), known)
        if found and b"[redacted:" in content:
            tags = [match.span() for match in _TAG.finditer(content)]
            found = [one for one in found if not any(start < one.end and one.start < end for start, end in tags)]
        found.sort(key=_order)
        return found

    def spans(self, content: bytes, plain: Plain) -> list[Candidate]:
        """Return every span of `content` that is a secret, sorted by start, overlaps included.

        `plain` is `content` without escapes; what those hide is searched too.
        """
        found = self.candidates(plain.content)
        if len(plain.here) == 1:
            return found
        found = [one._replace(start=plain.origin(one.start), end=plain.origin(one.end - 1) + 1) for one in found]
        found += self._hidden(content)
        found.sort(key=_order)
        return found

    def decided(self, content: bytes) -> int:
        """Return up to where `content` stays as it is, whatever follows it (see `Beginnings`).

        What a workspace's own patterns may begin with is not known: with them, no line is decided before its end.
        """
        if self._beginnings is None:
            from failgate.redaction.beginnings import Beginnings  # here: most clients never ask

            self._beginnings = Beginnings(self._rules, self._values)
        end: int = self._beginnings.decided(content)
        return end if self._patterns is None else min(end, content.rfind(b"\n") + 1)

    def _hidden(self, content: bytes) -> Iterator[Candidate]:
        """Yield the spans of `content` that are secrets and do not stand in what a terminal shows of it."""
        pieces = list(hidden_in(content, HOLD_BYTES))
        starts = list(accumulate((len(piece.content) + len(_APART) for piece in pieces), initial=0))
        for one in self.candidates(_APART.join(piece.content for piece in pieces)):
            at = bisect_right(starts, one.start) - 1
            piece, start, end = pieces[at], one.start - starts[at], one.end - starts[at]
            if end > len(piece.content):
                continue
            if piece.swallowed is None:
                yield one._replace(start=piece.start + start, end=piece.start + end)
            elif start == 0:
                yield one._replace(start=piece.swallowed, end=piece.start + end)

    def _engine(self, size: int) -> Prefilter | None:
        self._patience -= size
        if self._patience < 0 and not self._is_settled:
            self._prefilter = self._engines.after(size)
        return self._prefilter

    def _places(self, content: bytes, prefilter: Prefilter | None) -> Sequence[Possible]:
        if prefilter is None:
            return (Possible(0, len(content), tuple(range(len(self._rules)))),)
        return prefilter.possible(content)

    def _joined(self, content: bytes, places: Sequence[Possible], prefilter: Prefilter | None) -> Iterable[Joined]:
        """Return the lines, joined, that something may lie across.

        A token's match begins where its opening does: in the line, or across the break, which a search of the text
        without any line ends shows. What a name stands before counts in lines as wide as a terminal, which are few.
        """
        if next(breaks(content), None) is None:
            return ()
        if prefilter is None or self._patterns is not None:
            return joined_lines(content, breaks(content))
        unbroken = Unbroken(content)
        if self._has_value(unbroken.content):
            return joined_lines(content, breaks(content))
        newlines = unbroken.suspects(places, prefilter.tokens(unbroken.content), self._tokens)
        newlines |= across_wide(content, prefilter)
        return joined_lines(content, breaks_at(content, newlines))

    def _across_lines(self, lines: Iterable[Joined], known: set[tuple[int, str]]) -> Iterator[Candidate]:
        """Yield what lies across a line break; in a line of no terminal's width only tokens that say what they are.

        `known` are start and rule of what was found in the lines themselves: there the line's end is the secret's.
        """
        for joined in lines:
            text = joined.content
            places = self._places(text, self._prefilter)
            for one in (*self._by_value(text), *self._by_rule(text, places), *self._by_pattern(text)):
                if not joined.is_across(one.start, one.end):
                    continue
                start = joined.origin(one.start)
                says_itself = one.precedence not in self._named
                if joined.is_wide or (says_itself and (start, one.rule) not in known):
                    yield one._replace(start=start, end=joined.origin(one.end - 1) + 1)

    def _by_pattern(self, content: bytes) -> Iterator[Candidate]:
        if self._patterns is not None:
            for number, start, end in self._patterns.spans(content):
                yield Candidate(start, end, len(self._rules) + number, self._patterns.ids[number])

    def _by_value(self, content: bytes) -> Iterator[Candidate]:
        if not self._has_value(content):
            return
        for value in self._values:
            at = content.find(value)
            while at >= 0:
                yield Candidate(at, at + len(value), -1, ENVIRONMENT)
                at = content.find(value, at + len(value))

    def _has_value(self, content: bytes) -> bool:
        """Tell whether any value may be in `content`: one search for all of them where RE2 is loaded."""
        if len(self._values) < _FEW_VALUES or self._prefilter is None:
            return bool(self._values)
        if self._any_value is None:
            from failgate.redaction.automata import any_of

            self._any_value = any_of(self._values)
        return self._any_value.search(content) is not None

    def _by_rule(self, content: bytes, places: Iterable[Possible]) -> Iterator[Candidate]:
        done: dict[tuple[int, bytes], int] = {}
        for start, end, rules in places:
            lowered = content[start : end + _LONGEST_KEYWORD].lower()
            for at_rule in rules:
                matcher = self._matchers[at_rule] or self._matcher(at_rule)
                is_bounded = matcher.rule.is_bounded
                for keyword in self._keywords[at_rule]:
                    if keyword not in lowered:  # most are not, and this is the quickest way to know
                        continue
                    at = lowered.find(keyword, max(0, done.get((at_rule, keyword), 0) - start))
                    while 0 <= at < end - start:
                        here = start + at
                        at += 1
                        if not (is_bounded and here and content[here - 1] in _WORD):
                            match = matcher.match(content, here)
                            candidate = match and matcher.judged(match)
                            if candidate:
                                yield candidate
                                done[at_rule, keyword] = candidate.end
                                at = max(at, candidate.end - start)
                        at = lowered.find(keyword, at)

    def _matcher(self, at_rule: int) -> "Matcher":
        matcher = self._matchers[at_rule] = Matcher(self._rules[at_rule], at_rule)
        return matcher


class Matcher:
    """A rule with its pattern compiled, which takes longer than to search a small text for all keywords."""

    def __init__(self, rule: Rule, precedence: int) -> None:
        """Compile."""
        self.rule = rule
        self.match = re.compile(rule.pattern.encode()).match
        self._precedence = precedence

    def judged(self, match: re.Match[bytes]) -> Candidate | None:
        """Return what `match` found if it is a secret."""
        rule = self.rule
        content, at = match.string, match.start()
        group = match.lastindex if rule.group and match.lastindex else rule.group
        start, end = match.span(group)
        secret = match[group]
        if not rule.judge(content[at:start], secret) or not is_varied(secret, rule.entropy):
            return None
        while end < len(content) and content[end] & 0xC0 == 0x80 and end - match.end(group) < 3:
            end += 1  # a pattern counts bytes: the rest of a character goes with its beginning
        letters, most = rule.leading
        if most:
            least = max(0, at - most)
            start = least + len(content[least:at].rstrip(letters.encode()))
        return Candidate(start, end, self._precedence, rule.id)


def _order(one: Candidate) -> tuple[int, int, int]:
    return one.start, one.precedence, -one.end


def without_overlaps(candidates: list[Candidate], content: bytes) -> Iterator[Candidate]:
    """Yield the candidates so that none overlaps: the first stays, of a later one the part that reaches beyond it.

    A part of `content` without a letter or digit is a closing bracket or the like, and stays in the text.
    """
    end = 0
    for one in candidates:
        if one.start >= end:
            yield one
            end = one.end
        elif one.end > end and not _WORD.isdisjoint(content[end : one.end]):
            yield one._replace(start=end)
            end = one.end


def redact_bytes(content: bytes, scanner: Scanner) -> tuple[bytes, list[Finding]]:
    """Return `content` with every secret replaced by its tag, and the findings with offsets in bytes of `content`."""
    spans = scanner.spans(content, plain_of(content))
    return replaced(content, without_overlaps(spans, content), scanner)


def replaced(content: bytes, chosen: Iterable[Candidate], scanner: Scanner) -> tuple[bytes, list[Finding]]:
    """Return `content` with the `chosen` spans replaced; escapes inside a span stay, after its tag."""
    pieces: list[bytes] = []
    findings: list[Finding] = []
    at = 0
    for one in chosen:
        span = content[one.start : one.end]
        tag = scanner.tag(one.rule, secret_of(span))
        pieces += [content[at : one.start], tag.encode(), kept_escapes(span)]
        findings.append(Finding(one.rule, one.start, one.end, tag))
        at = one.end
    pieces.append(content[at:])
    return b"".join(pieces), findings


def redact(text: str, scanner: Scanner) -> Redacted:
    """Return `text` with every secret replaced by its tag, and the findings with offsets in characters of `text`.

    Doing it twice changes nothing more. Lone surrogates pass through.
    """
    content = text.encode("utf-8", "surrogatepass")
    clean, findings = redact_bytes(content, scanner)
    if not findings:
        return Redacted(text, [])
    if len(content) != len(text):
        findings = list(_in_characters(content, findings))
    return Redacted(clean.decode("utf-8", "surrogatepass"), findings)


def _in_characters(content: bytes, findings: list[Finding]) -> Iterator[Finding]:
    at = characters = 0
    for one in findings:
        start = characters + len(content[at : one.start].decode("utf-8", "surrogatepass"))
        characters = start + len(content[one.start : one.end].decode("utf-8", "surrogatepass"))
        at = one.end
        yield one._replace(start=start, end=characters)
