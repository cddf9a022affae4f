"""Nobody approves faster than people read: not at once, not unseen, not many together; denials wait for nothing. ASVS 2.4.2"""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from failgate.access.principal import Principal
from failgate.base.clock import FrozenClock
from failgate.base.ids import new_id
from failgate.gate import pace as pace_module
from failgate.gate.pace import Pace, TooSoon
from failgate.gate.parts import GateLimits
from failgate.gate.terms import CHALLENGES
from failgate.wire.edits import Edit, EditWish
from failgate.wire.gate import CommandView
from tests.gate.conftest import House, agent

READ_US = 500_000


@pytest.fixture
async def hurried(house: House) -> House:
    """The gate with the floor that a server has by default."""
    await house.restart(limits=GateLimits(read_us=READ_US))
    return house


async def opened(house: House, person: Principal, view: CommandView) -> None:
    await house.gate.view(house.workspace, view.id, person)


def later(clock: FrozenClock, us: int) -> None:
    clock.advance(us / 1_000_000)


async def refusals(house: House) -> list[dict[str, Any]]:
    records = await house.audit.newest(house.workspace, limit=1000)
    return [one.record for one in reversed(records) if one.record["act"] == "vote.refused"]


async def test_an_approval_counts_once_the_request_was_shown_for_as_long_as_it_takes_to_read(
    hurried: House, clock: FrozenClock
) -> None:
    ann, view = await hurried.person(), await hurried.submit(agent(), "make")
    await opened(hurried, ann, view)
    for us in (0, READ_US - 1):
        later(clock, us)
        with pytest.raises(TooSoon, match="sooner than anybody reads") as refused:
            await hurried.vote(ann, view)
        assert refused.value.retry_after_seconds == 1
        assert await hurried.state(view) == "pending"
    later(clock, 1)
    assert (await hurried.vote(ann, view)).state == "approved"


async def test_what_was_not_shown_to_this_very_session_is_not_approved_and_may_be_denied(
    hurried: House, clock: FrozenClock
) -> None:
    ann, bob, view = await hurried.person(), await hurried.person(), await hurried.submit(agent(), "make")
    await opened(hurried, bob, view)
    await hurried.gate.page(hurried.workspace)  # a line of a list is not enough
    later(clock, 30_000_000)
    for person in (ann, replace(bob, session_id="another browser")):
        with pytest.raises(TooSoon, match="was not shown to you yet"):
            await hurried.vote(person, view)
    assert (await hurried.vote(ann, view, "deny")).state == "denied"


async def test_a_hundred_that_were_opened_together_are_not_approved_together(
    hurried: House, clock: FrozenClock
) -> None:
    ann, asking = await hurried.person(), agent()
    views = [await hurried.submit(asking, "make", str(number)) for number in range(20)]
    for view in views:
        await opened(hurried, ann, view)
    later(clock, 10 * READ_US)
    answers = await asyncio.gather(*(hurried.vote(ann, view) for view in views), return_exceptions=True)
    assert [type(one) for one in answers].count(TooSoon) == 19
    approved = 1
    while approved < 20:  # as fast as it goes, one after another
        later(clock, READ_US)
        for view in views:
            if await hurried.state(view) == "pending":
                await hurried.vote(ann, view)
                approved += 1
                break


async def test_denials_of_many_wait_for_nothing(hurried: House) -> None:
    ann, asking = await hurried.person(), agent()
    views = [await hurried.submit(asking, "make", str(number)) for number in range(10)]
    await asyncio.gather(*(hurried.vote(ann, view, "deny") for view in views))
    assert [await hurried.state(view) for view in views] == ["denied"] * 10


async def test_a_hasty_approval_is_on_record_once_and_the_next_in_time_counts(
    hurried: House, clock: FrozenClock
) -> None:
    ann, view = await hurried.person(), await hurried.submit(agent(), "make")
    for _ in range(50):
        with pytest.raises(TooSoon):
            await hurried.vote(ann, view)
    await opened(hurried, ann, view)
    later(clock, 120_000)
    other = await hurried.submit(agent(), "make", "more")
    await opened(hurried, ann, other)
    later(clock, 30_000)
    with pytest.raises(TooSoon):
        await hurried.vote(ann, other)
    told = await refusals(hurried)
    assert [one["data"] for one in told] == [
        {"command": view.id, "reason": "not shown", "least_ms": 500},
        {"command": other.id, "reason": "too soon", "after_ms": 30, "least_ms": 500},
    ]
    assert {(one["actor"]["id"], one["obj"]["id"], one["out"]) for one in told} == {(ann.id, ann.id, "deny")}
    later(clock, READ_US)
    assert (await hurried.vote(ann, view)).state == "approved"
    assert await hurried.acts(view) == ["command.created", "vote.cast", "command.approved"]


