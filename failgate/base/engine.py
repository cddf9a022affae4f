"""What a database asks of an engine: a connection that writes, and what reads beside it."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, TypeVar

T = TypeVar("T")
Recognise: TypeAlias = Callable[[Callable[..., Awaitable[list[dict[str, Any]]]]], Awaitable[None]]
"""Looks at a database by the `fetch(sql, *args)` that it is given; raises StorageUnavailable when it is another one."""


@dataclass(slots=True)
class Newcomers:
    """What is asked of a new connection to a server before it is used; nothing before somebody knows the database."""

    recognise: Recognise | None = None


class WriterConnection(Protocol):
    """What the writer needs of an engine: one connection that alone changes the database.

    `commit_seconds` is how long a commit took lately.
    """

    commit_seconds: float

    async def begin(self) -> None:
        """Open a transaction that no other writer can enter."""
        ...

    async def fetch(self, sql: str, args: Sequence[Any]) -> list[dict[str, Any]]:
        """Run one statement; return its rows."""
        ...

    async def execute(self, sql: str, args: Sequence[Any]) -> int:
        """Run one statement; return how many rows it changed."""
        ...

    async def execute_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run one statement for each of `rows`, in their order."""
        ...

    async def commit(self) -> None:
        """Make the transaction durable."""
        ...

    async def rollback(self) -> None:
        """End the transaction without effect; must work after any error."""
        ...

    def drive(self, verb: Awaitable[T]) -> Awaitable[T]:
        """Return what the writer awaits to run `verb`."""
        ...

    async def between(self) -> None:
        """Do upkeep while no transaction is open."""
        ...

    async def close(self) -> None:
        """Release the connection."""
        ...


class Readers(Protocol):
    """What reads committed rows beside the writer."""

    async def run(self, sql: str, args: Sequence[Any]) -> list[dict[str, Any]]:
        """Run one query; return its rows."""
        ...

    async def close(self) -> None:
        """Release the connections."""
        ...
