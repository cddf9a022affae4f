"""What bodies that are being read hold together: bounded, for all and for one sender. # SECURITY 2"""

from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failgate.base.errors import TooManyRequests
from failgate.web.held import HeldBodies


def test_one_body_alone_fits_however_large() -> None:
    held = HeldBodies(100, 50)
    with held.body_of("a") as body:
        body.grow(40)
        body.grow(400)
        assert body.size == 440
    with held.body_of("a") as body:
        body.grow(440)


def test_a_sender_holds_their_share_and_others_go_on() -> None:
    held = HeldBodies(100, 50)
    with held.body_of("a") as one, held.body_of("a") as two, held.body_of("b") as other:
        one.grow(30)
        with pytest.raises(TooManyRequests):
            two.grow(30)
        two.grow(20)
        other.grow(50)
        with pytest.raises(TooManyRequests), held.body_of("c") as third:
            third.grow(1)
    with held.body_of("c") as third:
        third.grow(50)


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from("abc"), st.integers(0, 60)), max_size=60))
def test_what_is_held_is_bounded_and_given_back(steps: list[tuple[int, str, int]]) -> None:
    held, sizes = HeldBodies(100, 50), dict.fromkeys(range(6), 0)
    with ExitStack() as stack:
        bodies = {place: stack.enter_context(held.body_of("abc"[place % 3])) for place in sizes}
        for place, _, size in steps:
            try:
                bodies[place].grow(size)
            except TooManyRequests:
                continue
            sizes[place] += size
            alone = sum(1 for one in sizes.values() if one) == 1
            assert alone or sum(sizes.values()) <= 100
    assert held._total == 0
    assert not held._of
