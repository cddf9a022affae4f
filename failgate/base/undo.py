"""A mapping whose changes can be taken back: what the writer caches between transactions."""

from collections.abc import Hashable, Iterator, MutableMapping

_MISSING = object()


class UndoMapping(MutableMapping[Hashable, object]):
    """A mapping whose changes can be taken back. Values are replaced, never changed in place."""

    def __init__(self) -> None:
        self._values: dict[Hashable, object] = {}
        self._journal: list[tuple[Hashable, object]] = []

    def __getitem__(self, key: Hashable) -> object:
        return self._values[key]

    def __setitem__(self, key: Hashable, value: object) -> None:
        self._journal.append((key, self._values.get(key, _MISSING)))
        self._values[key] = value

    def __delitem__(self, key: Hashable) -> None:
        self._journal.append((key, self._values[key]))
        del self._values[key]

    def __iter__(self) -> Iterator[Hashable]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: Hashable, default: object = None) -> object:
        """Return the value under `key`, or `default`."""
        return self._values.get(key, default)

    def mark(self) -> int:
        """Return a position to which `undo_to` can go back."""
        return len(self._journal)

    def undo_to(self, mark: int) -> None:
        """Take back every change made since `mark`."""
        while len(self._journal) > mark:
            key, old = self._journal.pop()
            if old is _MISSING:
                self._values.pop(key, None)
            else:
                self._values[key] = old

    def keep(self) -> None:
        """Make all changes final."""
        self._journal.clear()

    def forget(self) -> None:
        """Drop every value: what was cached is no longer known to be true."""
        self._values.clear()
        self._journal.clear()
