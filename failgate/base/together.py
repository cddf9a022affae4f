"""Changes of one kind that are made together: those that wait when the writer comes are one verb, not one each.

A verb for each of a hundred small changes costs more than the changes. Here the second one joins the verb of the first
as long as that has not begun. When such a verb fails, nothing of it is kept, and each of its changes is tried again by
itself: one that cannot be made takes no other with it.
"""

from collections.abc import Awaitable, Callable, Hashable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from failgate.base.db import GROUP_LIMIT, Database, Transaction
from failgate.base.errors import FailgateError, StorageUnavailable
from failgate.base.log import get_logger, request_context

if TYPE_CHECKING:
    from asyncio import Future

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")
Answered = Callable[[Exception | None], None]
"""Learns that a change is durable, or by the error why it was not made."""

_log = get_logger("failgate.database")


class Together(Generic[K, T]):
    """Makes changes of one kind; those under the same key are made together."""

    def __init__(self, database: Database, make: Callable[[Transaction, K, Sequence[T]], Awaitable[None]]) -> None:
        """Make changes by `make`, a verb: in their order all of them, or none."""
        self._database = database
        self._make = make
        self._joinable: dict[K, list[tuple[T, Answered]]] = {}

    def put(self, key: K, change: T, answered: Answered) -> None:
        """Make `change`; `answered` is called once, later, from the loop: never while `put` runs.

        Raises: StorageUnavailable (the server is stopping).
        """
        batch = self._joinable.get(key)
        if batch is not None and len(batch) < GROUP_LIMIT:
            batch.append((change, answered))
            self._database.note_joined()
            return
        batch = [(change, answered)]
        self._begin(key, batch)
        self._joinable[key] = batch

    def _begin(self, key: K, batch: list[tuple[T, Answered]]) -> None:
        made = self._database.put(partial(self._run, key, batch))
        made.add_done_callback(partial(self._tell, key, batch))

    async def _run(self, key: K, batch: list[tuple[T, Answered]], tx: Transaction) -> None:
        if self._joinable.get(key) is batch:
            del self._joinable[key]
        if len(batch) > 1:
            request_context.set(None)  # of no single request; the writer puts back what was there
        await self._make(tx, key, [change for change, _ in batch])

    def _tell(self, key: K, batch: list[tuple[T, Answered]], made: "Future[Any]") -> None:
        if self._joinable.get(key) is batch:  # it was refused before it began
            del self._joinable[key]
        error = cast("Exception | None", made.exception())  # the writer catches no other
        if error is None or len(batch) == 1 or isinstance(error, StorageUnavailable):
            for _, answered in batch:
                _call(answered, error)
            return
        for one in batch:
            try:
                self._begin(key, [one])
            except FailgateError as refusal:
                _call(one[1], refusal)


def settled(waiting: "Future[None]", error: Exception | None) -> None:
    """End `waiting` as the change did, unless who waited has left."""
    if waiting.done():
        return
    if error is None:
        waiting.set_result(None)
    else:
        waiting.set_exception(error)


def _call(answered: Answered, error: Exception | None) -> None:
    try:
        answered(error)
    except Exception as failure:  # noqa: BLE001  # any fault of one who learns: the others of the batch learn it still
        _log.exception("answer.failed", error=type(failure).__name__)
