"""How a report begins: who consents to which manifest, what of it is known already, and the row that is made.

A manifest is checked before anything is written; `begin` is the verb. What comes after is `reports.py`.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import chain
from typing import Any, Literal

import msgspec

from failgate.access.principal import Principal
from failgate.artifacts.artifacts import Artifact, Artifacts
from failgate.audit.log import AuditLog
from failgate.audit.record import Act, Event
from failgate.base.canonical import JSON
from failgate.base.clock import Clock
from failgate.base.db import Row, Transaction
from failgate.base.dialect import with_rows
from failgate.base.errors import Conflict, Forbidden, TooLarge, TooManyRequests, Unprocessable
from failgate.base.ids import new_id
from failgate.base.log import RequestContext
from failgate.redaction import Scanner
from failgate.reports.format import ReportFormat
from failgate.reports.inspection import Revisit, ScannerOf, scan_text
from failgate.reports.kinds import Kinds
from failgate.reports.life import NO_EXCERPT, Admit, Count, Group, Joining, Origin, ReportLife, origin_of
from failgate.reports.manifest import ManifestLimits, check, is_time, one_line, seal_bytes, texts
from failgate.reports.reading import SELECT_ENTRIES
from failgate.reports.records import counts, event_of, findings_text, missing_of
from failgate.reports.uploaders import Uploaders
from failgate.wire.reports import BeginReport, BegunReport, Consent, Manifest

State = Literal["begun", "sealed", "quarantined"]
CommandOf = Callable[[str, str], Awaitable[str | None]]
"""`(workspace_id, command_id)` to the id of the principal who submitted that command, or None."""

_INSERT_NEW = (
    "INSERT INTO report (workspace_id, id, state, format, title, exit_code, manifest_id, manifest_sha256, manifest,"
    " uploader_t, uploader_id, uploader_owner_id, uploader_label, command_id, consent_by, consent_at, findings,"
    " created_us, sealed_us, project, version, source, recording_ms, group_id)"
    f" VALUES ({', '.join(f'${number}' for number in range(1, 25))})"
)
_INSERT_REPORT = f"{_INSERT_NEW} ON CONFLICT (workspace_id, uploader_id, manifest_id) DO NOTHING"
_INSERT_ENTRY = """
INSERT INTO report_artifact (workspace_id, report_id, position, name, kind, media_type, size_bytes, sha256, artifact_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""
_SELECT_SAME = """
SELECT id, state, manifest_sha256 FROM report WHERE workspace_id = $1 AND uploader_id = $2 AND manifest_id = $3
"""
_SELECT_KNOWN = """
WITH asked (uploader_id, manifest_id) AS (VALUES {})
SELECT asked.uploader_id, asked.manifest_id FROM asked JOIN report
  ON report.workspace_id = $1 AND report.uploader_id = asked.uploader_id AND report.manifest_id = asked.manifest_id
"""
_IS_READABLE = """
SELECT 1 AS one FROM report_artifact AS entry JOIN report ON report.workspace_id = entry.workspace_id
  AND report.id = entry.report_id
WHERE entry.artifact_id = $1 AND (report.state = 'sealed' OR report.state = 'begun' AND report.uploader_id = $2) LIMIT 1
"""
_decode_manifest = msgspec.json.Decoder(dict[str, Any]).decode


class Upload(msgspec.Struct, frozen=True):
    """A checked beginning, ready to be written."""

    principal: Principal
    workspace_id: str
    request: BeginReport
    consent: Consent
    manifest: Manifest
    manifest_text: str
    manifest_sha256: str
    origin: Origin
    scanner: Scanner
    findings: Mapping[str, int]
    truthful: frozenset[str]

    @property
    def is_row_alone(self) -> bool:
        """Tell whether its report is sealed by its own row: it names no artifact, and no secret was found in it."""
        return not self.findings and not self.manifest.artifacts


class Beginning:
    """Checks what is to be uploaded, and begins its report."""

    def __init__(
        self,
        audit: AuditLog,
        clock: Clock,
        artifacts: Artifacts,
        life: ReportLife,
        *,
        formats: Mapping[str, ReportFormat],
        scanner_of: ScannerOf,
        command_of: CommandOf,
        revisit: Revisit,
        count: Count,
        admit: Admit,
        limits: ManifestLimits,
        uploaders: Uploaders,
    ) -> None:
        """Keep the parts; `formats` by the name that `BeginReport.format` gives."""
        self._audit = audit
        self._clock = clock
        self._artifacts = artifacts
        self._life = life
        self._formats = formats
        self._scanner_of = scanner_of
        self._command_of = command_of
        self._revisit = revisit
        self.kinds = Kinds(artifacts)
        self._count = count
        self._admit = admit
        self._limits = limits
        self._uploaders = uploaders

    async def checked(self, principal: Principal, workspace_id: str, request: BeginReport) -> Upload:
        """Return what may be begun. Raises: Forbidden, Unprocessable, TooLarge, as `Reports.begin` says."""
        reader = self._reader(request.format)
        text, sha256 = seal_bytes(request.manifest, self._limits)
        consent = _consent_to(request, sha256)
        manifest = reader.read(request.manifest)
        check(manifest, self._limits)
        if request.command_id is not None:
            await self._check_command(principal, workspace_id, request.command_id)
        scanner = await self._scanner_of(workspace_id)
        findings = await scan_text(texts(manifest), scanner)
        origin = origin_of(manifest, one_line(reader.title(manifest)))
        said = [(one.name, one.media_type, one.sha256) for one in manifest.artifacts]
        truthful = await self.kinds.truthful(workspace_id, said)
        return Upload(
            principal, workspace_id, request, consent, manifest, text, sha256, origin, scanner, findings, truthful
        )

    def origin_in(self, row: Row) -> Origin:
        """Return the origin of a report that was begun: by its manifest, as it was read then.

        Raises: Unprocessable (its format is not enabled any more).
        """
        return origin_of(self._reader(row["format"]).read(_decode_manifest(row["manifest"])), row["title"])

    def _reader(self, name: str) -> ReportFormat:
        reader = self._formats.get(name)
        if reader is None:
            known = ", ".join(sorted(self._formats)) or "none"
            raise Unprocessable(f"No report format {name[:60]!r} is enabled.", hint=f"Enabled: {known}.")
        return reader

    async def _check_command(self, principal: Principal, workspace_id: str, command_id: str) -> None:
        requester = await self._command_of(workspace_id, command_id)
        if requester is None or requester != principal.id:
            raise Unprocessable(
                "`command_id` names no command of this workspace that you submitted.",
                hint="Leave it out, or name the command whose run failed.",
            )

    async def begin(self, tx: Transaction, upload: Upload) -> BegunReport:
        """Make the report's rows, or return the one that was begun with this manifest before. Raises: Conflict."""
        wanted = {one.sha256: one.size_bytes for one in upload.manifest.artifacts}
        known = await self.known(tx, upload.principal, upload.workspace_id, wanted, upload.truthful)
        missing = [sha256 for sha256 in wanted if sha256 not in known]
        state: State = "quarantined" if upload.findings else "begun" if missing else "sealed"
        report_id = new_id()
        group = None  # known already where nothing has to be read for it: its row is written once
        if state == "sealed" and not wanted:
            group = await self._life.group_of(tx, upload.workspace_id, upload.origin)
        if await tx.execute(_INSERT_REPORT, *self._row(upload, report_id, state, group)) != 1:
            return await self._same(tx, upload)
        await self._admit(tx, upload.workspace_id, "reports_per_day", 1)
        await self._admit(tx, upload.workspace_id, "recording_seconds_per_day", upload.origin.recording_ms // 1000)
        await self._admit(tx, upload.workspace_id, "storage_bytes", sum(wanted[sha256] for sha256 in missing))
        await self._use(tx, upload.workspace_id, 1, upload.origin.recording_ms)
        sizes = [one.size_bytes for one in upload.manifest.artifacts]
        if sizes:
            await self._uploaders.admit(tx, upload.workspace_id, upload.principal.id, len(sizes), sum(sizes))
        for position, one in enumerate(upload.manifest.artifacts):
            artifact = known.get(one.sha256)
            await tx.execute(
                _INSERT_ENTRY, upload.workspace_id, report_id, position, one.name, one.kind, one.media_type,
                one.size_bytes, one.sha256, artifact.id if artifact is not None else None,
            )  # fmt: skip
        if state == "quarantined":
            missing = []
        await self._audit.append(tx, _record_of(upload, report_id, state, sum(wanted.values())))
        await self._revisit(tx, upload.workspace_id, report_id, upload.scanner)
        if group is not None:
            joining = Joining(report_id, upload.origin, upload.principal.id, group)
            await self._life.joined(tx, upload.workspace_id, joining)
        elif state == "sealed":
            await self._life.sealed(
                tx, upload.workspace_id, report_id, upload.origin, upload.principal.id, has_artifacts=True
            )
        return BegunReport(report_id, state, missing)

    async def begin_all(
        self, tx: Transaction, workspace_id: str, uploads: Sequence[tuple[Upload, RequestContext | None]]
    ) -> list[BegunReport | None]:
        """Make the reports of `uploads`, each of a row alone and recorded with its request, in their order.

        None for those that are left for `begin`, untouched: one that may be there already, or all of them when not
        each is sure to be admitted.
        """
        begun: list[BegunReport | None] = [None] * len(uploads)
        places = await self._new(tx, workspace_id, [upload for upload, _ in uploads])
        if not places or not await self._are_admitted(tx, workspace_id, len(places)):
            return begun
        new = [uploads[place] for place in places]
        groups = await self._life.groups_of(tx, workspace_id, [(upload.origin, NO_EXCERPT) for upload, _ in new])
        joining = [
            Joining(new_id(), upload.origin, upload.principal.id, group)
            for (upload, _), group in zip(new, groups, strict=True)
        ]
        rows = [
            self._row(upload, one.report_id, "sealed", one.group) for (upload, _), one in zip(new, joining, strict=True)
        ]
        await tx.execute_many(_INSERT_NEW, rows)
        await self._use(tx, workspace_id, len(new), 0)
        regressed = await self._life.joined_all(tx, workspace_id, joining)
        events: list[tuple[Event, RequestContext | None]] = []
        for (upload, context), one in zip(new, joining, strict=True):
            events.append((_record_of(upload, one.report_id, "sealed", 0), context))
            if one.report_id in regressed:
                events.append((regressed[one.report_id], context))
        await self._audit.append_all(tx, workspace_id, events)
        for place, one in zip(places, joining, strict=True):
            await self._revisit(tx, workspace_id, one.report_id, uploads[place][0].scanner)
            begun[place] = BegunReport(one.report_id, "sealed", [])
        return begun

    async def _new(self, tx: Transaction, workspace_id: str, uploads: Sequence[Upload]) -> list[int]:
        """Return the places of those that were not begun before, each manifest of an uploader once."""
        first: dict[tuple[str, str], int] = {}
        for place, upload in enumerate(uploads):
            first.setdefault((upload.principal.id, upload.manifest.id), place)
        query = with_rows(_SELECT_KNOWN, len(first), 2, first=2)
        for row in await tx.fetch(query, workspace_id, *chain.from_iterable(first)):
            del first[row["uploader_id"], row["manifest_id"]]
        return list(first.values())

    async def _are_admitted(self, tx: Transaction, workspace_id: str, number: int) -> bool:
        try:
            await self._admit(tx, workspace_id, "reports_per_day", number)
            await self._admit(tx, workspace_id, "recording_seconds_per_day", 0)
            await self._admit(tx, workspace_id, "storage_bytes", 0)
        except (Conflict, TooLarge, TooManyRequests):  # by themselves some may be: each is told for itself
            return False
        return True

    async def _use(self, tx: Transaction, workspace_id: str, reports: int, recording_ms: int) -> None:
        """Count what was admitted, when it begins: whether it is ever sealed, its sender decides."""
        await self._count(tx, workspace_id, "reports", reports)
        if recording_ms:
            await self._count(tx, workspace_id, "recording_ms", recording_ms)

    def _row(self, upload: Upload, report_id: str, state: State, group: Group | None) -> tuple[object, ...]:
        principal, origin, now_us = upload.principal, upload.origin, self._clock.now_us()
        return (
            upload.workspace_id, report_id, state, upload.request.format, origin.title,
            upload.manifest.exit_code, upload.manifest.id, upload.manifest_sha256, upload.manifest_text, principal.kind,
            principal.id, principal.owner_account_id, principal.label or principal.id, upload.request.command_id,
            upload.consent.by, upload.consent.at, findings_text(upload.findings), now_us,
            now_us if state == "sealed" else None, origin.project, origin.version, origin.source,
            origin.recording_ms, group.id if group is not None else None,
        )  # fmt: skip

    async def _same(self, tx: Transaction, upload: Upload) -> BegunReport:
        """Return the report that this uploader began with this manifest id before: its answer may have been lost."""
        row = await tx.fetch_one(_SELECT_SAME, upload.workspace_id, upload.principal.id, upload.manifest.id)
        if row is None or row["manifest_sha256"] != upload.manifest_sha256:
            raise Conflict(
                "The manifest's id was used for another manifest.", hint="Capture again, or give it a new id."
            )
        missing = missing_of(await tx.fetch(SELECT_ENTRIES, upload.workspace_id, row["id"]))
        return BegunReport(row["id"], row["state"], missing if row["state"] == "begun" else [])

    async def known(
        self,
        tx: Transaction,
        principal: Principal,
        workspace_id: str,
        wanted: Mapping[str, int],
        truthful: frozenset[str],
    ) -> dict[str, Artifact]:
        """Return those artifacts (digest to size) that need no upload; `truthful` ones alone are what they are called.

        Naming a digest must not open bytes that one may not read: what is withheld or belongs to somebody's unfinished
        report has to be sent again, which proves that the sender holds it. What is in quarantined reports alone is sent
        again too: rules that came later never saw it.
        """
        known: dict[str, Artifact] = {}
        for sha256, size_bytes in wanted.items():
            artifact = await self._artifacts.find_in(tx, workspace_id, sha256) if sha256 in truthful else None
            if artifact is None or artifact.findings or artifact.size_bytes != size_bytes:
                continue
            if await tx.fetch_one(_IS_READABLE, artifact.id, principal.id) is not None:
                known[sha256] = artifact
        return known


def _record_of(upload: Upload, report_id: str, state: State, size_bytes: int) -> Event:
    """Return the record of a report that begins in `state`."""
    facts: dict[str, JSON] = {"manifest": upload.manifest_sha256}
    if state == "quarantined":
        act = Act.REPORT_QUARANTINED
        facts |= counts(upload.findings)
    else:
        act = Act.REPORT_SEALED if state == "sealed" else Act.REPORT_BEGUN
        facts |= {"artifacts": len(upload.manifest.artifacts), "size_bytes": size_bytes}
        facts |= {"command": upload.request.command_id, "consent": upload.consent.by}
    return event_of(upload.principal, upload.workspace_id, act, report_id, facts)


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
