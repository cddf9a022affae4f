from failgate.base.errors import StartRefused
from failgate.config.errors import ConfigRefused, Mistake


def test_a_mistake_reads_as_position_sentence_line_caret_and_mend() -> None:
    """The form of ARCHITECTURE.md, "Config mistakes"."""
    mistake = Mistake(
        "failgate.toml",
        32,
        "plugins.quiet-hours.reviwers",
        "no such setting",
        "reviwers = 3",
        0,
        8,
        'did you mean "reviewers"? quiet-hours 1.2.0 takes: end, reviewers, start, timezone',
    )
    assert str(mistake) == (
        "failgate.toml:32: plugins.quiet-hours.reviwers: no such setting\n"
        "    reviwers = 3\n"
        "    ^^^^^^^^\n"
        '  did you mean "reviewers"? quiet-hours 1.2.0 takes: end, reviewers, start, timezone'
    )


def test_a_mistake_without_a_line_is_one_sentence() -> None:
    assert str(Mistake("failgate.toml", 0, "", "is not UTF-8")) == "failgate.toml: is not UTF-8"


def test_a_refusal_lists_the_mistakes_in_the_order_of_the_file() -> None:
    refusal = ConfigRefused(
        [Mistake("f", 9, "b", "late"), Mistake("f", 2, "a", "early"), Mistake("f", 9, "a", "x", "", 5)]
    )
    assert [mistake.line for mistake in refusal.mistakes] == [2, 9, 9]
    assert refusal.sentence.index("early") < refusal.sentence.index("late")
    assert isinstance(refusal, StartRefused)
