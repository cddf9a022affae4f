"""What one uploader may keep in a workspace: a number of files, and their bytes together.

An uploader is a member, an agent, or a key that sends documents. Counted is what their reports name, so the same bytes
in two reports count twice, and deleting a report gives back what it named. Who fills their share stops nobody else.

Source: ASVS 5.0 5.2.4.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from failgate.base.clock import Clock
from failgate.base.db import Transaction
from failgate.base.errors import TooLarge

COUNTED_SECONDS: Final = 60.0  # how long a count stands while it is far below the limit
NEAR: Final = 0.9  # of a limit: from there on each upload is counted anew, in its transaction
MOST_REMEMBERED: Final = 10_000  # uploaders
_USED: Final = """
SELECT count(*) AS files, CAST(COALESCE(SUM(entry.size_bytes), 0) AS BIGINT) AS bytes
FROM report JOIN report_artifact AS entry ON entry.workspace_id = report.workspace_id AND entry.report_id = report.id
WHERE report.workspace_id = $1 AND report.uploader_id = $2
"""


@dataclass(frozen=True, slots=True)
class UploaderLimits:
    """The most files of one uploader in a workspace, and their bytes together."""

    files: int = 1_000_000
    storage_bytes: int = 1 << 40


class Uploaders:
    """Counts what uploaders keep, and refuses what is more."""

    def __init__(self, clock: Clock, limits: UploaderLimits) -> None:
        """Hold everybody to `limits`."""
        self._clock = clock
        self._limits = limits
        self._counted: OrderedDict[tuple[str, str], tuple[float, int, int]] = OrderedDict()

    async def admit(self, tx: Transaction, workspace_id: str, uploader_id: str, files: int, size_bytes: int) -> None:
        """Return when `files` more files of `size_bytes` in all still fit.

        Raises: TooLarge, naming quota and mend.
        """
        key, now = (workspace_id, uploader_id), self._clock.monotonic()
        counted_at, used_files, used_bytes = self._counted.get(key, (now - 2 * COUNTED_SECONDS, 0, 0))
        is_near = (
            used_files + files > NEAR * self._limits.files
            or used_bytes + size_bytes > NEAR * self._limits.storage_bytes
        )
        if is_near or now - counted_at > COUNTED_SECONDS:
            row = await tx.fetch_one(_USED, workspace_id, uploader_id)
            counted_at, used_files, used_bytes = now, int(row["files"]) if row else 0, int(row["bytes"]) if row else 0
        self._demand("files", used_files, files, self._limits.files)
        self._demand("storage_bytes", used_bytes, size_bytes, self._limits.storage_bytes)
        # A transaction that fails after this leaves the count too high, until it is counted anew.
        self._counted[key] = (counted_at, used_files + files, used_bytes + size_bytes)
        self._counted.move_to_end(key)
        if len(self._counted) > MOST_REMEMBERED:
            self._counted.popitem(last=False)

    def _demand(self, what: str, used: int, more: int, limit: int) -> None:
        if used + more > limit:
            raise TooLarge(
                f"Your quota uploader_{what} in this workspace is used up: {used} of {limit}, and {more} more.",
                hint="Delete reports of yours, or ask whoever runs the server.",
                quota=f"uploader_{what}", used=used, limit=limit,
            )  # fmt: skip
