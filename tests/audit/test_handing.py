"""One call of an exporter: it ends in time or is ended, and is never doubled. B11"""

import asyncio
import contextlib

import pytest

from failgate.audit.exporter import ExportedRecord, ExportFailed
from failgate.audit.handing import Handing

BATCH = [ExportedRecord("system", 0, b"{}")]


class Deaf:
    """An exporter that does not heed its end."""

    def __init__(self):
        self.calls = 0
        self.may_end = asyncio.Event()

    async def deliver(self, _batch):
        self.calls += 1
        while not self.may_end.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await self.may_end.wait()


async def test_a_call_that_does_not_heed_its_end_is_not_doubled():
    deaf = Deaf()
    handing = Handing(deaf, longest_call_seconds=0.02)
    with pytest.raises(ExportFailed, match="no end"):
        await handing.hand(BATCH)
    for _ in range(2):
        with pytest.raises(ExportFailed, match="earlier delivery"):
            await handing.hand(BATCH)
    assert deaf.calls == 1
    deaf.may_end.set()
    await handing.hand(BATCH)
    assert deaf.calls == 2


async def test_the_end_of_the_follower_ends_the_call_too():
    ended = asyncio.Event()

    class Stuck:
        async def deliver(self, _batch):
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

    task = asyncio.create_task(Handing(Stuck()).hand(BATCH))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(5):
        await ended.wait()


async def test_an_exporter_that_gives_up_by_itself_has_failed_and_not_ended_the_follower():
    class Quitter:
        async def deliver(self, _batch):
            raise asyncio.CancelledError

    with pytest.raises(ExportFailed, match="gave the delivery up"):
        await Handing(Quitter()).hand(BATCH)


async def test_nothing_is_handed_over_for_nothing():
    deaf = Deaf()
    await Handing(deaf).hand([])
    assert deaf.calls == 0
