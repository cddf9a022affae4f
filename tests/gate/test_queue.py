import pytest

from failgate.base.errors import TooManyRequests
from failgate.gate.parts import GateLimits
from failgate.wire.gate import Vote
from tests.gate.conftest import House, agent


async def test_one_agents_flood_is_refused_and_another_agent_still_gets_in(house: House) -> None:
    await house.restart(limits=GateLimits(max_pending=10, max_pending_each=100))
    noisy = agent()
    asked = [await house.submit(noisy, "x") for _ in range(9)]
    with pytest.raises(TooManyRequests):
        await house.submit(noisy, "x")
    assert (await house.submit(agent(), "y")).state == "pending"
    with pytest.raises(TooManyRequests):
        await house.submit(agent(), "z")  # full is full
    await house.gate.cancel(noisy, house.workspace, asked[0].id)
    assert (await house.submit(agent(), "z")).state == "pending"


async def test_so_many_of_one_requester_wait_also_after_a_restart(house: House) -> None:
    limits = GateLimits(max_pending_each=2)
    await house.restart(limits=limits)
    bot = agent()
    first, _ = [await house.submit(bot, "x") for _ in range(2)]
    await house.restart()
    with pytest.raises(TooManyRequests, match="2 of your commands"):
        await house.submit(bot, "x")
    await house.vote(await house.person(), first)
    assert (await house.submit(bot, "x")).state == "pending"


async def test_all_the_same_of_one_agent_is_denied_at_once_and_nothing_else(house: House) -> None:
    bot, mara = agent(), await house.person()
    same = [await house.submit(bot, "x") for _ in range(3)]
    others = [await house.submit(bot, "x", "y"), await house.submit(agent(), "x")]
    vote = Vote("deny", same[1].digest, note="stop")
    assert await house.gate.muting.deny_alike(mara, house.workspace, same[1].id, vote) == 3
    assert [await house.state(one) for one in same] == ["denied"] * 3
    assert [await house.state(one) for one in others] == ["pending"] * 2
