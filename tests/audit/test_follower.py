"""The follower against real databases and an exporter that can fail. Delivery is in order and at least once. B11"""

import asyncio
import contextlib
import logging

import pytest

from failgate.audit.follower import MOST_IN_BATCH, Follower, Lag
from tests.audit.conftest import WS, event, fill


class Shelf:
    """An exporter that keeps what it gets, and fails when told to."""

    def __init__(self):
        self.batches = []
        self.calls = 0
        self.failures_left = 0
        self.fails_after_keeping = False
        self.is_stuck = False
        self.is_deaf = False
        self.came = asyncio.Event()

    async def deliver(self, batch):
        self.calls += 1
        if self.is_stuck:
            self.came.set()
            with contextlib.suppress(*[asyncio.CancelledError] * self.is_deaf):
                await asyncio.Event().wait()
            await asyncio.Event().wait()
        if self.failures_left and not self.fails_after_keeping:
            self.failures_left -= 1
            raise ConnectionError("the other side is away")
        self.batches.append(list(batch))
        self.came.set()
        if self.failures_left:
            self.failures_left -= 1
            raise ConnectionError("the answer was lost")

    def seqs(self, log=WS):
        return [record.seq for batch in self.batches for record in batch if record.log == log]

    async def until(self, count, log=WS):
        async with asyncio.timeout(10):
            while len(self.seqs(log)) < count:
                self.came.clear()
                await self.came.wait()


@pytest.fixture
def shelf():
    return Shelf()


@pytest.fixture
async def follow(database, audit, clock, shelf):
    started = []

    def make(name="shelf"):
        follower = Follower(database, audit, name, shelf, clock, first_pause_seconds=0.002, longest_pause_seconds=0.01)
        follower.start()
        started.append(follower)
        return follower

    yield make
    for follower in started:
        await follower.close()


async def cursor(database, log=WS):
    row = await database.fetch_one("SELECT seq FROM audit_cursor WHERE log = $1", log)
    return row and row["seq"]


async def test_all_logs_leave_in_order_and_in_bounded_batches(follow, shelf, database, audit):
    await fill(database, audit, 1203)
    await fill(database, audit, 3, ws="system")
    follower = follow()
    await shelf.until(3, "system")
    assert shelf.seqs() == list(range(1203))
    assert max(map(len, shelf.batches)) == MOST_IN_BATCH
    leaves = [record.leaf for batch in shelf.batches for record in batch if record.log == "system"]
    assert leaves == [stored.leaf for stored in await audit.records("system")]
    await follower.close()
    assert await cursor(database) == 1203


async def test_an_append_wakes_it(follow, shelf, audit):
    follow()
    for count in range(1, 5):
        await audit.record(event(count))
        await shelf.until(count)
    assert shelf.seqs() == [0, 1, 2, 3]


async def test_the_cursor_stays_where_a_delivery_failed_and_nothing_is_skipped(follow, shelf, database, audit, caplog):
    caplog.set_level(logging.CRITICAL)
    shelf.failures_left = 3
    await fill(database, audit, 10)
    follower = follow()
    await shelf.until(10)
    assert (shelf.calls, shelf.seqs()) == (4, list(range(10)))
    await follower.close()
    assert follower.failure is None


async def test_records_whose_answer_was_lost_come_again(follow, shelf, database, audit, caplog):
    caplog.set_level(logging.CRITICAL)
    shelf.failures_left, shelf.fails_after_keeping = 1, True
    await fill(database, audit, 5)
    follow()
    await shelf.until(10)
    assert shelf.seqs() == [0, 1, 2, 3, 4] * 2


async def test_a_restart_goes_on_where_the_last_one_ended(follow, shelf, database, audit):
    await fill(database, audit, 4)
    first = follow()
    await shelf.until(4)
    await first.close()
    await fill(database, audit, 2)
    follow()
    await shelf.until(6)
    assert shelf.seqs() == [0, 1, 2, 3, 4, 5]


async def test_closing_drains_what_is_committed(follow, shelf, database, audit):
    follower = follow()
    await fill(database, audit, 700)
    await follower.close()
    assert shelf.seqs() == list(range(700))


@pytest.mark.parametrize("is_deaf", [False, True], ids=["hangs", "does not heed its end either"])
async def test_closing_does_not_wait_for_an_exporter_that_hangs(follow, shelf, database, audit, monkeypatch, is_deaf):
    monkeypatch.setattr("failgate.audit.follower.DRAIN_SECONDS", 0.01)
    monkeypatch.setattr("failgate.audit.follower.END_SECONDS", 0.01)
    shelf.is_stuck, shelf.is_deaf = True, is_deaf
    await fill(database, audit, 3)
    follower = follow()
    await shelf.came.wait()
    async with asyncio.timeout(10):
        await follower.close()
    assert await cursor(database) is None


async def test_closing_ends_a_pause_at_once(database, shelf, audit, clock, caplog):
    caplog.set_level(logging.CRITICAL)
    shelf.failures_left = 10**6
    await audit.record(event())
    follower = Follower(database, audit, "slow", shelf, clock, first_pause_seconds=3600)
    follower.start()
    async with asyncio.timeout(10):
        while follower.failure is None:
            await asyncio.sleep(0)
        await follower.close()
    assert follower.failure == "ConnectionError: the other side is away"


async def test_lag_counts_records_and_the_age_of_the_oldest(database, audit, shelf, clock):
    follower = Follower(database, audit, "idle", shelf, clock)
    assert await follower.lag() == Lag(0, 0.0)
    await audit.record(event())
    clock.advance(7.5)
    await audit.record(event(ws="system"))
    clock.advance(1)
    assert await follower.lag() == Lag(2, 8.5)
    await follower.close()


async def test_two_exporters_have_each_a_cursor_of_their_own(follow, shelf, database, audit):
    await fill(database, audit, 3)
    follow("one")
    await shelf.until(3)
    follow("two")
    await shelf.until(6)
    assert shelf.seqs() == [0, 1, 2, 0, 1, 2]
