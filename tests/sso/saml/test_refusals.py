"""Each reason is a word for the audit log, has a sentence, and stands in the docs."""

import re
from pathlib import Path

from failgate.sso.saml.refusals import SENTENCES, Reason, refused


def test_each_reason_is_one_word_with_a_sentence() -> None:
    assert set(SENTENCES) == set(Reason)
    assert all(re.fullmatch("[a-z0-9_]+", reason) for reason in Reason)
    assert refused(Reason.AUDIENCE).reason == "audience"


def test_each_reason_is_documented() -> None:
    text = (Path(__file__).parents[3] / "docs" / "saml.md").read_text()
    assert [reason for reason in Reason if f"`{reason}`" not in text] == []
