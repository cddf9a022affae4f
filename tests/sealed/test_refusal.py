"""The words for refusals: documented, and each of them used."""

import re
from pathlib import Path

from failgate.base.errors import FailgateError
from failgate.sealed.refusal import REASONS, Refused

ROOT = Path(__file__).parents[2]


def test_every_word_is_explained_on_the_page_and_no_other() -> None:
    page = (ROOT / "docs" / "sealed.md").read_text()
    rows = dict(re.findall(r"^\| `([a-z-]+)` \| (.+) \|$", page, re.MULTILINE))
    assert rows == {word: sentence[0].lower() + sentence[1:] for word, sentence in REASONS.items()}


def test_every_word_is_used() -> None:
    source = "".join(one.read_text() for one in (ROOT / "failgate" / "sealed").glob("*.py"))
    assert set(re.findall(r'Refused\(\s*"([a-z-]+)"', source)) == set(REASONS)


def test_a_refusal_is_an_error_for_people_and_programs() -> None:
    refusal = Refused("quorum", "decisions")
    assert isinstance(refusal, FailgateError)
    assert str(refusal) == "Too few people have approved (decisions)."
    assert refusal.facts == {"reason": "quorum", "place": "decisions"}
