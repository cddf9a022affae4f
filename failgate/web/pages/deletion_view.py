"""What the pages of deletion show."""

from dataclasses import dataclass

from failgate.web.pages.text import Moment


@dataclass(frozen=True, slots=True)
class HeldLine:
    """A report under legal hold, and why."""

    report_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class WordLine:
    """An owner's word that waits for another owner's."""

    id: str
    by: str
    is_own: bool
    asked: Moment
    expires: Moment


@dataclass(frozen=True, slots=True)
class DeletionView:
    """What would go, and whose word it has."""

    slug: str
    owners: tuple[str, ...]
    others: tuple[str, ...]
    hours: int
    reports: int
    stored: str
    members: int
    agents: int
    held: HeldLine | None
    word: WordLine | None
    error: str | None


@dataclass(frozen=True, slots=True)
class DeletedLine:
    """A deleted workspace; `emptied` is None while it is being emptied."""

    id: str
    name: str
    closed: Moment
    emptied: Moment | None
    reports: int
    artifacts: int
    stored: str
    log_size: int
    log_root: str


@dataclass(frozen=True, slots=True)
class DeletedView:
    """Those that one owned, the latest first."""

    rows: tuple[DeletedLine, ...]
