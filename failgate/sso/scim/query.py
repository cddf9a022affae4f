"""What a search asks for: filter, order, page, attributes, from a query string or a SearchRequest. Pure.

Source: RFC 7644 sections 3.4.2 and 3.4.3.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from failgate.sso.scim.errors import ScimError, invalid_value

SEARCH_SCHEMA: Final = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"
PAGE_SIZE: Final = 100
MAX_PAGE: Final = 500
_LARGEST: Final = 1_000_000_000
_NAMES: Final = {
    name.lower(): name
    for name in ("filter", "sortBy", "sortOrder", "startIndex", "count", "attributes", "excludedAttributes")
}


@dataclass(frozen=True, slots=True)
class Query:
    """A search. `start_index` counts from 1; `count` is at most 500."""

    filter: str | None = None
    sort_by: str | None = None
    is_descending: bool = False
    start_index: int = 1
    count: int = PAGE_SIZE
    attributes: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()


def query_of(parameters: Mapping[str, str]) -> Query:
    """Return the search that the parameters of an address ask for; others than those of SCIM are passed over.

    Raises: ScimError.
    """
    given = {_NAMES[name.lower()]: value for name, value in parameters.items() if name.lower() in _NAMES}
    return _query({**given, **{name: _number(given, name) for name in ("startIndex", "count") if name in given}})


def search_of(body: Any) -> Query:
    """Return the search that the body of a POST to `/.search` asks for.

    Raises: ScimError.
    """
    members = cast("dict[str, Any]", body) if isinstance(body, dict) else {}
    schemas = members.get("schemas")
    if not isinstance(schemas, list) or SEARCH_SCHEMA not in schemas:
        raise ScimError(400, f"The body does not say that it is a {SEARCH_SCHEMA}.", scim_type="invalidSyntax")
    return _query({_NAMES[name.lower()]: value for name, value in members.items() if name.lower() in _NAMES})


def _query(given: Mapping[str, Any]) -> Query:
    order = _text(given, "sortOrder")
    if order is not None and order.lower() not in {"ascending", "descending"}:
        raise invalid_value("sortOrder is ascending or descending.")
    start, count = _integer(given, "startIndex", 1), _integer(given, "count", PAGE_SIZE)
    return Query(
        filter=_text(given, "filter") or None,
        sort_by=_text(given, "sortBy") or None,
        is_descending=order is not None and order.lower() == "descending",
        start_index=max(1, start),
        count=min(MAX_PAGE, max(0, count)),
        attributes=_names(given, "attributes"),
        excluded=_names(given, "excludedAttributes"),
    )


def _text(given: Mapping[str, Any], name: str) -> str | None:
    value = given.get(name)
    if value is not None and not isinstance(value, str):
        raise invalid_value(f"{name} is a text.")
    return value


def _number(given: Mapping[str, str], name: str) -> int:
    text = given[name].strip()
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 9:
        raise invalid_value(f"{name} is a whole number.")
    return int(text)


def _integer(given: Mapping[str, Any], name: str, default: int) -> int:
    value = given.get(name)
    if value is None:
        return default
    if type(value) is not int or abs(value) > _LARGEST:
        raise invalid_value(f"{name} is a whole number.")
    return value


def _names(given: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = given.get(name)
    if value is None:
        return ()
    names = value if isinstance(value, list) else [value]
    if not all(isinstance(each, str) for each in names):
        raise invalid_value(f"{name} is a list of names.")
    return tuple(part.strip() for each in cast("list[str]", names) for part in each.split(",") if part.strip())
