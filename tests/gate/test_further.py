"""Rules made of a request: they let it pass again, and nothing that was not said."""

import pytest

from failgate.audit.record import Actor
from failgate.base.errors import Unprocessable
from failgate.gate.further import MAX_SECONDS, Wish
from tests.gate.conftest import House, agent, command, submission

BOSS = Actor("user", "boss")
GIT = {"path": "/usr/bin/git", "sha256": "0" * 64}
SESSION = Wish("session", 3600)


async def made(house: House, bot, wish: Wish, *argv: str, **members):
    view = await house.gate.submit(bot, house.workspace, submission(command(*argv, **members)))
    rule, answered = await house.gate.further(house.workspace, view.id, bot, wish)
    await house.rules.create(BOSS, house.workspace, rule)
    return answered


async def says(house: House, bot, *argv: str, **members) -> str:
    return (await house.gate.explain(bot, house.workspace, command(*argv, **members))).decision


async def test_for_a_session_exactly_this_passes_for_this_agent_until_it_ends(house: House) -> None:
    bot = agent()
    await made(house, bot, SESSION, "git", "fetch", exe=GIT)
    assert await says(house, bot, "git", "fetch", exe=GIT) == "allow"
    assert await says(house, bot, "git", "fetch", "-f", exe=GIT) == "ask"
    assert await says(house, bot, "git", "fetch", exe=GIT | {"sha256": "1" * 64}) == "ask"
    assert await says(house, bot, "git", "fetch", exe=GIT, cwd="/srv") == "ask"
    assert await says(house, bot, "git", "fetch", exe=GIT, host="build-2") == "ask"
    assert await says(house, agent(), "git", "fetch", exe=GIT) == "ask"
    house.clock.advance(3601)
    assert await says(house, bot, "git", "fetch", exe=GIT) == "ask"


async def test_uses_are_counted(house: House) -> None:
    bot = agent()
    await made(house, bot, Wish("session", 3600, max_uses=1), "make")
    assert (await house.submit(bot, "make")).state == "approved"
    assert (await house.submit(bot, "make")).state == "pending"


async def test_a_form_lets_what_is_said_of_each_word_pass_and_says_before_what_it_would_have_answered(
    house: House,
) -> None:
    bot = agent()
    for number in ("1", "2", "x"):
        await house.submit(bot, "ticket", "show", number)
    wish = Wish("form", 3600, positions=("exact", "number"))
    answered = await made(house, bot, wish, "ticket", "show", "7")
    assert (answered.number, answered.of) == (3, 4)
    assert set(answered.examples) == {("ticket", "show", digit) for digit in "127"}
    assert await says(house, bot, "ticket", "show", "42") == "allow"
    for other in (("show", "x"), ("close", "7"), ("show", "7", "8"), ("show", "-7"), ("show",)):
        assert await says(house, bot, "ticket", *other) == "ask"


@pytest.mark.parametrize(
    ("argv", "members", "wish"),
    [
        (("git", "x"), {}, Wish("form", 3600, positions=("exact",))),
        (("git", "x"), {}, Wish("form", 3600, positions=("word", "word"))),
        (("sh", "-c", "echo $(id)"), {}, SESSION),
        (("make",), {"env": {"LD_PRELOAD": "/x.so"}}, SESSION),
        (("make",), {"exe": {"path": "/tmp/other", "sha256": "0" * 64}}, Wish("form", 3600)),
        (("make",), {}, Wish("session", MAX_SECONDS + 1)),
        (("make",), {}, Wish("session", 0)),
    ],
)
async def test_what_no_rule_may_let_pass_makes_none(house: House, argv, members, wish: Wish) -> None:
    with pytest.raises(Unprocessable):
        await made(house, agent(), wish, *argv, **members)


async def test_a_request_of_a_person_or_for_several_people_makes_no_rule(house: House) -> None:
    person = await house.person()
    with pytest.raises(Unprocessable, match="a person asked"):
        await made(house, person, SESSION, "make")
    await house.restart(need=2)
    with pytest.raises(Unprocessable, match="2 people decide"):
        await made(house, agent(), SESSION, "make")
