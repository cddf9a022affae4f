"""What a server does again and again in the background: one step after another, until it is closed."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

from failgate.base.errors import FailgateError
from failgate.base.log import get_logger

PAUSE_SECONDS: Final = 1.0  # after a step that failed
_log = get_logger("failgate.background")


class Background:
    """A task that takes a step again and again; each step waits by itself for what it is about.

    A step that fails is logged and the next one comes: the task is nobody's to await, so that an error which ended it
    would end the work unseen.
    """

    def __init__(self, name: str, step: Callable[[], Awaitable[object]]) -> None:
        """Take `step` under `name`, as logs and the task call it."""
        self._name = name
        self._step = step
        self._task: asyncio.Task[None] | None = None

    def is_running(self) -> bool:
        """Tell whether it was started and not closed."""
        return self._task is not None

    def start(self) -> None:
        """Begin, unless it began."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name=self._name)

    async def close(self) -> None:
        """Stop where the step waits; it may be started again."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _run(self) -> None:
        while True:
            try:
                await self._step()
            except FailgateError as error:
                _log.warning("background.failed", work=self._name, reason=str(error))
                await asyncio.sleep(PAUSE_SECONDS)
            except Exception as error:  # noqa: BLE001  # nobody awaits this task: any other end of it would be unseen
                _log.exception("background.broke", work=self._name, error=type(error).__name__)
                await asyncio.sleep(PAUSE_SECONDS)


class DueWork:
    """Looks what is due when it starts, when it is woken, and every so many seconds; what failed is due again."""

    RETRY_SECONDS: Final = 30.0

    def __init__(self, name: str, run_once: Callable[[], Awaitable[object]]) -> None:
        """Do what is due with `run_once`, under `name`."""
        self._run_once = run_once
        self._is_due = asyncio.Event()
        self._background = Background(name, self._step)

    def start(self) -> None:
        """Go on with what is due, in the background."""
        self._is_due.set()
        self._background.start()

    def wake(self) -> None:
        """Look now what is due."""
        self._is_due.set()

    async def close(self) -> None:
        """Stop; what is left is due at the next start."""
        await self._background.close()

    async def _step(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.RETRY_SECONDS):  # `wait_for` of 3.11 may swallow the end (cpython 86296)
                await self._is_due.wait()
        self._is_due.clear()
        await self._run_once()
