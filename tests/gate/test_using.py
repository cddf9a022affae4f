"""An approval is used for the call that it was given to, and for no other. # E5 E8 P4"""

import asyncio
from dataclasses import replace

import pytest

from failgate.base.errors import Conflict, Unprocessable
from failgate.gate.using import Using
from failgate.gate.verification import verify_gate
from failgate.wire.gate import Consume, Outcome
from tests.gate.conftest import EXPIRED, House, agent, refused


async def test_something_else_about_to_be_executed_is_refused_audited_once_and_changes_nothing(house):
    bot = agent()
    view = await house.submit(bot)
    with pytest.raises(Conflict):
        await house.gate.consume(bot, house.workspace, view.id, Consume(digest="A" * 43))
    assert "command.mismatched" not in await house.acts(view)  # nobody has approved anything yet
    await house.vote(await house.person(), view)
    for digest in ("B" * 43, "another-call", "rm -rf /; a text of the agent", ""):
        with pytest.raises(Conflict):
            await house.gate.consume(bot, house.workspace, view.id, Consume(digest=digest))
    assert (await house.acts(view)).count("command.mismatched") == 1
    records = await house.audit.newest(house.workspace, limit=1000, obj_id=view.id)
    [noted] = [one.record for one in records if one.record["act"] == "command.mismatched"]
    assert (noted["data"], noted["out"]) == ({"digest": view.digest, "digest_found": "B" * 43}, "deny")
    assert (await house.consume(bot, view)).state == "executed"
    assert await verify_gate(house.db, house.audit) == []


async def test_no_text_of_an_agent_gets_into_the_record(house):
    bot = agent()
    view = await house.submit(bot)
    await house.vote(await house.person(), view)
    with pytest.raises(Conflict):
        await house.gate.consume(bot, house.workspace, view.id, Consume(digest="a text of the agent"))
    records = await house.audit.newest(house.workspace, limit=1000, obj_id=view.id)
    assert [one.record["data"] for one in records if one.record["act"] == "command.mismatched"] == [
        {"digest": view.digest}
    ]


async def approved(house: House, **members):
    bot = agent()
    view = await house.submit(bot, **members)
    return bot, await house.vote(await house.person(), view)


async def test_an_approval_whose_time_goes_by_while_it_is_proven_lets_nothing_run(house):
    bot, view = await approved(house)
    house.clock.advance(59)
    with house.slow(2), pytest.raises(Conflict) as late:
        await house.consume(bot, view)
    assert (str(late.value), late.value.facts) == (EXPIRED, {"state": "expired"})
    assert await house.acts(view) == ["command.created", "vote.cast", "command.approved", "command.expired"]
    assert await verify_gate(house.db, house.audit) == []


async def test_an_approval_that_somebody_else_used_first_lets_nothing_run(house):
    bot, view = await approved(house)
    async with house.unmoved("gate_command"):
        words = "The command is approved. Submit it again if it is still wanted."
        await refused(house, view, lambda: house.consume(bot, view), words, state="approved")
    assert (await house.consume(bot, view)).state == "executed"


async def test_many_that_come_too_late_write_one_expiry(house):
    bot, view = await approved(house)
    house.clock.advance(60)
    ended = await asyncio.gather(*(house.consume(bot, view) for _ in range(4)), return_exceptions=True)
    assert [(type(one), str(one)) for one in ended] == [(Conflict, EXPIRED)] * 4
    assert (await house.acts(view)).count("command.expired") == 1
    assert await verify_gate(house.db, house.audit) == []


async def test_what_was_only_observed_does_not_run_where_nothing_observes(house):
    bot = agent()
    await house.gate.observing.begin(await house.person("owner"), house.workspace, days=1)
    view = await house.submit(bot)
    blind = Using(replace(house.gate._parts, observing=None))
    words = "The command is approved. Submit it again if it is still wanted."

    async def use():
        await blind.consume(bot, house.workspace, view.id, Consume(view.digest), house.db.write)

    await refused(house, view, use, words, state="approved")
    assert (await house.consume(bot, view)).state == "executed"


async def told(house: House, bot, view, **members):
    wish = Outcome(**{"digest": view.digest, "exit_code": 0, "duration_ms": 1} | members)
    return await house.gate.outcome(bot, house.workspace, view.id, wish)


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"exit_code": 2**31}, "exit_code is no exit code. Send a 32-bit integer."),
        ({"exit_code": -(2**31) - 1}, "exit_code is no exit code. Send a 32-bit integer."),
        ({"duration_ms": -1}, "duration_ms is no duration. Send whole milliseconds, not negative."),
        ({"duration_ms": 2**53}, "duration_ms is no duration. Send whole milliseconds, not negative."),
        ({"signal": 0}, "signal is no signal number. Send a number between 1 and 128."),
        ({"signal": 129}, "signal is no signal number. Send a number between 1 and 128."),
        ({"report_id": "x"}, "report_id is no identifier. Send the id that POST reports answered."),
    ],
)
async def test_an_outcome_that_cannot_be_is_not_kept(house, wish, words):
    bot, view = await approved(house)
    await house.consume(bot, view)
    await refused(house, view, lambda: told(house, bot, view, **wish), words, Unprocessable, None)
    assert (await told(house, bot, view, exit_code=-(2**31), duration_ms=2**53 - 1, signal=128)).state == "executed"


async def test_an_outcome_is_of_what_was_executed_and_kept_once(house):
    bot, view = await approved(house)
    words = "The command is approved. Submit it again if it is still wanted."
    await refused(house, view, lambda: told(house, bot, view), words, state="approved")
    await house.consume(bot, view)
    async with house.unmoved("gate_command"):
        words = "The command is executed. Submit it again if it is still wanted."
        await refused(house, view, lambda: told(house, bot, view), words, state="executed")
    await told(house, bot, view)
    words = "The outcome of this command is known already."
    await refused(house, view, lambda: told(house, bot, view, exit_code=1), words, state="executed")
