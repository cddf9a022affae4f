"""What is done again and again: a step that fails ends nothing."""

import asyncio
from itertools import count

import pytest

from failgate.base.background import Background, DueWork
from failgate.base.errors import Conflict
from failgate.base.sweeping import Sweeping


@pytest.mark.parametrize("error", [Conflict("It cannot be."), ZeroDivisionError("a fault of ours")])
async def test_the_next_step_comes_after_one_that_failed(error: Exception, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("failgate.base.background.PAUSE_SECONDS", 0.0)
    steps, done = count(), asyncio.Event()

    async def step() -> None:
        if next(steps) == 0:
            raise error
        done.set()
        await asyncio.Event().wait()

    work = Background("test", step)
    work.start()
    work.start()  # no second task: the step that waits would be overtaken
    await asyncio.wait_for(done.wait(), 30)
    assert next(steps) == 2
    assert work.is_running()
    await work.close()
    assert not work.is_running()


async def test_work_is_done_at_the_start_and_when_it_is_woken():
    done: asyncio.Queue[None] = asyncio.Queue()

    async def run_once() -> None:
        done.put_nowait(None)

    work = DueWork("test", run_once)
    work.start()
    await asyncio.wait_for(done.get(), 30)
    work.wake()
    await asyncio.wait_for(done.get(), 30)
    await work.close()
    work.wake()
    await asyncio.sleep(0)
    assert done.empty()


async def test_work_that_is_woken_and_closed_at_once_ends():
    waiting = asyncio.Event()

    async def run_once() -> None:
        waiting.set()

    work = DueWork("test", run_once)
    work.start()
    await asyncio.wait_for(waiting.wait(), 30)
    await asyncio.sleep(0)  # it waits for the next time
    work.wake()
    closing = asyncio.get_running_loop().create_task(work.close())
    await asyncio.wait([closing], timeout=10)
    assert closing.done()


async def test_a_sweep_that_breaks_stops_no_other():
    swept: list[str] = []

    async def broken() -> None:
        swept.append("broken")
        raise ZeroDivisionError

    async def refused() -> None:
        swept.append("refused")
        raise Conflict("Not now.")

    async def sound() -> None:
        swept.append("sound")

    sweeping = Sweeping([broken, refused, sound], at_start=broken)
    sweeping.start()
    await asyncio.sleep(0)
    await sweeping.close()
    assert swept == ["broken", "broken", "refused", "sound"]
