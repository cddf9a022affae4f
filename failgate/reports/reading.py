"""Reports read: the list, one report, its bytes. Reading content has its audit record before the first byte."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from failgate.access.principal import Principal
from failgate.artifacts.artifacts import Artifacts
from failgate.audit.log import AuditLog
from failgate.audit.record import Act, Actor, Event
from failgate.base.canonical import JSON
from failgate.base.db import Database, Row
from failgate.base.errors import BadInput, NotFound, Unprocessable
from failgate.base.ids import is_id
from failgate.reports.search import ReportFilter, page_query
from failgate.reports.views import is_open, is_visible, report_view
from failgate.reports.withholding import NOT_SCANNED, SCANNED_COLUMNS, Withholding
from failgate.wire.reports import ReportPage, ReportView

PAGE_MOST = 100

COLUMNS = """
workspace_id, id, state, title, manifest_sha256, uploader_id, uploader_owner_id, uploader_label, command_id, findings,
created_us, project, version, source, group_id, held_us
"""
SELECT_ONE = f"""
SELECT {COLUMNS}, format, manifest, exit_code, recording_ms FROM report WHERE workspace_id = $1 AND id = $2
"""
_ENTRY = f"""
report_artifact.name, report_artifact.kind, report_artifact.media_type, report_artifact.size_bytes,
report_artifact.sha256, report_artifact.artifact_id, {SCANNED_COLUMNS}
"""
_ENTRIES = "report_artifact LEFT JOIN artifact ON artifact.id = report_artifact.artifact_id"
SELECT_ENTRIES = f"""
SELECT {_ENTRY} FROM {_ENTRIES}
WHERE report_artifact.workspace_id = $1 AND report_id = $2 ORDER BY position
"""
_NEWEST_OF_COMMAND = """
SELECT id FROM report WHERE workspace_id = $1 AND command_id = $2 AND state = 'sealed' ORDER BY id DESC LIMIT 1
"""
_SELECT_PAGE_ENTRIES = f"""
SELECT report_id, {_ENTRY} FROM {_ENTRIES}
WHERE report_artifact.workspace_id = $1 AND report_id >= $2 AND report_id <= $3 ORDER BY report_id, position
"""


def no_report() -> NotFound:
    """Return the refusal for a report that is absent, of another workspace, or hidden: one sentence for all of them."""
    return NotFound("There is no such report.")


@dataclass(frozen=True, slots=True)
class OpenedArtifact:
    """An artifact that may be read; nothing was read yet. `read` writes the audit record."""

    name: str
    kind: str
    media_type: str
    size_bytes: int
    sha256: str
    workspace_id: str
    report_id: str
    _principal: Principal
    _reports: "ReportReading"

    async def read(self, start: int = 0, stop: int | None = None) -> AsyncGenerator[bytes, None]:
        """Return the bytes `start` to `stop` (exclusive, None = end); the reading is on record, the first piece there.

        Raises: Unprocessable (a range outside the artifact), NotFound, StorageUnavailable.
        """
        end = self.size_bytes if stop is None else stop
        if not 0 <= start <= end <= self.size_bytes:
            raise Unprocessable("The range lies outside the artifact.", hint=f"It has {self.size_bytes} bytes.")
        return await self._reports.read_artifact(self._principal, self, start, end)


class ReportReading:
    """The reading half of `Reports`."""

    def __init__(
        self, db: Database, audit: AuditLog, artifacts: Artifacts, withholding: Withholding = NOT_SCANNED
    ) -> None:
        self._db = db
        self._audit = audit
        self._artifacts = artifacts
        self._withholding = withholding

    async def view(self, principal: Principal, workspace_id: str, report_id: str) -> ReportView:
        """Return one report with its manifest; the reading is on record.

        Raises: NotFound (absent, of another workspace, or unfinished and not one's own).
        """
        row = await self._visible(principal, workspace_id, report_id)
        entries = await self._db.fetch(SELECT_ENTRIES, workspace_id, report_id)
        answer = report_view(principal, row, entries, self._withholding, with_manifest=True)
        await self._record(principal, workspace_id, Act.REPORT_READ, report_id, {"manifest": row["manifest_sha256"]})
        return answer

    async def page(
        self,
        principal: Principal,
        workspace_id: str,
        limit: int = 50,
        after: str | None = None,
        wanted: ReportFilter | None = None,
    ) -> ReportPage:
        """Return up to `limit` (1 to 100) reports of those `wanted`, newest first, that are older than the id `after`.

        Raises: BadInput (`after` is not an id; a filter that cannot be).
        """
        if after is not None and not is_id(after):
            raise BadInput("`after` is not the id of a report.", hint="Use the `next` of the page before.")
        count = min(max(limit, 1), PAGE_MOST)
        query = page_query(
            COLUMNS, wanted or ReportFilter(), self._db.dialect,
            workspace_id=workspace_id, reader_id=principal.id, after=after, count=count + 1,
        )  # fmt: skip
        rows = await self._db.fetch(query.sql, *query.args)
        shown = rows[:count]
        return ReportPage(
            items=await self._views(principal, workspace_id, shown),
            next=shown[-1]["id"] if len(rows) > count else None,
        )

    async def of_command(self, workspace_id: str, command_id: str) -> str | None:
        """Return the id of the newest sealed report of the command's run, or None."""
        row = await self._db.fetch_one(_NEWEST_OF_COMMAND, workspace_id, command_id)
        return None if row is None else row["id"]

    async def open_artifact(
        self, principal: Principal, workspace_id: str, report_id: str, sha256: str
    ) -> OpenedArtifact:
        """Return an artifact that may be read; `read` of it writes the record.

        Raises: NotFound (also: not uploaded yet, withheld, of another workspace), Conflict (a virus scanner found
        something in it, or did not see it yet).
        """
        row = await self._visible(principal, workspace_id, report_id)
        if is_open(principal, row):
            for entry in await self._db.fetch(SELECT_ENTRIES, workspace_id, report_id):
                if entry["sha256"] == sha256 and entry["artifact_id"] is not None:
                    self._withholding.demand_shown(entry)
                    return self._opened(principal, workspace_id, report_id, entry)
        raise NotFound("The report has no such artifact.")

    async def read_artifact(
        self, principal: Principal, artifact: OpenedArtifact, start: int, stop: int
    ) -> AsyncGenerator[bytes, None]:
        """Record the reading, then return the bytes `start` to `stop` (exclusive) with the first piece already fetched.

        Raises: NotFound, StorageUnavailable.
        """
        facts: dict[str, JSON] = {"sha256": artifact.sha256, "report": artifact.report_id, "first_byte": start}
        if stop > start:
            facts["last_byte"] = stop - 1
        await self._record(principal, artifact.workspace_id, Act.ARTIFACT_READ, artifact.report_id, facts)
        stream = self._artifacts.open(artifact.workspace_id, artifact.sha256, start, stop)
        first = await anext(stream, b"")
        return _chained(first, stream)

    async def _visible(self, principal: Principal, workspace_id: str, report_id: str) -> Row:
        row = await self._db.fetch_one(SELECT_ONE, workspace_id, report_id)
        if row is None or not is_visible(principal, row):
            raise no_report()
        return row

    async def _views(self, principal: Principal, workspace_id: str, rows: Sequence[Row]) -> list[ReportView]:
        if not rows:
            return []
        ids = [row["id"] for row in rows]
        entries = await self._db.fetch(_SELECT_PAGE_ENTRIES, workspace_id, min(ids), max(ids))
        by_report: dict[str, list[Row]] = {identifier: [] for identifier in ids}
        for entry in entries:
            by_report.get(entry["report_id"], []).append(entry)
        return [report_view(principal, row, by_report[row["id"]], self._withholding) for row in rows]

    def _opened(self, principal: Principal, workspace_id: str, report_id: str, entry: Row) -> OpenedArtifact:
        return OpenedArtifact(
            entry["name"], entry["kind"], entry["media_type"], entry["size_bytes"], entry["sha256"],
            workspace_id, report_id, principal, self,
        )  # fmt: skip

    async def _record(
        self, principal: Principal, workspace_id: str, act: Act, report_id: str, facts: dict[str, JSON]
    ) -> None:
        await self._audit.record(Event(act, workspace_id, "report", report_id, Actor.of(principal), facts))


async def _chained(first: bytes, rest: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(rest):
        if first:
            yield first
        async for piece in rest:
            yield piece
