"""What the page of the members shows: who they are, who is invited, how reviewers decide. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from failgate.gate.reviewers import DAYS, Reviewed
from failgate.web.pages.people_view import MemberLine
from failgate.web.pages.text import Moment, duration


@dataclass(frozen=True, slots=True)
class ReviewerLine:
    """How one member decided lately; `percent` of it were approvals, `read` is the median time for one, at most."""

    email: str
    decided: int
    approved: int
    percent: int
    read: str
    is_stamp: bool


@dataclass(frozen=True, slots=True)
class InvitationLine:
    """An open invitation; without `email` anybody with the link may accept."""

    id: str
    email: str | None
    role: str
    created: Moment
    expires: Moment


@dataclass(frozen=True, slots=True)
class MembersView:
    """All members of a workspace and its open invitations. `reviewers` is None for who may not know how they decide."""

    rows: tuple[MemberLine, ...]
    invitations: tuple[InvitationLine, ...] = ()
    may_change: bool = False
    reviewers: tuple[ReviewerLine, ...] | None = None
    days: int = DAYS


def reviewer_lines(found: Sequence[Reviewed], emails: Mapping[str, str]) -> tuple[ReviewerLine, ...]:
    """Return how members decided, the one who approves most first; `emails` by account."""
    ordered = sorted(found, key=lambda one: (not one.is_stamp, -one.percent, one.median_us))
    return tuple(
        ReviewerLine(
            emails.get(one.account_id, "somebody who left"),
            one.decided,
            one.approved,
            one.percent,
            duration(one.median_us // 1000),
            one.is_stamp,
        )
        for one in ordered
    )
