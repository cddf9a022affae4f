"""Offsets in bytes turned into offsets in characters while a text streams by."""

import codecs
from collections.abc import Iterable, Iterator

from failgate.redaction.scanner import Finding


class CharacterOffsets:
    """Counts the characters of a stream of bytes, as far as findings need it.

    A byte that is not UTF-8 counts as one character, as `surrogateescape` decodes it. It keeps the bytes between what
    was forgotten and what was fed.
    """

    def __init__(self) -> None:
        """Start at byte 0 and character 0."""
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._bytes = bytearray()
        self._at = 0
        self._characters = 0

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the stream."""
        self._bytes += chunk

    def in_characters(self, findings: Iterable[Finding]) -> Iterator[Finding]:
        """Yield `findings`, which are ascending and after all earlier ones, with offsets in characters."""
        for one in findings:
            start = self._count(one.start)
            yield one._replace(start=start, end=self._count(one.end))

    def forget(self, offset: int) -> None:
        """Drop the bytes before `offset`: no later finding begins there."""
        self._count(offset)

    def _count(self, offset: int) -> int:
        """Return how many characters lie before the byte at `offset`."""
        size = offset - self._at
        if size > 0:
            self._characters += len(self._decoder.decode(bytes(self._bytes[:size])))
            del self._bytes[:size]
            self._at = offset
        return self._characters + len(self._decoder.getstate()[0])
