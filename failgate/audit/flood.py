"""What strangers can cause without end: recorded one by one while it is little, then only counted.

So nobody fills the disk by knocking, and nobody knocks unseen.
"""

from typing import Final

from failgate.base.clock import Clock

SINGLY: Final = 20


class Flood:
    """Counts what happens in a window of `seconds`, by the monotonic clock; the first 20 are told one by one."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._since = clock.monotonic()
        self._told = 0
        self._counted = 0

    @property
    def is_over(self) -> bool:
        """Tell whether the window has ended: what was only counted in it is due."""
        return self._clock.monotonic() - self._since >= self._seconds

    def admits(self) -> bool:
        """Tell whether one more is told by itself; otherwise it is counted."""
        if self._told >= SINGLY:
            self._counted += 1
            return False
        self._told += 1
        return True

    def drain(self) -> int:
        """Begin a new window; return how many were only counted in the last one."""
        count, self._counted = self._counted, 0
        self._since, self._told = self._clock.monotonic(), 0
        return count
