"""One audit record as one syslog message. Pure.

The text after the header is `{"log":…,"seq":…,"record":…}` (or the format that the settings name): `record` is the
canonical form of the record, byte for byte what the log's hashes cover, so the receiver can prove what it holds. `log`
and `seq` name a record for good: one that comes again is the same one.

Source: RFC 5424 sections 6.1 to 6.4.
"""

import json
import re
from typing import Final

from failgate.plugin import ExportedRecord, RecordFormat, RecordsRefused, formatted

HOST_NAME: Final = re.compile(r"[!-~]{1,255}", re.ASCII)
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z", re.ASCII)
_ACT: Final = re.compile(r"[!-~]{1,32}", re.ASCII)
_AUDIT: Final = 13  # the facility "log audit"
_SEVERITIES: Final = {"ok": 6, "deny": 5, "error": 3}  # informational, notice, error


def message_of(record: ExportedRecord, hostname: str, as_format: RecordFormat = "json") -> bytes:
    """Return the message of `record`, without a frame, as sent by `hostname`.

    Raises: RecordsRefused (it is no record of this version).
    """
    try:
        leaf = json.loads(record.leaf)
    except ValueError:
        leaf = None
    if not isinstance(leaf, dict):
        raise RecordsRefused(f"Record {record.seq} of {record.log} is not canonical.")
    priority = _AUDIT * 8 + _SEVERITIES.get(str(leaf.get("out")), 6)
    at, act = str(leaf.get("ts")), str(leaf.get("act"))
    at = at if _TIME.fullmatch(at) else "-"
    act = act if _ACT.fullmatch(act) else "-"
    head = f"<{priority}>1 {at} {hostname} failgate - {act} - "
    return head.encode() + formatted(record, as_format)


def framed(message: bytes) -> bytes:
    """Return `message` with its length in octets before it. Source: RFC 5425 section 4.3.1."""
    return b"%d %b" % (len(message), message)
