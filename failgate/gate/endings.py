"""Who is told, without waiting in a task, that a request is no longer pending: thousands may wait for theirs."""

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from failgate.gate.queue import Queue
from failgate.gate.steady import SteadyTime
from failgate.gate.stored import Receipt, Stored, receipt_of

Told: TypeAlias = Callable[[Receipt], None]


class Ending:
    """One who is to be told, until told."""

    __slots__ = ("_command_id", "_queue", "_told")

    def __init__(self, queue: Queue, command_id: str, told: Callable[[Stored], None]) -> None:
        """Belong to `queue`, which knows `told`."""
        self._queue = queue
        self._command_id = command_id
        self._told = told

    def leave(self) -> None:
        """Be told no more."""
        self._queue.leave(self._command_id, self._told)


class Endings:
    """The ends of pending requests."""

    def __init__(self, queue: Queue, time: SteadyTime) -> None:
        """Look at `queue`."""
        self._queue = queue
        self._time = time

    def tell(self, command_id: str, told: Told) -> Ending | None:
        """Have `told` called once, soon after the request is no longer pending; return None when it is not now."""
        ended = partial(self._ended, told)
        return Ending(self._queue, command_id, ended) if self._queue.tell(command_id, ended) else None

    def _ended(self, told: Told, stored: Stored) -> None:
        told(receipt_of(stored, self._time.now_us()))
