"""The messages about share links. Times are RFC 3339 in UTC, durations whole seconds, digests SHA-256 in hex."""

from typing import Literal

import msgspec


class NewShare(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`POST reports/{id}/shares`. Without `artifacts`: outputs and diffs; an empty list: the summary alone."""

    ttl_seconds: int = 7 * 86_400
    artifacts: list[str] | None = None
    passphrase: str | None = None


class ShareVisit(msgspec.Struct, frozen=True):
    """One visit by a link. `network` is a /24 of IPv4 or a /48 of IPv6, never an address."""

    at: str
    network: str


class ShareView(msgspec.Struct, frozen=True):
    """A link as it can be listed. `state` says whether it answers, and if not why."""

    id: str
    report_id: str
    artifacts: list[str]
    state: Literal["open", "expired", "revoked", "switched off"]
    created_at: str
    created_by: str
    expires_at: str
    has_passphrase: bool
    views: int
    last_viewed_at: str | None
    visits: list[ShareVisit] = []


class SharePage(msgspec.Struct, frozen=True):
    """`GET reports/{id}/shares`."""

    items: list[ShareView]
    next: str | None


class MadeShare(msgspec.Struct, frozen=True):
    """A link that was just made. `url` is shown this once; null when the request is repeated under its key."""

    id: str
    url: str | None
    expires_at: str
    artifacts: list[str]
