"""Who has the platform role is told of the clock, once each, over restarts and clocks that jump. F25 B6"""

from contextlib import asynccontextmanager
from importlib.resources import files

import pytest
from failgate_disclosure.desk import Desk
from failgate_disclosure.escalation import Escalation
from failgate_disclosure.fields import Contents
from failgate_disclosure.watch import Watch

from failgate.base.clock import FrozenClock
from failgate.plugin import Actor, StorageUnavailable
from failgate.testing import host_at

NOBODY = Actor("anonymous", "anonymous")
HOUR = 3600


class Room:
    """A desk whose people are told into a list."""

    def __init__(self, folder):
        self.clock, self.recorded, self.told = FrozenClock(), [], []
        self.host = host_at(folder, "disclosure", self.clock, recorded=self.recorded, told=self.told)

    @asynccontextmanager
    async def opened(self):
        """Begin as after a start."""
        async with self.host.open_database("desk", files("failgate_disclosure").joinpath("migrations")) as database:
            self.desk = Desk(self.host, database, await self.host.box("desk"))
            self.watch = Watch(self.desk, self.host, Escalation(self.host, database))
            self.database = database
            yield self

    async def receive(self, stamp="one"):
        link = await self.desk.receive(Contents("SECRET-TITLE", "/s/", "SECRET", "it opens"), stamp, NOBODY)
        return await self.desk.by_link(link)

    async def after(self, hours):
        self.clock.step_wall(hours * HOUR)
        for _ in range(2):
            await self.watch.look()
        return [notice.event for notice in self.told]


@pytest.fixture
async def room(tmp_path):
    async with Room(tmp_path).opened() as one:
        yield one


async def test_at_half_of_the_time_and_at_its_end_people_are_told_once_each(room) -> None:
    report = await room.receive()
    assert await room.after(23.9) == []
    assert await room.after(0.2) == ["disclosure.reminded"]
    assert await room.after(23) == ["disclosure.reminded"]
    assert await room.after(1) == ["disclosure.reminded", "disclosure.overdue"]
    assert await room.after(1000) == ["disclosure.reminded", "disclosure.overdue"]
    assert [(act, state) for act, _, state in room.recorded][1:] == [
        ("disclosure.escalated", "reminded"), ("disclosure.overdue", None), ("disclosure.escalated", "overdue"),
    ]  # fmt: skip
    said = str(room.told)
    assert "SECRET" not in said
    assert room.told[0].path == f"/platform/x/disclosure/{report.id}"
    assert ("Report", "1") in room.told[0].lines


async def test_a_clock_that_jumps_over_both_has_the_second_told_alone(room) -> None:
    await room.receive()
    assert await room.after(72) == ["disclosure.overdue"]
    assert await room.after(-71) == ["disclosure.overdue"]
    assert await room.after(24) == ["disclosure.overdue"]
    assert await room.after(72) == ["disclosure.overdue"]


async def test_a_clock_that_goes_back_tells_nothing_twice(room) -> None:
    await room.receive()
    assert await room.after(30) == ["disclosure.reminded"]
    assert await room.after(-1000) == ["disclosure.reminded"]
    assert await room.after(1000) == ["disclosure.reminded"]
    assert await room.after(20) == ["disclosure.reminded", "disclosure.overdue"]


async def test_what_was_acknowledged_is_told_of_no_more(room) -> None:
    report = await room.receive()
    await room.after(30)
    await room.desk.move(report, "acknowledged", None, actor=NOBODY, author="ann")
    assert await room.after(100) == ["disclosure.reminded"]


async def test_after_a_restart_nothing_is_told_twice_also_when_the_mark_was_lost(tmp_path) -> None:
    room = Room(tmp_path)
    async with room.opened():
        await room.receive()
        await room.after(30)
    async with room.opened():
        assert await room.after(0) == ["disclosure.reminded"]
        # As if the server had stopped between telling and keeping so.
        await room.database.write(lambda tx: tx.execute("UPDATE report SET reminded_us = NULL"))
        assert await room.after(0) == ["disclosure.reminded"]
        assert await room.after(20) == ["disclosure.reminded", "disclosure.overdue"]


async def test_where_nobody_can_be_told_it_is_tried_again_until_somebody_can(room) -> None:
    async def nobody(_notice):
        return 0

    tell = room.host.tell
    object.__setattr__(room.host, "tell", nobody)
    await room.receive()
    assert await room.after(50) == []
    object.__setattr__(room.host, "tell", tell)
    assert await room.after(0) == ["disclosure.overdue"]


async def test_each_report_is_told_of_by_itself(room) -> None:
    await room.receive("one")
    room.clock.step_wall(HOUR)
    await room.receive("two")
    assert await room.after(23) == ["disclosure.reminded"]
    assert await room.after(1) == ["disclosure.reminded"] * 2
    assert {notice.lines[0] for notice in room.told} == {("Report", "1"), ("Report", "2")}


async def test_a_log_that_takes_nothing_is_asked_again(room) -> None:
    async def refuse(*_args, **_more):
        raise StorageUnavailable("The log takes nothing.", hint="Wait.")

    await room.receive()
    record = room.host.record
    room.clock.step_wall(30 * HOUR)
    object.__setattr__(room.host, "record", refuse)
    with pytest.raises(StorageUnavailable):
        await room.watch.look()
    object.__setattr__(room.host, "record", record)
    assert await room.after(0) == ["disclosure.reminded"]
    assert [state for act, _, state in room.recorded if act == "disclosure.escalated"] == ["reminded"]
