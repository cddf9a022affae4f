"""Receipts of deleted workspaces, compared with the logs that they speak of."""

import msgspec

from failgate.audit.checkpoint import NoteRejected, read_unverified
from failgate.audit.log import AuditLog
from failgate.audit.record import SYSTEM, Act
from failgate.base.canonical import digest_of
from failgate.base.errors import BadInput, NotFound
from failgate.wire.deletion import DeletedWorkspace, RecordedReceipt

_HINT = "Give the file that an owner of the workspace downloaded."


def read_receipt(text: str) -> RecordedReceipt:
    """Return the receipt of a downloaded file. Raises: BadInput (it is none, or the workspace is not emptied yet)."""
    try:
        left = msgspec.json.decode(text, type=DeletedWorkspace)
    except msgspec.DecodeError as error:
        raise BadInput(f"This is no receipt: {error}.", hint=_HINT) from error
    if left.receipt is None or left.record is None:
        raise BadInput("The workspace was not emptied yet when this was downloaded.", hint=_HINT)
    return RecordedReceipt(left.receipt, left.record)


async def contradiction_of(audit: AuditLog, recorded: RecordedReceipt) -> str | None:
    """Return how the receipt differs from what the log `system` says of it, or None when it is as it was issued.

    The checkpoint in it is proven by `verify_logs`, to which it is given as one that was kept elsewhere.
    """
    receipt = recorded.receipt
    try:
        record = (await audit.record_at(SYSTEM, recorded.record)).record
        head = read_unverified(receipt.checkpoint)
    except NotFound:
        return f"the log system has no record {recorded.record}"
    except NoteRejected as error:
        return f"its checkpoint is none: {error.sentence}"
    if record["act"] != Act.WORKSPACE_DELETED or record["obj"]["id"] != receipt.id:
        return f"record {recorded.record} of the log system tells of something else"
    if record["data"]["receipt"] != digest_of(msgspec.to_builtins(receipt)):
        return f"record {recorded.record} of the log system has another digest: the receipt was changed"
    if (head.size, head.root.hex()) != (receipt.log_size, receipt.log_root):
        return "its checkpoint is of another head than it says"
    return None
