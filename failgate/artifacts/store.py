"""The contract of artifact stores. Keys are random and reveal nothing; the bytes are private."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol


class Incoming(Protocol):
    """An object that is being written; it becomes visible only by `commit`."""

    async def write(self, chunk: bytes) -> None:
        """Append `chunk`."""
        ...

    async def commit(self) -> None:
        """Make the object durable and visible under its key, all at once."""
        ...


class ArtifactStore(Protocol):
    """A store plugin's part. A key is 36 characters (a UUID of ours) and is never used twice."""

    def put(self, key: str) -> AbstractAsyncContextManager[Incoming]:
        """Open a new object. Leaving the context without `commit` removes every trace of it."""
        ...

    def open(self, key: str, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        """Yield the bytes `start` to `stop` (exclusive, None = end) of an object.

        Raises: NotFound.
        """
        ...

    async def size(self, key: str) -> int:
        """Return the size in bytes.

        Raises: NotFound.
        """
        ...

    async def unlink(self, key: str) -> bool:
        """Remove an object; False when there was none."""
        ...

    def keys(self) -> AsyncIterator[str]:
        """Yield every key that is visible."""
        ...
