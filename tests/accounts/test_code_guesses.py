"""Nobody finds a code by guessing."""

import pytest

from failgate.accounts.code_guesses import ACCOUNT, EVERYBODY, MOST_WAITING, SESSION, CodeGuesses
from failgate.base.errors import TooManyRequests


def test_the_limits_keep_a_hit_below_two_to_the_minus_twentieth() -> None:
    """SECURITY: brute force of user codes, for all sessions together, in the lifetime of a code."""
    assert EVERYBODY.window_seconds >= 600
    assert EVERYBODY.most * MOST_WAITING / 20**8 < 2**-20


def test_a_hundred_thousand_guesses_are_mostly_not_looked_at(clock) -> None:
    guesses, looked_at = CodeGuesses(clock), 0
    for number in range(100_000):
        try:
            guesses.reserve(f"session {number % 5000}", f"account {number % 500}")
            looked_at += 1
        except TooManyRequests:
            pass
    assert looked_at == EVERYBODY.most


def test_a_session_has_five_and_no_more_later(clock) -> None:
    guesses = CodeGuesses(clock)
    for _ in range(SESSION.most):
        guesses.reserve("s", "a")
    clock.advance(12 * 3600)
    with pytest.raises(TooManyRequests, match="five wrong codes"):
        guesses.reserve("s", "a")
    guesses.reserve("another session", "a")


def test_an_account_has_ten_an_hour_over_all_its_sessions(clock) -> None:
    guesses = CodeGuesses(clock)
    for number in range(ACCOUNT.most):
        guesses.reserve(f"s{number // 4}", "a")
    with pytest.raises(TooManyRequests):
        guesses.reserve("fresh", "a")
    guesses.reserve("b", "b")
    clock.advance(3600)
    guesses.reserve("fresh", "a")


def test_a_right_code_costs_nothing(clock) -> None:
    guesses = CodeGuesses(clock)
    for _ in range(100):
        guesses.give_back(guesses.reserve("s", "a"))
    guesses.reserve("s", "a")
