"""What tidies up, called again and again in the background, and once more at the end."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from failgate.base.background import Background
from failgate.base.errors import FailgateError
from failgate.base.log import get_logger

SWEEP_SECONDS: Final = 30.0
Sweep = Callable[[], Awaitable[object]]
log = get_logger("failgate.sweeping")


class Sweeping:
    """Calls each of the sweeps every half minute, or as it is told; one that fails is logged and stops no other."""

    def __init__(self, sweeps: Sequence[Sweep], *, at_start: Sweep, every_seconds: float = SWEEP_SECONDS) -> None:
        """Sweep with `sweeps`, and once, when it starts, with `at_start`."""
        self._every_seconds = every_seconds
        self._sweeps = sweeps
        self._due: Sequence[Sweep] = (at_start,)
        self._background = Background("sweeping", self._step)

    def start(self) -> None:
        """Begin in the background."""
        self._background.start()

    async def close(self) -> None:
        """Stop, after a last sweep."""
        await self._background.close()
        await self._sweep(self._sweeps)

    async def _step(self) -> None:
        await self._sweep(self._due)
        self._due = self._sweeps
        await asyncio.sleep(self._every_seconds)

    async def _sweep(self, sweeps: Sequence[Sweep]) -> None:
        for sweep in sweeps:
            try:
                await sweep()
            except FailgateError as error:
                log.warning("sweep.failed", reason=str(error))
            except Exception as error:  # one that breaks stops no other
                log.exception("sweep.broke", error=type(error).__name__)
