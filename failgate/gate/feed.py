"""What the gate tells those who watch: each event encoded once, handed to every subscriber of its workspace.

A subscriber that does not keep up is dropped, so that no reader can make the server remember for it; it comes back,
reads the queue again and subscribes anew.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable
from types import TracebackType
from typing import Final, Literal, Self

import msgspec

from failgate.wire.gate import CommandView

Happened = Literal[
    "created", "allowed", "refused", "observed", "voted", "approved", "denied", "expired", "cancelled", "consumed",
    "finished", "reported", "quarantined", "broken", "reviewed",
]  # fmt: skip

QUEUE_LIMIT: Final = 256  # events that a subscriber may be behind
QUEUE_BYTES: Final = 131_072  # and what they may hold; the newest one may be larger by itself


class FeedEvent(msgspec.Struct, frozen=True, tag_field="type", tag="command"):
    """One event on the wire: `{"type": "command", "event": …, "command": {…}}`."""

    event: Happened
    command: CommandView


_encode = msgspec.json.Encoder().encode


class Subscription:
    """One reader's events, oldest first, as the bytes of a JSON text.

    ```python
    with feed.subscribe(workspace_id) as events:
        async for octets in events: ...
    ```
    The iteration ends when the subscription is closed or dropped; `is_dropped` tells which.
    """

    def __init__(self, close: Callable[["Subscription"], None], limit: int) -> None:
        """Be empty; call `close` when left."""
        self._close = close
        self._limit = limit
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._wake = asyncio.Event()
        self._is_open = True
        self.is_dropped = False

    def offer(self, octets: bytes) -> None:
        """Queue an event; a reader that is `limit` events or 128 KiB behind is dropped instead."""
        is_full = len(self._waiting) >= self._limit or self._waiting_bytes + len(octets) > QUEUE_BYTES
        if self._waiting and is_full:
            self.is_dropped = True
            self.close()
            return
        self._waiting.append(octets)
        self._waiting_bytes += len(octets)
        self._wake.set()

    def close(self) -> None:
        """End the subscription; what was queued is let go."""
        self._is_open = False
        self._waiting.clear()
        self._waiting_bytes = 0
        self._wake.set()
        self._close(self)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    def __aiter__(self) -> Self:
        """Return itself."""
        return self

    async def __anext__(self) -> bytes:
        """Return the next event; wait for it."""
        while self._is_open:
            if self._waiting:
                octets = self._waiting.popleft()
                self._waiting_bytes -= len(octets)
                return octets
            self._wake.clear()
            await self._wake.wait()
        raise StopAsyncIteration


class Feed:
    """The subscribers of each workspace."""

    def __init__(self, queue_limit: int = QUEUE_LIMIT) -> None:
        """Let a subscriber be at most `queue_limit` events behind."""
        self._limit = queue_limit
        self._subscribers: defaultdict[str, set[Subscription]] = defaultdict(set)

    def subscribe(self, workspace_id: str) -> Subscription:
        """Return a subscription to every event of the workspace from now on."""

        def leave(subscription: Subscription) -> None:
            readers = self._subscribers.get(workspace_id)
            if readers is not None:
                readers.discard(subscription)
                if not readers:
                    del self._subscribers[workspace_id]

        subscription = Subscription(leave, self._limit)
        self._subscribers[workspace_id].add(subscription)
        return subscription

    def has_readers(self, workspace_id: str) -> bool:
        """Tell whether anybody watches the workspace; if not, nothing has to be made to tell."""
        return workspace_id in self._subscribers

    def publish(self, workspace_id: str, event: Happened, command: CommandView) -> None:
        """Hand the event to every subscriber of the workspace, encoded once."""
        if self.has_readers(workspace_id):
            self.hand(workspace_id, _encode(FeedEvent(event, command)))

    def hand(self, key: str, octets: bytes) -> None:
        """Hand a message to every subscriber of `key`."""
        for reader in tuple(self._subscribers.get(key, ())):
            reader.offer(octets)

    def reader_count(self) -> int:
        """Return how many subscriptions are open, for the metrics."""
        return sum(len(readers) for readers in self._subscribers.values())

    def close(self) -> None:
        """End every subscription: the server stops."""
        for readers in list(self._subscribers.values()):
            for reader in tuple(readers):
                reader.close()
