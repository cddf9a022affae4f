"""How many wrong user codes are looked at: 5 by one session, 10 an hour by one account, 24 in ten minutes by everybody.

A user code has 34.5 bits and lives ten minutes, and at most 1,000 wait at once. So whoever guesses meets one with a
probability below 24 * 1000 / 20**8 < 2**-20 in the lifetime of a code, however many sessions and accounts they have.

Source: RFC 8628 section 5.1.
"""

from collections import OrderedDict
from typing import Final, NamedTuple

from failgate.base.clock import Clock
from failgate.base.errors import TooManyRequests

MOST_WAITING: Final = 1000  # requests that may be pending at once; the bound above rests on it
_MOST_KEYS: Final = 65_536


class Limit(NamedTuple):
    """At most `most` wrong codes in `window_seconds`."""

    most: int
    window_seconds: float


SESSION: Final = Limit(5, 90 * 86_400)  # no session lives longer: its five are for good
ACCOUNT: Final = Limit(10, 3600)
EVERYBODY: Final = Limit(24, 600)


class Guess(NamedTuple):
    """A look at one code that was counted in advance."""

    at: float
    keys: tuple[str, ...]


class CodeGuesses:
    """Counts looks before they are made, so that parallel ones cannot slip through, and gives back those that hit."""

    def __init__(self, clock: Clock) -> None:
        """Measure by the monotonic `clock`."""
        self._clock = clock
        self._counted: OrderedDict[str, list[float]] = OrderedDict()

    def reserve(self, session_id: str, account_id: str) -> Guess:
        """Count one look by a session of an account.

        Raises: TooManyRequests (nothing is counted, and no code may be looked at).
        """
        now = self._clock.monotonic()
        keyed = {f"session {session_id}": SESSION, f"account {account_id}": ACCOUNT, "everybody": EVERYBODY}
        waits = [self._wait(key, limit, now) for key, limit in keyed.items()]
        if waits[0] > 0:
            raise TooManyRequests(
                "This session has typed five wrong codes.",
                hint="Sign out, sign in again, and type the code that your own terminal shows.",
                retry_after_seconds=int(waits[0]) + 1,
            )
        if max(waits) > 0:
            seconds = int(max(waits)) + 1
            raise TooManyRequests(
                f"There were too many wrong codes; the next is looked at in {seconds} s.",
                hint="Wait, then type the code that your own terminal shows.",
                retry_after_seconds=seconds,
            )
        for key in keyed:
            self._counted.setdefault(key, []).append(now)
            self._counted.move_to_end(key)
        while len(self._counted) > _MOST_KEYS:
            self._counted.popitem(last=False)
        return Guess(now, tuple(keyed))

    def give_back(self, guess: Guess) -> None:
        """Count the look no more: the code was right, or nothing was looked at."""
        for key in guess.keys:
            times = self._counted.get(key, [])
            if guess.at in times:
                times.remove(guess.at)

    def _wait(self, key: str, limit: Limit, now: float) -> float:
        times = self._counted.get(key, [])
        while times and times[0] <= now - limit.window_seconds:
            times.pop(0)
        return times[0] + limit.window_seconds - now if len(times) >= limit.most else 0.0
