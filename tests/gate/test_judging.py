"""A policy that fails, is silent or blocks denies by its name."""

import asyncio
import time

import pytest

from failgate.base.errors import Unprocessable
from failgate.gate.judging import Snapshots, Unfinished, begin, judge_all
from failgate.gate.policy import CommandContext, Finding
from failgate.gate.terms import Escalation, Group, Terms
from failgate.testing import command

CONTEXT = CommandContext("w", None, None, 0)
ASK = Finding("ask", "people", need=1)


class Policy:
    def __init__(self, judge, snapshot=dict) -> None:
        self.judge_ = judge
        self.snapshot_ = snapshot

    async def judge(self, command, context):
        answer = self.judge_()
        return await answer if asyncio.iscoroutine(answer) else answer

    def snapshot(self, workspace_id):
        return self.snapshot_()


async def judged(judge, seconds=0.05):
    return (await judge_all({"p": Policy(judge)}, command(), CONTEXT, seconds))[0][1]


def block():
    time.sleep(0.1)
    return ASK


def fail():
    raise ZeroDivisionError


async def slow():
    await asyncio.sleep(60)


async def soon():
    await asyncio.sleep(0)
    await asyncio.sleep(0.001)
    return ASK


async def impatient():
    try:
        async with asyncio.timeout(0.001):
            await asyncio.sleep(60)
    except TimeoutError:
        return ASK


async def fails_later():
    await asyncio.sleep(0)
    raise ZeroDivisionError


async def test_a_policy_s_time_begins_when_it_is_asked():
    """The time of one that was late, failed or blocked is not counted against the next."""
    late = {"blocks": Policy(block), "slow": Policy(slow), "fails": Policy(lambda: block() and fail())}
    asked: dict[str, Policy] = {}
    for name, policy in late.items():
        asked |= {name: policy, f"after {name}": Policy(lambda: ASK)}
    found = dict(await judge_all(asked, command(), CONTEXT, 0.05))
    assert {name: finding.says for name, finding in found.items()} == {
        name: "ask" if name.startswith("after") else "deny" for name in asked
    }


@pytest.mark.parametrize("judge", [lambda: ASK, soon, impatient])
async def test_a_policy_that_answers_is_heard(judge):
    assert await judged(judge, 2) == ASK


@pytest.mark.parametrize(
    "judge", [block, fail, slow, fails_later, lambda: None, lambda: "allow", lambda: Finding("ALLOW", "x")]
)
async def test_a_policy_that_does_not_answer_denies(judge):
    finding = await judged(judge)
    assert finding.says == "deny"
    assert "policy p" in finding.reason


@pytest.mark.parametrize("need", [-1, 101, True, "1", 1.0])
async def test_a_need_that_is_no_number_of_people_denies(need):
    assert (await judged(lambda: Finding("ask", "x", need=need))).says == "deny"


@pytest.mark.parametrize(
    "members",
    [
        {"score": 101}, {"score": -1}, {"score": True}, {"score": "9"}, {"reasons": ["a"]}, {"reasons": (1,)},
        {"terms": None}, {"terms": {}}, {"terms": Terms(deny_after=0)}, {"terms": Terms(use_within_seconds=0)},
        {"terms": Terms(challenge="shout")}, {"terms": Terms(decide_within_seconds=90_000)},
        {"terms": Terms(escalations=(Escalation(30, "nobody"),))},
        {"terms": Terms(escalations=(Escalation(0, "now", ("owner",)),))},
        {"terms": Terms(escalations=(Escalation(30, "", ("owner",)),))},
        {"terms": Terms(escalations=(Escalation(30, "x" * 101, ("owner",)),))},
        {"terms": Terms(escalations=(Escalation(30, "a\u202eb", ("owner",)),))},
        {"terms": Terms(escalations=tuple(Escalation(n, "x", ("owner",)) for n in range(1, 22)))},
        {"terms": Terms(groups=(Group("nobody"),))}, {"terms": Terms(groups=(Group("all", 101, ("owner",)),))},
    ],
)  # fmt: skip
async def test_a_rating_or_terms_that_cannot_be_met_deny(members):
    assert (await judged(lambda: Finding("ask", "x", need=1, **members))).says == "deny"


async def test_being_cancelled_reaches_the_policy_and_the_caller():
    was_cancelled = []

    async def patient():
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            was_cancelled.append(True)
            raise

    task = asyncio.create_task(judged(patient, 60))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert was_cancelled == [True]


async def test_an_answer_that_is_a_future_is_awaited():
    future = asyncio.get_running_loop().create_future()
    future.set_result(3)
    unfinished = begin(future)
    assert isinstance(unfinished, Unfinished)
    assert await unfinished.within(1) == 3


def test_a_snapshot_changes_when_a_policy_s_settings_do_even_in_place():
    settings = {"need": 1, "groups": ["a"]}
    snapshots = Snapshots({"q": Policy(None, lambda: settings)})
    first = snapshots.take("w")
    assert snapshots.take("w") == first
    settings["groups"].append("b")
    assert snapshots.take("w") != first
    assert snapshots.take("w")[0] == '{"q":{"groups":["a","b"],"need":1}}'


def test_a_snapshot_without_canonical_form_is_refused():
    with pytest.raises(Unprocessable):
        Snapshots({"q": Policy(None, lambda: {"a": 1.5})}).take("w")
    with pytest.raises(Unprocessable, match="q"):
        Snapshots({"q": Policy(None, fail)}).take("w")
