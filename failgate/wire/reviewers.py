"""How reviewers decide, as the API speaks of it."""

import msgspec


class ReviewerView(msgspec.Struct, frozen=True):
    """How a member decided: `approved` of `decided` decisions, and at most how long they read, at the median.

    `is_stamp`: almost all approved, with less than five seconds for each.
    """

    account: str
    email: str
    decided: int
    approved: int
    approved_percent: int
    median_read_ms: int
    is_stamp: bool


class ReviewerPage(msgspec.Struct, frozen=True):
    """`GET reviewers`: the members who decided within so many `days`."""

    days: int
    items: list[ReviewerView]
