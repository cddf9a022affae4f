"""What an operator sees of the exporters and asks of them. B11"""

import asyncio
import logging

import pytest

from failgate.audit.exporter import RecordsRefused
from failgate.audit.exporting import Exporting
from failgate.audit.follower import Follower, Lag
from failgate.audit.record import Actor
from failgate.base.errors import NotFound
from tests.audit.conftest import WS, event, fill

OPERATOR = Actor("user", "u1")


class Picky:
    """An exporter whose other side refuses the records of one workspace."""

    def __init__(self):
        self.refuses = True
        self.is_away = False

    async def deliver(self, batch):
        if self.is_away:
            raise ConnectionError("https://failgate:hunter2hunter2@logs.example is no use")
        if self.refuses and any(record.log == WS for record in batch):
            raise RecordsRefused("The other side answers 400.")


@pytest.fixture
def picky():
    return Picky()


@pytest.fixture
async def exporting(database, audit, clock, picky, caplog):
    caplog.set_level(logging.CRITICAL)
    pauses = {"first_pause_seconds": 0.002, "longest_pause_seconds": 0.01}
    one = Exporting(database, [Follower(database, audit, "siem", picky, clock, **pauses)])
    await one.start()
    yield one
    await one.close()


async def standing_when(exporting, condition):
    async with asyncio.timeout(10):
        while not condition(standing := (await exporting.standings())[0]):
            await asyncio.sleep(0.002)
    return standing


async def test_its_standing_names_position_lag_and_what_was_refused(exporting, database, audit):
    await fill(database, audit, 2)
    standing = await standing_when(exporting, lambda one: one.put_aside == 2 and one.lag.records == 0)
    assert standing.is_proven
    assert standing.lag == Lag(0, 0.0)
    assert [(one.log, one.seq, one.size) for one in standing.positions] == [(WS, 2, 2), ("system", 3, 3)]
    assert {(one.log, one.seq, one.reason) for one in standing.refused} == {
        (WS, 0, "The other side answers 400."),
        (WS, 1, "The other side answers 400."),
    }
    assert "refused 2 records" in await exporting.problem(exporting.followers[0])


async def test_what_is_asked_for_is_done_and_recorded(exporting, database, audit, picky):
    await fill(database, audit, 2)
    await standing_when(exporting, lambda one: one.put_aside == 2)
    picky.refuses = False
    assert await exporting.resend("siem", OPERATOR) == 2
    await exporting.test("siem", OPERATOR)
    await standing_when(exporting, lambda one: one.put_aside == 0 and one.lag.records == 0)
    said = [one.record for one in await audit.records("system") if one.record["actor"]["id"] == "u1"]
    assert [(one["act"], one["obj"]["id"]) for one in said] == [("export.resent", "siem"), ("exporter.tested", "siem")]
    assert await exporting.problem(exporting.followers[0]) is None


async def test_a_failure_is_shown_without_the_secrets_in_it(exporting, audit, picky):
    await standing_when(exporting, lambda one: one.is_proven)
    picky.is_away = True
    await audit.record(event(ws="system"))
    standing = await standing_when(exporting, lambda one: one.failure is not None)
    assert "hunter2" not in standing.failure
    assert "ConnectionError" in await exporting.problem(exporting.followers[0])


async def test_there_is_no_other_exporter(exporting):
    for verb in (exporting.test, exporting.resend):
        with pytest.raises(NotFound):
            await verb("absent", OPERATOR)
