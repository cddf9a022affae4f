"""What is muted, as the queue shows it, and for how long one may mute. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from failgate.gate.mutes import MOST_MINUTES, Mute
from failgate.web.pages.text import Moment, Piece, moment, pieces

TIMES: Final = ((10, "10 minutes"), (60, "an hour"), (480, "8 hours"), (MOST_MINUTES, "a day"))


@dataclass(frozen=True, slots=True)
class MuteLine:
    """Something that is muted now; `href` leads to the request that was denied when it was muted."""

    id: str
    agent: str
    is_program: bool
    program: tuple[Piece, ...]
    href: str
    by: str
    reason: str
    until: Moment
    denied: int
    may_end: bool


def line_of(mute: Mute, now_us: int, *, slug: str, emails: Mapping[str, str], may_end: bool) -> MuteLine:
    """Return `mute` as it is shown."""
    return MuteLine(
        mute.id,
        mute.requester_label,
        mute.what == "program",
        pieces(mute.program),
        f"/w/{slug}/commands/{mute.command_id}",
        emails.get(mute.account_id, "somebody who left"),
        mute.reason or "",
        moment(mute.expires_us, now_us),
        mute.denied,
        may_end,
    )
