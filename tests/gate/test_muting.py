"""Deny and mute: what an agent asks again and again is denied at once, with the reviewer's reason, for a time. B8"""

import asyncio
import contextlib

import pytest

from failgate.access.principal import Principal
from failgate.audit.record import Actor
from failgate.base.errors import Conflict, Forbidden, NotFound, StepUpRequired, TooManyRequests, Unprocessable
from failgate.base.idempotency import request_key
from failgate.base.ids import new_id
from failgate.gate.mutes import MOST_OF_ONE, Mute
from failgate.gate.parts import GateLimits
from failgate.gate.policy import Finding
from failgate.gate.terms import Terms
from failgate.gate.verification import verify_gate
from failgate.wire.gate import CommandView, Rule, Vote
from tests.gate.conftest import House, agent, command, submission


async def muted(
    house: House, person: Principal, view: CommandView, what: str = "same", minutes: int = 60, key=None, **members
) -> Mute:
    vote = Vote("deny", members.pop("digest", view.digest), note=members.pop("note", "enough"), **members)
    return await house.gate.muting.mute(person, house.workspace, view.id, vote, what, minutes, key)


async def records(house: House, act: str) -> list[dict]:
    found = await house.audit.newest(house.workspace, limit=1000)
    return [one.record for one in reversed(found) if one.record["act"] == act]


async def test_what_is_asked_again_is_denied_at_once_with_the_reason_and_the_record_names_the_mute(house: House):
    bot, mara = agent(), await house.person()
    first = await house.submit(bot, "make", "deploy")
    mute = await muted(house, mara, first, note="not on Fridays")
    assert await house.acts(first) == ["command.created", "vote.cast", "command.denied"]
    again = await house.submit(bot, "make", "deploy")
    assert (again.state, again.verdict.by, again.votes) == ("denied", ["mute"], [])
    assert again.verdict.note.endswith("UTC: not on Fridays")
    assert again.id != first.id
    [refused] = await records(house, "command.refused")
    assert (refused["obj"]["id"], refused["data"]["mute"]) == (again.id, mute.id)
    [begun] = await records(house, "mute.begun")
    assert begun["actor"]["id"] == mara.account_id
    assert (begun["data"]["agent"], begun["data"]["command"]) == (bot.id, first.id)
    [shown] = await house.gate.muting.mutes.running(house.workspace)
    assert (shown.denied, shown.reason, shown.requester_label) == (1, "not on Fridays", "deploy-bot")
    assert await verify_gate(house.db, house.audit, house.allowlist) == []


async def test_only_the_same_words_folder_and_host_of_that_agent_are_muted(house: House):
    bot, mara = agent(), await house.person()
    await muted(house, mara, await house.submit(bot, "make", "deploy"))
    for other in (("make",), ("make", "deploy", "-n")):
        assert (await house.submit(bot, *other)).state == "pending"
    assert (await house.submit(agent(), "make", "deploy")).state == "pending"
    for members in ({"cwd": "/srv/other"}, {"host": "build-2"}):
        raw = command("make", "deploy", **members)
        assert (await house.gate.submit(bot, house.workspace, submission(raw))).state == "pending"


async def test_a_program_is_muted_with_whatever_arguments_and_what_waits_already_is_denied_too(house: House):
    bot, mara = agent(), await house.person()
    first = await house.submit(bot, "curl", "https://a.example")
    waiting = [await house.submit(bot, "curl", "https://b.example"), await house.submit(bot, "wget", "x")]
    elsewhere = await house.submit(agent(), "curl", "https://b.example")
    await muted(house, mara, first, "program")
    assert [await house.state(one) for one in [*waiting, elsewhere]] == ["denied", "pending", "pending"]
    assert (await house.submit(bot, "/usr/bin/curl", "-T", "x")).state == "denied"
    assert (await house.submit(bot, "wget", "y")).state == "pending"


