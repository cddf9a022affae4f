"""The verbs on failure reports: begin, fill, seal, delete. Reading is `reading.py`.

```text
begin ──► sealed                            every artifact is already known, or none is named: one request, one commit
begin ──► begun ──► put_artifact … ──► seal ──► sealed
begin | put_artifact | seal ──► quarantined     the server still found a secret: nobody but the uploader sees content
```

Each change of state is one conditional UPDATE with its audit record in the same transaction.
"""

from collections.abc import AsyncIterable, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import msgspec

from failgate.access.principal import Principal
from failgate.artifacts.artifacts import Artifact, Artifacts
from failgate.audit.log import AuditLog
from failgate.audit.record import Act, Actor, Event
from failgate.base.canonical import JSON
from failgate.base.clock import Clock
from failgate.base.db import Database, Row, Transaction
from failgate.base.errors import Conflict, Forbidden, NotFound, Unprocessable
from failgate.base.idempotency import FirstAnswers, RequestKey
from failgate.base.ids import new_id
from failgate.reports.deletion import ReportDeletion
from failgate.reports.excerpt import Excerpting
from failgate.reports.format import ReportFormat
from failgate.reports.inspection import ScannerOf, inspection_for, merged, scan_text, summary
from failgate.reports.life import Admit, Count, Origin, ReportLife, origin_in, origin_of, uncounted, unlimited
from failgate.reports.manifest import ManifestLimits, check, is_time, one_line, seal_bytes, texts
from failgate.reports.reading import SELECT_ENTRIES, SELECT_ONE, ReportReading, no_report
from failgate.reports.views import report_view
from failgate.wire.reports import BeginReport, BegunReport, Consent, DeletedReport, Manifest, ReportView

State = Literal["begun", "sealed", "quarantined"]
CommandOf = Callable[[str, str], Awaitable[str | None]]
"""`(workspace_id, command_id)` to the id of the principal who submitted that command, or None."""

TellReport = Callable[[str, str], Awaitable[None]]
"""`(workspace_id, command_id)`: the run of this command has a report that others may read."""

NAMED_IN_ERRORS = 20  # digests listed in one refusal
_decode_findings = msgspec.json.Decoder(dict[str, int]).decode

_INSERT_REPORT = """
INSERT INTO report (workspace_id, id, state, format, title, exit_code, manifest_id, manifest_sha256, manifest,
  uploader_t, uploader_id, uploader_owner_id, uploader_label, command_id, consent_by, consent_at, findings, created_us,
  sealed_us, project, version, source, command, cause, recording_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19,
  $20, $21, $22, $23, $24, $25)
ON CONFLICT (workspace_id, uploader_id, manifest_id) DO NOTHING
"""
_INSERT_ENTRY = """
INSERT INTO report_artifact (workspace_id, report_id, position, name, kind, media_type, size_bytes, sha256, artifact_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""
_SELECT_SAME = """
SELECT id, state, manifest_sha256 FROM report WHERE workspace_id = $1 AND uploader_id = $2 AND manifest_id = $3
"""
_IS_READABLE = """
SELECT 1 AS one FROM report_artifact AS entry JOIN report ON report.workspace_id = entry.workspace_id
  AND report.id = entry.report_id
