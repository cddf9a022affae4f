"""Who is told, without a task, that a request is no longer pending. # E8"""

import asyncio

from failgate.wire.gate import Vote
from tests.gate.conftest import House, agent


async def told(seen: list, number: int) -> None:
    """Return when `number` were told, and nobody besides."""
    async with asyncio.timeout(5):
        while len(seen) < number:
            await asyncio.sleep(0.001)
    await asyncio.sleep(0.01)
    assert len(seen) == number


async def test_everybody_who_asked_is_told_once_after_the_commit_and_who_left_is_not(house: House) -> None:
    asked, mara = await house.submit(agent(), "x"), await house.person()
    first, second, left = [], [], []
    for seen in (first, second):
        assert house.gate.endings.tell(asked.id, seen.append) is not None
    ending = house.gate.endings.tell(asked.id, left.append)
    assert ending is not None
    ending.leave()
    ending.leave()  # twice is once
    await asyncio.sleep(0.01)
    assert first == second == []
    await house.gate.vote(mara, house.workspace, asked.id, Vote("deny", asked.digest, note="no"))
    await told(first, 1)
    await told(second, 1)
    assert left == []
    [receipt] = first
    assert (receipt.id, receipt.state, receipt.digest) == (asked.id, "denied", asked.digest)
    assert receipt.verdict is not None
    assert receipt.verdict.note == "no"
    assert await house.state(asked) == "denied"


async def test_what_was_withdrawn_is_told_without_a_verdict(house: House) -> None:
    bot = agent()
    asked, seen = await house.submit(bot, "x"), []
    assert house.gate.endings.tell(asked.id, seen.append) is not None
    await house.gate.cancel(bot, house.workspace, asked.id)
    await told(seen, 1)
    assert (seen[0].state, seen[0].verdict) == ("cancelled", None)


async def test_what_does_not_wait_has_no_end_to_wait_for(house: House) -> None:
    bot = agent()
    asked, seen = await house.submit(bot, "x"), []
    await house.gate.cancel(bot, house.workspace, asked.id)
    assert house.gate.endings.tell(asked.id, seen.append) is None
    assert house.gate.endings.tell("none", seen.append) is None
    await house.gate.close()
    assert seen == []