async def test_what_a_rule_lets_pass_passes_also_when_its_program_is_muted(house: House):
    bot, mara, owner = agent(), await house.person(), await house.person("owner")
    await muted(house, mara, await house.submit(bot, "git", "push"), "program")
    await house.rules.create(
        Actor.of(owner), house.workspace, Rule(kind="exact", effect="allow", argv=["git", "status"])
    )
    assert (await house.submit(bot, "git", "status")).state == "approved"
    assert (await house.submit(bot, "git", "push")).state == "denied"


async def test_it_is_over_after_its_time_and_survives_a_restart_until_then(house: House):
    bot, mara = agent(), await house.person()
    await muted(house, mara, await house.submit(bot, "make"), minutes=10)
    house.clock.advance(599)
    await house.restart()
    assert (await house.submit(bot, "make")).state == "denied"
    house.clock.advance(1)
    assert (await house.submit(bot, "make")).state == "pending"
    assert await house.gate.muting.mutes.running(house.workspace) == []
    [past] = await house.gate.muting.mutes.newest(house.workspace)
    assert (past.denied, past.ended_us) == (1, None)


async def test_another_reviewer_unmutes_it_and_people_are_asked_again(house: House):
    bot, mara = agent(), await house.person()
    mute = await muted(house, mara, await house.submit(bot, "make"))
    await house.submit(bot, "make")
    other = await house.person("admin")
    await house.gate.muting.unmute(other, house.workspace, mute.id)
    assert (await house.submit(bot, "make")).state == "pending"
    [ended] = await records(house, "mute.ended")
    assert (ended["actor"]["id"], ended["data"]) == (other.account_id, {"agent": bot.id, "denied": 1})
    await house.restart()
    assert (await house.submit(bot, "make")).state == "pending"
    with pytest.raises(NotFound):
        await house.gate.muting.unmute(other, house.workspace, mute.id)


async def test_who_may_not_decide_on_the_agent_mutes_and_unmutes_nothing(house: House):
    mara, owner = await house.person(), await house.person("owner")
    bot = agent(owner.account_id)
    view = await house.submit(bot, "make")
    keyed = Principal(kind="api_key", account_id=mara.account_id, auth=("token",), label="key")
    cases = (
        (owner, Forbidden), (await house.person("developer"), Forbidden), (keyed, Forbidden), (bot, Forbidden),
        (await house.person(factor=False), Forbidden),
        (Principal(kind="user", account_id=mara.account_id, session_id="s", label="m"), StepUpRequired),
    )  # fmt: skip
    for someone, error in cases:
        with pytest.raises(error):
            await muted(house, someone, view)
    assert (await house.state(view), await records(house, "mute.begun")) == ("pending", [])
    mute = await muted(house, mara, view)
    for someone, error in cases:
        with pytest.raises(error):
            await house.gate.muting.unmute(someone, house.workspace, mute.id)
    assert (await house.submit(bot, "make")).state == "denied"
    for nothing in (new_id(), "x"):
        with pytest.raises(NotFound):
            await house.gate.muting.unmute(mara, house.workspace, nothing)
    with pytest.raises(NotFound):
        await house.gate.muting.unmute(mara, new_id(), mute.id)


@pytest.mark.parametrize("wrong", [{"minutes": 0}, {"minutes": 1441}, {"wants_changes": True}])
async def test_what_cannot_be_meant_mutes_and_denies_nothing(house: House, wrong):
    view, mara = await house.submit(agent(), "make"), await house.person()
    with pytest.raises(Unprocessable):
        await muted(house, mara, view, **wrong)
    with pytest.raises(Conflict):
        await muted(house, mara, view, digest="x" * 43)
    assert (await house.state(view), await house.gate.muting.mutes.newest(house.workspace)) == ("pending", [])


