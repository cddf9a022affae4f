"""The verbs on failure reports: begin (how: `beginning.py`), fill, seal, delete. Reading is `reading.py`.

```text
begin ──► sealed                            every artifact is already known, or none is named: one request, one commit
begin ──► begun ──► put_artifact … ──► seal ──► sealed
begin | put_artifact | seal ──► quarantined     the server still found a secret: nobody but the uploader sees content
```

Each change of state is one conditional UPDATE with its audit record in the same transaction.
"""

from collections.abc import AsyncIterable, Awaitable, Callable, Mapping
from dataclasses import replace

import msgspec

from failgate.access.principal import Principal
from failgate.artifacts.artifacts import Artifact, Artifacts
from failgate.audit.log import AuditLog
from failgate.audit.record import Act, Actor
from failgate.base.canonical import JSON
from failgate.base.clock import Clock
from failgate.base.db import Database, Row, Transaction
from failgate.base.errors import Conflict, NotFound
from failgate.base.idempotency import FirstAnswers, RequestKey
from failgate.redaction import Scanner
from failgate.reports.arriving import Arriving
from failgate.reports.beginning import Beginning, CommandOf
from failgate.reports.deletion import ReportDeletion
from failgate.reports.excerpt import Excerpting
from failgate.reports.format import ReportFormat
from failgate.reports.inspection import Revisit, ScannerOf, inspection_for, merged, unvisited
from failgate.reports.kinds import Sniffing, said_by
from failgate.reports.life import Admit, Count, ReportLife, uncounted, unlimited
from failgate.reports.manifest import ManifestLimits
from failgate.reports.reading import SELECT_ENTRIES, SELECT_ONE, ReportReading, no_report
from failgate.reports.records import counts, event_of, findings_text, missing_of
from failgate.reports.scanning import Scanning
from failgate.reports.uploaders import UploaderLimits, Uploaders
from failgate.reports.views import report_view
from failgate.reports.withholding import NOT_SCANNED
from failgate.wire.reports import BeginReport, BegunReport, DeletedReport, ReportView

TellReport = Callable[[str, str], Awaitable[None]]
"""`(workspace_id, command_id)`: the run of this command has a report that others may read."""

NAMED_IN_ERRORS = 20  # digests listed in one refusal
_decode_findings = msgspec.json.Decoder(dict[str, int]).decode

_ATTACH = """
UPDATE report_artifact SET artifact_id = $1
WHERE workspace_id = $2 AND report_id = $3 AND sha256 = $4 AND artifact_id IS NULL
"""
_SEAL = "UPDATE report SET state = 'sealed', sealed_us = $1 WHERE workspace_id = $2 AND id = $3 AND state = 'begun'"
_QUARANTINE = """
UPDATE report SET state = 'quarantined', findings = $1 WHERE workspace_id = $2 AND id = $3 AND state = 'begun'
"""


