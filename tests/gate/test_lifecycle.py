"""The life of a request against a simple model of it. E5 E8."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

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

    @rule(seconds=st.integers(0, 30))
    def time_passes(self, seconds):
        self.now += seconds

    @rule(need=st.integers(0, 3), ttl=st.integers(1, 60))
    def asked(self, need, ttl):
        event = life.Asked("id", "D", self.now + ttl, need, "P", "req", frozenset({"own"}))
        if self.happens(event, self.state is None and need >= 1, "pending"):
            self.expires, self.need = self.now + ttl, need

    @rule(window=st.integers(1, 40))
    def allowed(self, window):
        if self.happens(life.Allowed("id", "D", "P", "req", self.now + window), self.state is None, "approved"):
            self.use_by = self.now + window

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
            and not self.no
            and self.need <= counted <= len(self.yes)
        )
        if self.happens(life.Approved(digest, self.now, self.now + 20, counted), may, "approved"):
            self.use_by = self.now + 20

    @rule()
    def denied(self):
        may = self.state == "pending" and bool(self.no) and self.now < self.expires
        self.happens(life.Denied(self.now), may, "denied")

    @rule()
    def expired(self):
        may = self.state == "pending" and self.now >= self.expires
        self.happens(life.Expired(self.now), may, "expired")

    @rule()
    def cancelled(self):
        self.happens(life.Cancelled(self.now), self.state == "pending", "cancelled")

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

    @rule()
    def quarantined(self):
        self.happens(life.Quarantined(), self.state == "pending", "quarantined")

    @precondition(lambda self: self.request is not None)
    @invariant()
    def it_is_what_the_model_says(self):
        assert self.request.state == self.state
        assert set(self.request.approvals) == self.yes
        assert set(self.request.denials) == self.no
        assert self.request.is_finished == self.finished

    @invariant()
    def one_terminal_transition_ever(self):
        assert sum(state in TERMINAL for state in self.states) <= 1
        assert len(set(self.states)) == len(self.states)
        if any(state in TERMINAL for state in self.states):
            assert self.states[-1] in TERMINAL


TestLifecycle = Lifecycle.TestCase
TestLifecycle.settings = settings(max_examples=300, stateful_step_count=30, deadline=None)


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


def test_a_denial_is_not_taken_back():
    request = life.apply(asked(), life.VoteCast("a", "deny", "D", 1))
    with pytest.raises(life.IllegalTransition):
        life.apply(request, life.VoteCast("a", "approve", "D", 2))
