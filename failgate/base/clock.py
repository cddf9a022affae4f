"""Time, as a value that is passed in. Only this module asks the machine what time it is."""

import time
from datetime import UTC, datetime
from typing import Protocol

MICROSECONDS = 1_000_000


class Clock(Protocol):
    """A source of wall time and of monotonic time."""

    def now_us(self) -> int:
        """Return microseconds since 1970-01-01 UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds of a clock that never goes back; only differences mean something."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def now_us(self) -> int:
        """Return microseconds since 1970-01-01 UTC."""
        return time.time_ns() // 1000

    def monotonic(self) -> float:
        """Return seconds of the monotonic clock."""
        return time.monotonic()


class FrozenClock:
    """A clock that moves only when told; for tests."""

    def __init__(self, now_us: int = 1_700_000_000 * MICROSECONDS) -> None:
        """Stand still at `now_us`."""
        self._now_us = now_us
        self._monotonic = 1000.0

    def now_us(self) -> int:
        """Return the time that was set."""
        return self._now_us

    def monotonic(self) -> float:
        """Return the monotonic time that was set."""
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Move both clocks forward by `seconds`."""
        self._now_us += round(seconds * MICROSECONDS)
        self._monotonic += seconds

    def step_wall(self, seconds: float) -> None:
        """Move the wall clock alone, as an operator or a virtual machine does."""
        self._now_us += round(seconds * MICROSECONDS)


def to_rfc3339(us: int) -> str:
    """Return `us` (microseconds since 1970 UTC) as RFC 3339 text with six decimals and `Z`."""
    seconds, rest = divmod(us, MICROSECONDS)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:06d}Z"
