"""What is shown of broken glass: who let a command run without its quorum, why, and the review. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from failgate.gate.glass import Broken
from failgate.web.pages.text import Moment, moment
from failgate.web.pages.token_view import Text
from failgate.wire.gate import CommandView
from failgate.wire.glass import Glass

REVIEWS: Final[Mapping[Glass, str]] = {
    "open": "not reviewed yet",
    "justified": "reviewed: justified",
    "unjustified": "reviewed: NOT justified",
}


@dataclass(frozen=True, slots=True)
class GlassLine:
    """Broken glass. `review` is in words; the last three are empty until somebody reviewed it."""

    command_id: str
    by: str
    reason: str
    at: Moment
    is_open: bool
    review: str
    reviewer: str
    words: str
    reviewed: Moment | None


@dataclass(frozen=True, slots=True)
class GlassPageView:
    """The page of one command: what breaking the glass would do, or how it was broken. `is_own`: by the visitor."""

    id: str
    digest: str
    host: str
    agent: str
    preview: tuple[tuple[Text, ...], ...]
    waiting_for: str
    may_break: bool
    is_pending: bool
    broken: GlassLine | None
    is_own: bool
    typed: Mapping[str, str]
    error: str | None = None


def line_of(broken: Broken, now_us: int) -> GlassLine:
    """Return `broken` as it is shown."""
    return GlassLine(
        broken.command_id,
        broken.label,
        broken.reason,
        moment(broken.broken_us, now_us),
        broken.review == "open",
        REVIEWS[broken.review],
        broken.reviewer_label or "",
        broken.words or "",
        None if broken.reviewed_us is None else moment(broken.reviewed_us, now_us),
    )


def headline_of(command: CommandView) -> str:
    """Return in red words that nobody approved it but one person; empty for any other command."""
    return "" if command.glass is None else f"Glass broken, {REVIEWS[command.glass]}"
