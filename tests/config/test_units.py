import pytest
from hypothesis import given
from hypothesis import strategies as st

from failgate.config.units import Duration, Size

SPANS = {"d": 86_400_000_000, "h": 3_600_000_000, "m": 60_000_000, "s": 1_000_000, "ms": 1_000}


@given(st.dictionaries(st.sampled_from(list(SPANS)), st.integers(0, 999_999_999), min_size=1))
def test_a_duration_is_the_sum_of_its_parts(parts: dict[str, int]) -> None:
    text = "".join(f"{parts[unit]}{unit}" for unit in SPANS if unit in parts)
    assert Duration(text).us == sum(count * SPANS[unit] for unit, count in parts.items())
    assert str(Duration(text)) == text


@given(st.integers(0, 999_999_999), st.sampled_from(["B", "KiB", "MiB", "GiB", "TiB"]))
def test_a_size_counts_in_powers_of_1024(count: int, unit: str) -> None:
    assert Size(f"{count}{unit}").bytes == count * 1024 ** ["B", "KiB", "MiB", "GiB", "TiB"].index(unit)


@pytest.mark.parametrize(
    ("text", "mend"),
    [
        ("60", 'say "60s"'),
        ("1h30", "no unit"),
        ("30m1h", "the largest first"),
        ("1h1h", "not a duration"),
        ("1.5h", "whole numbers"),
        ("-5s", "not a duration"),
        ("5 s", "not a duration"),
        ("5S", "not a duration"),
        ("5s\n", "not a duration"),
        ("٥s", "not a duration"),
        ("", "not a duration"),
        ("9" * 10_000 + "s", "not a duration"),
    ],
)
def test_a_text_that_is_no_duration_says_what_is_accepted(text: str, mend: str) -> None:
    with pytest.raises(ValueError, match=mend):
        Duration(text)


@pytest.mark.parametrize(
    ("text", "mend"),
    [
        ("512", 'say "512KiB", "512MiB" or "512B"'),
        ("20GB", 'say "20GiB"'),
        ("20k", 'say "20KiB"'),
        ("1.5GiB", "whole numbers"),
        ("-1B", "not a size"),
        ("1gib", "not a size"),
        ("1MiB\n", "not a size"),
    ],
)
def test_a_text_that_is_no_size_says_what_is_accepted(text: str, mend: str) -> None:
    with pytest.raises(ValueError, match=mend):
        Size(text)


def test_the_same_length_written_differently_is_equal_and_in_order() -> None:
    assert Duration("60s") == Duration("1m")
    assert len({Duration("60s"), Duration("1m")}) == 1
    assert Duration("59s") < Duration("1m") <= Duration("60s") < Duration("1h")
    assert Size("1024KiB") == Size("1MiB")
    assert Size("1023KiB") < Size("1MiB")
    assert Duration("1s") != Size("1B")


def test_seconds_of_a_duration_are_exact() -> None:
    assert Duration("1s500ms").seconds == 1.5
