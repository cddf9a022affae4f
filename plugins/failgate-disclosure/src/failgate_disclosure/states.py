"""The states of a report, why one is closed, and the clock of 48 hours. Pure."""

from dataclasses import dataclass
from typing import Final, Literal

State = Literal["new", "acknowledged", "accepted", "fixed", "closed"]

ACKNOWLEDGE_SECONDS: Final = 48 * 3600
# Which states may follow which; what is closed may be taken up again.
NEXT: Final[dict[State, tuple[State, ...]]] = {
    "new": ("acknowledged", "closed"),
    "acknowledged": ("accepted", "closed"),
    "accepted": ("fixed", "closed"),
    "fixed": ("closed", "accepted"),
    "closed": ("acknowledged",),
}
# What the reporter hears of a state.
MEANING: Final[dict[State, str]] = {
    "new": "It has arrived. A person answers within 48 hours.",
    "acknowledged": "A person has read it and is looking into it.",
    "accepted": "We see it too, and are mending it.",
    "fixed": "It is mended.",
    "closed": "It is closed.",
}
# Why a report is closed, in the words that the reporter reads.
REASONS: Final = {
    "fixed": "It is mended, and everything about it is done.",
    "out_of_scope": "It is out of the scope of our policy.",
    "other_product": "It is about software of somebody else; please report it there.",
    "duplicate": "Somebody reported it before.",
    "not_reproducible": "We do not see it with these steps. Tell us more and we look again.",
    "no_vulnerability": "It works as it is meant to, and gives nobody what is not theirs.",
    "empty": "It says nothing that could be looked into.",
}


@dataclass(frozen=True, slots=True)
class Standing:
    """How a report stands to its clock: `words` for people, whether it is late, whether less than half is left."""

    words: str
    is_late: bool = False
    is_near: bool = False


def standing_of(state: State, received_us: int, acknowledged_us: int | None, now_us: int) -> Standing:
    """Return how a report stands at `now_us`, microseconds since 1970 as the others.

    A clock that went back before the report came gives it the whole time, and never more.
    """
    if state != "new" or acknowledged_us is not None:
        until = acknowledged_us if acknowledged_us is not None else now_us
        hours = max(0, until - received_us) // 3_600_000_000
        return Standing(f"acknowledged after {hours} h" if acknowledged_us is not None else "")
    left_seconds = ACKNOWLEDGE_SECONDS - max(0, now_us - received_us) / 1_000_000
    if left_seconds <= 0:
        return Standing(f"{int(-left_seconds // 3600)} h late", is_late=True)
    is_near = left_seconds <= ACKNOWLEDGE_SECONDS / 2
    return Standing(f"{max(1, int(left_seconds // 3600))} h left", is_near=is_near)
