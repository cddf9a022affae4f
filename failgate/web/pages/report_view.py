"""A report as its pages show it: output, changes, machine, repository, what was redacted, what is kept. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

import msgspec

from failgate.failure.plain import lines_of
from failgate.web.content import Content
from failgate.web.pages.change_view import DiffView, diff_view
from failgate.web.pages.story_view import Happening
from failgate.web.pages.text import Moment, Piece, duration, moment_of, pieces, size
from failgate.web.pages.token_view import Text, texts
from failgate.web.playback import Playback
from failgate.wire.reports import EnvironmentSummary, Manifest, Redaction, ReportView

START_LINES: Final = 120
END_LINES: Final = 200


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a text; `number` counts from 1, `kind` chooses the colour."""

    number: int
    parts: tuple[Piece, ...]
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """A text with numbered lines; `middle` is collapsed; `cut_bytes` of the artifact are not on the page at all."""

    name: str
    start: tuple[Line, ...]
    middle: tuple[Line, ...]
    end: tuple[Line, ...]
    cut_bytes: int
    added: int = 0
    removed: int = 0


@dataclass(frozen=True, slots=True)
class ArtifactLine:
    """An artifact with the address to download it from, or None while it is missing or withheld."""

    name: str
    kind: str
    size: str
    sha256: str
    sha256_short: str
    href: str | None
    withheld: str | None = None
    malware: str | None = None


@dataclass(frozen=True, slots=True)
class GitLine:
    """The repository's state in words."""

    head: str
    head_short: str
    branch: str
    tree: str


@dataclass(frozen=True, slots=True)
class Machine:
    """The environment summary."""

    platform: str
    python: str | None
    tools: tuple[tuple[str, str], ...]
    names: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class ReportPageView:
    """One report."""

    id: str
    state: str
    title: str
    created: Moment
    uploaded_by: str
    command_id: str | None
    argv: tuple[tuple[Text, ...], ...]
    cwd: str
    host: str
    exit_code: int
    signal: int | None
    duration: str
    outputs: tuple[Listing, ...]
    diffs: tuple[Listing, ...]
    git: GitLine | None
    redactions: tuple[Redaction, ...]
    redaction_rules: str
    environment: Machine
    artifacts: tuple[ArtifactLine, ...]
    manifest_sha256: str
    group_id: str | None
    is_held: bool
    may_hold: bool
    may_delete: bool = False
    share_href: str | None = None
    changes: tuple[DiffView, ...] = ()
    playback: Playback | None = None
    story: tuple[Happening, ...] = ()


@dataclass(frozen=True, slots=True)
class ReportRow:
    """A report in the list."""

    id: str
    title: str
    state: str
    command_id: str | None
    uploaded_by: str
    artifact_count: int
    size: str
    created: Moment
    project: str | None
    version: str | None
    group_id: str | None
    is_held: bool


@dataclass(frozen=True, slots=True)
class ReportsView:
    """A page of reports."""

    rows: tuple[ReportRow, ...]
    next_href: str | None
    asked: Mapping[str, str]
    problem: str | None = None


def report_page_view(
    report: ReportView, contents: Mapping[str, Content], *, slug: str, now_us: int, may_hold: bool = False
) -> ReportPageView:
    """Return `report` for its page. `contents` is what is shown of output and diff artifacts by their SHA-256."""
    manifest = msgspec.convert(report.manifest, Manifest) if report.manifest else _withheld(report)
    return ReportPageView(
        id=report.id,
        state=report.state,
        title=report.title,
        created=moment_of(report.created_at, now_us),
        uploaded_by=report.uploaded_by,
        command_id=report.command_id,
        argv=tuple(texts(token) for token in manifest.argv),
        cwd=manifest.cwd,
        host=manifest.host,
        exit_code=manifest.exit_code,
        signal=manifest.signal,
        duration=duration(manifest.duration_ms),
        outputs=_listings(report, contents, "output", _kind_of_output),
        changes=_changes(report, contents),
        diffs=_listings(report, contents, "diff", _kind_of_change),
        git=_git(manifest),
        redactions=tuple(manifest.redactions),
        redaction_rules=manifest.redaction_rules,
        environment=_machine(manifest.environment),
        artifacts=_artifacts(report, slug),
        manifest_sha256=report.manifest_sha256,
        group_id=report.group_id,
        is_held=report.is_held,
        may_hold=may_hold,
    )


def _withheld(report: ReportView) -> Manifest:
    """Return a manifest that says nothing, for a report whose content this reader may not see."""
    nothing = EnvironmentSummary(names=[], values={}, platform="withheld")
    return Manifest(1, report.id, report.created_at, [], "", "withheld", 0, 0, nothing, [], [], "withheld")


