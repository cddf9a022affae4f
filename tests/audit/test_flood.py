"""How many are told one by one, and when the rest is due."""

from failgate.audit.flood import SINGLY, Flood
from failgate.base.clock import FrozenClock


def test_the_first_are_told_the_rest_is_counted_until_the_window_is_over() -> None:
    clock = FrozenClock()
    flood = Flood(clock, 10.0)
    assert [flood.admits() for _ in range(SINGLY + 3)] == [True] * SINGLY + [False] * 3
    clock.advance(9)
    assert not flood.is_over
    clock.advance(1)
    assert flood.is_over
    assert flood.drain() == 3
    assert not flood.is_over
    assert flood.admits()
    assert flood.drain() == 0
