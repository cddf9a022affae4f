"""Looks each minute at what nobody acknowledged in 48 hours, and tells the operator and the platform's people."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Final

from failgate.plugin import FailgateError, Host
from failgate_disclosure.desk import Desk
from failgate_disclosure.escalation import Escalation

EVERY_SECONDS: Final = 60.0


class Watch:
    """Knows how many reports are late."""

    def __init__(self, desk: Desk, host: Host, escalation: Escalation | None = None) -> None:
        """Look at the reports of `desk`; `escalation` tells people of them."""
        self._desk = desk
        self._escalation = escalation
        self._host = host
        self._late = 0

    async def look(self) -> None:
        """Count what is late, put on record what became so, and tell people of it."""
        self._late = await self._desk.note_late()
        if self._escalation is not None:
            await self._escalation.look()

    def advice(self) -> list[str]:
        """Return a sentence for the operator when something is late."""
        if not self._late:
            return []
        count = f"{self._late} reports wait" if self._late > 1 else "A report waits"
        return [f"{count} for more than 48 hours to be acknowledged, which the policy promises."]

    @contextlib.asynccontextmanager
    async def going_on(self) -> AsyncGenerator[None, None]:
        """Look each minute until the block is left."""
        task = asyncio.get_running_loop().create_task(self._go_on(), name="watching-disclosure")
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _go_on(self) -> None:
        while True:
            try:
                await self.look()
            except FailgateError as error:
                self._host.log.warning("disclosure.unwatched", reason=error.sentence)
            await asyncio.sleep(EVERY_SECONDS)
