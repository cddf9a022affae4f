"""The word that the server is stopping, for everything that waits long: polls, streams, sockets."""

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

T = TypeVar("T")


class Stop:
    """Set once, when the server begins to stop."""

    def __init__(self) -> None:
        """Begin unset."""
        self._event = asyncio.Event()

    @property
    def is_set(self) -> bool:
        """Tell whether the server is stopping."""
        return self._event.is_set()

    def set(self) -> None:
        """Wake everybody who waits."""
        self._event.set()

    async def wait(self) -> None:
        """Return when the server is stopping."""
        await self._event.wait()

    async def first(self, wanted: Awaitable[T]) -> T | None:
        """Return what `wanted` answers, or None when the server stops before it does: `wanted` is cancelled then."""
        stopping = asyncio.ensure_future(self._event.wait())
        try:
            return await before(wanted, stopping)
        finally:
            stopping.cancel()


async def before(wanted: Awaitable[T], end: asyncio.Future[Any]) -> T | None:
    """Return what `wanted` answers, or None when `end` comes before it does: `wanted` is cancelled then."""
    task = asyncio.ensure_future(wanted)
    try:
        await asyncio.wait({task, end}, return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
