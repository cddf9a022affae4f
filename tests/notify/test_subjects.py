"""What may be told of a command or a report: no secret that a rule finds, nothing that acts, no two that look alike. E18."""

from hypothesis import given
from hypothesis import strategies as st

from failgate.matching.rendering import unrender
from failgate.notify.subjects import CUT, NAME_CHARACTERS, inert
from failgate.redaction import RULES, Scanner, redact

SCANNER = Scanner()


def test_no_secret_of_any_rule_is_told() -> None:
    for rule in RULES:
        text = rule.matches[0]
        found = {text[one.start : one.end] for one in redact(text, SCANNER).findings}
        told = inert(text, SCANNER, 10_000)
        assert found
        assert not [secret for secret in found if secret in told], rule


def test_a_secret_that_the_cut_would_halve_is_found_before_it() -> None:
    text = "x" * (NAME_CHARACTERS - 12) + " ghp_" + "x7Kq2mZ9" * 4 + "Wd4R"
    assert "ghp_" not in inert(text, SCANNER)


@given(st.text(max_size=NAME_CHARACTERS))
def test_a_text_that_is_told_is_inert_and_says_exactly_what_it_was(text: str) -> None:
    told = inert(text, SCANNER)
    assert told.isprintable()
    assert not text or unrender([told]) == [redact(text, SCANNER).text]


@given(st.text(min_size=NAME_CHARACTERS + 1, max_size=3 * NAME_CHARACTERS))
def test_what_was_cut_shows_and_nothing_whole_looks_like_it(text: str) -> None:
    if redact(text, SCANNER).findings:
        return
    assert inert(text, SCANNER).endswith(CUT)
    assert not inert(CUT, SCANNER).endswith(CUT)
