"""Answers kept in memory so that the hot path asks no database, and forgotten in the moment they change.

The writer forgets after its commit (`Transaction.after_commit`); a load that began before that is thrown away, so an
old answer never comes back. One process only: what another process changed is not seen here.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

DEFAULT_LIMIT: Final = 100_000  # entries; the least recently loaded one leaves first


class ReadThrough(Generic[K, V]):
    """A bounded mapping that loads what it misses and remembers only what was found."""

    def __init__(self, load: Callable[[K], Awaitable[V | None]], *, limit: int = DEFAULT_LIMIT) -> None:
        """Load by `load`, which answers None for "there is none"; keep at most `limit` entries."""
        self._load = load
        self._limit = limit
        self._kept: OrderedDict[K, V] = OrderedDict()
        self._changes = 0

    def peek(self, key: K) -> V | None:
        """Return what is remembered under `key`, without loading."""
        return self._kept.get(key)

    def entries(self) -> list[tuple[K, V]]:
        """Return everything that is remembered, as a copy."""
        return list(self._kept.items())

    async def get(self, key: K) -> V | None:
        """Return the value under `key`, loaded when it is not remembered; None when there is none."""
        kept = self._kept.get(key)
        if kept is not None:
            return kept
        while True:
            changes = self._changes
            value = await self._load(key)
            if changes == self._changes:  # nothing was forgotten while this was read
                break
        if value is not None:
            self.put(key, value)
        return value

    def put(self, key: K, value: V) -> None:
        """Remember `value`, which is known to be committed."""
        self._kept[key] = value
        if len(self._kept) > self._limit:
            self._kept.popitem(last=False)

    def forget(self, key: K) -> None:
        """Forget `key`, also for loads under way."""
        self._changes += 1
        self._kept.pop(key, None)

    def forget_where(self, is_meant: Callable[[K, V], bool]) -> None:
        """Forget every entry for which `is_meant` is true, also for loads under way."""
        self._changes += 1
        for key in [key for key, value in self._kept.items() if is_meant(key, value)]:
            del self._kept[key]
