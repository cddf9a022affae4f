"""The rank test by which times are compared, against figures done by hand and by its own laws."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ranks import rank_test

SAMPLES = st.lists(st.integers(0, 50), min_size=20, max_size=40)


def test_two_of_twenty_without_ties_are_as_the_formula_says() -> None:
    """U = 295 of 400: 94.5 over sqrt(20 * 20 * 41 / 12) = 36.97 is 2.556, two-sided 0.0106 by the normal table."""
    theirs = [float(number) for number in range(20)]
    ours = [number + 5.5 for number in theirs]
    assert sum(one > other for one in ours for other in theirs) == 295
    assert rank_test(ours, theirs) == pytest.approx(0.0106, abs=0.0001)


@given(SAMPLES, SAMPLES)
def test_it_is_a_chance_and_does_not_mind_the_order(ours: list[int], theirs: list[int]) -> None:
    p = rank_test(ours, theirs)
    assert 0 <= p <= 1
    assert p == pytest.approx(rank_test(theirs, ours))
    assert p == pytest.approx(rank_test(random.Random(1).sample(ours, len(ours)), theirs))


def test_what_is_apart_is_found_and_what_is_alike_is_not() -> None:
    chance = random.Random(20261122)
    alike = [
        rank_test([chance.gauss(5, 1) for _ in range(50)], [chance.gauss(5, 1) for _ in range(50)]) for _ in range(200)
    ]
    apart = [
        rank_test([chance.gauss(5, 1) for _ in range(50)], [chance.gauss(7, 1) for _ in range(50)]) for _ in range(20)
    ]
    assert sum(p < 0.05 for p in alike) < 25
    assert max(apart) < 0.001
    assert rank_test([1.0] * 30, [1.0] * 30) == 1.0
