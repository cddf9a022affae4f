"""The rules of RFC 8628, for every order in which things may happen."""

import math
import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from failgate.accounts import device_grant
from failgate.accounts.device_grant import Pace, decide, poll, read_user_code, shown_user_code
from failgate.base.errors import Conflict

SECOND = 1_000_000


class DeviceFlow(RuleBasedStateMachine):
    """A client that polls as it likes, people who decide as they like, and time."""

    def __init__(self) -> None:
        super().__init__()
        self.now_us = 1_700_000_000 * SECOND
        self.began_us = self.now_us
        self.grant = device_grant.begin(self.now_us)
        self.pace = Pace()
        self.decision: str | None = None
        self.granted = 0
        self.slowed = 0
        self.polled_us: int | None = None

    @property
    def is_over(self) -> bool:
        return self.now_us - self.began_us >= 600 * SECOND

    @rule(seconds=st.floats(0, 30) | st.sampled_from([4.4, 4.5, 5, 599.999, 600]))
    def wait(self, seconds: float) -> None:
        self.now_us += round(seconds * SECOND)

    @rule(decision=st.sampled_from(["approve", "deny"]))
    def decide(self, decision) -> None:
        if self.decision is not None or self.is_over:
            with pytest.raises(Conflict):
                decide(self.grant, decision, self.now_us)
            return
        self.grant = decide(self.grant, decision, self.now_us)
        self.decision = decision

    @rule()
    def poll(self) -> None:
        before, interval = self.grant, self.pace.interval_seconds
        is_too_fast = self.polled_us is not None and self.now_us - self.polled_us < (interval - 0.5) * SECOND
        self.grant, self.pace, answer = poll(self.grant, self.pace, self.now_us)
        self.polled_us = self.now_us
        if answer == "granted":
            self.granted += 1
            assert self.decision == "approve"
            assert not self.is_over
            assert self.grant.state == "used"
            return
        assert self.grant == before, "a poll that grants nothing changes nothing"
        expected = {"used": "invalid_grant"}.get(before.state) or (
            "expired_token" if self.is_over else
            {"denied": "access_denied", "pending": "slow_down" if is_too_fast else "authorization_pending"}[before.state]
        )  # fmt: skip
        assert answer == expected
        assert self.pace.interval_seconds == interval + (5 if answer == "slow_down" else 0)

    @precondition(lambda self: self.granted)
    @rule()
    def poll_again(self) -> None:
        assert poll(self.grant, self.pace, self.now_us)[2] == "invalid_grant"

    @invariant()
    def at_most_one_grant(self) -> None:
        assert self.granted <= 1
        assert self.granted == 0 or self.decision == "approve"
        assert self.decision != "deny" or self.grant.state == "denied"


# Runs of up to 12 steps each; what fails here is shrunk to the shortest story.
TestDeviceFlow = DeviceFlow.TestCase
TestDeviceFlow.settings = settings(max_examples=300, stateful_step_count=12, deadline=None, database=None)


def test_ten_thousand_stories_of_twelve_steps_never_grant_twice_or_unasked() -> None:
    """F9: the same machine, walked without the search, which costs a hundred times the walk."""
    chance = random.Random(0xF9)
    granted = expired = denied = slowed = 0
    for _ in range(10_000):
        flow = DeviceFlow()
        for _ in range(12):
            step = chance.choice([flow.decide, flow.poll, flow.poll, flow.wait, flow.wait])
            if step == flow.wait:
                step(seconds=chance.choice([chance.uniform(0, 30), 4.4, 4.5, 5, 599.999, 600]))
            elif step == flow.decide:
                step(decision=chance.choice(["approve", "deny"]))
            else:
                step()
            if flow.granted:
                flow.poll_again()
            flow.at_most_one_grant()
        granted += flow.granted
        expired += flow.is_over
        denied += flow.decision == "deny"
        slowed += flow.pace.interval_seconds > 5
    assert min(granted, expired, denied, slowed) > 500  # each ending was met


@given(st.integers(0, 700), st.integers(-10_000, 10_000))
def test_no_clock_makes_a_grant_without_an_approval(age: int, step: int) -> None:
    grant, pace, answer = poll(device_grant.begin(0), Pace(polled_us=step * SECOND), age * SECOND)
    assert answer in {"authorization_pending", "slow_down", "expired_token"}
    assert grant.state == "pending"
    assert pace.polled_us == age * SECOND


def test_a_user_code_is_eight_letters_that_nobody_misreads() -> None:
    codes = {device_grant.new_user_code() for _ in range(2000)}
    assert len(codes) == 2000
    assert all(re.fullmatch("[BCDFGHJKLMNPQRSTVWXZ]{8}", code) for code in codes)
    assert set("".join(codes)) == set("BCDFGHJKLMNPQRSTVWXZ")
    assert math.log2(len(device_grant.ALPHABET) ** 8) > 34.5
    assert shown_user_code("BCDFGHJK") == "BCDF-GHJK"


def test_a_device_code_has_256_bits() -> None:
    assert re.fullmatch(r"[\w-]{43}", device_grant.new_device_code())


@pytest.mark.parametrize("text", ["BCDF-GHJK", "bcdfghjk", " bcdf ghjk ", "BCDF--GHJK", "b c d f g h j k"])
def test_a_code_is_read_as_people_type_it(text: str) -> None:
    assert read_user_code(text) == "BCDFGHJK"


@pytest.mark.parametrize(
    "text",
    ["", "BCDF-GHJ", "BCDF-GHJKL", "ACDF-GHJK", "BCDF_GHJK", "ＢＣＤＦＧＨＪＫ", "BCDF-GHJ1", "B" * 65, "ſCDFGHJK"],
)
def test_what_is_no_code_is_not_read_as_one(text: str) -> None:
    assert read_user_code(text) is None
