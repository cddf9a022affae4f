"""The life of a request against a simple model of it. E5 E8."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from failgate.gate import lifecycle as life

PEOPLE = ["ann", "bob", "cyd", "own", "req"]
TERMINAL = {"denied", "expired", "cancelled", "quarantined"}


class Lifecycle(RuleBasedStateMachine):
    """The model keeps plain sets and says for each event whether it may happen."""

    def __init__(self) -> None:
        super().__init__()
        self.request = None
        self.now = 100
        self.expires = self.use_by = None
        self.state = None
        self.yes: set[str] = set()
        self.no: set[str] = set()
        self.states: list[str] = []
        self.finished = False
        self.deny_after = 1
        self.observed = self.observing = None
        self.broken_by = self.glass = None

    def happens(self, event, allowed: bool, state: str | None = None) -> bool:
        before = self.request
        try:
            self.request = life.apply(before, event)
        except life.IllegalTransition as error:
            refused = error
        else:
            refused = None
        if refused is not None:
            assert not allowed, f"{event} should happen in {before}"
            assert refused.state == (before.state if before else None)
            assert self.request is before
            return False
        assert allowed, f"{event} should not happen in {before}"
        if state is not None:
            self.state = state
        if not self.states or self.states[-1] != self.request.state:
            self.states.append(self.request.state)
        return True

    @initialize(deny_after=st.integers(1, 2), need=st.integers(1, 2), is_meant=st.sampled_from([True, True, False]))
    def mostly_people_are_asked(self, deny_after, need, is_meant):
        if is_meant:
            self._ask(need, 60, deny_after)

    @rule(seconds=st.integers(0, 30))
    def time_passes(self, seconds):
        self.now += seconds

    @rule(need=st.integers(0, 3), ttl=st.integers(1, 60), deny_after=st.integers(0, 3))
    def asked(self, need, ttl, deny_after):
        self._ask(need, ttl, deny_after)

    def _ask(self, need, ttl, deny_after):
        event = life.Asked("id", "D", self.now + ttl, need, "P", "req", frozenset({"own"}), deny_after=deny_after)
        if self.happens(event, self.state is None and need >= 1 and deny_after >= 1, "pending"):
            self.expires, self.need, self.deny_after = self.now + ttl, need, deny_after

    @rule(window=st.integers(1, 40))
    def allowed(self, window):
        if self.happens(life.Allowed("id", "D", "P", "req", self.now + window), self.state is None, "approved"):
            self.use_by = self.now + window

    @rule(
        window=st.integers(1, 40), would=st.sampled_from(["wait", "deny"]), need=st.integers(0, 2),
        deny_after=st.integers(0, 2),
    )  # fmt: skip
    def only_observed(self, window, would, need, deny_after):
        """What would have waited names how many people it would have taken; what would have been denied, none."""
        event = life.Observed("id", "D", "P", "req", self.now + window, would, need, "time", None, deny_after)
        may = self.state is None and (need >= 1) is (would == "wait") and deny_after >= 1
        if self.happens(event, may, "approved"):
            self.use_by, self.observed, self.observing = self.now + window, would, "time"
            self.deny_after = deny_after

    @rule(who=st.sampled_from(PEOPLE), digest=st.sampled_from("DDDX"))
    def glass_broken(self, who, digest):
        """By one person who is not of those who asked, and whom nobody contradicted."""
        may = (
            self.state == "pending"
            and digest == "D"
            and self.now < self.expires
            and who not in {"own", "req"}
            and not self.no
        )
        if self.happens(life.GlassBroken(who, digest, self.now, self.now + 20), may, "approved"):
            self.use_by, self.broken_by, self.glass = self.now + 20, who, "open"

    @rule(
        who=st.sampled_from(PEOPLE),
        digest=st.sampled_from("DDDX"),
        verdict=st.sampled_from(["justified", "unjustified"]),
    )
    def glass_reviewed(self, who, digest, verdict):
        """Once, by another, whatever came of the command meanwhile; it changes no state."""
        may = self.glass == "open" and digest == "D" and who not in {"own", "req", self.broken_by}
        if self.happens(life.GlassReviewed(who, digest, verdict), may):
            self.glass = verdict

    @rule()
    def refused(self):
        self.happens(life.Refused("id", "D", "P", "req"), self.state is None, "denied")

    @rule(who=st.sampled_from(PEOPLE), decision=st.sampled_from(["approve", "deny"]), digest=st.sampled_from("DDDX"))
    def voted(self, who, decision, digest):
        may = (
            self.state == "pending"
            and digest == "D"
            and self.now < self.expires
            and who not in {"own", "req"}
            and not (decision == "approve" and who in self.no)
        )
        if self.happens(life.VoteCast(who, decision, digest, self.now), may):
            (self.yes if decision == "approve" else self.no).add(who)
            if decision == "deny":
                self.yes.discard(who)

    @rule(who=st.sampled_from(PEOPLE))
    def voided(self, who):
        if self.happens(life.VoteVoided(who), self.state == "pending" and who in self.yes):
            self.yes.discard(who)

    @rule(counted=st.integers(0, 4), digest=st.sampled_from("DDDX"))
    def approved(self, counted, digest):
        may = (
            self.state == "pending"
            and digest == "D"
            and self.now < self.expires
            and len(self.no) < self.deny_after
            and self.need <= counted <= len(self.yes)
        )
        if self.happens(life.Approved(digest, self.now, self.now + 20, counted), may, "approved"):
            self.use_by = self.now + 20

    @rule()
    def denied(self):
        may = self.state == "pending" and len(self.no) >= self.deny_after and self.now < self.expires
        self.happens(life.Denied(self.now), may, "denied")

    @rule()
    def expired(self):
        may = self.state == "pending" and self.now >= self.expires
        self.happens(life.Expired(self.now), may, "expired")

    @rule(how=st.sampled_from([life.Cancelled(0), life.Quarantined()]), is_meant=st.sampled_from([False, False, True]))
    def withdrawn(self, how, is_meant):
        """Seldom while it waits, or few runs would get further."""
        if is_meant or self.state != "pending":
            state = "cancelled" if isinstance(how, life.Cancelled) else "quarantined"
            self.happens(how, self.state == "pending", state)

    @rule(digest=st.sampled_from("DDDX"))
    def consumed(self, digest):
        may = self.state == "approved" and digest == "D" and self.now < self.use_by
        self.happens(life.Consumed(digest, self.now), may, "executed")

    @rule()
    def lapsed(self):
        may = self.state == "approved" and self.now >= self.use_by
        self.happens(life.Lapsed(self.now), may, "expired")

    @rule()
    def finished_(self):
        may = self.state == "executed" and not self.finished
        if self.happens(life.Finished(), may):
            self.finished = True

    @precondition(lambda self: self.request is not None)
    @invariant()
    def it_is_what_the_model_says(self):
        assert self.request.state == self.state
        assert set(self.request.approvals) == self.yes
        assert set(self.request.denials) == self.no
        assert self.request.is_finished == self.finished
        assert self.request.deny_after == self.deny_after
        assert (self.request.observed, self.request.observing) == (self.observed, self.observing)
        assert (self.request.broken_by, self.request.glass) == (self.broken_by, self.glass)

    @invariant()
    def nobody_passes_for_a_quorum_that_was_none(self):
        """What ran without its quorum says so to its end: observed, or by one person who is reviewed by another."""
        if self.states and self.states[-1] in {"approved", "executed"} and self.states[0] == "pending":
            complete = len(self.yes) >= self.need and len(self.no) < self.deny_after
            assert complete or self.request.broken_by is not None
            assert self.request.observed is None

    @invariant()
    def one_terminal_transition_ever(self):
        assert sum(state in TERMINAL for state in self.states) <= 1
        assert len(set(self.states)) == len(self.states)
        if any(state in TERMINAL for state in self.states):
            assert self.states[-1] in TERMINAL


TestLifecycle = Lifecycle.TestCase
TestLifecycle.settings = settings(max_examples=400, stateful_step_count=30, deadline=None)


def asked(**members):
    return life.apply(
        None,
        life.Asked(
            **(
                {
                    "id": "i",
                    "digest": "D",
                    "expires_us": 100,
                    "need": 1,
                    "policy": "P",
                    "requester": "r",
                    "excluded": frozenset(),
                }
                | members
            )
        ),
    )


def test_nothing_is_approved_at_the_very_moment_of_its_expiry():
    request = life.apply(asked(), life.VoteCast("a", "approve", "D", 99))
    assert life.apply(request, life.Approved("D", 99, 200, 1)).state == "approved"
    with pytest.raises(life.IllegalTransition):
        life.apply(request, life.Approved("D", 100, 200, 1))
    with pytest.raises(life.IllegalTransition):
        life.apply(asked(), life.VoteCast("a", "approve", "D", 100))


def test_nothing_is_denied_at_the_very_moment_of_its_expiry():
    request = life.apply(None, life.Asked("c", "D", 10, 1, "p", "req", frozenset()))
    request = life.apply(request, life.VoteCast("a", "deny", "D", 9))
    with pytest.raises(life.IllegalTransition, match="the time to decide has gone by"):
        life.apply(request, life.Denied(10))
    assert life.apply(request, life.Denied(9)).state == "denied"


def test_a_denial_is_not_taken_back():
    assert asked().deny_after == 1  # of what says nothing of it, one denial is the end
    request = life.apply(asked(), life.VoteCast("a", "deny", "D", 1))
    with pytest.raises(life.IllegalTransition):
        life.apply(request, life.VoteCast("a", "approve", "D", 2))


def broken(*before):
    request = asked(need=2, deny_after=2, excluded=frozenset({"o"}))
    for event in before:
        request = life.apply(request, event)
    return life.apply(request, life.GlassBroken("a", "D", 2, 50))


def test_nobody_breaks_the_glass_over_a_denial_nor_reviews_their_own():
    assert (broken().state, broken().broken_by, broken().glass) == ("approved", "a", "open")
    with pytest.raises(life.IllegalTransition, match="somebody denied it"):
        broken(life.VoteCast("b", "deny", "D", 1))
    for who in ("a", "o", "r"):
        with pytest.raises(life.IllegalTransition, match="another person reviews"):
            life.apply(broken(), life.GlassReviewed(who, "D", "justified"))


def test_a_review_is_given_once_and_also_after_the_command_ran():
    ran = life.apply(broken(), life.Consumed("D", 3))
    reviewed = life.apply(ran, life.GlassReviewed("b", "D", "unjustified"))
    assert (reviewed.state, reviewed.glass) == ("executed", "unjustified")
    with pytest.raises(life.IllegalTransition, match="no review is open"):
        life.apply(reviewed, life.GlassReviewed("c", "D", "justified"))


def test_one_denial_of_two_lets_a_quorum_decide_and_two_end_it():
    request = asked(deny_after=2)
    for who, decision in (("a", "deny"), ("b", "approve")):
        request = life.apply(request, life.VoteCast(who, decision, "D", 1))
    assert life.apply(request, life.Approved("D", 2, 50, 1)).state == "approved"
    with pytest.raises(life.IllegalTransition, match="too few"):
        life.apply(request, life.Denied(2))
    request = life.apply(request, life.VoteCast("b", "deny", "D", 2))
    assert life.apply(request, life.Denied(3)).state == "denied"
    with pytest.raises(life.IllegalTransition):
        life.apply(request, life.Approved("D", 3, 50, 0))


def test_what_was_only_observed_is_used_and_reviewed_by_nobody():
    request = life.apply(None, life.Observed("i", "D", "P", "r", 50, "deny", 0, "time"))
    assert (request.state, request.observed, request.observing) == ("approved", "deny", "time")
    for event in (life.GlassReviewed("a", "D", "justified"), life.VoteCast("a", "approve", "D", 1), life.Denied(1)):
        with pytest.raises(life.IllegalTransition):
            life.apply(request, event)
    assert life.apply(request, life.Consumed("D", 49)).observed == "deny"
    with pytest.raises(life.IllegalTransition):
        life.apply(request, life.Consumed("D", 50))
