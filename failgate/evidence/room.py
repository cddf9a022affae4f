"""The room of evidence: its services over one log."""

from dataclasses import dataclass
from pathlib import Path

from failgate.audit.erasing import Erasing
from failgate.audit.erasure_list import ErasureList
from failgate.audit.log import AuditLog
from failgate.audit.search import Search
from failgate.base.clock import MICROSECONDS, Clock
from failgate.base.db import Database
from failgate.config.units import Duration
from failgate.evidence.exports import Exports
from failgate.evidence.views import SavedViews
from failgate.workspaces.workspaces import Workspaces


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the audit page and an auditor's exports need."""

    search: Search
    views: SavedViews
    exports: Exports
    erasing: Erasing


def build_evidence(
    db: Database, audit: AuditLog, clock: Clock, folder: Path, workspaces: Workspaces, *, keep: Duration | None
) -> Evidence:
    """Return the room, of which the list of erasures stays in `folder`; private views end with a membership.

    `keep` is how long addresses of records are kept, None for good.
    """
    views = SavedViews(db, audit, clock)
    workspaces.also_end(views.end_in_workspace)
    search = Search(db, audit)
    keep_us = None if keep is None else round(keep.seconds * MICROSECONDS)
    erasing = Erasing(db, audit, search, clock, keep_us=keep_us, listed=ErasureList(db, folder))
    return Evidence(search, views, Exports(db, audit, clock, folder), erasing)
