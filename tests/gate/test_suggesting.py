"""Suggestions come from what was approved, cover what they say, and never what was denied."""

from failgate.audit.record import Actor
from tests.gate.conftest import House, agent


async def test_few_rules_answer_most_of_a_week_and_do_when_they_are_made(house: House) -> None:
    bot, mara = agent(), await house.person()
    for number in range(4):
        await house.vote(mara, await house.submit(bot, "ticket", "show", str(number)))
    for _ in range(3):
        await house.vote(mara, await house.submit(bot, "make", "check"))
    await house.vote(mara, await house.submit(bot, "once"))
    await house.vote(mara, await house.submit(bot, "rm", "a"), "deny")
    found = await house.gate.suggestions(house.workspace)
    assert (found.asked, found.answered) == (9, 7)
    assert [(one.wish.how, one.number) for one in found.items] == [("form", 4), ("session", 3)]
    for one in found.items:
        rule, _ = await house.gate.further(house.workspace, one.command_id, bot, one.wish)
        await house.rules.create(Actor("user", "x"), house.workspace, rule)
    assert (await house.submit(bot, "ticket", "show", "99")).state == "approved"
    assert (await house.submit(bot, "make", "check")).state == "approved"
    assert (await house.submit(bot, "rm", "a")).state == "pending"


async def test_one_denial_takes_a_form_out_and_last_month_does_not_count(house: House) -> None:
    bot, mara = agent(), await house.person()
    for number in range(4):
        await house.vote(mara, await house.submit(bot, "ticket", "show", str(number)))
    await house.vote(mara, await house.submit(bot, "ticket", "show", "9"), "deny")
    assert (await house.gate.suggestions(house.workspace)).items == ()
    house.clock.advance(8 * 86_400)
    assert (await house.gate.suggestions(house.workspace)).asked == 0
