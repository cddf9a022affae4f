"""Portable SQL as each engine takes it: `$1 $2` for PostgreSQL, question marks for SQLite. Pure."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal

from piccolo.query.base import Query

Dialect = Literal["sqlite", "postgres"]
Statement = Query[Any, Any] | str
_PARAMETER = re.compile(r"\$([0-9]+)")


def compiled(query: Statement, args: Sequence[Any], dialect: Dialect) -> tuple[str, Sequence[Any]]:
    """Return the text of `query` and its values, in the order in which the text takes them."""
    if isinstance(query, str):
        return _for_dialect(query, args, dialect)
    querystrings = query.querystrings
    if len(querystrings) != 1:
        raise RuntimeError("one statement at a time")
    sql, values = querystrings[0].compile_string(engine_type=dialect)
    return sql, values


def compiled_rows(query: str, rows: Sequence[Sequence[Any]], dialect: Dialect) -> tuple[str, Sequence[Sequence[Any]]]:
    """Return the text of `query` and the values of each of `rows`, as `compiled` does for one."""
    if dialect == "postgres":
        return query, rows
    text, order = _to_question_marks(query)
    return text, rows if order is None else [[row[place] for place in order] for row in rows]


@lru_cache(maxsize=1024)
def with_rows(query: str, count: int, width: int, first: int) -> str:
    """Return `query` with `count` rows of `width` parameters each, from `$first` on, in place of `{}`."""
    rows = [range(start, start + width) for start in range(first, first + count * width, width)]
    return query.format(", ".join(f"({', '.join(f'${number}' for number in row)})" for row in rows))


def _for_dialect(sql: str, args: Sequence[Any], dialect: Dialect) -> tuple[str, Sequence[Any]]:
    if dialect == "postgres":
        return sql, args
    text, order = _to_question_marks(sql)
    return (text, args) if order is None else (text, [args[place] for place in order])


@lru_cache(maxsize=2048)
def _to_question_marks(sql: str) -> tuple[str, tuple[int, ...] | None]:
    order = tuple(int(number) - 1 for number in _PARAMETER.findall(sql))
    return _PARAMETER.sub("?", sql), None if order == tuple(range(len(order))) else order
