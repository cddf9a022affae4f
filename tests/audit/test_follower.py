"""The follower against real databases and an exporter that can fail. Delivery is in order and at least once. B11"""

import asyncio
import contextlib
import logging

import pytest

from failgate.audit.erasing import Erasing
from failgate.audit.erasure_list import ErasureList
from failgate.audit.exporter import TEST_LOG, ExportFailed, RecordsRefused
from failgate.audit.follower import MOST_IN_BATCH, MOST_REFUSALS, Follower, Lag, Position
from failgate.audit.record import SERVER, Act, Actor
from failgate.audit.search import Search
from failgate.audit.sieve import Sieve
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
        self.refuses = set()
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
        if any((record.log, record.seq) in self.refuses for record in batch):
            raise RecordsRefused("The other side answers 413: a record is too large.")
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

    def make(name="shelf", **more):
        pauses = {"first_pause_seconds": 0.002, "longest_pause_seconds": 0.01}
        follower = Follower(database, audit, name, shelf, clock, **(pauses | more))
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
    assert (shelf.calls, shelf.seqs()) == (5, list(range(10))), "three failures, the test record, the batch"
    await follower.close()
    assert follower.failure is None


async def test_records_whose_answer_was_lost_come_again(follow, shelf, database, audit, caplog):
    caplog.set_level(logging.CRITICAL)
    follower = follow()
    await until(lambda: caught_up(follower))
    shelf.failures_left, shelf.fails_after_keeping = 1, True
    await fill(database, audit, 5)
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


async def until(condition):
    async with asyncio.timeout(10):
        while not await condition():
            await asyncio.sleep(0.002)


async def acts(audit, log="system"):
    return [stored.record["act"] for stored in await audit.records(log)]


async def test_a_test_record_arrives_before_anything_else_and_once(follow, shelf, database, audit):
    await fill(database, audit, 3)
    follower = follow()
    await shelf.until(3)
    [[first], *_] = shelf.batches
    assert (first.log, first.seq) == (TEST_LOG, 0)
    assert b'"act":"exporter.tested"' in first.leaf
    await until(follower.is_proven)
    assert await acts(audit) == [Act.EXPORTER_ENABLED]
    await follower.close()
    follow()
    await audit.record(event(9))
    await shelf.until(4)
    assert len(shelf.seqs(TEST_LOG)) == 1


async def test_nothing_leaves_while_the_test_record_does_not_arrive(follow, shelf, database, audit, caplog):
    caplog.set_level(logging.CRITICAL)
    shelf.refuses.add((TEST_LOG, 0))
    await fill(database, audit, 3)
    follower = follow()
    async with asyncio.timeout(10):
        while shelf.calls < 6:
            await asyncio.sleep(0.002)
    assert shelf.batches == []
    assert not await follower.is_proven()
    assert await follower.put_aside.count() == 0, "a test record is no record of a log"
    shelf.refuses.clear()
    await shelf.until(3)


async def test_an_exporter_of_before_is_not_held_up_by_a_test_record(follow, shelf, database, audit):
    """What migration 0048 says of exporters that delivered already."""
    await fill(database, audit, 2)
    await database.write(lambda tx: tx.execute("INSERT INTO audit_exporter VALUES ('shelf', 0, 0, 0)"))
    follow()
    await shelf.until(2)
    assert shelf.seqs(TEST_LOG) == []


async def test_an_operator_has_a_test_record_sent_before_what_waits(follow, shelf, database, audit, caplog):
    caplog.set_level(logging.CRITICAL)
    follower = follow(first_pause_seconds=3600, longest_pause_seconds=3600)
    await until(follower.is_proven)
    await until(lambda: caught_up(follower))
    shelf.failures_left = 1
    await audit.record(event())
    async with asyncio.timeout(10):
        while follower.failure is None:
            await asyncio.sleep(0.002)
    await database.write(lambda tx: follower.ask_test_within(tx, Actor("user", "u1")))
    await shelf.until(1)
    assert shelf.seqs(TEST_LOG) == [0, 1]
    assert follower.failed_us is not None
    assert follower.failure is None
    assert Act.EXPORTER_TESTED in await acts(audit)


async def caught_up(follower):
    return await follower.is_proven() and (await follower.lag()).records == 0


async def test_a_record_that_is_refused_for_ever_is_put_aside_and_holds_up_nothing(
    follow, shelf, database, audit, caplog
):
    caplog.set_level(logging.CRITICAL)
    shelf.refuses = {(WS, 7), (WS, 400)}
    await fill(database, audit, 600)
    follower = follow()
    await shelf.until(598)
    await until(lambda: caught_up(follower))
    assert shelf.seqs() == [seq for seq in range(600) if (WS, seq) not in shelf.refuses], "in order, the two missing"
    refused = await follower.put_aside.page(10)
    assert sorted((one.log, one.seq, one.attempts) for one in refused) == [
        (WS, 7, MOST_REFUSALS),
        (WS, 400, MOST_REFUSALS),
    ]
    assert "413" in refused[0].reason
    gaps = [one.record["data"] for one in await audit.records("system") if one.record["act"] == Act.EXPORT_REFUSED]
    assert [(one["log"], one["number"]) for one in gaps] == [(WS, 7), (WS, 400)]
    assert len(shelf.seqs("system")) == 3, "the other side is told of its gaps"