async def test_where_two_have_to_deny_one_mutes_nothing_and_no_mute_denies_for_them(house: House):
    class Two:
        async def judge(self, command, context):
            return Finding("ask", "two", terms=Terms(deny_after=2 if "both" in command.argv else None))

        def snapshot(self, workspace_id):
            return {}

    await house.restart(extra={"two": Two()})
    bot, mara = agent(), await house.person()
    view = await house.submit(bot, "make", "both")
    with pytest.raises(Conflict, match="2 people have to deny"):
        await muted(house, mara, view)
    assert (await house.state(view), await records(house, "vote.cast")) == ("pending", [])
    await muted(house, mara, await house.submit(bot, "make"), "program")
    assert (await house.submit(bot, "make", "x")).state == "denied"
    assert (await house.submit(bot, "make", "both", "y")).state == "pending"


async def test_what_is_muted_is_denied_also_while_the_workspace_only_observes(house: House):
    bot, mara, owner = agent(), await house.person(), await house.person("owner")
    view = await house.submit(bot, "make")
    await house.gate.observing.begin(owner, house.workspace, days=1, denials=True)
    await muted(house, mara, view)
    again = await house.submit(bot, "make")
    assert (again.state, again.observed) == ("denied", None)
    assert (await house.submit(bot, "ls")).observed is not None


async def test_explaining_says_that_it_is_muted_and_counts_nothing(house: House):
    bot, mara = agent(), await house.person()
    await muted(house, mara, await house.submit(bot, "make"))
    said = await house.gate.explain(bot, house.workspace, command("make"))
    assert (said.decision, said.findings[-1].policy) == ("deny", "mute")
    [shown] = await house.gate.muting.mutes.running(house.workspace)
    assert shown.denied == 0


async def test_asked_again_with_its_key_it_is_the_same_and_so_much_of_one_agent_is_muted(house: House):
    bot, mara = agent(), await house.person()
    view = await house.submit(bot, "make")
    key = request_key("k", mara.id, ("commands.mute", house.workspace), [view.id])
    first = await muted(house, mara, view, key=key)
    assert await muted(house, mara, view, key=key) == first
    assert len(await records(house, "mute.begun")) == 1
    views = [await house.submit(bot, "make", str(number)) for number in range(MOST_OF_ONE)]
    for one in views[:-1]:
        await muted(house, mara, one)
    with pytest.raises(Conflict, match="muted already"):
        await muted(house, mara, views[-1])
    assert await house.state(views[-1]) == "pending"


async def test_one_agent_asks_people_so_often_within_a_minute_and_rules_still_answer_it(house: House):
    await house.restart(limits=GateLimits(asked_each=3))
    owner, bot = await house.person("owner"), agent()
    await house.rules.create(Actor.of(owner), house.workspace, Rule(kind="exact", effect="allow", argv=["ls"]))
    for _ in range(3):
        view = await house.submit(bot, "make")
        await house.gate.cancel(bot, house.workspace, view.id)  # what waits is not what is counted
    with pytest.raises(TooManyRequests, match="3 commands within a minute") as refused:
        await house.submit(bot, "make")
    assert refused.value.retry_after_seconds == 20
    assert (await house.submit(bot, "ls")).state == "approved"
    assert (await house.submit(agent(), "make")).state == "pending"
    house.clock.advance(20)
    assert (await house.submit(bot, "make")).state == "pending"
    with pytest.raises(TooManyRequests):
        await house.submit(bot, "make")


async def test_an_agent_that_asks_too_often_is_on_record_once_a_minute(house: House):
    """So that nobody floods the people unseen, nor the log with its refusals."""
    await house.restart(limits=GateLimits(asked_each=3))
    bot, other = agent(), agent()
    for each in (bot, other):
        for _ in range(3):
            await house.submit(each, "make")
        assert await records(house, "asking.refused") == []
    for _ in range(50):
        with pytest.raises(TooManyRequests):
            await house.submit(bot, "make")
    [told] = await records(house, "asking.refused")
    assert (told["obj"], told["actor"]["t"], told["actor"]["id"]) == (
        {"t": "agent", "id": bot.agent_id}, "agent", bot.agent_id,
    )  # fmt: skip
    assert (told["out"], told["data"]) == ("deny", {"reason": "too often", "per_minute": 3})
    with pytest.raises(TooManyRequests):
        await house.submit(other, "make")
    assert [one["obj"]["id"] for one in await records(house, "asking.refused")] == [bot.agent_id, other.agent_id]
    for seconds, expected in ((59, 2), (1, 3)):  # one comes back each twenty seconds, and is taken
        house.clock.advance(seconds)
        for _ in range(9):
            with contextlib.suppress(TooManyRequests):
                await house.submit(bot, "make")
        assert len(await records(house, "asking.refused")) == expected
    assert await verify_gate(house.db, house.audit, house.allowlist) == []


