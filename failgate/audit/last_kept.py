"""The newest record that this process knows to be kept: by it a database is known again after a connection broke.

Records are kept in one order. A database that has this one has all before it; one that lacks it is empty, of somebody
else, or a copy from before, in which what was acknowledged since is not there and what was revoked is valid again.
"""

from collections.abc import Awaitable, Callable, Iterable

from failgate.audit.places import record_position
from failgate.audit.stored import StoredHead
from failgate.base.db import Row
from failgate.base.errors import StorageUnavailable

_HASH = "SELECT leaf_hash FROM audit_record WHERE position = $1"


class LastKept:
    """One record: where it is, and the hash that its leaf has."""

    def __init__(self) -> None:
        self._known: tuple[int, bytes] | None = None  # position and hash, one thing: another may be kept at any time

    def note(self, log_number: int, size: int, leaf_hash: bytes) -> None:
        """Know that the log `log_number` has `size` records, the last with `leaf_hash`: it was committed."""
        self._known = (record_position(log_number, size - 1), leaf_hash)

    def note_newest(self, heads: Iterable[StoredHead]) -> None:
        """Know the newest of the last records of `heads`."""
        filled = [one for one in heads if one.head.size]
        if filled:
            newest = max(filled, key=lambda one: one.head.ts_us)
            self.note(newest.number, newest.head.size, newest.head.last)

    async def recognise(self, fetch: Callable[..., Awaitable[list[Row]]]) -> None:
        """Return when the database that `fetch` reads has the record. Raises: StorageUnavailable."""
        if self._known is None:
            return
        position, leaf_hash = self._known
        rows = await fetch(_HASH, position)
        if not rows or bytes(rows[0]["leaf_hash"]) != leaf_hash:
            raise StorageUnavailable(
                "The database lacks what this server has acknowledged: it is another one, or a copy from before.",
                hint="Lead [database] url back to it; to go on with what is there, restart the server, which compares.",
            )
