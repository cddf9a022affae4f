import pytest

from failgate.web.pages.text import (
    duration,
    initials,
    left,
    microseconds,
    moment,
    pieces,
    relative,
    size,
)

SECOND = 1_000_000


@pytest.mark.parametrize(
    "hidden", ["\u202e", "\u200b", "\ufeff", "\x07", "\u2066", "\xad", "\u3164", "\u2028", "\U000e0041"]
)
def test_a_hidden_character_of_an_output_is_named(hidden: str) -> None:
    shown = pieces(f"a{hidden}b")
    assert [piece.is_unusual for piece in shown] == [False, True, False]
    assert shown[1].text == f"⟨U+{ord(hidden):04X}⟩"


def test_writing_of_other_languages_stays_readable_in_an_output() -> None:
    assert [piece.text for piece in pieces("Prüfung – проверка ✓")] == ["Prüfung – проверка ✓"]


def test_a_tab_becomes_columns() -> None:
    assert pieces("a\tb")[0].text == "a   b"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "just now"),
        (14, "14 s ago"),
        (119, "119 s ago"),
        (120, "2 min ago"),
        (7200, "2 h ago"),
        (90_000, "1 d ago"),
        (-30, "in 30 s"),
    ],
)
def test_a_time_is_told_from_now(seconds: int, said: str) -> None:
    now = 1_790_000_000 * SECOND
    assert relative(now - seconds * SECOND, now) == said


def test_a_time_keeps_its_exact_form() -> None:
    shown = moment(1_790_000_000_123_456, 1_790_000_010_000_000)
    assert shown.iso == "2026-09-21T14:13:20.123Z"
    assert shown.exact == "21 Sep 2026, 14:13:20 UTC"
    assert microseconds("2026-09-21T14:13:20.123456Z") == 1_790_000_000_123_456


@pytest.mark.parametrize(
    ("rest_us", "shown"),
    [(19 * SECOND, "0:19"), (18_000_001, "0:19"), (0, "0:00"), (-5, "0:00"), (7200 * SECOND, "2:00:00")],
)
def test_the_time_left_never_shows_more_than_there_is_by_a_second(rest_us: int, shown: str) -> None:
    assert left(rest_us, 0) == shown


def test_measures_carry_their_units() -> None:
    assert [duration(420), duration(12_400), duration(187_000)] == ["420 ms", "12.4 s", "3 min 07 s"]
    assert [size(812), size(14_541), size(5 << 30)] == ["812 B", "14.2 KiB", "5.0 GiB"]


def test_initials_are_plain_letters_whatever_the_name() -> None:
    assert [initials("deploy-bot"), initials("builder"), initials("<script>"), initials("\u202e")] == [
        "DB",
        "BU",
        "SC",
        "?",
    ]
