"""How the writer waits for those who may be about to ask: until so many changes wait, or some time is over."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

SHORTEST_TIMER_SECONDS: Final = 0.001  # timers of the loop are no finer


class Gathering:
    """Waits until `has` tells of a number of changes that so many wait, or that nobody is to be waited for."""

    def __init__(self, has: Callable[[int], bool]) -> None:
        """Wait for nobody yet."""
        self._has = has
        self._wanted = 0
        self._waiting: asyncio.Future[None] | None = None

    async def wait(self, wanted: int, seconds: float) -> None:
        """Return once `wanted` changes wait, after `seconds` at the latest.

        What is shorter than a timer is waited for turn by turn of the loop; longer, that would take a tenth of the
        processor time of what is waited for.
        """
        if self._has(wanted):
            return
        if seconds < SHORTEST_TIMER_SECONDS:
            deadline = time.monotonic() + seconds
            while not self._has(wanted) and time.monotonic() < deadline:  # noqa: ASYNC110 - see above
                await asyncio.sleep(0)
            return
        loop = asyncio.get_running_loop()
        self._wanted, self._waiting = wanted, loop.create_future()
        timer = loop.call_later(seconds, self._end)
        try:
            await self._waiting
        finally:
            timer.cancel()
            self._waiting = None

    def note(self) -> None:
        """Look again: one more change waits."""
        if self._waiting is not None and self._has(self._wanted):
            self._end()

    def _end(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)