async def test_after_a_restart_it_has_to_be_opened_anew(hurried: House, clock: FrozenClock) -> None:
    ann, view = await hurried.person(), await hurried.submit(agent(), "make", ttl_seconds=600)
    await opened(hurried, ann, view)
    later(clock, READ_US)
    await hurried.restart()
    with pytest.raises(TooSoon, match="not shown"):
        await hurried.vote(ann, view)
    await opened(hurried, ann, view)
    later(clock, READ_US)
    assert (await hurried.vote(ann, view)).state == "approved"


async def test_an_edited_command_was_shown_when_its_differences_were(hurried: House, clock: FrozenClock) -> None:
    ann, view = await hurried.person(), await hurried.submit(agent(), "make", "all")
    await opened(hurried, ann, view)
    later(clock, 10 * READ_US)
    argv = ["make", "some"]
    trial = await hurried.gate.try_edit(ann, hurried.workspace, view.id, EditWish(digest=view.digest, argv=argv))
    edit = Edit(digest=view.digest, argv=argv, edited_digest=trial.digest)
    with pytest.raises(TooSoon):
        await hurried.gate.edit(ann, hurried.workspace, view.id, edit)
    assert await hurried.state(view) == "pending"
    assert len(await refusals(hurried)) == 1
    later(clock, READ_US)
    assert (await hurried.gate.edit(ann, hurried.workspace, view.id, edit)).state == "approved"


def someone() -> Principal:
    return Principal(kind="user", account_id=new_id(), session_id=new_id(), second_factor_us=1)


def test_each_step_of_the_challenge_takes_as_long_again() -> None:
    pace, ann = Pace(READ_US), someone()
    for number, challenge in enumerate(CHALLENGES):
        digest = str(number)
        at_us = number * 100_000_000
        pace.show(ann, digest, at_us)
        least_us = READ_US * (number + 1)
        with pytest.raises(TooSoon):
            pace.approve(ann, digest, challenge, at_us + least_us - 1)
        pace.approve(ann, digest, challenge, at_us + least_us)


def test_opening_it_again_begins_nothing_anew_and_a_clock_that_went_back_helps_nobody() -> None:
    pace, ann = Pace(READ_US), someone()
    pace.show(ann, "a", 1_000_000)
    pace.show(ann, "a", 1_400_000)
    with pytest.raises(TooSoon):
        pace.approve(ann, "a", "click", 900_000)
    pace.approve(ann, "a", "click", 1_500_000)


def test_what_is_forgotten_has_to_be_opened_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace_module, "MOST_SHOWN", 3)
    pace, ann = Pace(READ_US), someone()
    for number in range(5):
        pace.show(ann, str(number), 0)
    for number in (0, 1):
        with pytest.raises(TooSoon, match="not shown"):
            pace.approve(ann, str(number), "click", 10 * READ_US)
    assert len(pace._shown) == 3


def test_without_a_floor_nothing_has_to_be_shown_and_programs_are_shown_nothing() -> None:
    Pace(0).approve(someone(), "a", "two", 0)
    pace = Pace(READ_US)
    pace.show(agent(), "a", 0)
    assert not pace._shown


def test_a_few_that_take_a_click_are_approved_at_once_and_more_at_a_persons_pace() -> None:
    pace, ann, bob = Pace(READ_US, at_once=3), someone(), someone()
    for number in range(3):
        pace.approve(ann, str(number), "click", 1_000_000)
    with pytest.raises(TooSoon, match="not shown"):
        pace.approve(ann, "3", "click", 1_000_000)
    pace.approve(bob, "3", "click", 1_000_000)  # a session of its own
    pace.approve(ann, "3", "click", 1_000_000 + READ_US)  # one is back
    with pytest.raises(TooSoon):
        pace.approve(ann, "4", "click", 1_000_000 + READ_US)
    at_us = 100_000_000
    for number in range(3):  # no more than three are ever saved up
        pace.approve(ann, f"later {number}", "click", at_us)
    with pytest.raises(TooSoon):
        pace.approve(ann, "later 3", "click", at_us)


@pytest.mark.parametrize("challenge", [one for one in CHALLENGES if one != "click"])
def test_what_takes_more_than_a_click_is_never_among_them(challenge: Any) -> None:
    with pytest.raises(TooSoon, match="not shown"):
        Pace(READ_US, at_once=100).approve(someone(), "a", challenge, 1_000_000)


def test_a_clock_that_went_back_gives_nothing_and_holds_nobody_for_long() -> None:
    pace, ann = Pace(READ_US, at_once=2), someone()
    for _ in range(2):
        pace.approve(ann, "a", "click", 900_000_000)
    with pytest.raises(TooSoon):
        pace.approve(ann, "b", "click", 1_000_000)
    pace.approve(ann, "b", "click", 1_000_000 + READ_US)