async def test_what_was_put_aside_is_sent_again_when_asked_to(follow, shelf, database, audit, caplog):
    caplog.set_level(logging.CRITICAL)
    shelf.refuses = {(WS, 1), (WS, 2)}
    await fill(database, audit, 4)
    follower = follow()
    await until(lambda: caught_up(follower))
    shelf.refuses = {(WS, 2)}
    assert await database.write(lambda tx: follower.ask_resend_within(tx, Actor("user", "u1"))) == 2
    await until(lambda: left(follower, [2]))
    assert 1 in shelf.seqs()
    await until(lambda: caught_up(follower))
    [refused] = await follower.put_aside.page(10)
    assert (refused.attempts, refused.is_due) == (MOST_REFUSALS + 1, False), "one try for each click"
    assert Act.EXPORT_RESENT in await acts(audit)


async def left(follower, seqs):
    return [one.seq for one in await follower.put_aside.page(10)] == seqs


async def test_whoever_is_away_has_refused_no_record(follow, shelf, database, audit, caplog):
    caplog.set_level(logging.CRITICAL)
    await fill(database, audit, 2)
    follower = follow()
    await until(lambda: caught_up(follower))
    shelf.failures_left = 30
    await audit.record(event())
    await until(lambda: caught_up(follower))
    assert shelf.seqs() == [0, 1, 2]
    assert await follower.put_aside.count() == 0


async def test_the_record_of_a_refusal_that_is_refused_itself_makes_no_other(follow, shelf, database, audit, caplog):
    """An other side that refuses everything: each refusal is recorded, the refusal of that record is not."""
    caplog.set_level(logging.CRITICAL)
    follower = follow()
    await until(lambda: caught_up(follower))
    shelf.refuses = {(log, seq) for log in (WS, "system") for seq in range(100)} - {("system", 0)}
    await fill(database, audit, 2)
    await until(lambda: caught_up(follower))
    assert await acts(audit) == [Act.EXPORTER_ENABLED, Act.EXPORT_REFUSED, Act.EXPORT_REFUSED]
    assert await follower.put_aside.count() == 4


async def test_whoever_refuses_too_many_is_waited_for(follow, shelf, database, audit, monkeypatch, caplog):
    caplog.set_level(logging.CRITICAL)
    monkeypatch.setattr("failgate.audit.follower.MOST_PUT_ASIDE", 2)
    follower = follow()
    await until(lambda: caught_up(follower))
    shelf.refuses = {(WS, seq) for seq in range(3)}
    await fill(database, audit, 4)
    async with asyncio.timeout(10):
        while "put aside already" not in (follower.failure or ""):
            await asyncio.sleep(0.002)
    assert await cursor(database) == 2
    shelf.refuses.clear()
    await shelf.until(2)
    assert shelf.seqs() == [2, 3]


async def test_a_delivery_that_hangs_is_ended_and_comes_again(follow, shelf, audit, caplog):
    caplog.set_level(logging.CRITICAL)
    follower = follow(longest_call_seconds=0.05)
    await until(follower.is_proven)
    await until(lambda: caught_up(follower))
    shelf.is_stuck = True
    await audit.record(event())
    async with asyncio.timeout(10):
        while follower.failure is None:
            await asyncio.sleep(0.002)
    assert follower.failure == "The delivery had no end within 0.05 seconds."
    shelf.is_stuck = False
    await shelf.until(1)
    assert shelf.seqs() == [0]


async def test_what_the_config_filters_out_moves_the_cursor_all_the_same(follow, shelf, database, audit):
    await fill(database, audit, 5)
    await audit.record(event(act=Act.COMMAND_DENIED, data={}))
    await audit.record(event())
    follower = follow(sieve=Sieve(acts=("command.*",), logs=("workspaces",)))
    await until(lambda: caught_up(follower))
    assert (shelf.seqs(), shelf.seqs("system")) == ([5], [])
    assert await follower.positions() == [Position(WS, 7, 7), Position("system", 1, 1)]


async def test_the_other_side_says_when_to_come_back(follow, shelf, audit, monkeypatch, caplog):
    caplog.set_level(logging.CRITICAL)
    follower = follow()
    await until(lambda: caught_up(follower))

    async def busy(_batch):
        raise ExportFailed("The other side answers 429.", retry_after_seconds=3600.0)

    monkeypatch.setattr(shelf, "deliver", busy)
    await audit.record(event())
    async with asyncio.timeout(10):
        while follower.failure is None:
            await asyncio.sleep(0.002)
    monkeypatch.undo()
    await asyncio.sleep(0.1)
    assert shelf.seqs() == [], "it is not asked before"
    follower.wake()
    await shelf.until(1)


async def test_bodies_leave_only_where_the_config_says_so_and_not_once_they_are_erased(
    follow, shelf, audit, database, clock, tmp_path
):
    for number in range(4):
        await audit.record(event(number, ip=f"192.0.2.{number}" if number else None))
    follow()
    await shelf.until(4)
    assert {record.body for batch in shelf.batches for record in batch} == {None}
    listed = ErasureList(database, tmp_path)
    erasing = Erasing(database, audit, Search(database, audit), clock, keep_us=None, listed=listed)
    await audit.record(event(9, ip="192.0.2.9", actor=Actor("user", "u9")))
    assert await erasing.erase_account("u9", SERVER) == 1
    shelf.batches.clear()
    follow(name="second", sieve=Sieve(bodies=True))
    await shelf.until(6)
    beside = {one.seq: one.body for batch in shelf.batches for one in batch if one.log == WS}
    assert {seq: beside[seq] for seq in range(6)} == {
        0: None, 1: b'{"ip":"192.0.2.1"}', 2: b'{"ip":"192.0.2.2"}', 3: b'{"ip":"192.0.2.3"}', 4: None, 5: None,
    }  # fmt: skip
