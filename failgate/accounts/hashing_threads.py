"""The threads on which passwords are hashed: few, the least urgent of the server, each in memory of large pages.

A hash takes 20 ms of a core and goes through 19 MiB at random. Whoever else wants the core, a decision above all, gets
it; and a thread does next to nothing in Python, where it holds the interpreter's lock: it takes a piece of work and
tells the loop once how that ended. An executor's future tells it twice, and wakes those who may wait for it besides.
"""

import asyncio
import contextlib
import mmap
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, Final, Generic, TypeVar

R = TypeVar("R")

NICENESS: Final = 10  # a tenth of the share of a thread with 0
_LARGE_PAGE: Final = 2 * 1024 * 1024


@dataclass(slots=True, eq=False)
class _Job(Generic[R]):
    """Work for a thread, and who waits for it on which loop. `finished` is called on the loop, however it ended."""

    work: Callable[[], R] = field(repr=False)
    future: "asyncio.Future[R]"
    finished: Callable[[], None]

    def run(self) -> None:
        """Do it on this thread, unless its caller has left; tell the loop."""
        if self.future.cancelled():
            self.tell(self.finished)
            return
        try:
            result = self.work()
        except BaseException as error:  # noqa: BLE001  # whoever waits gets it
            self.tell(partial(self._fail, error))
        else:
            self.tell(partial(self._succeed, result))

    def drop(self) -> None:
        """Tell whoever waits that it is not done any more."""
        self.tell(self._cancel)

    def tell(self, call: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is gone: nobody waits any more
            self.future.get_loop().call_soon_threadsafe(call)

    def _succeed(self, result: R) -> None:
        self.finished()
        if not self.future.done():
            self.future.set_result(result)

    def _fail(self, error: BaseException) -> None:
        self.finished()
        if not self.future.done():
            self.future.set_exception(error)

    def _cancel(self) -> None:
        self.finished()
        self.future.cancel()


class HashingThreads:
    """At most so many threads, begun when there is work for them."""

    def __init__(self, most: int, memory_bytes: int) -> None:
        """Begin `most` threads at most, each of which will ask for `memory_bytes` at once for each hash."""
        self._most = most
        self._memory_bytes = memory_bytes
        self._jobs: SimpleQueue[_Job[Any] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []

    async def run(self, work: Callable[[], R], finished: Callable[[], None]) -> R:
        """Return what `work` returns, called on one of the threads, or raise what it raises.

        `finished` is called on the loop when a thread is done with it, also when the caller has left.
        """
        job: _Job[R] = _Job(work, asyncio.get_running_loop().create_future(), finished)
        self._jobs.put(job)
        if len(self._threads) < self._most:
            self._begin()
        return await job.future

    def close(self) -> None:
        """Let the running work end, drop what waits, and release the threads."""
        with contextlib.suppress(Empty):
            while (job := self._jobs.get_nowait()) is not None:
                job.drop()
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def _begin(self) -> None:
        name = f"argon2_{len(self._threads)}"
        # A daemon: what was never closed does not hold up the end of the process.
        thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _work(self) -> None:
        _give_way()
        _keep_large_pages(self._memory_bytes)
        while (job := self._jobs.get()) is not None:
            job.run()
            del job  # its password goes now, not when the next one comes


def _give_way() -> None:
    """Let this thread run when nothing else of the machine wants to: a storm of sign-ins delays no decision.

    Linux alone has a niceness for each thread; elsewhere the number could name another process.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            thread = threading.get_native_id()
            own = os.getpriority(os.PRIO_PROCESS, thread)  # a superuser's thread could rise above its own server
            os.setpriority(os.PRIO_PROCESS, thread, max(own, NICENESS))


def _keep_large_pages(size_bytes: int) -> None:
    """Let the kernel give large pages to the memory of which this thread's next allocations of `size_bytes` are made.

    Argon2 looks at blocks of 1 KiB all over its memory: in pages of 4 KiB the processor forgets where most of them are.
    glibc maps such a piece by itself once; when that is given back it keeps pieces of this size in the thread's own
    heap, and the next one lies where the last one lay. Where that is not so, nothing is gained and nothing lost.

    Source: madvise(2), mallopt(3) on M_MMAP_THRESHOLD.
    """
    if sys.platform != "linux" or size_bytes < _LARGE_PAGE:
        return
    with contextlib.suppress(ImportError, OSError, AttributeError):  # another C library, or none to be seen
        import ctypes  # not at the start: only now is it needed

        library = ctypes.CDLL(None)
        library.malloc.restype, library.malloc.argtypes = ctypes.c_void_p, (ctypes.c_size_t,)
        library.free.restype, library.free.argtypes = None, (ctypes.c_void_p,)
        library.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
        whole = size_bytes + _LARGE_PAGE  # the last large page is one only when all of it belongs to the heap
        library.free(library.malloc(whole))
        place = library.malloc(whole)
        if place is not None:
            start = -(-place // mmap.PAGESIZE) * mmap.PAGESIZE
            library.madvise(start, (place + whole - start) // mmap.PAGESIZE * mmap.PAGESIZE, mmap.MADV_HUGEPAGE)
            library.free(place)
