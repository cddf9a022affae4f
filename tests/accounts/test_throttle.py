import pytest

from failgate.accounts.throttle import Throttle, network_of
from failgate.base.clock import FrozenClock
from failgate.base.errors import TooManyRequests


def evaluated(throttle: Throttle, clock: FrozenClock, account: str, address: str, seconds: int, step: int = 1) -> int:
    count = 0
    for _ in range(0, seconds, step):
        try:
            throttle.reserve(account, address)
        except TooManyRequests:
            pass
        else:
            count += 1
        clock.advance(step)
    return count


def test_five_guesses_are_free_and_then_each_waits_twice_as_long(clock: FrozenClock) -> None:
    throttle = Throttle(clock)
    for _ in range(5):
        throttle.reserve("ann", "192.0.2.1")
    waits = []
    for _ in range(4):
        with pytest.raises(TooManyRequests) as caught:
            throttle.reserve("ann", "192.0.2.1")
        waits.append(caught.value.retry_after_seconds)
        clock.advance(caught.value.retry_after_seconds)
        throttle.reserve("ann", "192.0.2.1")
    assert waits == [2, 3, 5, 9]


@pytest.mark.parametrize("addresses", [1, 200])
def test_at_most_a_hundred_of_ten_thousand_guesses_at_an_account_are_looked_at_in_an_hour(
    clock: FrozenClock, addresses: int
) -> None:
    """F6 E21: strangers, somebody where the account signed in before, and the thief of a trusted device together."""
    throttle = Throttle(clock)
    known = throttle.reserve("ann", "198.51.100.1")
    throttle.succeeded(known)
    count = 0
    for turn in range(10_000):
        address = f"203.0.113.{turn % addresses}" if turn % 2 else "198.51.100.1"
        try:
            throttle.reserve("ann", address, is_trusted_device=turn % 4 == 2)
        except TooManyRequests:
            pass
        else:
            count += 1
        clock.advance(0.36)
    assert 20 < count <= 100


def test_parallel_guesses_find_the_same_limit(clock: FrozenClock) -> None:
    throttle = Throttle(clock)
    allowed = 0
    for _ in range(200):
        try:
            throttle.reserve("ann", "192.0.2.1")
        except TooManyRequests:
            continue
        allowed += 1
    assert allowed == 5


def test_strangers_do_not_lock_out_an_address_that_signed_in_before(clock: FrozenClock) -> None:
    throttle = Throttle(clock)
    throttle.succeeded(throttle.reserve("ann", "198.51.100.1"))
    evaluated(throttle, clock, "ann", "203.0.113.7", 3000)
    with pytest.raises(TooManyRequests):
        while True:
            throttle.reserve("ann", "203.0.113.8")
    throttle.reserve("ann", "198.51.100.1")
    throttle.reserve("ann", "203.0.113.9", is_trusted_device=True)


def test_a_trusted_device_is_not_slowed_by_its_neighbours(clock: FrozenClock) -> None:
    """A whole company behind one address, one of whom guesses at everybody."""
    throttle = Throttle(clock)
    with pytest.raises(TooManyRequests):
        for number in range(301):
            throttle.reserve(f"account{number}", "203.0.113.7")
    throttle.reserve("ann", "203.0.113.7", is_trusted_device=True)


def test_nobody_is_locked_out_for_longer_than_the_window(clock: FrozenClock) -> None:
    throttle = Throttle(clock)
    evaluated(throttle, clock, "ann", "203.0.113.7", 3600)
    clock.advance(3600)
    throttle.reserve("ann", "198.51.100.1")


def test_one_address_guesses_at_no_more_than_300_accounts_an_hour(clock: FrozenClock) -> None:
    throttle = Throttle(clock)
    count = 0
    for number in range(7200):
        try:
            throttle.reserve(f"account{number}", "203.0.113.7")
        except TooManyRequests:
            pass
        else:
            count += 1
        clock.advance(0.5)
    assert 100 <= count <= 300


def test_right_passwords_are_not_counted(clock: FrozenClock) -> None:
    throttle = Throttle(clock)
    for _ in range(1000):
        throttle.succeeded(throttle.reserve("ann", "192.0.2.1"))


def test_what_is_remembered_is_bounded(clock: FrozenClock) -> None:
    throttle = Throttle(clock, most_keys=100)
    for number in range(1000):
        throttle.succeeded(throttle.reserve(f"account{number}", f"10.0.{number // 250}.{number % 250}"))
    assert max(len(buckets) for buckets in throttle._kinds.values()) <= 100
    assert len(throttle._known) <= 100


def test_a_clock_that_is_set_back_gives_no_new_guesses(clock: FrozenClock) -> None:
    throttle = Throttle(clock)
    evaluated(throttle, clock, "ann", "192.0.2.1", 30)
    clock.step_wall(86_400)
    with pytest.raises(TooManyRequests):
        for _ in range(6):
            throttle.reserve("ann", "192.0.2.1")


def test_addresses_of_one_ipv6_network_count_as_one_place() -> None:
    assert network_of("2001:db8::1") == network_of("2001:db8::ffff") != network_of("2001:db8:0:1::1")
    assert network_of("::ffff:192.0.2.1") == network_of("192.0.2.1") == "192.0.2.1"
    assert len(network_of("x" * 1000)) == 64


def test_departures_and_wrong_answers_of_one_address_are_bounded_and_nobody_else_waits(clock: FrozenClock) -> None:
    throttle = Throttle(clock)
    for reserve, most in ((throttle.reserve_departure_from, 600), (throttle.reserve_answer_from, 120)):
        for _ in range(most):
            reserve("198.51.100.7")
        with pytest.raises(TooManyRequests) as caught:
            reserve("198.51.100.7")
        assert 60 <= caught.value.retry_after_seconds <= 61
        reserve("198.51.100.8")
    clock.advance(60)
    throttle.reserve_departure_from("198.51.100.7")
    throttle.reserve_answer_from("198.51.100.7")


def test_right_answers_are_never_counted(clock: FrozenClock) -> None:
    throttle = Throttle(clock)
    for _ in range(1000):
        throttle.give_back(throttle.reserve_answer_from("198.51.100.7"))


def test_a_steady_trickle_below_the_number_never_waits(clock: FrozenClock) -> None:
    """What is only counted is not slowed: a company that begins ten sign-ins a minute all day, letters each hour."""
    throttle = Throttle(clock)
    for _ in range(2000):
        throttle.reserve_departure_from("198.51.100.7")
        clock.advance(6)
    for _ in range(60):
        throttle.reserve_reset_from("198.51.100.7")
        clock.advance(130)


def test_who_comes_to_one_door_from_everywhere_makes_nothing_of_another_forgotten(clock: FrozenClock) -> None:
    throttle = Throttle(clock, most_keys=8)
    for _ in range(5):
        throttle.reserve_factor("ann")
    for number in range(50):
        throttle.reserve_departure_from(f"198.51.100.{number}")
    with pytest.raises(TooManyRequests):
        throttle.reserve_factor("ann")
