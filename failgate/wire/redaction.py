"""A workspace's own redaction rules as they cross the network."""

from typing import Annotated

import msgspec

_Example = Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]
_Examples = Annotated[list[_Example], msgspec.Meta(min_length=1, max_length=20)]


class RedactionRule(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A rule to add. Its examples are checked once and not kept: they may be the secrets themselves."""

    name: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$", description="Tags say x-<name>.")]
    pattern: Annotated[
        str, msgspec.Meta(min_length=1, max_length=500, description="RE2; its first group, or all, is replaced.")
    ]
    must_match: _Examples
    must_not_match: _Examples
    description: Annotated[str, msgspec.Meta(max_length=200)] = ""


class RedactionRuleView(msgspec.Struct, frozen=True):
    """A rule in effect; times are RFC 3339."""

    id: str
    name: str
    pattern: str
    description: str
    created_by: str
    created_at: str


class RedactionScan(msgspec.Struct, frozen=True):
    """How far stored reports were scanned again by the rules in effect."""

    state: str
    scanned: int
    quarantined: int


class RedactionRulePage(msgspec.Struct, frozen=True):
    """All rules of a workspace, the oldest first; `next` is always null. `built_in` names the rules that all have."""

    items: list[RedactionRuleView]
    built_in: str
    scan: RedactionScan | None = None
    next: str | None = None
