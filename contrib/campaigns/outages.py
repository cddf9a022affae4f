"""What is done to something behind a line: it refuses, falls silent, loses the answer to what it was asked."""

import asyncio
import time
from collections.abc import Awaitable
from dataclasses import dataclass, field

from postgres import Line


@dataclass(kw_only=True)
class Outage:
    """The line to something, for how many seconds it is gone each time, and when it was."""

    line: Line
    gap: float
    gone: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])

    async def away(self, what: Awaitable[None]) -> None:
        """Note that it is gone until `what` is over."""
        began = time.monotonic()
        await what
        self.gone.append((began, time.monotonic()))

    async def lose_commits(self, how: str) -> None:
        """Lose up to three commits, `how`: "before" they are done or "after"."""
        for _ in range(3):
            await asyncio.sleep(0.1)
            self.line.lose_commit = how
            for _ in range(500):
                if self.line.lose_commit is None:
                    break
                await asyncio.sleep(0.01)

    async def refuse(self) -> None:
        await self.line.refuse()
        await self.away(asyncio.sleep(self.gap))
        await self.line.open()

    async def silence(self) -> None:
        await self.away(self.line.silence(self.gap))
