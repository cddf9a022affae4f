"""From what a provider sends to what is kept: CPU work alone, for a thread. Loads pydantic."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from failgate.sso.scim.dialects import MemberChange, canonical_operations, split_members
from failgate.sso.scim.errors import invalid_value
from failgate.sso.scim.governing import email_of
from failgate.sso.scim.reading import check_texts, patch_resource, read_resource
from failgate.sso.scim.stored import Draft, Kept, Kind
from failgate.sso.scim.values import comparable_name, values_of

MAX_MEMBERS: Final = 20_000  # in one request


@dataclass(frozen=True, slots=True)
class Change:
    """A draft, and what happens to the members of a group; `needs_members`: they have to be looked at first."""

    draft: Draft
    members: tuple[MemberChange, ...] = ()


class NeedsMembers(Exception):  # internal: asks the caller to come again with the members
    """A patch picks members by more than their id."""


def draft_new(kind: Kind, body: Any) -> Change:
    """Return what a POST makes. Raises: ScimError."""
    resource = read_resource(kind, body, is_new=True)
    return _change(kind, resource, is_active=True)


def draft_replaced(kind: Kind, body: Any, kept: Kept) -> Change:
    """Return what a PUT makes of `kept`; who says nothing of `active` changes nothing about it. Raises: ScimError."""
    resource = read_resource(kind, body, is_new=False)
    return _change(kind, resource, is_active=kept.is_active)


def draft_patched(kind: Kind, body: Any, kept: Kept, members: list[str] | None = None) -> Change:
    """Return what a PATCH makes of `kept`, whose `members` are given when a first try raised NeedsMembers.

    `active` taken away counts as false: nobody keeps an access of which nothing is known.

    Raises: ScimError; NeedsMembers.
    """
    check_texts(body)
    operations = canonical_operations(body)
    if kind == "User":
        return _change(kind, patch_resource(kind, kept.body, operations), is_active=False, is_patched=True)
    parts = split_members(operations)
    if parts is not None:
        others, changes = parts
        resource = patch_resource(kind, kept.body, others) if others else dict(kept.body)
        return Change(_draft(kind, resource, is_active=True), tuple(changes))
    if members is None:
        raise NeedsMembers
    whole = {**kept.body, "members": [{"value": each} for each in members]}
    return _change(kind, patch_resource(kind, whole, operations), is_active=True)


def _change(kind: Kind, resource: dict[str, Any], *, is_active: bool, is_patched: bool = False) -> Change:
    if kind == "User":
        given = resource.get("active")
        if given is None and not is_patched:
            resource["active"] = given = is_active
        return Change(_draft(kind, resource, is_active=given is True))
    entries = cast("list[dict[str, Any]]", resource.pop("members", None) or [])
    ids = tuple(dict.fromkeys(str(each.get("value") or "") for each in entries))
    if len(ids) > MAX_MEMBERS or "" in ids:
        raise invalid_value("A member needs the id of a person as its value.")
    return Change(_draft(kind, resource, is_active=True), (MemberChange("set", ids),))


def _draft(kind: Kind, resource: Mapping[str, Any], *, is_active: bool) -> Draft:
    name = "userName" if kind == "User" else "displayName"
    label = resource.get("displayName") or resource[name]
    return Draft(
        name=comparable_name(kind, resource),
        label=str(label),
        body=resource,
        is_active=is_active,
        values=values_of(kind, resource),
        email=email_of(resource) if kind == "User" else None,
    )


__all__ = ["Change", "NeedsMembers", "draft_new", "draft_patched", "draft_replaced"]
