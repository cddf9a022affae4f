"""Breaking the glass, as the API speaks of it: one person lets a command run without its quorum, another reviews it."""

from typing import Literal

import msgspec

Glass = Literal["open", "justified", "unjustified"]
BreakGlass = Literal["reviewer", "owner"]


class GlassBreak(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`POST commands/{id}/glass`: in an emergency it runs without its quorum. `confirm` is the host's name, typed."""

    digest: str
    reason: str
    confirm: str


class GlassVerdict(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`POST commands/{id}/glass-review`: whether that was justified, and in words why."""

    verdict: Literal["justified", "unjustified"]
    words: str


class GlassView(msgspec.Struct, frozen=True):
    """Broken glass: who let which command run without its quorum, why, and what came of the review."""

    command: str
    by: str
    reason: str
    broken_at: str
    review: Glass
    reviewer: str | None = None
    words: str | None = None
    reviewed_at: str | None = None


class GlassPage(msgspec.Struct, frozen=True):
    """`GET glass`: what waits for its review first, then the newest."""

    items: list[GlassView]
