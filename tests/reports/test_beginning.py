"""Quotas hold also for reports that arrive at once, and for what was begun before they were used up. F21"""

import asyncio
from pathlib import Path

import pytest

from failgate.audit.log import AuditLog
from failgate.base.clock import FrozenClock
from failgate.base.db import Database
from failgate.base.errors import FailgateError, TooLarge, TooManyRequests
from failgate.workspaces.usage import Usage

from .conftest import SECRET, Room, entry, room_in, user


class Limits:
    """Rooms with quotas, and what they say is used."""

    def __init__(self, database: Database, clock: FrozenClock, folder: Path) -> None:
        self._parts = database, clock, folder

    async def room(self, **quotas: int) -> tuple[Room, Usage]:
        database, clock, folder = self._parts
        usage = Usage(database, AuditLog(database, clock, folder / "usage"), clock, quotas)
        return await room_in(database, clock, folder, usage), usage


@pytest.fixture
def limits(database: Database, clock: FrozenClock, tmp_path: Path) -> Limits:
    return Limits(database, clock, tmp_path)


async def attempt(work) -> object:
    try:
        return await work
    except FailgateError as error:
        return error


async def burst(work) -> tuple[int, list[type]]:
    """Run all of it at once; return how much went well, and how the rest was refused."""
    answers = await asyncio.gather(*map(attempt, work))
    refused = [type(one) for one in answers if isinstance(one, FailgateError)]
    return len(answers) - len(refused), refused


@pytest.mark.parametrize("kind", ["row alone", "with a secret", "with a file", "mixed"])
async def test_of_a_hundred_reports_at_once_as_many_are_begun_as_the_quota_has(limits: Limits, kind: str) -> None:
    room, usage = await limits.room(reports_per_day=10)

    def one(number: int):
        which = number % 3 if kind == "mixed" else ["row alone", "with a secret", "with a file"].index(kind)
        if which == 1:
            return room.begin(user(), argv=["run", str(number)], host=f"token={SECRET}")
        return room.begin(user(), *([entry(b"%d" % number)] if which else []), argv=["run", str(number)])

    assert await burst(one(number) for number in range(100)) == (10, [TooManyRequests] * 90)
    assert [day.reports for day in (await usage.read(room.workspace_id)).days] == [10]
    assert len(await room.database.fetch("SELECT id FROM report")) == 10


async def test_a_report_counts_once_from_when_it_was_begun(limits: Limits, clock: FrozenClock) -> None:
    room, usage = await limits.room(reports_per_day=2)
    dev = user()
    begun = [await room.begin(dev, entry(content)) for content in (b"one", b"two")]
    with pytest.raises(TooManyRequests, match="2 of 2"):
        await room.begin(dev, entry(b"three"))
    clock.advance(24 * 3600)
    for one, content in zip(begun, (b"one", b"two"), strict=True):
        await room.put(dev, one.id, content)
        await room.reports.seal(dev, room.workspace_id, one.id)
    await room.sealed(dev, b"three")
    assert [day.reports for day in (await usage.read(room.workspace_id)).days] == [2, 1]


async def test_a_report_that_comes_again_is_not_counted_again(limits: Limits) -> None:
    room, usage = await limits.room(reports_per_day=1)
    dev = user()
    same = [room.begin(dev, entry(b"x"), id="01890000-0000-7000-8000-000000000000") for _ in range(20)]
    assert await burst(same) == (20, [])
    assert [day.reports for day in (await usage.read(room.workspace_id)).days] == [1]


async def test_the_time_of_recordings_in_reports_at_once_stays_within_the_quota(limits: Limits) -> None:
    room, usage = await limits.room(recording_seconds_per_day=100)
    cast = entry(b"{}", "recording.cast", "recording", media_type="application/x-asciicast")
    reports = [room.begin(user(), cast, duration_ms=30_000) for _ in range(20)]
    assert await burst(reports) == (3, [TooManyRequests] * 17)
    assert [day.recording_ms for day in (await usage.read(room.workspace_id)).days] == [90_000]


async def test_of_files_that_were_admitted_at_once_no_more_are_kept_than_fit(limits: Limits) -> None:
    room, usage = await limits.room(storage_bytes=1000)
    dev = user()
    contents = [bytes([number]) * 300 for number in range(20)]
    begun = await asyncio.gather(*(room.begin(dev, entry(content)) for content in contents))
    sent = [room.put(dev, one.id, content) for one, content in zip(begun, contents, strict=True)]
    assert await burst(sent) == (3, [TooLarge] * 17)
    assert (await usage.read(room.workspace_id)).bytes_stored == 900
    assert len(room.objects()) == 3
    with pytest.raises(TooLarge, match="900 of 1000"):
        await room.begin(dev, entry(b"z" * 101))
