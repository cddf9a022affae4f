"""How often in a minute one agent may ask people, and one person approve: a bucket for each, kept in memory.

`Queue.admit` bounds what waits at once and `Pace` how soon one approval follows on another of the same session; these
bound the sum over time, of an agent that asks and withdraws, and of a person over all their sessions.

Source: SECURITY section 4, "Approver fatigue".
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from failgate.base.clock import MICROSECONDS

MOST_KNOWN: Final = 10_000
_MINUTE_US: Final = 60 * MICROSECONDS


@dataclass(slots=True)
class Rate:
    """At most `per_minute` of one key, all of them at once where none was taken for a minute; 0 bounds nothing."""

    per_minute: int
    _full_us: OrderedDict[str, int] = field(default_factory=OrderedDict[str, int])  # when nothing is taken any more
    _told_us: OrderedDict[str, int] = field(default_factory=OrderedDict[str, int])

    def take(self, key: str, now_us: int) -> int:
        """Take one of `key`, and return 0; or return after how many whole seconds there is one again, at least 1."""
        if not self.per_minute:
            return 0
        each_us = _MINUTE_US // self.per_minute
        latest_us = now_us + self.per_minute * each_us  # also for a clock that went back
        full_us = max(now_us, min(self._full_us.get(key, 0), latest_us))
        if full_us + each_us > latest_us:
            return max(1, -((latest_us - full_us - each_us) // MICROSECONDS))
        _note(self._full_us, key, full_us + each_us)
        return 0

    def is_news(self, key: str, now_us: int) -> bool:
        """Tell whether it was not told of `key` within the last minute that there was none, and remember it then."""
        if 0 <= now_us - self._told_us.get(key, -_MINUTE_US) < _MINUTE_US:
            return False
        _note(self._told_us, key, now_us)
        return True


def _note(of_keys: OrderedDict[str, int], key: str, at_us: int) -> None:
    of_keys[key] = at_us
    of_keys.move_to_end(key)
    if len(of_keys) > MOST_KNOWN:
        of_keys.popitem(last=False)
