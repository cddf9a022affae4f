"""A resource as a list of values that can be compared: what filters and sorting look at. Loads pydantic.

A path is written as RFC 7644 section 3.10 has it, without the URN of the core schema: `userName`, `emails.value`,
`urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department`.
"""

import base64
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple, cast

from scim2_models.path import AttributeBinding, Path

from failgate.sso.scim.resources import ENTERPRISE_SCHEMA, GROUP_SCHEMA, USER_SCHEMA, Kind, model_of

BRIEF: Final = 64  # characters of a value that the index holds
_CORE: Final = (f"{USER_SCHEMA}:", f"{GROUP_SCHEMA}:")


class Value(NamedTuple):
    """One value. `entry` counts the values of an attribute; `head` is the path without its sub-attribute."""

    head: str
    path: str
    entry: int
    is_primary: bool
    value: str


def values_of(kind: Kind, resource: Mapping[str, Any]) -> list[Value]:
    """Return every value of `resource` but its members, as it is compared."""
    found: list[Value] = []
    for name, value in resource.items():
        if name == "members":
            continue
        if name == ENTERPRISE_SCHEMA:
            for part, item in cast("Mapping[str, Any]", value).items():
                found.extend(_of_attribute(kind, f"{name}:{part}", item))
        else:
            found.extend(_of_attribute(kind, name, value))
    return found


def comparable_name(kind: Kind, resource: Mapping[str, Any]) -> str:
    """Return `userName` or `displayName` as it is compared: by this, names are unique."""
    name = "userName" if kind == "User" else "displayName"
    return _compared(kind, name, cast("str", resource[name]))


def short_path(binding: AttributeBinding) -> str:
    """Return the path of a bound attribute as it is kept."""
    for prefix in _CORE:
        if binding.urn.startswith(prefix):
            return binding.urn.removeprefix(prefix)
    return binding.urn


def text_of(binding: AttributeBinding, value: Any) -> str:
    """Return `value` as text that compares as the attribute does."""
    compared = binding.comparable(value)
    if isinstance(compared, bool):
        return "true" if compared else "false"
    if isinstance(compared, bytes):
        return base64.b64encode(compared).decode()
    return str(compared)


def _of_attribute(kind: Kind, name: str, value: Any) -> Iterator[Value]:
    entries = value if isinstance(value, list) else [value]
    for number, entry in enumerate(entries):
        if isinstance(entry, dict):
            parts = cast("dict[str, Any]", entry)
            is_primary = parts.get("primary") is True
            for part, item in parts.items():
                path = f"{name}.{part}"
                yield Value(name, path, number, is_primary, _compared(kind, path, item))
        else:
            yield Value(name, name, number, is_primary=False, value=_compared(kind, name, entry))


def _compared(kind: Kind, path: str, value: Any) -> str:
    binding = _binding(kind, path)
    return str(value) if binding is None else text_of(binding, value)


@lru_cache(maxsize=512)
def _binding(kind: Kind, path: str) -> AttributeBinding | None:
    typed: type[Path[Any]] = Path.__class_getitem__(model_of(kind))
    return typed(path).resolve()
