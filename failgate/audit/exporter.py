"""The contract of audit exporters. The follower owns cursor, batches and retry; an exporter only delivers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ExportedRecord:
    """One record as it leaves: the log's name, its number there, and the canonical bytes that are hashed."""

    log: str
    seq: int
    leaf: bytes


class AuditExporter(Protocol):
    """An exporter plugin's part."""

    async def deliver(self, batch: Sequence[ExportedRecord]) -> None:
        """Return only when every record of `batch` is safe on the other side; raise to be called again with it."""
        ...
