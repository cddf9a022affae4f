"""Heads and records as they are kept, and as readers see them: committed ones only."""

from dataclasses import dataclass
from typing import Any

from failgate.audit.chain import Head
from failgate.audit.record import record_of
from failgate.base.canonical import base64url
from failgate.base.db import Database, Row

COLUMNS = "log, number, size, last_hash, peaks, ts_us, clock_us"
_ONE = f"SELECT {COLUMNS} FROM audit_head WHERE log = $1"
_ALL = f"SELECT {COLUMNS} FROM audit_head ORDER BY number"


@dataclass(frozen=True, slots=True)
class StoredHead:
    """A log's name, its number in the tables, and its head."""

    log: str
    number: int
    head: Head


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """One committed record: the canonical bytes that are hashed, and their hash."""

    log: str
    seq: int
    leaf: bytes
    leaf_hash: bytes

    @property
    def record(self) -> dict[str, Any]:
        """Return the record as JSON values."""
        return record_of(self.leaf)

    def as_json(self) -> dict[str, Any]:
        """Return what the API answers: `seq`, `leaf` in base64url, and `record` for people."""
        return {"seq": self.seq, "leaf": base64url(self.leaf), "record": self.record}


def head_of(row: Row) -> Head:
    """Return the head that a row of `audit_head` holds."""
    peaks: Any = bytes(row["peaks"])
    parts = tuple(peaks[place : place + 32] for place in range(0, len(peaks), 32))
    return Head(row["size"], bytes(row["last_hash"]), parts, row["ts_us"], row["clock_us"])


async def read_head(database: Database, log: str) -> StoredHead | None:
    """Return the committed head of `log`, or None when nothing was ever recorded there."""
    row = await database.fetch_one(_ONE, log)
    return None if row is None else StoredHead(log, row["number"], head_of(row))


async def read_heads(database: Database) -> list[StoredHead]:
    """Return the committed head of every log, oldest log first."""
    return [StoredHead(row["log"], row["number"], head_of(row)) for row in await database.fetch(_ALL)]
