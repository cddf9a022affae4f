"""The forms in which a record leaves: its own bytes under log and number, an OCSF event, a line of CEF. Pure."""

import json
from typing import Literal

import msgspec

from failgate.audit.cef import cef_of
from failgate.audit.exporter import ExportedRecord, RecordsRefused
from failgate.audit.ocsf import ocsf_of

RecordFormat = Literal["json", "ocsf", "cef"]


def formatted(record: ExportedRecord, as_format: RecordFormat = "json") -> bytes:
    """Return `record` on one line, without a line break at its end.

    `json` is `{"log":…,"seq":…,"record":…}` with the bytes that are hashed as `record`: what `failgate-verify` and the
    tree are about; a body that leaves too stands before it, as `body`. `ocsf` and `cef` are for who reads events of
    many sources; both name log and number too.

    Raises: RecordsRefused (it is no record of this version, or has a line break).
    """
    if b"\n" in record.leaf:
        raise RecordsRefused(f"Record {record.seq} of {record.log} is not canonical: it has a line break.")
    if as_format == "json":
        beside = b"" if record.body is None else b'"body":' + record.body + b","
        return (
            f'{{"log":{json.dumps(record.log)},"seq":{record.seq},'.encode()
            + beside
            + b'"record":'
            + record.leaf
            + b"}"
        )
    try:
        return ocsf_of(record) if as_format == "ocsf" else cef_of(record)
    except (msgspec.DecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        sentence = f"Record {record.seq} of {record.log} cannot be mapped to {as_format}: {type(error).__name__}."
        raise RecordsRefused(sentence) from None
