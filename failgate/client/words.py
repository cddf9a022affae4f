"""The words and patterns that a person replaces by hand, found and replaced in texts of any size."""

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO, NamedTuple

from failgate.base.errors import BadInput
from failgate.redaction import RedactingStream, Scanner, environment_secrets, redact

BY_HAND = "by-hand"
LEAST = 3
_TAG = f"[redacted:{BY_HAND}]"
_PIECE = 64 * 1024
_LONGEST_LINE = 1 << 20


class Changes(NamedTuple):
    """What a person decided: names of artifacts to leave out, literal words and RE2 patterns to replace."""

    left_out: frozenset[str] = frozenset()
    literals: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()

    @property
    def is_nothing(self) -> bool:
        """Tell whether the report stays as it is."""
        return not (self.left_out or self.literals or self.patterns)


class _Scanner(Scanner):
    """Knows the words alone; its tags say that a person replaced them."""

    def tag(self, rule: str, secret: bytes) -> str:  # noqa: ARG002  # the rule is known: a person
        return super().tag(BY_HAND, secret)


class Words:
    """Finds and replaces the words of `Changes`; the tags are the same for the same `key` (default: a fresh one)."""

    def __init__(self, changes: Changes, key: bytes | None = None) -> None:
        values: dict[str, bytes] = {}
        for word in changes.literals:
            if len(word) < LEAST:
                raise BadInput(f"{word!a} is too short to be replaced everywhere.", hint="At least 3 characters.")
            values |= environment_secrets({"SPELLED_SECRET": word}) | {word: word.encode()}
        self.scanner = _Scanner(values=values, rules=(), patience_bytes=sys.maxsize, key=key)
        self.patterns = [_compiled(pattern) for pattern in changes.patterns]
        self.has_any = bool(values or self.patterns)

    def clean_text(self, text: str, count: Callable[[int], None]) -> str:
        """Return `text` without the words."""
        result = redact(text, self.scanner)
        count(len(result.findings))
        return self._by_pattern(result.text.encode("utf-8", "surrogatepass"), count).decode("utf-8", "surrogatepass")

    def clean_bytes(self, pieces: Iterable[bytes], count: Callable[[int], None]) -> Iterator[bytes]:
        """Yield the text without the words; a pattern matches inside one line."""
        if not self.has_any:
            yield from pieces
            return
        stream = RedactingStream(self.scanner)

        def let_go() -> Iterator[bytes]:
            for piece in pieces:
                yield stream.feed(piece)
            yield stream.finish()

        if not self.patterns:
            yield from let_go()
        else:
            for line in whole_lines(let_go()):
                yield self._by_pattern(line, count)
        count(len(stream.findings))

    def is_in(self, pieces: Iterable[bytes]) -> bool:
        """Tell whether bytes that are no text hold a word."""
        found: list[int] = []
        for _ in self.clean_bytes(pieces, found.append):
            if any(found):
                return True
        return any(found)

    def _by_pattern(self, text: bytes, count: Callable[[int], None]) -> bytes:
        for pattern in self.patterns:
            text, number = pattern.subn(_TAG.encode(), text)
            count(number)
        return text


def _compiled(pattern: str) -> Any:
    try:
        import re2
    except ImportError:
        raise BadInput(
            "Patterns need RE2, which is not installed.", hint="Install google-re2, or give words."
        ) from None
    options = re2.Options()
    options.log_errors = False
    try:
        found = re2.compile(pattern.encode(), options)
    except (re2.error, UnicodeEncodeError) as error:
        raise BadInput(f"RE2 does not take the pattern {pattern!a}: {error}.", hint="See its syntax.") from None
    if found.search(b"") is not None:
        raise BadInput(f"The pattern {pattern!a} matches nothing at all everywhere.", hint="Let it need a character.")
    return found


def whole_lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield whole lines; one without an end is cut after a MiB."""
    held = b""
    for piece in pieces:
        *whole, held = (held + piece).split(b"\n")
        yield from (line + b"\n" for line in whole)
        if len(held) > _LONGEST_LINE:
            yield held
            held = b""
    if held:
        yield held


def pieces_of(stream: BinaryIO) -> Iterator[bytes]:
    """Yield what `stream` holds from here on."""
    while piece := stream.read(_PIECE):
        yield piece
