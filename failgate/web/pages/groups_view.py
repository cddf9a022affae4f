"""Groups of reports as their pages show them, and the filters of the list. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from failgate.web.pages.queue_view import Bar, Spark
from failgate.web.pages.report_view import ReportRow, report_rows
from failgate.web.pages.text import Moment, moment_of
from failgate.wire.groups import ReportGroup
from failgate.wire.reports import ReportView

STATES: Final = (
    ("All", None),
    ("Open", "open"),
    ("Regressed", "regressed"),
    ("Resolved", "resolved"),
    ("Ignored", "ignored"),
)


@dataclass(frozen=True, slots=True)
class Choice:
    """A filter as a link."""

    label: str
    href: str
    is_current: bool


@dataclass(frozen=True, slots=True)
class GroupRow:
    """A group in the list."""

    id: str
    title: str
    command: str
    project: str | None
    state: str
    count: int
    first: Moment
    last: Moment
    versions: str
    spark: Spark
    resolved_in: str | None


@dataclass(frozen=True, slots=True)
class GroupsView:
    """A page of groups."""

    rows: tuple[GroupRow, ...]
    choices: tuple[Choice, ...]
    projects: tuple[str, ...]
    project: str
    state: str
    next_href: str | None


@dataclass(frozen=True, slots=True)
class GroupView:
    """One group with its reports."""

    group: GroupRow
    error: str
    fingerprint: str
    last_report_id: str
    reports: tuple[ReportRow, ...]
    all_href: str
    may_triage: bool
    problem: str | None


def groups_view(
    groups: Sequence[ReportGroup],
    next_after: str | None,
    *,
    slug: str,
    now_us: int,
    state: str | None,
    project: str | None,
    projects: Sequence[str],
) -> GroupsView:
    """Return a page of groups of the workspace `slug`."""
    base = f"/w/{slug}/report-groups"
    choices = tuple(Choice(label, link(base, state=word, project=project), word == state) for label, word in STATES)
    following = link(base, state=state, project=project, after=next_after) if next_after else None
    rows = tuple(group_row(group, now_us) for group in groups)
    return GroupsView(rows, choices, tuple(projects), project or "", state or "", following)


def group_view(
    group: ReportGroup, reports: Sequence[ReportView], *, slug: str, now_us: int, may_triage: bool, problem: str | None
) -> GroupView:
    """Return one group with its newest reports."""
    return GroupView(
        group_row(group, now_us), group.error, group.fingerprint, group.last_report_id, report_rows(reports, now_us),
        link(f"/w/{slug}/reports", group=group.id), may_triage, problem,
    )  # fmt: skip


def group_row(group: ReportGroup, now_us: int) -> GroupRow:
    """Return the row of a group."""
    first, last = group.first_version, group.last_version
    versions = first if first == last else f"{first or 'none'} to {last or 'none'}"
    return GroupRow(
        group.id,
        group.title,
        group.command,
        group.project,
        group.state,
        group.count,
        moment_of(group.first_at, now_us),
        moment_of(group.last_at, now_us),
        versions or "",
        spark_of(group.days),
        group.resolved_in_version,
    )


def spark_of(days: Sequence[int]) -> Spark:
    """Return the bars of counts by day, the last of which is today."""
    most = max(max(days, default=0), 1)
    bars = tuple(
        Bar(count / most, is_bad=True, label=_day_label(count, len(days) - 1 - at)) for at, count in enumerate(days)
    )
    return Spark(bars, f"{sum(days)} reports in the last {len(days)} days, at most {max(days, default=0)} in one")


def link(path: str, **members: str | None) -> str:
    """Return `path` with those of the members that are something as its query."""
    query = urlencode({name: value for name, value in members.items() if value})
    return f"{path}?{query}" if query else path


def filled(form: Mapping[str, str]) -> dict[str, str]:
    """Return the filters of a query that are filled in, at most 200 characters of each."""
    return {name: value.strip()[:200] for name, value in form.items() if value.strip()}


def _day_label(count: int, days_ago: int) -> str:
    when = "today" if days_ago == 0 else "yesterday" if days_ago == 1 else f"{days_ago} days ago"
    return f"{count} {when}"
