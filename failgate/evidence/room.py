"""The room of evidence: its services over one log."""

from dataclasses import dataclass
from pathlib import Path

from failgate.audit.log import AuditLog
from failgate.audit.search import Search
from failgate.base.clock import Clock
from failgate.base.db import Database
from failgate.evidence.exports import Exports
from failgate.evidence.views import SavedViews
from failgate.workspaces.workspaces import Workspaces


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the audit page and an auditor's exports need."""

    search: Search
    views: SavedViews
    exports: Exports


def build_evidence(db: Database, audit: AuditLog, clock: Clock, folder: Path, workspaces: Workspaces) -> Evidence:
    """Return the room, which writes nothing into `folder` that stays; private views end with a membership."""
    views = SavedViews(db, audit, clock)
    workspaces.also_end(views.end_in_workspace)
    return Evidence(Search(db, audit), views, Exports(db, audit, clock, folder))