class Reports(ReportReading):
    """Failure reports of workspaces."""

    def __init__(
        self,
        db: Database,
        audit: AuditLog,
        clock: Clock,
        artifacts: Artifacts,
        *,
        formats: Mapping[str, ReportFormat],
        scanner_of: ScannerOf,
        command_of: CommandOf,
        tell: TellReport,
        revisit: Revisit = unvisited,
        count: Count = uncounted,
        admit: Admit = unlimited,
        limits: ManifestLimits | None = None,
        uploader_limits: UploaderLimits | None = None,
        scanning: Scanning | None = None,
    ) -> None:
        """Keep the parts; `formats` by the name that `BeginReport.format` gives."""
        super().__init__(db, audit, artifacts, NOT_SCANNED if scanning is None else scanning.withholding)
        self._scanning = scanning
        self._clock = clock
        self._answers = FirstAnswers(db, clock.now_us)
        self._scanner_of = scanner_of
        self._tell = tell
        self._revisit = revisit
        self._admit = admit
        self._life = ReportLife(audit, clock)
        self.deletion = ReportDeletion(db, audit, clock, artifacts)
        self._beginning = Beginning(
            audit, clock, artifacts, self._life,
            formats=formats, scanner_of=scanner_of, command_of=command_of, revisit=revisit, count=count,
            admit=admit,
            limits=limits or replace(ManifestLimits(), artifact_bytes=artifacts.limits.artifact_bytes),
            uploaders=Uploaders(clock, uploader_limits or UploaderLimits()),
        )  # fmt: skip
        self._arriving = Arriving(db, self._beginning, self._answers)

    async def begin(
        self, principal: Principal, workspace_id: str, request: BeginReport, key: RequestKey | None = None
    ) -> BegunReport:
        """Begin a report, or return the one that the same uploader began with the same manifest before.

        It is sealed at once when no artifact is missing, quarantined when the manifest still holds a secret or names an
        artifact that does. `missing` lists the digests to upload, each once. The same `key` gives the first answer
        again.

        Raises: Forbidden (no consent), Unprocessable (consent over another manifest, unknown format, a manifest that
        cannot be used, a command that this principal did not submit), TooLarge, Conflict (the manifest's id was used
        for another manifest), StorageUnavailable.
        """
        upload = await self._beginning.checked(principal, workspace_id, request)
        begun = await self._arriving.keep(upload, key)
        if begun.state == "sealed" and request.command_id is not None:
            await self._tell(workspace_id, request.command_id)
        return begun

    async def put_artifact(
        self, principal: Principal, workspace_id: str, report_id: str, sha256: str, stream: AsyncIterable[bytes]
    ) -> BegunReport:
        """Receive one artifact that the report's manifest names; return what is still missing.

        Sending one that is there already changes nothing. The bytes are scanned while they stream.

        Raises: NotFound (no such report of one's own, or digest not named), Conflict (not `begun` any more),
        Unprocessable (other size or digest, or another kind of file than it is called), TooLarge, StorageUnavailable.
        """
        row = self._own(await self._db.fetch_one(SELECT_ONE, workspace_id, report_id), principal)
        _demand_begun(row["state"])
        entries = await self._db.fetch(SELECT_ENTRIES, workspace_id, report_id)
        entry = next((one for one in entries if one["sha256"] == sha256), None)
        if entry is None:
            raise NotFound("The report's manifest names no such artifact.")
        scanner = await self._scanner_of(workspace_id)
        inspection = inspection_for(entry["kind"], entry["media_type"], scanner)
        named = [(one["name"], one["media_type"]) for one in entries if one["sha256"] == sha256]
        excerpting = Excerpting(inspection) if entry["kind"] == "output" else None
        await self._artifacts.receive(
            workspace_id,
            sha256,
            entry["size_bytes"],
            stream,
            inspection=Sniffing(excerpting or inspection, named),
            attach=lambda tx, artifact: self._attach(tx, principal, row, artifact, excerpting, scanner),
        )
        return await self._progress(workspace_id, report_id)

    async def seal(
        self, principal: Principal, workspace_id: str, report_id: str, key: RequestKey | None = None
    ) -> ReportView:
        """Seal a begun report whose artifacts are all there; one that is sealed or quarantined is returned as it is.

        The same `key` gives the first answer again.

        Raises: NotFound (no such report of one's own), Conflict (naming the digests that are missing).
        """
        said = said_by(await self._db.fetch(SELECT_ENTRIES, workspace_id, report_id))
        truthful = await self._beginning.kinds.truthful(workspace_id, said)

        async def sealed(tx: Transaction) -> ReportView:
            await self._seal(tx, principal, workspace_id, report_id, truthful)
            row = self._own(await tx.fetch_one(SELECT_ONE, workspace_id, report_id), principal)
            entries = await tx.fetch(SELECT_ENTRIES, workspace_id, report_id)
            return report_view(principal, row, entries, self._withholding)

        view = await self._answers.once(key, ReportView, sealed)
        if view.state == "sealed" and view.command_id is not None:
            await self._tell(workspace_id, view.command_id)
        return view

    async def delete(self, principal: Principal, workspace_id: str, report_id: str) -> DeletedReport:
        """Delete a report and those of its artifacts that no other report names; return the receipt.

        Raises: NotFound, Conflict (legal hold), StorageUnavailable.
        """
        return await self.deletion.delete(Actor.of(principal), workspace_id, report_id)

    async def _attach(  # what came, and what saw it
        self,
        tx: Transaction,
        principal: Principal,
        report: Row,
        artifact: Artifact,
        output: Excerpting | None,
        scanner: Scanner,
    ) -> None:
        workspace_id, report_id = report["workspace_id"], report["id"]
        row = self._own(await tx.fetch_one(SELECT_ONE, workspace_id, report_id), principal)
        _demand_begun(row["state"])
        await self._admit(tx, workspace_id, "storage_bytes", 0)  # others may have come since it began
        await tx.execute(_ATTACH, artifact.id, workspace_id, report_id, artifact.sha256)
        await self._revisit(tx, workspace_id, report_id, scanner)
        if self._scanning is not None:
            tx.after_commit(self._scanning.due.wake)
        if artifact.findings:
            await self._quarantine(tx, principal, row, artifact.findings)
        elif output is not None and output.excerpt is not None:
            await self._life.keep_excerpt(tx, artifact.id, output.excerpt)

    async def _seal(
        self, tx: Transaction, principal: Principal, workspace_id: str, report_id: str, truthful: frozenset[str]
    ) -> None:
        row = self._own(await tx.fetch_one(SELECT_ONE, workspace_id, report_id), principal)
        if row["state"] != "begun":
            return
        entries = await tx.fetch(SELECT_ENTRIES, workspace_id, report_id)
        wanted = {entry["sha256"]: entry["size_bytes"] for entry in entries if entry["artifact_id"] is None}
        known = await self._beginning.known(
            tx, principal, workspace_id, wanted, truthful
        )  # arrived with another report meanwhile
        if missing := [sha256 for sha256 in wanted if sha256 not in known]:
            raise Conflict(
                f"The report cannot be sealed: {len(missing)} of its artifacts are missing.",
                hint="Upload them, then seal.",
                missing=missing[:NAMED_IN_ERRORS],
                state="begun",
            )
        for artifact in known.values():
            await tx.execute(_ATTACH, artifact.id, workspace_id, report_id, artifact.sha256)
        if known:
            await self._revisit(tx, workspace_id, report_id, None)
        if await tx.execute(_SEAL, self._clock.now_us(), workspace_id, report_id) != 1:
            raise Conflict("The report changed while it was sealed.", hint="Ask for its state.")
        facts: dict[str, JSON] = {
            "manifest": row["manifest_sha256"],
            "artifacts": len(entries),
            "size_bytes": sum({entry["sha256"]: entry["size_bytes"] for entry in entries}.values()),
        }
        await self._audit.append(tx, event_of(principal, workspace_id, Act.REPORT_SEALED, report_id, facts))
        await self._life.sealed(
            tx, workspace_id, report_id, self._beginning.origin_in(row), row["uploader_id"], has_artifacts=bool(entries)
        )

    async def _quarantine(self, tx: Transaction, principal: Principal, row: Row, found: Mapping[str, int]) -> None:
        findings = merged(_decode_findings(row["findings"]), found)
        if await tx.execute(_QUARANTINE, findings_text(findings), row["workspace_id"], row["id"]) != 1:
            raise Conflict("The report changed meanwhile.", hint="Ask for its state.")
        facts: dict[str, JSON] = {"manifest": row["manifest_sha256"], **counts(findings)}
        event = event_of(principal, row["workspace_id"], Act.REPORT_QUARANTINED, row["id"], facts)
        await self._audit.append(tx, event)

    async def _progress(self, workspace_id: str, report_id: str) -> BegunReport:
        row = await self._db.fetch_one(SELECT_ONE, workspace_id, report_id)
        if row is None:
            raise no_report()
        missing = missing_of(await self._db.fetch(SELECT_ENTRIES, workspace_id, report_id))
        return BegunReport(report_id, row["state"], missing if row["state"] == "begun" else [])

    def _own(self, row: Row | None, principal: Principal) -> Row:
        if row is None or row["uploader_id"] != principal.id:
            raise no_report()
        return row


def _demand_begun(state: str) -> None:
    if state != "begun":
        raise Conflict(f"The report is {state}: it takes no more artifacts.", state=state)
