"""What a program wrote, bounded: its beginning and its end are kept, the middle is counted."""

HEAD_BYTES = 256 * 1024
TAIL_BYTES = 1024 * 1024
_LONGEST_LINE = 4096
_KEY_ENDS = b"PRIVATE KEY"


class Output:
    """Takes pieces; keeps the first `head` and the last `tail` bytes."""

    def __init__(self, head: int = HEAD_BYTES, tail: int = TAIL_BYTES) -> None:
        """Start empty."""
        self._limits = (head, tail)
        self._head = bytearray()
        self._tail = bytearray()
        self._parts: list[bytes] | None = None
        self.dropped = 0

    def write(self, piece: bytes) -> None:
        """Take `piece`. Nothing may be written after `parts` was asked for."""
        head, tail = self._limits
        room = head - len(self._head)
        if room > 0:
            self._head += piece[:room]
            piece = piece[room:]
        self._tail += piece
        if len(self._tail) > 2 * tail:
            self._drop(tail)

    def parts(self) -> list[bytes]:
        """Return the whole output, or its beginning and its end, both cut between lines.

        A cut never leaves half of a line (half of a secret would escape the rules), nor the end of a private key.
        """
        if self._parts is None:
            self._parts = self._cut()
        return self._parts

    def _cut(self) -> list[bytes]:
        self._drop(self._limits[1])
        head, tail = bytes(self._head), bytes(self._tail)
        if not self.dropped:
            return [head + tail]
        cut = head.rfind(b"\n", max(0, len(head) - _LONGEST_LINE)) + 1 or max(0, len(head) - _LONGEST_LINE)
        start = tail.find(b"\n", 0, _LONGEST_LINE) + 1 or min(len(tail), _LONGEST_LINE)
        end_of_key = tail.find(b"-----END ", start)
        if (
            end_of_key >= 0
            and _KEY_ENDS in tail[end_of_key : end_of_key + 60]
            and tail.find(b"-----BEGIN ", start, end_of_key) < 0
        ):
            start = tail.find(b"\n", end_of_key) + 1 or len(tail)
        self.dropped += len(head) - cut + start
        return [head[:cut], tail[start:]]

    def _drop(self, tail: int) -> None:
        surplus = len(self._tail) - tail
        if surplus > 0:
            del self._tail[:surplus]
            self.dropped += surplus
