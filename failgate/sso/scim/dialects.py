r"""PATCH as providers write it, turned into PATCH as RFC 7644 section 3.5.2 has it. Pure, and without a library.

Entra capitalises `op`, writes paths as keys of a value (`{"emails[type eq \"work\"].value": …}`), a manager as a bare
id and booleans as text; Okta leaves the path out and repeats `id`; both remove members by a value. What is not a
dialect is left as it is, for the checks behind this to refuse.

Sources: learn.microsoft.com "Develop a SCIM endpoint", section "Understand the Microsoft Entra SCIM implementation";
developer.okta.com "SCIM 2.0 protocol reference".
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, cast

from failgate.sso.scim.errors import ScimError, invalid_value

MAX_OPERATIONS: Final = 1000
PATCH_SCHEMA: Final = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
_READ_ONLY: Final = frozenset({"id", "schemas", "meta", "groups"})
_MANAGER: Final = re.compile(r"(?:urn:ietf:params:scim:schemas:extension:enterprise:2\.0:User:)?manager", re.IGNORECASE)
_MEMBER: Final = re.compile(r'members\[\s*value\s+eq\s+"([^"\\]*)"\s*\]', re.IGNORECASE)

Operation = dict[str, Any]


def canonical_operations(body: Any) -> list[Operation]:
    """Return the operations of a PATCH body, one path each where a dialect wrote several into one.

    Raises: ScimError (not a PATCH body, or more than 1,000 operations).
    """
    members = cast("Mapping[str, Any]", body) if isinstance(body, dict) else {}
    schemas, given = members.get("schemas"), _operations_in(members)
    if not isinstance(schemas, list) or PATCH_SCHEMA not in schemas:
        raise ScimError(400, f"The body does not say that it is a {PATCH_SCHEMA}.", scim_type="invalidSyntax")
    if not isinstance(given, list) or not given:
        raise ScimError(400, "The body has no Operations.", scim_type="invalidSyntax")
    operations: list[Operation] = []
    for each in given:
        if not isinstance(each, dict):
            raise ScimError(400, "An operation is a JSON object.", scim_type="invalidSyntax")
        operations.extend(_canonical(cast("Operation", each)))
        if len(operations) > MAX_OPERATIONS:
            raise ScimError(413, f"One request has {MAX_OPERATIONS} operations at most.")
    return operations


def _operations_in(members: Mapping[str, Any]) -> Any:
    """Return `Operations`; attribute names have no case (RFC 7643 section 2.1)."""
    return next((value for name, value in members.items() if name.lower() == "operations"), None)


def _canonical(operation: Operation) -> Iterator[Operation]:
    op, path, value = operation.get("op"), operation.get("path"), operation.get("value")
    word = op.lower() if isinstance(op, str) else op
    is_writing = isinstance(word, str) and word in {"add", "replace"}
    if (path is None or path == "") and is_writing and isinstance(value, dict):
        rest: dict[str, Any] = {}
        for key, item in cast("dict[str, Any]", value).items():
            if key.lower() in _READ_ONLY:
                continue
            if "[" in key or key.lower() == "members" or _MANAGER.fullmatch(key):
                yield from _canonical({"op": word, "path": key, "value": item})
            else:
                rest[key] = _with_manager(item)
        if rest:
            yield {"op": word, "value": rest}
        return
    if isinstance(path, str) and _MANAGER.fullmatch(path) and isinstance(value, str):
        yield {"op": word, "path": f"{path}.value", "value": value} if value else {"op": "remove", "path": path}
        return
    canonical = {**operation, "op": word}
    if path == "":
        del canonical["path"]
    if isinstance(path, str) and "path" in canonical and word != "remove":
        canonical["value"] = _with_manager(value)
    yield canonical


def _with_manager(value: Any) -> Any:
    """Return the value of an extension with its manager as an object."""
    if isinstance(value, dict) and isinstance(cast("dict[str, Any]", value).get("manager"), str):
        return {**value, "manager": {"value": value["manager"]}}
    return value


@dataclass(frozen=True, slots=True)
class MemberChange:
    """Members that one operation adds, removes or sets; `ids` None removes all."""

    op: Literal["add", "remove", "set"]
    ids: tuple[str, ...] | None


def split_members(operations: list[Operation]) -> tuple[list[Operation], list[MemberChange]] | None:
    """Return the operations on other attributes, and those on members in their order.

    None when an operation picks members by more than their value: then the whole group has to be looked at.

    Raises: ScimError (a member without value).
    """
    others: list[Operation] = []
    changes: list[MemberChange] = []
    for operation in operations:
        path = operation.get("path")
        if not isinstance(path, str) or not path.lower().startswith("members"):
            others.append(operation)
            continue
        change = _member_change(operation, path)
        if change is None:
            return None
        changes.append(change)
    return others, changes


def _member_change(operation: Operation, path: str) -> MemberChange | None:
    op, value = operation["op"], operation.get("value")
    picked = _MEMBER.fullmatch(path)
    if picked is not None and op == "remove" and value is None:
        return MemberChange("remove", (picked[1],))
    if path.lower() != "members":
        return None
    if op == "add":
        return MemberChange("add", _ids(value))
    if op == "replace":
        return MemberChange("set", () if value is None else _ids(value))
    if op == "remove":
        return MemberChange("remove", None if value is None else _ids(value))
    return None


def _ids(value: Any) -> tuple[str, ...]:
    entries = value if isinstance(value, list) else [value]
    ids: list[str] = []
    for entry in entries:
        found = cast("dict[str, Any]", entry).get("value") if isinstance(entry, dict) else entry
        if not isinstance(found, str) or not found:
            raise invalid_value("A member needs the id of a person as its value.")
        ids.append(found)
    return tuple(dict.fromkeys(ids))
