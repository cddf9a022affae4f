"""The gate's own time: never goes back, and notices when the machine's wall clock did.

Expiries are wall times, because they outlive the process; but a wall clock that is set back must not give a request
more time. So the gate's time is the wall clock or what the monotonic clock says it should be, whichever is later, and
while the wall clock lags more than `LARGEST_LAG_SECONDS` behind, nothing is approved or used.

Source: SECURITY section 4, "Clocks".
"""

from typing import Final

from failgate.base.clock import MICROSECONDS, Clock

LARGEST_LAG_SECONDS: Final = 30


class SteadyTime:
    """Wall time that only moves forward."""

    def __init__(self, clock: Clock) -> None:
        """Begin at the wall clock's time."""
        self._clock = clock
        self._lead_us = clock.now_us() - round(clock.monotonic() * MICROSECONDS)

    def now_us(self) -> int:
        """Return microseconds since 1970, never less than before."""
        wall_us = self._clock.now_us()
        monotonic_us = round(self._clock.monotonic() * MICROSECONDS)
        if wall_us - monotonic_us > self._lead_us:
            self._lead_us = wall_us - monotonic_us
            return wall_us
        return monotonic_us + self._lead_us

    def raise_to(self, known_us: int) -> None:
        """Begin no earlier than `known_us`, a time that was reached already (a record of an earlier run shows it)."""
        self._lead_us = max(self._lead_us, known_us - round(self._clock.monotonic() * MICROSECONDS))

    def lag_us(self) -> int:
        """Return by how many microseconds the wall clock is behind."""
        return self.now_us() - self._clock.now_us()

    def is_frozen(self) -> bool:
        """Tell whether the wall clock lags so far behind that nothing may be approved."""
        return self.lag_us() > LARGEST_LAG_SECONDS * MICROSECONDS
