"""How long reports are kept, legal hold, usage and quotas: as asked and as answered."""

import msgspec


class HoldReport(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`POST reports/{id}/hold`."""

    reason: str


class HoldView(msgspec.Struct, frozen=True):
    """A report under legal hold: since when, by whose id, why."""

    report: str
    since: str
    by: str
    reason: str


class SetRetention(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`POST retention`: days by subject (`report`, `leftover`, or a kind of artifact); null keeps it for good.

    Without `confirm`, days that would delete something at once are refused.
    """

    days: dict[str, int | None]
    confirm: bool = False


class RetentionView(msgspec.Struct, frozen=True):
    """For how many days things are kept, null for good. `own` names what the workspace says itself."""

    days: dict[str, int | None]
    own: list[str]


class SetLimit(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`POST platform/limits`: a workspace (its short name), a quota, how much it may be; null: no limit."""

    workspace: str
    quota: str
    amount: int | None


class UsageDay(msgspec.Struct, frozen=True):
    """What was used on one day (UTC). Bytes are of artifacts, each content once; recordings in seconds."""

    day: str
    reports: int
    commands: int
    recording_seconds: int
    bytes_added: int
    bytes_removed: int


class QuotaView(msgspec.Struct, frozen=True):
    """A quota: what is used of it now, and how much may be; null: no limit. `is_own`: set for this workspace."""

    quota: str
    used: int
    limit: int | None
    is_own: bool


class UsageView(msgspec.Struct, frozen=True):
    """`GET usage`: what is stored now, the quotas, the days (the oldest first)."""

    bytes_stored: int
    reports: int
    seats: int
    quotas: list[QuotaView]
    days: list[UsageDay]