async def test_one_person_approves_so_often_within_a_minute_whatever_sessions_they_have(house: House):
    await house.restart(limits=GateLimits(approved_each=2))
    mara, bot = await house.person(), agent()
    sessions = [Principal(**{**vars_of(mara), "session_id": f"s{number}"}) for number in range(4)]
    views = [await house.submit(bot, "make", str(number)) for number in range(5)]
    for session, view in zip(sessions[:2], views, strict=False):
        assert (await house.vote(session, view)).state == "approved"
    for session, view in zip(sessions[2:], views[2:], strict=False):
        with pytest.raises(TooManyRequests, match="2 requests within a minute"):
            await house.vote(session, view)
    [told] = await records(house, "vote.refused")  # once a minute, so that a script fills no log
    assert (told["data"]["command"], told["data"]["reason"]) == (views[2].id, "too often")
    assert (await house.vote(mara, views[2], "deny")).state == "denied"
    assert (await house.vote(await house.person(), views[3])).state == "approved"
    house.clock.advance(30)
    assert (await house.vote(mara, views[4])).state == "approved"


def vars_of(person: Principal) -> dict:
    return {name: getattr(person, name) for name in ("kind", "account_id", "second_factor_us", "auth", "label")}


async def test_of_two_who_unmute_at_once_one_does(house: House):
    mara = await house.person()
    mute = await muted(house, mara, await house.submit(agent(), "make"))
    async with house.unmoved("gate_mute"):
        with pytest.raises(NotFound) as none_runs:
            await house.gate.muting.unmute(mara, house.workspace, mute.id)
    assert str(none_runs.value) == "Nothing of this id is muted. Its time may be over, or somebody unmuted it."
    assert await records(house, "mute.ended") == []
    assert await house.gate.muting.mutes.running(house.workspace) == [mute]
    ended = await asyncio.gather(
        *(house.gate.muting.unmute(mara, house.workspace, mute.id) for _ in range(3)), return_exceptions=True
    )
    assert sorted(type(one).__name__ for one in ended) == ["NoneType", "NotFound", "NotFound"]
    assert len(await records(house, "mute.ended")) == 1
    assert await house.gate.muting.mutes.running(house.workspace) == []


async def test_the_same_request_sent_twice_at_once_mutes_once(house: House):
    mara, view = await house.person(), await house.submit(agent(), "make")
    key = request_key("k", mara.id, ("commands.mute", house.workspace), [view.id])
    made = await asyncio.gather(*(muted(house, mara, view, key=key) for _ in range(3)))
    assert {one.id for one in made} == {made[0].id}
    assert len(await records(house, "mute.begun")) == 1
    assert (await house.acts(view)).count("vote.cast") == 1


async def test_what_is_over_gives_its_room_back(house: House):
    """As many as may be muted are, and all but one end by themselves."""
    bot, mara = agent(), await house.person()
    for number in range(MOST_OF_ONE):
        await muted(house, mara, await house.submit(bot, "make", str(number)), minutes=1 if number else 60)
    house.clock.advance(60)
    last = await muted(house, mara, await house.submit(bot, "make", "again"))
    [(_, known)] = house.gate._parts.mutes._known.items()
    assert (len(known), last.id in known) == (2, True)
    assert (await house.submit(bot, "make", "0")).state == "denied"
    assert (await house.submit(bot, "make", "1")).state == "pending"
    await house.gate.muting.unmute(mara, house.workspace, last.id)
    assert (await house.submit(bot, "make", "0")).state == "denied", "the other one stays"
