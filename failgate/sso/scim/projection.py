"""Which attributes an answer shows: `attributes` and `excludedAttributes`. Loads pydantic, for the names alone.

Source: RFC 7644 section 3.9; RFC 7643 section 2.2 (`returned`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from scim2_models import Resource, SCIMException
from scim2_models.path import Path

from failgate.sso.scim.errors import ScimError
from failgate.sso.scim.resources import ENTERPRISE_SCHEMA, Kind, model_of

ALWAYS: Final = frozenset({"id", "schemas"})
MAX_NAMES: Final = 100
Keys = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Projection:
    """What of a resource is shown: of `shown` alone when it is not None, never of `hidden`. Names as they were sent."""

    shown: tuple[str, ...] | None = None
    hidden: tuple[str, ...] = ()

    @classmethod
    def of(cls, attributes: Sequence[str] | None, excluded: Sequence[str] | None) -> "Projection":
        """Return the projection that a request asks for.

        Raises: ScimError (both at once, or too many names).
        """
        if attributes and excluded:
            raise ScimError(
                400, "A request names attributes or excludedAttributes, not both.", scim_type="invalidValue"
            )
        if len(attributes or ()) + len(excluded or ()) > MAX_NAMES:
            raise ScimError(400, f"A request names {MAX_NAMES} attributes at most.", scim_type="invalidValue")
        return cls(tuple(attributes) if attributes else None, tuple(excluded or ()))

    def needs(self, kind: Kind, attribute: str) -> bool:
        """Tell whether the derived attribute `attribute` (members, groups) is to be looked up at all."""
        if self.shown is not None:
            return any(keys[0] == attribute for keys in _keys(kind, self.shown))
        return (attribute,) not in set(_keys(kind, self.hidden))

    def apply(self, kind: Kind, document: Mapping[str, Any]) -> dict[str, Any]:
        """Return what of `document` is shown."""
        if self.shown is not None:
            return _only(document, [*((name,) for name in ALWAYS), *_keys(kind, self.shown)])
        kept = dict(document)
        for keys in _keys(kind, self.hidden):
            if keys[0] not in ALWAYS:
                kept = _without(kept, keys)
        return kept


def _keys(kind: Kind, names: Iterable[str]) -> list[Keys]:
    """Return where in a document the attributes `names` stand; names of nothing are passed over."""
    model: type[Resource[Any]] = model_of(kind)
    found: list[Keys] = []
    for name in names:
        try:
            path = Path.__class_getitem__(model)(name)
        except SCIMException:
            continue
        if path.model is not None and path.model is not model:
            found.append((ENTERPRISE_SCHEMA,))
            continue
        binding = path.resolve()
        if binding is None:
            continue
        urn, _, attribute = binding.urn.rpartition(":")
        keys = tuple(attribute.split("."))
        found.append((ENTERPRISE_SCHEMA, *keys) if urn == ENTERPRISE_SCHEMA else keys)
    return found


def _only(document: Mapping[str, Any], wanted: Iterable[Keys]) -> dict[str, Any]:
    parts: dict[str, list[Keys]] = {}
    for keys in wanted:
        parts.setdefault(keys[0], []).append(keys[1:])
    return {
        name: value if () in parts[name] else _inner(value, parts[name], _only)
        for name, value in document.items()
        if name in parts
    }


def _without(document: Mapping[str, Any], keys: Keys) -> dict[str, Any]:
    name, rest = keys[0], keys[1:]
    if name not in document:
        return dict(document)
    if not rest:
        return {key: value for key, value in document.items() if key != name}
    return {**document, name: _inner(document[name], rest, _without)}


def _inner(value: Any, keys: Any, part: Any) -> Any:
    if isinstance(value, list):
        return [_inner(each, keys, part) for each in value]
    return part(value, keys) if isinstance(value, dict) else value
