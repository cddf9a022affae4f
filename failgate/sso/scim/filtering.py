"""Filters and sorting as SQL over the table of values. Loads pydantic.

A filter is parsed and checked by scim2-models and translated node by node; every value travels as a parameter. What
the SQL finds is what `ScimFilter.match` finds (`tests/sso/scim/test_filtering.py` compares them): `ne` holds when no
value is equal, also when there is none; a comparison with null asks whether there is a value.

Source: RFC 7644 sections 3.4.2.2 and 3.4.2.3.
"""

from collections.abc import Sequence
from typing import Any, Final

from scim2_models import Resource, ScimFilter, SearchRequest
from scim2_models.path import AttributeBinding, Path

from failgate.sso.scim.errors import ScimError
from failgate.sso.scim.reading import guarded
from failgate.sso.scim.resources import POLICY, Kind, model_of
from failgate.sso.scim.translation import COLUMNS, TIMES, Parameters, refused, translated
from failgate.sso.scim.values import short_path

MAX_FILTER: Final = 4096  # characters


def where(kinds: Sequence[Kind], text: str, connection: str, parameters: Parameters) -> str:
    """Return the condition on `scim_resource r` that the filter `text` is, for resources of `kinds`.

    `connection` is the placeholder of the connection's id. An attribute that only one of several kinds has does not
    hold for the others.

    Raises: ScimError invalidFilter.
    """
    if len(text) > MAX_FILTER:
        raise refused(f"The filter has more than {MAX_FILTER} characters.")
    unknown: list[set[str]] = []
    parts: list[str] = []
    for kind in kinds:
        model = model_of(kind)

        def translate(model: type[Resource[Any]] = model) -> tuple[str, set[str]]:
            with POLICY:
                return translated(model, ScimFilter.__class_getitem__(model)(text).ast, connection, parameters)

        condition, unknown_here = guarded(translate)
        parts.append(condition if len(kinds) == 1 else f"(r.kind = '{kind}' AND {condition})")
        unknown.append(unknown_here)
    nowhere = set.intersection(*unknown)
    if nowhere:
        raise refused(f"There is no attribute {min(nowhere)[:100]}.")
    return f"({' OR '.join(parts)})"


def order(kinds: Sequence[Kind], sort_by: str | None, parameters: Parameters, *, is_descending: bool) -> str:
    """Return what stands behind ORDER BY; resources without the value come last, or first when descending.

    Raises: ScimError invalidPath.
    """
    direction = " DESC" if is_descending else ""
    if sort_by is None:
        return "r.id"
    paths: set[str] = set()
    for kind in kinds:
        model = model_of(kind)

        def bind(model: type[Resource[Any]] = model) -> AttributeBinding | None:
            return SearchRequest(sort_by=Path(sort_by)).sort_binding(model)

        binding = guarded(bind)
        if binding is not None:
            paths.add(short_path(binding))
    if not paths:
        raise ScimError(400, f"Nothing is sorted by {sort_by[:100]}.", scim_type="invalidPath")
    path = min(paths)
    column = COLUMNS.get(path) or TIMES.get(path) or {"userName": "r.name", "displayName": None}.get(path)
    if column is not None:
        return f"{column}{direction}, r.id"
    value = (
        "(SELECT s.value FROM scim_value s WHERE s.resource_id = r.id AND s.path = "
        f"{parameters.add(path)} ORDER BY s.is_primary DESC, s.entry LIMIT 1)"
    )
    return f"({value} IS NULL){direction}, {value}{direction}, r.id"
