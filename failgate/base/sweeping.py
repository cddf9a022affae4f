"""What tidies up, called again and again in the background, and once more at the end."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from failgate.base.errors import FailgateError
from failgate.base.log import get_logger

SWEEP_SECONDS: Final = 30.0
Sweep = Callable[[], Awaitable[object]]
log = get_logger("failgate.sweeping")


class Sweeping:
    """Calls each of the sweeps every half minute; one that fails is logged and stops no other."""

    def __init__(self, sweeps: Sequence[Sweep], *, at_start: Sweep) -> None:
        """Sweep with `sweeps`, and once, when it starts, with `at_start`."""
        self._sweeps = sweeps
        self._at_start = at_start
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin in the background."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="sweeping")

    async def close(self) -> None:
        """Stop, after a last sweep."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self._sweep()

    async def _run(self) -> None:
        await self._at_start()
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            await self._sweep()

    async def _sweep(self) -> None:
        for sweep in self._sweeps:
            try:
                await sweep()
            except FailgateError as error:
                log.warning("sweep.failed", reason=str(error))
