"""What the client says of an approval that no quorum gave. B8"""

import pytest

from failgate.client.exits import Unverified
from failgate.client.verdict import Standing, note_of, observed_of, remark_of

WAIT = {"would": "wait", "by": ["quorum"], "waiting_for": "2 reviewers"}
DENY = {"would": "deny", "by": ["allowlist", "risk"], "waiting_for": ""}


def standing(**verdict: object) -> Standing:
    return Standing("a" * 36, "approved", 0.0, "", 0, {"decision": "approve", "by": [], **verdict})


@pytest.mark.parametrize(
    ("observed", "words"),
    [
        (WAIT, "only observed: it would have waited for 2 reviewers; nobody approved it"),
        (DENY, "only observed: it would have been denied by allowlist, risk; nobody approved it"),
        ({}, "only observed: it would have waited for a reviewer; nobody approved it"),
        (
            {"would": "wait", "waiting_for": "\x1b[2Jx"},
            "only observed: it would have waited for <U+001B>[2Jx; nobody approved it",
        ),
    ],
)
def test_what_was_only_observed_is_said_and_is_inert(observed: object, words: str) -> None:
    one = standing(observed=observed)
    assert observed_of(one) == words
    assert remark_of(one) == ("observed", words)
    assert note_of(one) == f" ({words})"


@pytest.mark.parametrize("wrong", ["yes", 1, [], True])
def test_an_observation_of_another_form_is_no_verdict(wrong: object) -> None:
    with pytest.raises(Unverified):
        observed_of(standing(observed=wrong))


def test_broken_glass_is_said_with_who_broke_it_and_why() -> None:
    one = standing(glass="open", by=["rita@acme.example"], note="It burns\x1b[0m")
    words = " by rita@acme.example without its quorum, by breaking the glass: It burns<U+001B>[0m"
    assert note_of(one) == words
    assert remark_of(one) == ("glass", f"the glass was broken: let run{words}")


def test_of_an_ordinary_approval_nothing_is_said() -> None:
    for one in (standing(), standing(observed=None, glass=None, by=["ann@acme.example"])):
        assert observed_of(one) == ""
        assert remark_of(one) is None
    assert note_of(standing(by=["ann@acme.example"], note="fine")) == " by ann@acme.example: fine"
