"""The contract of audit exporters. The follower owns cursor, batches, filters and retry; an exporter only delivers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from failgate.base.errors import FailgateError

TEST_LOG = "test"  # the name under which test records leave; no log of the server is called so


@dataclass(frozen=True, slots=True)
class ExportedRecord:
    """One record as it leaves: the log's name, its number there, and the canonical bytes that are hashed.

    Numbers of a log only grow; where the config filters, some are left out. Test records come under the log `test`.
    `body` is the canonical JSON of what the record commits to, where the config lets it leave and it is not erased.
    """

    log: str
    seq: int
    leaf: bytes
    body: bytes | None = None


class ExportFailed(FailgateError):
    """The batch did not arrive: the same one is tried again later, not before `retry_after_seconds` when that is said.

    The sentence is kept and shown to the operator: it holds no secret and nothing that the other side wrote.
    """

    slug = "export-failed"
    status = 502
    title = "The records were not delivered"

    def __init__(self, sentence: str, *, hint: str | None = None, retry_after_seconds: float | None = None) -> None:
        """Keep when to come back at the earliest."""
        super().__init__(sentence, hint=hint)
        self.retry_after_seconds = retry_after_seconds


class RecordsRefused(FailgateError):
    """The other side answers, and will never take at least one record of this batch, however often it comes.

    Only what the other side says of the records themselves: too large, malformed. Whoever is away, overloaded, or does
    not know our credential has refused no record. The follower finds out which one is meant, and puts it aside.
    """

    slug = "records-refused"
    status = 502
    title = "The other side refuses a record"


class AuditExporter(Protocol):
    """An exporter plugin's part."""

    async def deliver(self, batch: Sequence[ExportedRecord]) -> None:
        """Return only when every record of `batch` is safe on the other side; raise to be called again with it.

        Raises: RecordsRefused (a record will never be taken: it is put aside); ExportFailed, or anything else (all of
        it comes again). A call that takes longer than a minute is ended and comes again.
        """
        ...