WHERE entry.artifact_id = $1 AND (report.state = 'sealed' OR report.uploader_id = $2) LIMIT 1
"""
_ATTACH = """
UPDATE report_artifact SET artifact_id = $1
WHERE workspace_id = $2 AND report_id = $3 AND sha256 = $4 AND artifact_id IS NULL
"""
_SEAL = "UPDATE report SET state = 'sealed', sealed_us = $1 WHERE workspace_id = $2 AND id = $3 AND state = 'begun'"
_QUARANTINE = """
UPDATE report SET state = 'quarantined', findings = $1 WHERE workspace_id = $2 AND id = $3 AND state = 'begun'
"""


@dataclass(frozen=True, slots=True)
class _Upload:
    """A checked beginning, ready to be written."""

    principal: Principal
    workspace_id: str
    request: BeginReport
    consent: Consent
    manifest: Manifest
    manifest_text: str
    manifest_sha256: str
    origin: Origin
    findings: Mapping[str, int]


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
        count: Count = uncounted,
        admit: Admit = unlimited,
        limits: ManifestLimits | None = None,
    ) -> None:
        """Keep the parts; `formats` by the name that `BeginReport.format` gives."""
        super().__init__(db, audit, artifacts)
        self._clock = clock
        self._answers = FirstAnswers(db, clock.now_us)
        self._formats = formats
        self._scanner_of = scanner_of
        self._command_of = command_of
        self._tell = tell
        self._admit = admit
        self._life = ReportLife(audit, clock, count)
        self.deletion = ReportDeletion(db, audit, clock, artifacts)
        self._limits = limits or replace(ManifestLimits(), artifact_bytes=artifacts.limits.artifact_bytes)

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
        upload = await self._checked(principal, workspace_id, request)
        begun = await self._answers.once(key, BegunReport, lambda tx: self._begin(tx, upload))
        if begun.state == "sealed" and request.command_id is not None:
            await self._tell(workspace_id, request.command_id)
        return begun

    async def put_artifact(
        self, principal: Principal, workspace_id: str, report_id: str, sha256: str, stream: AsyncIterable[bytes]
    ) -> BegunReport:
        """Receive one artifact that the report's manifest names; return what is still missing.

        Sending one that is there already changes nothing. The bytes are scanned while they stream.

        Raises: NotFound (no such report of one's own, or digest not named), Conflict (not `begun` any more),
        Unprocessable (other size or digest), TooLarge, StorageUnavailable.
        """
        row = self._own(await self._db.fetch_one(SELECT_ONE, workspace_id, report_id), principal)
        _demand_begun(row["state"])
        entries = await self._db.fetch(SELECT_ENTRIES, workspace_id, report_id)
        entry = next((one for one in entries if one["sha256"] == sha256), None)
        if entry is None:
            raise NotFound("The report's manifest names no such artifact.")
        inspection = inspection_for(entry["kind"], entry["media_type"], await self._scanner_of(workspace_id))
        excerpting = Excerpting(inspection) if entry["kind"] == "output" else None
        await self._artifacts.receive(
            workspace_id,
            sha256,
            entry["size_bytes"],
            stream,
            inspection=excerpting or inspection,
            attach=lambda tx, artifact: self._attach(tx, principal, row, artifact, excerpting),
        )
        return await self._progress(workspace_id, report_id)

    async def seal(
        self, principal: Principal, workspace_id: str, report_id: str, key: RequestKey | None = None
    ) -> ReportView:
        """Seal a begun report whose artifacts are all there; one that is sealed or quarantined is returned as it is.

        The same `key` gives the first answer again.

        Raises: NotFound (no such report of one's own), Conflict (naming the digests that are missing).
        """

        async def sealed(tx: Transaction) -> ReportView:
            await self._seal(tx, principal, workspace_id, report_id)
            row = self._own(await tx.fetch_one(SELECT_ONE, workspace_id, report_id), principal)
            return report_view(principal, row, await tx.fetch(SELECT_ENTRIES, workspace_id, report_id))

        view = await self._answers.once(key, ReportView, sealed)
        if view.state == "sealed" and view.command_id is not None:
            await self._tell(workspace_id, view.command_id)
        return view

    async def delete(self, principal: Principal, workspace_id: str, report_id: str) -> DeletedReport:
        """Delete a report and those of its artifacts that no other report names; return the receipt.

        Raises: NotFound, Conflict (legal hold), StorageUnavailable.
        """
        return await self.deletion.delete(Actor.of(principal), workspace_id, report_id)

    async def _checked(self, principal: Principal, workspace_id: str, request: BeginReport) -> _Upload:
        reader = self._formats.get(request.format)
        if reader is None:
            known = ", ".join(sorted(self._formats)) or "none"
            raise Unprocessable(f"No report format {request.format[:60]!r} is enabled.", hint=f"Enabled: {known}.")
        text, sha256 = seal_bytes(request.manifest, self._limits)
        consent = _consent_to(request, sha256)
        manifest = reader.read(request.manifest)
        check(manifest, self._limits)
        if request.command_id is not None:
            await self._check_command(principal, workspace_id, request.command_id)
        findings = await scan_text(texts(manifest), await self._scanner_of(workspace_id))
        origin = origin_of(manifest, one_line(reader.title(manifest)))
        return _Upload(principal, workspace_id, request, consent, manifest, text, sha256, origin, findings)

    async def _check_command(self, principal: Principal, workspace_id: str, command_id: str) -> None:
        requester = await self._command_of(workspace_id, command_id)
        if requester is None or requester != principal.id:
            raise Unprocessable(
                "`command_id` names no command of this workspace that you submitted.",
                hint="Leave it out, or name the command whose run failed.",
            )

    async def _begin(self, tx: Transaction, upload: _Upload) -> BegunReport:
        wanted = {one.sha256: one.size_bytes for one in upload.manifest.artifacts}
        known = await self._known(tx, upload.principal, upload.workspace_id, wanted)
        missing = [sha256 for sha256 in wanted if sha256 not in known]
        state: State = "quarantined" if upload.findings else "begun" if missing else "sealed"
        report_id = new_id()
        if not await self._insert(tx, upload, report_id, state):
            return await self._same(tx, upload)
        await self._admit(tx, upload.workspace_id, "reports_per_day", 1)
        await self._admit(tx, upload.workspace_id, "recording_seconds_per_day", upload.origin.recording_ms // 1000)
        await self._admit(tx, upload.workspace_id, "storage_bytes", sum(wanted[sha256] for sha256 in missing))
        for position, one in enumerate(upload.manifest.artifacts):
            artifact = known.get(one.sha256)
            await tx.execute(
                _INSERT_ENTRY, upload.workspace_id, report_id, position, one.name, one.kind, one.media_type,
                one.size_bytes, one.sha256, artifact.id if artifact is not None else None,
            )  # fmt: skip
        facts: dict[str, JSON] = {"manifest": upload.manifest_sha256}
        if state == "quarantined":
            act, missing = Act.REPORT_QUARANTINED, []
            facts |= _counts(upload.findings)
        else:
            act = Act.REPORT_SEALED if state == "sealed" else Act.REPORT_BEGUN
            facts |= {"artifacts": len(upload.manifest.artifacts), "size_bytes": sum(wanted.values())}
            facts["command"] = upload.request.command_id
            facts["consent"] = upload.request.consent.by if upload.request.consent is not None else None
        await self._audit.append(tx, _event(upload.principal, upload.workspace_id, act, report_id, facts))
        if state == "sealed":
            await self._life.sealed(tx, upload.workspace_id, report_id, upload.origin, upload.principal.id)
        return BegunReport(report_id, state, missing)

    async def _insert(self, tx: Transaction, upload: _Upload, report_id: str, state: State) -> bool:
        principal, origin, now_us = upload.principal, upload.origin, self._clock.now_us()
        rows = await tx.execute(
            _INSERT_REPORT, upload.workspace_id, report_id, state, upload.request.format, origin.title,
            upload.manifest.exit_code, upload.manifest.id, upload.manifest_sha256, upload.manifest_text, principal.kind,
            principal.id, principal.owner_account_id, principal.label or principal.id, upload.request.command_id,
            upload.consent.by, upload.consent.at, _findings_text(upload.findings), now_us,
            now_us if state == "sealed" else None, origin.project, origin.version, origin.source, origin.command,
            origin.cause, origin.recording_ms,
        )  # fmt: skip
        return rows == 1

    async def _same(self, tx: Transaction, upload: _Upload) -> BegunReport:
        """Return the report that this uploader began with this manifest id before: its answer may have been lost."""
        row = await tx.fetch_one(_SELECT_SAME, upload.workspace_id, upload.principal.id, upload.manifest.id)
        if row is None or row["manifest_sha256"] != upload.manifest_sha256:
            raise Conflict(
                "The manifest's id was used for another manifest.", hint="Capture again, or give it a new id."
            )
        missing = _missing(await tx.fetch(SELECT_ENTRIES, upload.workspace_id, row["id"]))
        return BegunReport(row["id"], row["state"], missing if row["state"] == "begun" else [])

    async def _known(
        self, tx: Transaction, principal: Principal, workspace_id: str, wanted: Mapping[str, int]
    ) -> dict[str, Artifact]:
        """Return those artifacts (digest to size) that need no upload.

        Naming a digest must not open bytes that one may not read: what is withheld or belongs to somebody's unfinished
        report has to be sent again, which proves that the sender holds it.
        """
        known: dict[str, Artifact] = {}
        for sha256, size_bytes in wanted.items():
            artifact = await self._artifacts.find_in(tx, workspace_id, sha256)
            if artifact is None or artifact.findings or artifact.size_bytes != size_bytes:
                continue
            if await tx.fetch_one(_IS_READABLE, artifact.id, principal.id) is not None:
                known[sha256] = artifact
        return known

    async def _attach(
        self, tx: Transaction, principal: Principal, report: Row, artifact: Artifact, output: Excerpting | None
    ) -> None:
        workspace_id, report_id = report["workspace_id"], report["id"]
        row = self._own(await tx.fetch_one(SELECT_ONE, workspace_id, report_id), principal)
        _demand_begun(row["state"])
        await tx.execute(_ATTACH, artifact.id, workspace_id, report_id, artifact.sha256)
        if artifact.findings:
            await self._quarantine(tx, principal, row, artifact.findings)
        elif output is not None and output.excerpt is not None:
            await self._life.keep_excerpt(tx, artifact.id, output.excerpt)

    async def _seal(self, tx: Transaction, principal: Principal, workspace_id: str, report_id: str) -> None:
        row = self._own(await tx.fetch_one(SELECT_ONE, workspace_id, report_id), principal)
        if row["state"] != "begun":
            return
        entries = await tx.fetch(SELECT_ENTRIES, workspace_id, report_id)
        wanted = {entry["sha256"]: entry["size_bytes"] for entry in entries if entry["artifact_id"] is None}
        known = await self._known(tx, principal, workspace_id, wanted)  # arrived with another report meanwhile
        if missing := [sha256 for sha256 in wanted if sha256 not in known]:
            raise Conflict(
                f"The report cannot be sealed: {len(missing)} of its artifacts are missing.",
                hint="Upload them, then seal.",
                missing=missing[:NAMED_IN_ERRORS],
                state="begun",
            )
        for artifact in known.values():
            await tx.execute(_ATTACH, artifact.id, workspace_id, report_id, artifact.sha256)
        if await tx.execute(_SEAL, self._clock.now_us(), workspace_id, report_id) != 1:
            raise Conflict("The report changed while it was sealed.", hint="Ask for its state.")
        facts: dict[str, JSON] = {
            "manifest": row["manifest_sha256"],
            "artifacts": len(entries),
            "size_bytes": sum({entry["sha256"]: entry["size_bytes"] for entry in entries}.values()),
        }
        await self._audit.append(tx, _event(principal, workspace_id, Act.REPORT_SEALED, report_id, facts))
        await self._life.sealed(tx, workspace_id, report_id, origin_in(row), row["uploader_id"])

    async def _quarantine(self, tx: Transaction, principal: Principal, row: Row, found: Mapping[str, int]) -> None:
        findings = merged(_decode_findings(row["findings"]), found)
        if await tx.execute(_QUARANTINE, _findings_text(findings), row["workspace_id"], row["id"]) != 1:
            raise Conflict("The report changed meanwhile.", hint="Ask for its state.")
        facts: dict[str, JSON] = {"manifest": row["manifest_sha256"], **_counts(findings)}
        event = _event(principal, row["workspace_id"], Act.REPORT_QUARANTINED, row["id"], facts)
        await self._audit.append(tx, event)

    async def _progress(self, workspace_id: str, report_id: str) -> BegunReport:
        row = await self._db.fetch_one(SELECT_ONE, workspace_id, report_id)
        if row is None:
            raise no_report()
        missing = _missing(await self._db.fetch(SELECT_ENTRIES, workspace_id, report_id))
        return BegunReport(report_id, row["state"], missing if row["state"] == "begun" else [])

    def _own(self, row: Row | None, principal: Principal) -> Row:
        if row is None or row["uploader_id"] != principal.id:
            raise no_report()
        return row


def _consent_to(request: BeginReport, manifest_sha256: str) -> Consent:
    consent = request.consent
    if consent is None:
        raise Forbidden(
            "The upload has no consent: somebody has to agree to exactly this manifest first.",
            hint="Look it over with `failgate report review`, then upload it.",
            needs="consent",
        )
    if consent.manifest_sha256 != manifest_sha256:
        raise Unprocessable(
            "The consent is over another manifest than the one that was sent.",
            hint="Review this manifest, then upload it unchanged.",
            manifest_sha256=manifest_sha256,
        )
    if not is_time(consent.at):
        raise Unprocessable("consent.at is not a time.", hint="Write it as RFC 3339 does.", member="consent.at")
    return consent


def _event(principal: Principal, workspace_id: str, act: Act, report_id: str, facts: dict[str, JSON]) -> Event:
    return Event(act, workspace_id, "report", report_id, Actor.of(principal), facts)


def _counts(findings: Mapping[str, int]) -> dict[str, JSON]:
    return {"reason": summary(findings), "findings": sum(findings.values())}


def _demand_begun(state: str) -> None:
    if state != "begun":
        raise Conflict(f"The report is {state}: it takes no more artifacts.", state=state)


def _missing(entries: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(entry["sha256"] for entry in entries if entry["artifact_id"] is None))


def _findings_text(findings: Mapping[str, int]) -> str:
    return msgspec.json.encode(findings).decode()
