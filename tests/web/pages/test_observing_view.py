"""What no quorum let pass is never shown as an approval. B8 E5"""

from typing import Any

import pytest
from msgspec.structs import replace

from failgate.base.errors import BadInput
from failgate.gate.observing import Period
from failgate.web.pages.command_view import outcome_word, row_of, verdict_of
from failgate.web.pages.observing_view import banners_of, days_of, met
from failgate.web.pages.queue_view import timeline_of
from failgate.wire.observing import Observation

WAIT = Observation("wait", ["quorum"], "quorum: two people", 2, "2 reviewers", "p")
DENY = Observation("deny", ["allowlist", "risk"], "allowlist: a rule refuses it", 0, "", "p")


def observed(make_command: Any, how: Observation, **changes: Any) -> Any:
    made = make_command(["make"], verdict="approve", by=[], **changes)
    return replace(made, observed=how, verdict=replace(made.verdict, observed=how))


@pytest.mark.parametrize(
    ("how", "words"), [(WAIT, "would have waited for 2 reviewers"), (DENY, "would have been denied by allowlist, risk")]
)
def test_what_was_only_observed_says_that_nobody_approved_it(
    make_command: Any, now_us: int, how: Any, words: str
) -> None:
    command = observed(make_command, how, state="executed")
    assert met(how) == words
    assert outcome_word(command) == "observed"
    row = row_of(command, now_us, None)
    assert (row.observed, row.decided_by) == (words, f"nobody: {words}")
    shown = verdict_of(command, now_us)
    assert (shown.kind, shown.headline) == ("wait", "Observed, running")
    assert shown.sentence.startswith(f"Nobody approved it: commands were only observed. It {words} (")
    headlines = [step.headline for step in timeline_of(command, now_us)]
    assert headlines == ["Asked", "Let run, observed only"]


def test_a_run_that_failed_while_it_was_only_observed_is_a_failure_that_nobody_approved(
    make_command: Any, now_us: int
) -> None:
    command = observed(make_command, WAIT, state="executed", outcome=2)
    assert outcome_word(command) == "failed"
    assert row_of(command, now_us, None).observed
    shown = verdict_of(command, now_us)
    assert (shown.kind, shown.headline[:34]) == ("bad", "Observed, failed with exit code 2 ")
    assert "Approved by" not in shown.sentence


@pytest.mark.parametrize(("review", "words"), [("open", "not reviewed yet"), ("unjustified", "NOT justified")])
def test_broken_glass_is_red_and_says_how_its_review_stands(
    make_command: Any, now_us: int, review: Any, words: str
) -> None:
    made = make_command(["reboot"], state="executed", verdict="approve", by=["rita@acme.example"])
    command = replace(made, glass=review, verdict=replace(made.verdict, note="It burns", glass=review))
    assert outcome_word(command) == "glass"
    assert words in row_of(command, now_us, None).glass
    shown = verdict_of(command, now_us)
    assert shown.kind == "bad"
    assert words in shown.headline
    assert shown.sentence == "rita@acme.example let it run without its quorum: “It burns”."
    last = timeline_of(command, now_us)[-1]
    assert (last.headline, last.kind) == ("Glass broken", "bad")


def test_the_banner_says_of_whom_and_until_when_and_whether_refusals_run_too() -> None:
    wide = Period("p", "w", "", denials=True, begun_us=0, expires_us=86_400_000_000, begun_by="a")
    one = Period("q", "w", "x", denials=False, begun_us=0, expires_us=86_400_000_000, begun_by="a")
    first, second = banners_of([wide, one], {"x": "deploy-bot"})
    assert first == "what is asked runs at once, also what is refused; nobody approves it, until 1970-01-02 00:00 UTC."
    assert second.startswith("what deploy-bot asks runs at once, unless it is refused;")
    assert banners_of([], {}) == ()


@pytest.mark.parametrize("text", ["", "x", "-1", "1.5", "99999", "٣"])
def test_days_are_digits(text: str) -> None:
    with pytest.raises(BadInput):
        days_of({"days": text})
