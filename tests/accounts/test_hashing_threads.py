import asyncio
import mmap
import platform
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from failgate.accounts.hashing_threads import HashingThreads
from failgate.accounts.password import Passwords

SIZE = 19 * 1024 * 1024


@pytest.fixture
def threads() -> Iterator[HashingThreads]:
    made = HashingThreads(1, 0)
    yield made
    made.close()


async def test_what_work_returns_and_raises_reaches_its_caller_and_each_ends_once(threads: HashingThreads) -> None:
    ended: list[str] = []

    def breaks() -> None:
        raise LookupError("broken")

    assert await threads.run(lambda: threading.current_thread().name, lambda: ended.append("first")) == "argon2_0"
    with pytest.raises(LookupError, match="broken"):
        await threads.run(breaks, lambda: ended.append("second"))
    assert await threads.run(lambda: 7, lambda: ended.append("third")) == 7  # the thread lives on
    assert ended == ["first", "second", "third"]


async def test_work_whose_caller_left_before_its_turn_is_not_done_and_ends_in_its_turn(threads: HashingThreads) -> None:
    gate, done, ended = threading.Event(), [], []
    first = asyncio.ensure_future(threads.run(lambda: gate.wait(10), lambda: ended.append(1)))
    second = asyncio.ensure_future(threads.run(lambda: done.append(2), lambda: ended.append(2)))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.sleep(0)
    assert ended == []  # it counts among those that wait until a thread has seen it
    gate.set()
    await first
    await threads.run(lambda: done.append(3), lambda: ended.append(3))
    assert (done, ended) == ([3], [1, 2, 3])


async def test_closing_lets_what_runs_end_and_drops_what_waits() -> None:
    threads, gate, began, ended = HashingThreads(1, 0), threading.Event(), threading.Event(), []

    def work() -> str:
        began.set()
        gate.wait(10)
        return "whole"

    running = asyncio.ensure_future(threads.run(work, lambda: ended.append("running")))
    await asyncio.sleep(0)
    assert began.wait(10)
    waiting = asyncio.ensure_future(threads.run(lambda: "never", lambda: ended.append("waiting")))
    await asyncio.sleep(0)
    threading.Timer(0.05, gate.set).start()
    threads.close()
    assert await running == "whole"
    async with asyncio.timeout(10):
        with pytest.raises(asyncio.CancelledError):
            await waiting
    assert sorted(ended) == ["running", "waiting"]


async def test_a_loop_that_is_gone_is_told_nothing_and_the_thread_lives_on(threads: HashingThreads) -> None:
    gate = threading.Event()

    def leave() -> None:
        loop = asyncio.new_event_loop()
        left = loop.create_task(threads.run(lambda: gate.wait(10), lambda: None))
        loop.call_soon(loop.stop)
        loop.run_forever()
        left.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()

    await asyncio.to_thread(leave)
    gate.set()
    async with asyncio.timeout(10):
        assert await threads.run(lambda: "still here", lambda: None) == "still here"


async def test_the_memory_of_a_hash_may_be_of_large_pages() -> None:
    """The memory that the kernel was told of is the one that Argon2 goes through: all but its ends.

    Where a kernel or a C library offers none, it is hashed all the same.
    """
    passwords = Passwords(passes=1)
    stored = await passwords.hash("correct horse battery staple")
    assert (await passwords.verify(stored, "correct horse battery staple")).fits
    advised = [size for size, flags in _mappings() if "hg" in flags]
    passwords.close()
    is_offered = platform.libc_ver()[0] == "glibc" and Path("/sys/kernel/mm/transparent_hugepage").exists()
    assert (max(advised, default=0) >= SIZE - mmap.PAGESIZE) == is_offered


def _mappings() -> Iterator[tuple[int, list[str]]]:
    """Give how many bytes of each mapping of this process are in memory, and its flags."""
    resident = 0
    place = Path("/proc/self/smaps")  # of Linux alone
    for line in place.read_text().splitlines() if place.exists() else ():
        if line.startswith("Rss:"):
            resident = int(line.split()[1]) * 1024
        elif line.startswith("VmFlags:"):
            yield resident, line.split()[1:]
