"""The gate's time never goes back."""

from hypothesis import given
from hypothesis import strategies as st

from failgate.base.clock import MICROSECONDS, FrozenClock
from failgate.gate.steady import SteadyTime


@given(st.lists(st.tuples(st.booleans(), st.integers(-7200, 7200)), max_size=30))
def test_time_passes_at_least_as_the_monotonic_clock_says(moves):
    clock = FrozenClock()
    steady = SteadyTime(clock)
    started, highest = steady.now_us(), steady.now_us()
    passed = 0
    for is_step, seconds in moves:
        if is_step:
            clock.step_wall(seconds)
        else:
            clock.advance(abs(seconds))
            passed += abs(seconds)
        now = steady.now_us()
        assert now >= highest
        assert now >= clock.now_us()
        assert now - started >= passed * MICROSECONDS
        assert steady.is_frozen() == (now - clock.now_us() > 30 * MICROSECONDS)
        highest = now


def test_thirty_seconds_back_are_borne_and_more_freeze():
    clock = FrozenClock()
    steady = SteadyTime(clock)
    clock.step_wall(-30)
    assert not steady.is_frozen()
    clock.step_wall(-1)
    assert steady.is_frozen()
    clock.advance(3600)
    assert steady.is_frozen(), "only a corrected wall clock ends it"
    clock.step_wall(31)
    assert not steady.is_frozen()


def test_time_begins_where_an_earlier_run_was():
    clock = FrozenClock()
    steady = SteadyTime(clock)
    steady.raise_to(clock.now_us() + 100 * MICROSECONDS)
    assert steady.lag_us() == 100 * MICROSECONDS
    steady.raise_to(0)
    assert steady.lag_us() == 100 * MICROSECONDS
