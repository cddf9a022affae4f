"""What is kept of the logs. Records and nodes are only ever added; triggers refuse anything else.

The places of both are counted in `places.py`.
"""

from piccolo.columns import BigInt, Bytea, Text
from piccolo.table import Table

from failgate.audit.places import NODE_BITS, SEQ_BITS, node_position, record_position

__all__ = [
    "NODE_BITS",
    "SEQ_BITS",
    "AuditBodyRow",
    "AuditCosignatureRow",
    "AuditCursorRow",
    "AuditExporterRow",
    "AuditHeadRow",
    "AuditNodeRow",
    "AuditPutAsideRow",
    "AuditRecordRow",
    "node_position",
    "record_position",
]


class AuditHeadRow(Table, tablename="audit_head"):
    """The head of one log. `number` is its own for ever; `peaks` are the 32-byte hashes one after the other."""

    log = Text(primary_key=True, default="")
    number = BigInt(unique=True)
    size = BigInt()
    last_hash = Bytea()
    peaks = Bytea()
    ts_us = BigInt()
    clock_us = BigInt()


class AuditRecordRow(Table, tablename="audit_record"):
    """One record: the canonical bytes that are hashed, their hash, and the object, by which a page is filtered."""

    position = BigInt(primary_key=True, default=0)
    leaf = Bytea()
    leaf_hash = Bytea()
    obj_id = Text()


class AuditBodyRow(Table, tablename="audit_body"):
    """What a record commits to: salt and canonical JSON, NULL both once they are erased (`bodies.py`)."""

    position = BigInt(primary_key=True, default=0)
    salt = Bytea(null=True, default=None)
    body = Bytea(null=True, default=None)
    erased_us = BigInt(null=True, default=None)


class AuditNodeRow(Table, tablename="audit_node"):
    """The hash of 256 entries of the level below: of records at level 1, of nodes above. Makes proofs short work."""

    position = BigInt(primary_key=True, default=0)
    hash = Bytea()


class AuditCursorRow(Table, tablename="audit_cursor"):
    """How far an exporter has delivered a log: `seq` is the first record not yet delivered. Unique for both names."""

    exporter = Text(primary_key=True, default="")
    log = Text()
    seq = BigInt()


class AuditExporterRow(Table, tablename="audit_exporter"):
    """An exporter that was opened once: how many test records it took, whether one is to be sent, since when it works.

    `proven_us` is 0 for one that worked before this was kept.
    """

    exporter = Text(primary_key=True, default="")
    probes = BigInt()
    is_due = BigInt()
    proven_us = BigInt(null=True, default=None)


class AuditPutAsideRow(Table, tablename="audit_put_aside"):
    """A record that the other side of an exporter refuses for ever. Unique for exporter, log and seq."""

    exporter = Text(primary_key=True, default="")
    log = Text()
    seq = BigInt()
    reason = Text()
    attempts = BigInt()
    put_us = BigInt()
    is_due = BigInt()


class AuditCosignatureRow(Table, tablename="audit_cosignature"):
    """What a witness, named by its key, said of a signed head. Unique for log, witness and size."""

    log = Text(primary_key=True, default="")
    witness = Text()
    size = BigInt()
    note = Text()
    line = Text()
