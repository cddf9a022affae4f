import pytest

from failgate.config.bounds import Between
from failgate.config.units import Duration, Size


def test_both_bounds_are_included() -> None:
    Between("1s", "1m").check(Duration("1s"))
    Between("1s", "1m").check(Duration("60s"))
    Between(1, 3).check(3)
    Between(least="1KiB").check(Size("1TiB"))


@pytest.mark.parametrize(
    ("bound", "value", "says"),
    [
        (Between("1s", "1m"), Duration("999ms"), "must be at least 1s"),
        (Between("1s", "1m"), Duration("61s"), "must be at most 1m"),
        (Between(1), 0, "must be at least 1"),
        (Between(most=5), 6, "must be at most 5"),
    ],
)
def test_beyond_a_bound_the_bound_is_named(bound: Between, value: object, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        bound.check(value)
