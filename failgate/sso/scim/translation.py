"""One filter, node by node, as a condition on `scim_resource r`. Loads pydantic.

Every value travels as a parameter; `filtering.py` says what the condition has to find.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from inspect import isclass
from typing import Any, Final

from scim2_models import Resource
from scim2_models.base import BaseModel
from scim2_models.path import (
    AttributeBinding,
    AttrPath,
    CompareOperator,
    Comparison,
    FilterNode,
    FilterVisitor,
    LogicalExpr,
    LogicalOperator,
    Not,
    Path,
    Present,
    ValuePath,
    coerce_value,
)

from failgate.base.clock import MICROSECONDS
from failgate.sso.scim.errors import ScimError
from failgate.sso.scim.values import BRIEF, short_path, text_of

MAX_COMPARISONS: Final = 100
TRUE, FALSE = "1 = 1", "1 = 0"
_SIGNS: Final = {"eq": "=", "ne": "<>", "gt": ">", "ge": ">=", "lt": "<", "le": "<="}
COLUMNS: Final = {"id": "r.id", "meta.resourceType": "r.kind"}
TIMES: Final = {"meta.created": "r.created_us", "meta.lastModified": "r.changed_us"}
# What few resources share: found from the index of values instead of one resource after the other.
_NEARLY_UNIQUE: Final = frozenset({"userName", "displayName", "externalId", "emails.value"})
# A group's members and a person's groups: kept in rows of their own, by id.
_LINKS: Final = {"members": ("group_id", "user_id", "User"), "groups": ("user_id", "group_id", "direct")}


class Parameters:
    """The values of one statement, in the order of their placeholders."""

    def __init__(self, *values: Any) -> None:
        """Begin with `values`: the first placeholders stand for them."""
        self.values: list[Any] = list(values)

    def add(self, value: Any) -> str:
        """Return the placeholder of one more value."""
        self.values.append(value)
        return f"${len(self.values)}"


def translated(
    model: type[Resource[Any]], node: FilterNode, connection: str, parameters: Parameters
) -> tuple[str, set[str]]:
    """Return the condition that `node` is for resources of `model`, and the attributes that these do not have.

    `connection` is the placeholder of the connection's id.

    Raises: ScimError invalidFilter; what scim2-models raises for a value that its attribute cannot have.
    """
    translation = _Translation(model, connection, parameters)
    return translation.visit(node), translation.unknown


class _Condition(FilterVisitor[str]):
    """A filter as a condition; what it joins is joined alike everywhere."""

    def visit_not(self, node: Not) -> str:
        return f"NOT {self.visit(node.expr)}"

    def visit_logical_expr(self, node: LogicalExpr) -> str:
        joint = " AND " if node.op == LogicalOperator.and_ else " OR "
        return f"({joint.join(self.visit(term) for term in node.terms)})"


class _Inner(_Condition):
    """The filter inside the value path of `outer` that begins with `attr_path`."""

    def __init__(self, outer: "_Translation", attr_path: AttrPath) -> None:
        self._outer = outer
        self._attr_path = attr_path

    def _below(self, inner: AttrPath) -> AttributeBinding | None:
        return self._outer.bound(AttrPath(self._attr_path.attr, inner.attr, self._attr_path.uri))

    def visit_value_path(self, node: ValuePath) -> str:
        del node
        raise refused("A value selection does not stand inside another one.")


class _Translation(_Condition):
    """The filter of one kind of resource as a condition on `r`."""

    def __init__(self, model: type[Resource[Any]], connection: str, parameters: Parameters) -> None:
        self._model = model
        self._connection = connection
        self.parameters = parameters
        self._count = 0
        self._is_negated = False
        self.unknown: set[str] = set()

    def visit_not(self, node: Not) -> str:
        before, self._is_negated = self._is_negated, True
        inner = self.visit(node.expr)
        self._is_negated = before
        return f"NOT {inner}"

    def visit_present(self, node: Present) -> str:
        binding = self.bound(node.attr_path)
        if binding is None:
            return FALSE
        path, head = short_path(binding), _head(short_path(binding))
        if head in {"id", "meta"}:
            return TRUE
        if head in _LINKS:
            return self._linked(head, TRUE)
        column = "path" if binding.sub_field_name else "head"
        return self._valued(f"v.{column} = {self.parameters.add(path)} AND v.value <> ''")

    def visit_comparison(self, node: Comparison) -> str:
        binding = self.bound(node.attr_path, is_compared=True)
        if binding is None:
            return FALSE
        path, head = short_path(binding), _head(short_path(binding))
        expected = coerce_value(binding, node.value, node.op)
        if path in TIMES:
            return self._time(TIMES[path], node.op, expected)
        if path in COLUMNS:
            return self._never_absent(node.op, expected, lambda: self.condition(COLUMNS[path], node, binding))
        if head in {"id", "meta"}:
            raise refused(f"Nothing is found by {path}.")
        if head in _LINKS:
            return self._link(head, path, node, binding)
        if expected is None:
            return self._null(binding, path, head, node.op)
        if node.op == CompareOperator.ne:
            return self.visit_not(Not(Comparison(node.attr_path, CompareOperator.eq, node.value)))
        return self._leaf(path, node, binding)

    def visit_value_path(self, node: ValuePath) -> str:
        binding = self.bound(node.attr_path)
        if binding is None:
            return FALSE
        head = short_path(binding)
        if head in _LINKS:
            inner = _OfLink(self, node.attr_path, head)
            return self._linked(head, inner.visit(node.val_filter))
        inner_entry = _OfEntry(self, node.attr_path, binding)
        return self._valued(f"v.head = {self.parameters.add(head)} AND {inner_entry.visit(node.val_filter)}")

    def bound(self, attr_path: AttrPath, *, is_compared: bool = False) -> AttributeBinding | None:
        self._count += 1
        if self._count > MAX_COMPARISONS:
            raise refused(f"The filter has more than {MAX_COMPARISONS} comparisons.")
        typed: type[Path[Any]] = Path.__class_getitem__(self._model)
        binding = typed(str(attr_path)).resolve()
        if binding is not None and is_compared and _is_complex(binding):
            value = AttrPath(attr_path.attr, "value", attr_path.uri)
            binding = typed(str(value)).resolve()
        if binding is None:
            self.unknown.add(str(attr_path))
        return binding

    def _valued(self, condition: str) -> str:
        return f"EXISTS (SELECT 1 FROM scim_value v WHERE v.resource_id = r.id AND {condition})"

    def _listed(self, condition: str) -> str:
        """Return the same as `_valued`, from the index of values: for what few resources have, and not under NOT.

        PostgreSQL runs `NOT IN` of a long list once a row, which took minutes for 10,000 people.
        """
        own = f"v.connection_id = {self._connection}"
        return f"r.id IN (SELECT v.resource_id FROM scim_value v WHERE {own} AND {condition})"

    def _linked(self, head: str, condition: str) -> str:
        return f"EXISTS (SELECT 1 FROM scim_member m WHERE m.{_LINKS[head][0]} = r.id AND {condition})"

    def _leaf(self, path: str, node: Comparison, binding: AttributeBinding) -> str:
        condition = f"v.path = {self.parameters.add(path)} AND {self.condition('v.value', node, binding)}"
        is_listed = node.op == CompareOperator.eq and not self._is_negated and path in _NEARLY_UNIQUE
        return self._listed(condition) if is_listed else self._valued(condition)

    def _null(self, binding: AttributeBinding, path: str, head: str, op: CompareOperator) -> str:
        """Return whether there is no value (eq null), or one (ne null); nothing else is true of null."""
        if op not in {CompareOperator.eq, CompareOperator.ne}:
            return FALSE
        column, name = ("head", head) if binding.is_multivalued else ("path", path)
        known = self._valued(f"v.{column} = {self.parameters.add(name)}")
        if binding.is_multivalued and binding.sub_field_name:
            lacking = self._valued(
                f"v.head = {self.parameters.add(head)} AND NOT EXISTS (SELECT 1 FROM scim_value s WHERE"
                f" s.resource_id = v.resource_id AND s.entry = v.entry AND s.path = {self.parameters.add(path)})"
            )
            return f"(NOT {known} OR {lacking})" if op == CompareOperator.eq else f"({known} AND NOT {lacking})"
        return f"NOT {known}" if op == CompareOperator.eq else known

    def _never_absent(self, op: CompareOperator, expected: Any, condition: Callable[[], str]) -> str:
        if expected is None:
            return TRUE if op == CompareOperator.ne else FALSE
        return condition()

    def _time(self, column: str, op: CompareOperator, expected: Any) -> str:
        if expected is None or not isinstance(expected, datetime):
            return TRUE if op == CompareOperator.ne else FALSE
        moment = expected if expected.tzinfo is not None else expected.replace(tzinfo=UTC)
        us = (moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * MICROSECONDS
        sign = _SIGNS.get(op.value)
        return FALSE if sign is None else f"{column} {sign} {self.parameters.add(round(us))}"

    def _link(self, head: str, path: str, node: Comparison, binding: AttributeBinding) -> str:
        return _of_many(
            node,
            exists=lambda condition: self._linked(head, condition),
            condition=lambda one: self.link_condition(head, path, one, binding),
        )

    def link_condition(self, head: str, path: str, node: Comparison, binding: AttributeBinding) -> str:
        _, other, kind = _LINKS[head]
        if path == f"{head}.value":
            return self.condition(f"m.{other}", node, binding)
        if path == f"{head}.type":
            return TRUE if _holds(text_of(binding, kind), node, binding) else FALSE
        raise refused(f"Nothing is found by {path}.")

    def condition(self, column: str, node: Comparison, binding: AttributeBinding) -> str:
        """Return the comparison of `column`, which is not null."""
        expected = text_of(binding, coerce_value(binding, node.value, node.op))
        if "\0" in expected or any("\ud800" <= character <= "\udfff" for character in expected):
            raise refused("The filter holds a NUL or half of a surrogate pair.")
        op = node.op.value
        if op in {"co", "sw", "ew"}:
            return self._part(column, op, expected)
        if op == "eq" and column.endswith(".value"):
            alias = column.removesuffix(".value")
            brief = f"{alias}.brief = {self.parameters.add(expected[:BRIEF])}"
            if len(expected) < BRIEF:
                return brief  # a shorter beginning is the whole value
            return f"{brief} AND {column} = {self.parameters.add(expected)}"
        return f"{column} {_SIGNS[op]} {self.parameters.add(expected)}"

    def _part(self, column: str, op: str, expected: str) -> str:
        if not expected:
            return TRUE
        place, length = self.parameters.add(expected), len(expected)
        if op == "co":
            return f"replace({column}, {place}, '') <> {column}"
        if op == "sw":
            return f"substr({column}, 1, {length}) = {place}"
        return f"(length({column}) >= {length} AND substr({column}, length({column}) - {length - 1}) = {place})"


class _OfEntry(_Inner):
    """The filter of a value path as a condition on the entry that `v` belongs to."""

    def __init__(self, outer: _Translation, attr_path: AttrPath, binding: AttributeBinding) -> None:
        super().__init__(outer, attr_path)
        self._binding = binding

    def visit_present(self, node: Present) -> str:
        binding = self._part(node.attr_path)
        return FALSE if binding is None else self._exists(binding, "s.value <> ''")

    def visit_comparison(self, node: Comparison) -> str:
        binding = self._part(node.attr_path)
        if binding is None:
            return FALSE
        return _of_many(
            node,
            exists=lambda condition: self._exists(binding, condition),
            condition=lambda one: self._outer.condition("s.value", one, binding),
        )

    def _part(self, inner: AttrPath) -> AttributeBinding | None:
        if not _is_complex(self._binding):
            return self._binding if inner.attr.lower() == "value" and inner.sub_attr is None else None
        return self._below(inner)

    def _exists(self, binding: AttributeBinding, condition: str) -> str:
        path = self._outer.parameters.add(short_path(binding))
        return (
            "EXISTS (SELECT 1 FROM scim_value s WHERE s.resource_id = v.resource_id AND s.entry = v.entry"
            f" AND s.path = {path} AND {condition})"
        )


class _OfLink(_Inner):
    """The filter of a value path on members or groups as a condition on their row `m`."""

    def __init__(self, outer: _Translation, attr_path: AttrPath, head: str) -> None:
        super().__init__(outer, attr_path)
        self._head = head

    def visit_present(self, node: Present) -> str:
        return TRUE if node.attr_path.attr.lower() in {"value", "type"} else FALSE

    def visit_comparison(self, node: Comparison) -> str:
        binding = self._below(node.attr_path)
        if binding is None:
            return FALSE
        if node.value is None:
            return TRUE if node.op == CompareOperator.ne else FALSE
        return self._outer.link_condition(self._head, short_path(binding), node, binding)


def _of_many(node: Comparison, exists: Callable[[str], str], condition: Callable[[Comparison], str]) -> str:
    """Return the comparison with the rows of which `exists` tells: null means that there is none, `ne` none equal."""
    if node.value is None:
        any_row = exists(TRUE)
        return {"eq": f"NOT {any_row}", "ne": any_row}.get(node.op.value, FALSE)
    if node.op == CompareOperator.ne:
        return f"NOT {exists(condition(Comparison(node.attr_path, CompareOperator.eq, node.value)))}"
    return exists(condition(node))


def _holds(value: str, node: Comparison, binding: AttributeBinding) -> bool:
    """Return what the comparison says of `value`, which is the same for every row."""
    expected = text_of(binding, coerce_value(binding, node.value, node.op))
    return {
        "eq": value == expected,
        "ne": value != expected,
        "co": expected in value,
        "sw": value.startswith(expected),
        "ew": value.endswith(expected),
        "gt": value > expected,
        "ge": value >= expected,
        "lt": value < expected,
        "le": value <= expected,
    }[node.op.value]


def _is_complex(binding: AttributeBinding) -> bool:
    target = binding.target_type
    return isclass(target) and issubclass(target, BaseModel)


def _head(path: str) -> str:
    """Return the path without its sub-attribute; the URN of an extension has dots of its own."""
    urn, colon, name = path.rpartition(":")
    return f"{urn}{colon}{name.partition('.')[0]}"


def refused(sentence: str) -> ScimError:
    """Return the error of a filter that is not taken."""
    return ScimError(400, sentence, scim_type="invalidFilter")
