"""What one session of an agent asked for, on both engines. F21."""

import asyncio

import pytest

from failgate.base.errors import NotFound, TooLarge, Unprocessable
from failgate.wire.gate import Origin, Outcome
from tests.gate.conftest import House, agent, command, submission

SESSION = Origin(program="claude-code", session="s-1", model="opus", tool="Bash")


async def test_commands_of_one_session_are_one_run_with_what_they_led_to(house: House) -> None:
    bot, lead = agent(), await house.person()
    first = await house.submit(bot, "make", origin=SESSION)
    second = await house.submit(bot, "ls", origin=Origin(program="claude-code", session="s-1", tool="Read"))
    await house.submit(bot, "pwd", origin=Origin(program="claude-code", session="s-2"))
    await house.submit(bot, "id")
    await house.vote(lead, first)
    used = await house.consume(bot, first)
    await house.gate.outcome(bot, house.workspace, used.id, Outcome(first.digest, 2, 5))
    await house.vote(lead, second, "deny")
    runs = await house.gate.runs(house.workspace, bot.id, 10)
    assert len(runs) == 2
    run = next(one for one in runs if one.session == "s-1")
    assert (run.program, run.model, run.commands) == ("claude-code", "opus", 2)
    assert (run.executed, run.denied, run.failed) == (1, 1, 1)
    found, commands = await house.gate.run_commands(house.workspace, bot.id, run.id, 10)
    assert found == run
    assert [(view.id, tool) for view, tool in commands] == [(second.id, "Read"), (first.id, "Bash")]


async def test_pages_of_a_run_go_on_where_the_last_ended(house: House) -> None:
    bot = agent()
    asked = [await house.submit(bot, "true", origin=SESSION) for _ in range(3)]
    [run] = await house.gate.runs(house.workspace, bot.id, 10)
    _, page = await house.gate.run_commands(house.workspace, bot.id, run.id, 2)
    _, rest = await house.gate.run_commands(house.workspace, bot.id, run.id, 2, page[-1][0].id)
    assert [view.id for view, _ in (*page, *rest)] == [view.id for view in reversed(asked)]


async def test_many_at_once_are_counted_each(house: House) -> None:
    bot = agent()
    await asyncio.gather(*(house.submit(bot, "true", origin=SESSION) for _ in range(20)))
    [run] = await house.gate.runs(house.workspace, bot.id, 10)
    assert run.commands == 20
    assert len((await house.gate.run_commands(house.workspace, bot.id, run.id, 50))[1]) == 20


async def test_a_run_is_of_its_agent_and_workspace_alone(house: House) -> None:
    bot, other = agent(), agent()
    await house.submit(bot, "true", origin=SESSION)
    await house.submit(other, "true", origin=SESSION)
    [run] = await house.gate.runs(house.workspace, bot.id, 10)
    for workspace, requester, name in (
        (house.workspace, other.id, run.id),
        ("elsewhere", bot.id, run.id),
        (house.workspace, bot.id, "../x"),
    ):
        with pytest.raises(NotFound):
            await house.gate.run_commands(workspace, requester, name, 10)


async def test_a_request_that_is_repeated_under_its_key_is_counted_once(house: House) -> None:
    bot = agent()
    one = submission(command("true"), origin=SESSION)
    for _ in range(2):
        await house.gate.submit(bot, house.workspace, one, "key-1")
    [run] = await house.gate.runs(house.workspace, bot.id, 10)
    assert run.commands == 1


@pytest.mark.parametrize("word", ["x" * 201, "a\0b", "\ud800"])
async def test_words_that_cannot_be_kept_are_refused(house: House, word: str) -> None:
    with pytest.raises((Unprocessable, TooLarge)):
        await house.submit(agent(), "true", origin=Origin(program="p", session=word))
    assert await house.db.fetch("SELECT id FROM gate_command") == []


async def test_an_origin_without_a_name_makes_no_run(house: House) -> None:
    bot = agent()
    await house.submit(bot, "true", origin=Origin(model="opus"))
    assert await house.gate.runs(house.workspace, bot.id, 10) == []
