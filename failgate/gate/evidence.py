"""What the audit log proves about a request, and where its row says something else."""

from collections.abc import Sequence
from typing import Any, Final

from failgate.audit.log import AuditLog
from failgate.base.db import Transaction
from failgate.gate import lifecycle as life
from failgate.gate.command import digest_of_body
from failgate.gate.journal import event_of
from failgate.gate.stored import Stored, request_of

_COMPARED: Final = (
    "digest", "expires_us", "need", "policy", "requester", "excluded", "use_by_us", "is_finished", "terms",
    "deny_after", "observed", "observing", "broken_by", "glass",
)  # fmt: skip
MOST_RECORDS: Final = 1000  # of one request; a person adds two at most


class NoEvidence(Exception):  # internal: the row stands against its records
    """The row differs from what its audit records make of it; the sentence says where."""


async def proven(audit: AuditLog, stored: Stored) -> life.Request:
    """Return the request as its committed audit records make it, after comparing the row with it.

    Raises: NoEvidence.
    """
    records = await audit.newest(stored.workspace_id, limit=MOST_RECORDS, obj_id=stored.id)
    return _compared(stored, [each.record for each in reversed(records)])


async def proven_in(audit: AuditLog, tx: Transaction, stored: Stored) -> life.Request:
    """Return the same as `proven`, as the open transaction sees it.

    Raises: NoEvidence.
    """
    records = await audit.of_object(tx, stored.workspace_id, stored.id)
    return _compared(stored, [each.record for each in records])


def _compared(stored: Stored, records: Sequence[dict[str, Any]]) -> life.Request:
    request: life.Request | None = None
    for record in records:
        if record["ws"] != stored.workspace_id:
            raise NoEvidence("a record of it stands in another workspace's log")
        event = event_of(record)
        if event is None:
            continue
        try:
            request = life.apply(request, event)
        except life.IllegalTransition as error:
            raise NoEvidence(f"record {record['seq']} ({record['act']}) is impossible: {error}") from error
    if request is None:
        raise NoEvidence("the audit log has no record of it")
    faults = differences(stored, request)
    if faults:
        raise NoEvidence("; ".join(faults))
    return request


def differences(stored: Stored, request: life.Request) -> list[str]:
    """Return where the row `stored` says something else than `request`, which its records make; empty when nowhere.

    The command's text is compared by its digest. Approvals and denials are compared as sets of accounts.
    """
    row = request_of(stored)
    faults: list[str] = []
    if digest_of_body(stored.body.encode("utf-8", "surrogatepass")) != request.digest:
        faults.append("the stored command has another digest than the record")
    if row.state != request.state:
        faults.append(f"the row is {row.state}, the records say {request.state}")
    faults.extend(
        f"{name} differs from the record" for name in _COMPARED if getattr(row, name) != getattr(request, name)
    )
    if set(row.approvals) != set(request.approvals) or set(row.denials) != set(request.denials):
        faults.append("the votes differ from the records")
    return faults
