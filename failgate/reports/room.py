"""The services of this room, built in order."""

from collections.abc import Mapping
from dataclasses import dataclass

from failgate.artifacts.artifacts import Artifacts
from failgate.audit.log import AuditLog
from failgate.base.clock import Clock
from failgate.base.db import Database
from failgate.config.scan import ScanSection
from failgate.drafts import DocumentFormat
from failgate.reports.beginning import CommandOf
from failgate.reports.format import ReportFormat
from failgate.reports.groups import ReportGroups
from failgate.reports.ingest_keys import IngestKeys
from failgate.reports.ingestion import Ingestion
from failgate.reports.inspection import Revisit, ScannerOf, unvisited
from failgate.reports.life import Admit, Count, uncounted, unlimited
from failgate.reports.reports import Reports, TellReport
from failgate.reports.retention import Retention, Terms, WorkspaceIds
from failgate.reports.scanning import Scanning
from failgate.reports.uploaders import UploaderLimits


@dataclass(frozen=True, slots=True)
class ReportRoom:
    """Reports, their groups, how long they are kept, documents that become reports, the virus scanner."""

    reports: Reports
    groups: ReportGroups
    retention: Retention
    ingestion: Ingestion
    scanning: Scanning


def build_reports(  # the parts that the room works with
    db: Database,
    audit: AuditLog,
    clock: Clock,
    artifacts: Artifacts,
    *,
    formats: Mapping[str, ReportFormat],
    scanner_of: ScannerOf,
    command_of: CommandOf,
    tell: TellReport,
    days: Mapping[str, int | None],
    workspace_ids: WorkspaceIds,
    document_formats: Mapping[str, DocumentFormat],
    ingest_per_minute: int,
    revisit: Revisit = unvisited,
    count: Count = uncounted,
    admit: Admit = unlimited,
    uploader_limits: UploaderLimits | None = None,
    scan: ScanSection | None = None,
) -> ReportRoom:
    """Build the room; `days` is for how long things are kept where a workspace says nothing of its own."""
    scanning = Scanning(db, audit, clock, artifacts, scan)
    reports = Reports(
        db,
        audit,
        clock,
        artifacts,
        formats=formats,
        scanner_of=scanner_of,
        command_of=command_of,
        tell=tell,
        revisit=revisit,
        count=count,
        admit=admit,
        uploader_limits=uploader_limits,
        scanning=scanning,
    )
    retention = Retention(
        db, audit, clock, artifacts, reports.deletion, defaults=Terms(days), workspace_ids=workspace_ids
    )
    ingestion = Ingestion(
        reports,
        IngestKeys(db, audit, clock),
        clock,
        formats=document_formats,
        scanner_of=scanner_of,
        per_minute=ingest_per_minute,
    )
    return ReportRoom(reports, ReportGroups(db, audit, clock), retention, ingestion, scanning)
