"""A report as the holder of a share link sees it, and the links as their workspace lists them. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from failgate.reports.share import DEFAULT_KINDS, NEEDS_REVIEW, Share
from failgate.web.content import Content
from failgate.web.pages.people_view import Choice, choices
from failgate.web.pages.report_view import ReportPageView, report_page_view
from failgate.web.pages.text import Moment, moment, moment_of, size
from failgate.web.playback import Playback
from failgate.wire.reports import ReportView
from failgate.wire.shares import ShareView

LIFETIMES: Final = (("1", "after a day"), ("7", "after 7 days"), ("30", "after 30 days"), ("90", "after 90 days"))


@dataclass(frozen=True, slots=True)
class PassphraseView:
    """The question before a report whose link has a passphrase."""

    share_id: str
    error: str | None


@dataclass(frozen=True, slots=True)
class SharedView:
    """A report by its link. `captured` is when the command ran; `playback_href` is where its frames are."""

    report: ReportPageView
    captured: Moment
    expires: Moment
    tools: tuple[tuple[str, str], ...]
    playback: Playback | None
    playback_href: str


@dataclass(frozen=True, slots=True)
class VisitLine:
    """One visit by a link."""

    at: Moment
    network: str


@dataclass(frozen=True, slots=True)
class ShareLine:
    """A link in a list."""

    id: str
    report_id: str
    state: str
    is_open: bool
    created: Moment
    created_by: str
    expires: Moment
    has_passphrase: bool
    artifact_count: int
    views: int
    last_viewed: Moment | None
    visits: tuple[VisitLine, ...]


@dataclass(frozen=True, slots=True)
class PickLine:
    """An artifact that may be chosen; `needs_review`: it holds source that nobody looked through yet."""

    sha256: str
    name: str
    about: str
    is_chosen: bool
    needs_review: bool


@dataclass(frozen=True, slots=True)
class SharesView:
    """The links of one report and the form for another."""

    report_id: str
    title: str
    here: str
    lines: tuple[ShareLine, ...]
    picks: tuple[PickLine, ...]
    lifetimes: tuple[Choice, ...]
    may_make: bool
    is_stopped: bool
    error: str | None = None


@dataclass(frozen=True, slots=True)
class SharingView:
    """The workspace's switch and all of its open links."""

    slug: str
    is_stopped: bool
    lines: tuple[ShareLine, ...]
    is_saved: bool = False


def shared_view(
    share: Share, report: ReportView, contents: Mapping[str, Content], played: Playback | None, *, now_us: int
) -> SharedView:
    """Return what the page of the link shows; downloads lead below the link's own address."""
    view = report_page_view(report, contents, slug="", now_us=now_us)
    base = f"/s/{share.id}/artifacts"
    artifacts = tuple(
        replace(one, href=f"{base}/{one.sha256}" if one.withheld is None else None) for one in view.artifacts
    )
    manifest = report.manifest or {}
    tools = manifest.get("tools") or []
    captured = moment_of(str(manifest.get("created_at", report.created_at)), now_us)
    pairs = tuple((str(one["name"]), str(one["version"])) for one in tools)
    expires = moment(share.expires_us, now_us)
    return SharedView(replace(view, artifacts=artifacts), captured, expires, pairs, played, f"/s/{share.id}/playback")


def share_lines(shares: Sequence[ShareView], now_us: int) -> tuple[ShareLine, ...]:
    """Return links as their workspace lists them."""
    return tuple(
        ShareLine(
            id=one.id,
            report_id=one.report_id,
            state=one.state,
            is_open=one.state in {"open", "switched off"},
            created=moment_of(one.created_at, now_us),
            created_by=one.created_by,
            expires=moment_of(one.expires_at, now_us),
            has_passphrase=one.has_passphrase,
            artifact_count=len(one.artifacts),
            views=one.views,
            last_viewed=None if one.last_viewed_at is None else moment_of(one.last_viewed_at, now_us),
            visits=tuple(VisitLine(moment_of(visit.at, now_us), visit.network) for visit in one.visits),
        )
        for one in shares
    )


def picks(report: ReportView, reviewed: Collection[str], typed: Mapping[str, str]) -> tuple[PickLine, ...]:
    """Return the artifacts to choose from, as they were ticked before when the form comes back."""
    seen: dict[str, PickLine] = {}
    for one in report.artifacts:
        if not one.is_shown or one.sha256 in seen:
            continue
        needs_review = one.kind in NEEDS_REVIEW and one.sha256 not in reviewed
        is_chosen = f"artifact {one.sha256}" in typed if "days" in typed else one.kind in DEFAULT_KINDS
        about = f"{one.kind}, {size(one.size_bytes)}"
        seen[one.sha256] = PickLine(one.sha256, one.name, about, is_chosen and not needs_review, needs_review)
    return tuple(seen.values())


def lifetimes(chosen: str) -> tuple[Choice, ...]:
    """Return after how many days a link may end."""
    return choices(LIFETIMES, chosen)
