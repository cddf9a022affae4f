"""Bodies that are being read at once: how much memory they may take together, and for one who sends.

A body is held until it is whole. Whoever opens many connections and sends almost all of each would otherwise hold
memory by the number of connections.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from failgate.base.errors import TooManyRequests

MOST_BYTES: Final = 48 * 1024 * 1024
MOST_BYTES_EACH: Final = 16 * 1024 * 1024  # of one account, agent or, before a sign-in, address
_RETRY_SECONDS: Final = 2


class HeldBodies:
    """Counts the bytes of the bodies that are being read."""

    def __init__(self, most_bytes: int = MOST_BYTES, most_bytes_each: int = MOST_BYTES_EACH) -> None:
        """Hold nothing yet."""
        self._most_bytes = most_bytes
        self._most_bytes_each = most_bytes_each
        self._total = 0
        self._of: Counter[str] = Counter()

    @contextmanager
    def body_of(self, sender: str) -> Iterator["HeldBody"]:
        """Yield what counts one body of `sender`; it is forgotten at the end of the block."""
        body = HeldBody(self, sender)
        try:
            yield body
        finally:
            self._total -= body.size
            self._of[sender] -= body.size
            if self._of[sender] <= 0:
                del self._of[sender]

    def take(self, sender: str, held: int, size: int) -> None:
        """Count `size` bytes more of `sender`, whose body holds `held`; a body that is the only one always fits.

        Raises: TooManyRequests.
        """
        others, own = self._total - held, self._of[sender] - held
        whole = held + size
        if (others and others + whole > self._most_bytes) or (own and own + whole > self._most_bytes_each):
            raise TooManyRequests("Too many bodies are being read at once.", retry_after_seconds=_RETRY_SECONDS)
        self._total += size
        self._of[sender] += size


class HeldBody:
    """The bytes that one body holds."""

    __slots__ = ("_held", "_sender", "size")

    def __init__(self, held: HeldBodies, sender: str) -> None:
        self._held = held
        self._sender = sender
        self.size = 0

    def grow(self, size: int) -> None:
        """Count a piece of `size` bytes. Raises: TooManyRequests."""
        self._held.take(self._sender, self.size, size)
        self.size += size
