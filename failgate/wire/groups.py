"""Groups of failures that are one and the same, as answered."""

from typing import Literal

import msgspec

GroupState = Literal["open", "resolved", "regressed", "ignored"]


class ReportGroup(msgspec.Struct, frozen=True):
    """One failure, seen `count` times. `days` counts the reports of the last 24 days, the oldest first (UTC).

    `state`: `open` until somebody decides; `resolved`, in the version `resolved_in_version` when one was said;
    `regressed` when it was seen again after that; `ignored` until it is reopened.
    """

    id: str
    project: str | None
    fingerprint: str
    title: str
    command: str
    error: str
    state: GroupState
    count: int
    first_at: str
    last_at: str
    first_version: str | None
    last_version: str | None
    last_report_id: str
    days: list[int]
    resolved_in_version: str | None = None


class GroupPage(msgspec.Struct, frozen=True):
    """`GET report-groups`."""

    items: list[ReportGroup]
    next: str | None


class ResolveGroup(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`POST report-groups/{id}/resolve`. Without a version every later report makes it regressed."""

    version: str | None = None
