"""The writer waits for those who may ask again: until they have, or the time is over, and does not burn it."""

import asyncio
import time
from collections.abc import Sequence

import pytest

from failgate.base import db
from failgate.base.db import Database, Transaction
from failgate.base.gathering import SHORTEST_TIMER_SECONDS, Gathering
from failgate.base.together import Together
from tests.pace import busy


class Counted:
    """So many changes wait; `asked` is how often somebody looked."""

    def __init__(self, waiting: int = 0) -> None:
        self.waiting = waiting
        self.asked = 0
        self.gathering = Gathering(self.has)

    def has(self, wanted: int) -> bool:
        self.asked += 1
        return self.waiting >= wanted

    def arrive(self) -> None:
        self.waiting += 1
        self.gathering.note()


@pytest.mark.parametrize("seconds", [0.0, SHORTEST_TIMER_SECONDS / 2, 60.0])
async def test_those_who_are_there_are_not_waited_for(seconds: float) -> None:
    counted = Counted(3)
    async with asyncio.timeout(busy(1)):
        await counted.gathering.wait(3, seconds)
    assert counted.asked == 1


async def test_the_wait_ends_when_the_last_one_arrives() -> None:
    counted = Counted()
    waiting = asyncio.create_task(counted.gathering.wait(3, 60.0))
    for _ in range(3):
        await asyncio.sleep(0)
        assert not waiting.done()
        counted.arrive()
    async with asyncio.timeout(busy(1)):
        await waiting
    assert counted.asked == 1 + 3
    counted.arrive()  # one too many, while nobody waits
    assert counted.asked == 1 + 3


@pytest.mark.parametrize(("seconds", "is_asleep"), [(SHORTEST_TIMER_SECONDS * 0.9, False), (0.05, True)])
async def test_the_wait_ends_when_its_time_is_over(seconds: float, is_asleep: bool) -> None:
    counted, began = Counted(), time.monotonic()
    async with asyncio.timeout(busy(5)):
        await counted.gathering.wait(1, seconds)
    assert time.monotonic() - began >= seconds * 0.9
    assert (counted.asked == 1) == is_asleep
    counted.waiting = 1
    await counted.gathering.wait(1, 60.0)  # a wait that is over leaves nothing behind


async def test_a_short_wait_sees_what_arrives() -> None:
    counted = Counted()
    asyncio.get_running_loop().call_soon(counted.arrive)
    await counted.gathering.wait(1, SHORTEST_TIMER_SECONDS * 0.99)
    assert counted.waiting == 1


async def test_who_is_stopped_meanwhile_leaves_nothing_behind() -> None:
    counted = Counted()
    waiting = asyncio.create_task(counted.gathering.wait(1, 60.0))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    counted.arrive()
    assert counted.asked == 1


async def test_a_slow_disk_keeps_nobody_waiting_once_all_are_there(
    number_table: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer waits for as many as it took before: verbs, changes that join one, or nobody once it closes."""
    monkeypatch.setattr(db, "LONGEST_GATHERING_SECONDS", 600.0)

    def slow() -> None:
        number_table._writer.commit_seconds = 600.0

    async def insert(tx: Transaction, numbers: Sequence[int]) -> None:
        for n in numbers:
            await tx.execute("INSERT INTO number (n, label) VALUES ($1, '')", n)

    together = Together[str, int](number_table, lambda tx, _key, numbers: insert(tx, numbers))
    async with asyncio.timeout(busy(10)):
        slow()
        await asyncio.gather(*(number_table.write(lambda tx, n=n: insert(tx, [n])) for n in (1, 2)))
        slow()
        first = asyncio.ensure_future(number_table.write(lambda tx: insert(tx, [3])))
        await asyncio.sleep(0.01)  # the writer waits already when the second one comes
        await number_table.write(lambda tx: insert(tx, [4]))
        await first
        slow()
        told: list[asyncio.Future[Exception | None]] = []
        for n in (5, 6):
            told.append(asyncio.get_running_loop().create_future())
            together.put("", n, told[-1].set_result)
            await asyncio.sleep(0.01)
        assert await asyncio.gather(*told) == [None, None]
        slow()
        alone = asyncio.ensure_future(number_table.write(lambda tx: insert(tx, [7])))
        await asyncio.sleep(0.01)
        assert not alone.done()
        rows = number_table.fetch("SELECT n FROM number ORDER BY n")
        assert [row["n"] for row in await rows] == [1, 2, 3, 4, 5, 6]
        await number_table.close()
        await alone
