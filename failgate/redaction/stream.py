"""Secrets replaced in a stream, whatever the sizes of its chunks."""

from failgate.redaction.escapes import plain_of
from failgate.redaction.scanner import HOLD_BYTES, Candidate, Finding, Scanner, replaced, without_overlaps

CONTEXT_BYTES = 4096
"""How much of what was let go stays visible to what looks at what stands before: rules, and lines broken in two."""


class RedactingStream:
    """Takes bytes in chunks and gives them back without secrets, later by up to two `HOLD_BYTES`.

    Same result as `redact_bytes` over the whole. `findings` has offsets in bytes of the input.
    """

    def __init__(self, scanner: Scanner) -> None:
        """Start at offset 0."""
        self.findings: list[Finding] = []
        self._scanner = scanner
        self._held = bytearray()
        self._context = 0
        self._offset = 0

    @property
    def offset(self) -> int:
        """Return how many bytes of the input were let go; no later finding begins before it."""
        return self._offset

    def feed(self, chunk: bytes) -> bytes:
        """Take `chunk`; return what can be let go."""
        self._held += chunk
        if len(self._held) - self._context < 2 * HOLD_BYTES:
            return b""
        return self._let_go(HOLD_BYTES)

    def settle(self) -> bytes:
        """Return all that stays as it is whatever follows: no more is held than what may still become a secret.

        What a later look still finds across this place is replaced from here on.
        """
        held = bytes(self._held)
        return self._let_go(0, max(self._context, self._scanner.decided(held)))

    def finish(self) -> bytes:
        """Return the rest. Nothing may be fed afterwards."""
        return self._let_go(0)

    def _let_go(self, hold: int, decided: int | None = None) -> bytes:
        held = bytes(self._held)
        plain = plain_of(held)
        spans = [one for one in self._scanner.spans(held, plain) if one.end > self._context]
        spans = [one if one.start >= self._context else one._replace(start=self._context) for one in spans]
        end = len(held)
        if decided is not None:
            end = max(self._context, _uncut(spans, decided))
        elif hold:
            cut = len(plain.content) - hold
            end = max(self._context, _uncut(spans, plain.origin(cut - 1) + 1 if cut > 0 else 0))
        chosen = without_overlaps([one for one in spans if one.start < end], held)
        clean, findings = replaced(held[:end], chosen, self._scanner)
        if self._context:
            clean = clean[self._context :]
        shift = self._offset - self._context
        self.findings += [one._replace(start=one.start + shift, end=one.end + shift) for one in findings]
        self._offset += end - self._context
        keep = max(0, end - CONTEXT_BYTES)
        del self._held[:keep]
        self._context = end - keep
        return clean


def _uncut(candidates: list[Candidate], cut: int) -> int:
    """Return the greatest offset up to `cut` that lies inside no candidate."""
    for one in reversed(candidates):
        if one.start < cut < one.end:
            cut = one.start
    return cut