def shown_artifacts(report: ReportView) -> tuple[str, ...]:
    """Return the digests of the artifacts whose text the page shows."""
    return tuple(item.sha256 for item in report.artifacts if item.kind in {"output", "diff"} and item.is_shown)


def reports_view(
    reports: Sequence[ReportView],
    next_after: str | None,
    *,
    slug: str,
    now_us: int,
    asked: Mapping[str, str] | None = None,
    problem: str | None = None,
) -> ReportsView:
    """Return a page of reports of the workspace `slug`; `asked` are the filters that are filled in."""
    asked = asked or {}
    query = urlencode({**asked, "after": next_after}) if next_after else None
    following = f"/w/{slug}/reports?{query}" if query else None
    return ReportsView(report_rows(reports, now_us), following, asked, problem)


def report_rows(reports: Sequence[ReportView], now_us: int) -> tuple[ReportRow, ...]:
    """Return the rows of `reports` in a list."""
    return tuple(_row(report, now_us) for report in reports)


def _row(report: ReportView, now_us: int) -> ReportRow:
    return ReportRow(
        id=report.id,
        title=report.title,
        state=report.state,
        command_id=report.command_id,
        uploaded_by=report.uploaded_by,
        artifact_count=len(report.artifacts),
        size=size(sum(item.size_bytes for item in report.artifacts)),
        created=moment_of(report.created_at, now_us),
        project=report.project,
        version=report.version,
        group_id=report.group_id,
        is_held=report.is_held,
    )


def _listings(
    report: ReportView, contents: Mapping[str, Content], kind: str, kind_of: Callable[[str], str]
) -> tuple[Listing, ...]:
    return tuple(
        listing(item.name, contents[item.sha256], kind_of)
        for item in report.artifacts
        if item.kind == kind and item.sha256 in contents
    )


def _changes(report: ReportView, contents: Mapping[str, Content]) -> tuple[DiffView, ...]:
    found = [item for item in report.artifacts if item.kind == "diff" and item.sha256 in contents]
    return tuple(diff_view(item.name, contents[item.sha256]) for item in found)


def listing(name: str, content: Content, kind_of: Callable[[str], str]) -> Listing:
    """Return the text of an artifact as numbered lines without terminal escapes; a long middle is collapsed."""
    lines = tuple(_line(number, row, kind_of) for number, row in enumerate(lines_of(content.start), 1))
    cut, ending = content.cut_bytes, lines_of(content.end)
    if cut:
        # The number of a line behind the gap is not known: it stays away.
        lines += (Line(0, (Piece(f"… {cut:,} bytes …", is_unusual=True),)), *(_line(0, row, kind_of) for row in ending))
    added, removed = sum(line.kind == "add" for line in lines), sum(line.kind == "bad" for line in lines)
    if len(lines) <= START_LINES + END_LINES + 20:
        return Listing(name, lines, (), (), cut, added, removed)
    return Listing(name, lines[:START_LINES], lines[START_LINES:-END_LINES], lines[-END_LINES:], cut, added, removed)


def _line(number: int, row: str, kind_of: Callable[[str], str]) -> Line:
    return Line(number, pieces(row), kind_of(row))


def _kind_of_change(row: str) -> str:
    if row.startswith(("+++", "---", "diff ", "index ", "new file", "deleted file", "rename ")):
        return "file"
    return {"+": "add", "-": "bad", "@": "hunk"}.get(row[:1], "")


def _kind_of_output(row: str) -> str:
    """Colour what test runners and interpreters print in front of a failure; nothing more is guessed."""
    return (
        "bad"
        if row.startswith(("E  ", "FAILED ", "ERROR ", "Traceback (most recent", "panic:", "error:", "fatal:"))
        else ""
    )


def _git(manifest: Manifest) -> GitLine | None:
    if manifest.git is None:
        return None
    state = manifest.git
    head = state.head or "no commit yet"
    return GitLine(head, head[:12] if state.head else head, state.branch or "detached", state.changes)


def _machine(summary: EnvironmentSummary) -> Machine:
    tools, pairs = tuple(sorted(summary.tools.items())), tuple(sorted(summary.values.items()))
    return Machine(summary.platform, summary.python, tools, tuple(summary.names), pairs)


def _artifacts(report: ReportView, slug: str) -> tuple[ArtifactLine, ...]:
    base = f"/api/v1/workspaces/{slug}/reports/{report.id}/artifacts"
    return tuple(
        ArtifactLine(
            item.name,
            item.kind,
            size(item.size_bytes),
            item.sha256,
            f"{item.sha256[:16]}…",
            f"{base}/{item.sha256}" if item.is_shown else None,
            item.withheld,
            item.malware,
        )
        for item in report.artifacts
    )
