"""What was attached to reports, sealed: kept with its report or message or not at all, listed, opened."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

import msgspec

from failgate.plugin import Clock, Conflict, Database, NotFound, SecretBox, Transaction
from failgate_disclosure.attachments import Attachment

MOST_OF_REPORT: Final = 50  # files
STORAGE_BYTES: Final = 1 << 30
_NAME, _CONTENT = "disclosure attachment", "disclosure attachment content"


class _Named(msgspec.Struct, frozen=True):
    name: str
    is_redacted: bool


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A file of a report, without its content. `received_us` is microseconds since 1970."""

    id: str
    name: str
    size_bytes: int
    received_us: int
    is_redacted: bool


class Files:
    """The attachments of all reports."""

    def __init__(self, database: Database, box: SecretBox, clock: Clock, most_bytes: int = STORAGE_BYTES) -> None:
        """Keep at most `most_bytes` of them in `database`, sealed by `box`."""
        self._database = database
        self._box = box
        self._clock = clock
        self._most_bytes = most_bytes

    async def check_room(self, attachments: Sequence[Attachment], report_id: str | None = None) -> None:
        """Check that `attachments` may be added, to the report `report_id` if it is there. Raises: Conflict."""
        if not attachments:
            return
        row = await self._database.fetch_one(
            "SELECT COALESCE(SUM(size_bytes), 0) AS bytes, COALESCE(SUM(report_id = $1), 0) AS files FROM attachment",
            report_id or "",
        )
        held, files = (row["bytes"], row["files"]) if row is not None else (0, 0)
        if files + len(attachments) > MOST_OF_REPORT:
            hint = "Write without one, or go on by one of the other contacts."
            raise Conflict(f"A report has {MOST_OF_REPORT} attachments at most.", hint=hint)
        if held + sum(len(one.content) for one in attachments) > self._most_bytes:
            hint = "Send it without attachments: the desk will ask for them another way."
            raise Conflict("There is no room for attachments now.", hint=hint)

    async def put(self, tx: Transaction, report_id: str, attachments: Sequence[Attachment]) -> None:
        """Keep `attachments` of a report, inside `tx`."""
        for one in attachments:
            identity = str(uuid4())
            named = msgspec.json.encode(_Named(one.name, one.is_redacted))
            await tx.execute(
                "INSERT INTO attachment (id, report_id, received_us, size_bytes, named, content)"
                " VALUES ($1, $2, $3, $4, $5, $6)",
                identity, report_id, self._clock.now_us(), len(one.content),
                self._box.seal(named, purpose=_NAME, owner=identity),
                self._box.seal(one.content, purpose=_CONTENT, owner=identity),
            )  # fmt: skip

    async def of_report(self, report_id: str) -> list[KeptFile]:
        """Return what was attached to a report, the oldest first."""
        rows = await self._database.fetch(
            "SELECT id, named, size_bytes, received_us FROM attachment WHERE report_id = $1 ORDER BY rowid", report_id
        )
        found: list[KeptFile] = []
        for row in rows:
            plain = self._box.unseal(row["named"], purpose=_NAME, owner=row["id"])
            named = msgspec.json.decode(plain, type=_Named)
            found.append(KeptFile(row["id"], named.name, row["size_bytes"], row["received_us"], named.is_redacted))
        return found

    async def open(self, report_id: str, identity: str) -> Attachment:
        """Return the file `identity` of a report. Raises: NotFound."""
        row = await self._database.fetch_one(
            "SELECT * FROM attachment WHERE id = $1 AND report_id = $2", identity, report_id
        )
        if row is None:
            raise NotFound("There is no such attachment.")
        named = msgspec.json.decode(self._box.unseal(row["named"], purpose=_NAME, owner=identity), type=_Named)
        content = self._box.unseal(row["content"], purpose=_CONTENT, owner=identity)
        return Attachment(named.name, content, named.is_redacted)
