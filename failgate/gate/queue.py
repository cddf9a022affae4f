"""The queue in memory: what is pending, when it expires, and who waits for it. The database stays the truth.

It changes only after a commit, in commit order, and is rebuilt from storage at start (`recovery.py`).
"""

import asyncio
import heapq
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final, TypeAlias

from failgate.base.errors import TooManyRequests
from failgate.gate.stored import Stored

KEPT_FREE: Final = 0.1  # share of the room that is kept for requesters of whom nothing waits

Told: TypeAlias = Callable[[Stored], None]
"""Takes a request as it is once it is no longer pending."""


class Queue:
    """Every pending request of every workspace, by its id."""

    def __init__(self, max_pending: int, max_bytes: int, max_each: int | None = None) -> None:
        """Hold at most `max_pending` requests and `max_bytes` of their commands; `max_each` of one requester."""
        self._max_pending = max_pending
        self._max_each = max_pending if max_each is None else max_each
        self._held: Counter[str] = Counter()  # by requester: how many wait
        self._max_bytes = max_bytes
        self._bytes = 0
        self._pending: dict[str, Stored] = {}
        self._expiries: list[tuple[int, str]] = []
        self._waiters: dict[str, set[asyncio.Future[Stored | None]]] = {}
        self._to_tell: dict[str, tuple[Told, ...]] = {}
        self.changed = asyncio.Event()

    def __len__(self) -> int:
        """Return how many requests are pending."""
        return len(self._pending)

    def get(self, command_id: str) -> Stored | None:
        """Return the pending request, or None when it is not pending."""
        return self._pending.get(command_id)

    def waiting(self) -> list[Stored]:
        """Return every pending request, oldest first."""
        return list(self._pending.values())

    def of_workspace(self, workspace_id: str) -> list[Stored]:
        """Return the workspace's pending requests, oldest first."""
        return [stored for stored in self._pending.values() if stored.workspace_id == workspace_id]

    def admit(self, requester_id: str, size_bytes: int) -> None:
        """Let one more request of `size_bytes` in.

        The last tenth of the room is for requesters of whom nothing waits: who floods keeps nobody else out.

        Raises: TooManyRequests when so many of the requester wait already, or the queue is full.
        """
        held = self._held[requester_id]
        if held >= self._max_each:
            raise TooManyRequests(
                f"{held} of your commands wait for a decision already.",
                retry_after_seconds=5,
                hint="Wait for their answers, or withdraw some.",
            )
        kept_free = 1 - KEPT_FREE if held else 1
        is_full = len(self._pending) >= self._max_pending * kept_free
        if is_full or self._bytes + size_bytes > self._max_bytes * kept_free:
            raise TooManyRequests(
                f"{len(self._pending)} commands wait for a decision already; the queue is full.",
                retry_after_seconds=5,
                hint="Let the reviewers decide first.",
            )

    def put(self, stored: Stored) -> None:
        """Keep `stored`: queue it while it is pending, let it go when it is not; wake those who wait for the change."""
        before = self._pending.get(stored.id)
        if stored.state == "pending":
            self._pending[stored.id] = stored
            if before is None:
                self._bytes += len(stored.body)
                self._held[stored.requester_id] += 1
                heapq.heappush(self._expiries, (stored.expires_us, stored.id))
                self.changed.set()
            return
        if before is not None:
            del self._pending[stored.id]
            self._bytes -= len(before.body)
            self._held[before.requester_id] -= 1
            if not self._held[before.requester_id]:
                del self._held[before.requester_id]
        for waiter in self._waiters.pop(stored.id, ()):
            if not waiter.done():
                waiter.set_result(stored)
        for told in self._to_tell.pop(stored.id, ()):
            asyncio.get_running_loop().call_soon(told, stored)  # what it does is not this commit's

    def due(self, now_us: int, limit: int) -> list[Stored]:
        """Return up to `limit` pending requests whose time has gone by, the longest overdue first. They stay queued."""
        overdue: list[Stored] = []
        kept: list[tuple[int, str]] = []
        while self._expiries and self._expiries[0][0] <= now_us and len(overdue) < limit:
            entry = heapq.heappop(self._expiries)
            stored = self._pending.get(entry[1])
            if stored is not None:
                overdue.append(stored)
                kept.append(entry)
        for entry in kept:
            heapq.heappush(self._expiries, entry)
        return overdue

    def next_expiry_us(self) -> int | None:
        """Return when the next pending request expires, or None when none is pending."""
        while self._expiries and self._expiries[0][1] not in self._pending:
            heapq.heappop(self._expiries)
        return self._expiries[0][0] if self._expiries else None

    @contextmanager
    def watch(self, command_id: str) -> Generator["asyncio.Future[Stored | None]"]:
        """Give a future of the request as it is once it is no longer pending; of None when the server stops first."""
        waiter: asyncio.Future[Stored | None] = asyncio.get_running_loop().create_future()
        self._waiters.setdefault(command_id, set()).add(waiter)
        try:
            yield waiter
        finally:
            waiting = self._waiters.get(command_id)
            if waiting is not None:
                waiting.discard(waiter)
                if not waiting:
                    del self._waiters[command_id]

    def tell(self, command_id: str, told: Told) -> bool:
        """Have `told` called once, when the request is no longer pending; return False when it is not pending now.

        It costs a tenth of the memory of a task that watches: thousands of requests may wait.
        """
        if command_id not in self._pending:
            return False
        self._to_tell[command_id] = (*self._to_tell.get(command_id, ()), told)
        return True

    def leave(self, command_id: str, told: Told) -> None:
        """Do not call `told` any more."""
        left = tuple(one for one in self._to_tell.pop(command_id, ()) if one is not told)
        if left:
            self._to_tell[command_id] = left

    def release(self) -> None:
        """Wake everybody who waits: the server stops."""
        self._to_tell.clear()
        for waiters in list(self._waiters.values()):
            for waiter in tuple(waiters):
                if not waiter.done():
                    waiter.set_result(None)
