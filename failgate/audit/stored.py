"""Heads and records as they are kept, and as readers see them: committed ones only."""

from dataclasses import dataclass
from typing import Any, cast

from failgate.audit.chain import Head
from failgate.audit.encoding import record_of
from failgate.base.canonical import base64url
from failgate.base.db import Database, Row
from failgate.base.errors import StartRefused

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


class HeadUnreadable(StartRefused):
    """The stored head of a log holds what was never written there."""

    def __init__(self, log: object, column: str) -> None:
        """Name the log and the column."""
        super().__init__(
            f"The head of the audit log {str(log)[:64]!r} is damaged: its {column} is not what is kept there.",
            hint="Run `failgate audit verify`; put the database back from a backup.",
        )


def stored_head_of(row: Row) -> StoredHead:
    """Return what a row of `audit_head` holds. Raises: HeadUnreadable: SQLite keeps what it is given."""
    if not isinstance(cast("object", row["log"]), str):
        raise HeadUnreadable(row["log"], "log")
    for column in ("number", "size", "ts_us", "clock_us"):
        if type(row[column]) is not int or row[column] < 0:
            raise HeadUnreadable(row["log"], column)
    if not isinstance(row["last_hash"], bytes):
        raise HeadUnreadable(row["log"], "last_hash")
    peaks: object = row["peaks"]
    if not isinstance(peaks, bytes) or len(peaks) % 32:
        raise HeadUnreadable(row["log"], "peaks")
    parts = tuple(peaks[place : place + 32] for place in range(0, len(peaks), 32))
    return StoredHead(
        row["log"], row["number"], Head(row["size"], row["last_hash"], parts, row["ts_us"], row["clock_us"])
    )


async def read_head(database: Database, log: str) -> StoredHead | None:
    """Return the committed head of `log`, or None when nothing was ever recorded there."""
    row = await database.fetch_one(_ONE, log)
    return None if row is None else stored_head_of(row)


async def read_heads(database: Database) -> list[StoredHead]:
    """Return the committed head of every log, oldest log first."""
    return [stored_head_of(row) for row in await database.fetch(_ALL)]
