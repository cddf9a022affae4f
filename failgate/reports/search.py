"""Which reports a list asks for, as SQL. Pure.

What is exact or a word goes through the index of words (`words.py`), which holds sealed reports alone; what is left
is a condition on the row. Both ways read as many rows as are shown, not all that there are.
"""

import re
from dataclasses import dataclass
from typing import Any, Final, Literal

from failgate.base.dialect import Dialect
from failgate.base.errors import BadInput
from failgate.reports.life import DAY_US
from failgate.reports.words import asked_words, postgres_match, sqlite_match, term

ReportState = Literal["begun", "sealed", "quarantined"]
_LAST_ID: Final = "g"  # sorts after every id
_LONGEST = 200
_NAME = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class ReportFilter:
    """What a list of reports is narrowed to; None: by nothing. `since` and `until` are days (until: inclusive)."""

    text: str | None = None
    command: str | None = None
    state: ReportState | None = None
    project: str | None = None
    version: str | None = None
    exit_code: int | None = None
    agent: str | None = None
    group: str | None = None
    kind: str | None = None
    since: int | None = None
    until: int | None = None


@dataclass(frozen=True, slots=True)
class PageQuery:
    """One statement for a page of reports, with its arguments."""

    sql: str
    args: tuple[Any, ...]


def page_query(  # what a page depends on
    columns: str,
    wanted: ReportFilter,
    dialect: Dialect,
    *,
    workspace_id: str,
    reader_id: str,
    after: str | None,
    count: int,
) -> PageQuery:
    """Return the statement for `count` reports, the newest first, older than the id `after`.

    Raises: BadInput (words that are none; words asked of reports that are not sealed).
    """
    terms = _terms(workspace_id, wanted)
    words = asked_words(wanted.text, "q") if wanted.text is not None else []
    if wanted.command is not None:
        terms += [f"c_{word}" for word in asked_words(wanted.command, "command")]
    args = _Arguments([workspace_id, reader_id])
    before = min(after or _LAST_ID, _first_id_of(wanted.until + 1) if wanted.until is not None else _LAST_ID)
    if len(terms) == 1 and not words:
        return _plain(columns, wanted, args, before, count)
    if wanted.state not in {None, "sealed"}:
        raise BadInput("Only sealed reports are searched.", hint="Leave out `state`, or the other filters.")
    if dialect == "sqlite":
        return _sqlite(columns, wanted, args, (sqlite_match(terms, words), before), count)
    return _postgres(columns, wanted, args, (postgres_match(terms, words), before), count)


class _Arguments(list[Any]):
    def place(self, value: object) -> str:
        """Add `value`; return how the statement names it."""
        self.append(value)
        return f"${len(self)}"


def _plain(columns: str, wanted: ReportFilter, args: _Arguments, before: str, count: int) -> PageQuery:
    where = "workspace_id = $1 AND (state <> 'begun' OR uploader_id = $2)"
    where += f" AND id < {args.place(before)}"
    if wanted.since is not None:
        where += f" AND id >= {args.place(_first_id_of(wanted.since))}"
    if wanted.state == "sealed":
        where += " AND state = 'sealed'"
    elif wanted.state is not None:
        where += f" AND state <> 'sealed' AND state = {args.place(wanted.state)}"
    return PageQuery(f"SELECT {columns} FROM report WHERE {where} ORDER BY id DESC LIMIT {count}", tuple(args))


def _sqlite(columns: str, wanted: ReportFilter, args: _Arguments, found: tuple[str, str], count: int) -> PageQuery:
    """Walk the index from its end, where the youngest are, and stop when the page is full.

    `CROSS JOIN` keeps that order: SQLite would sooner ask the index anew for each report of a span of days.
    Source: sqlite.org/optoverview.html, section 9.1.
    """
    match, before = found
    place = args.place(before)
    where = f"report_words MATCH {args.place(match)} AND report.state = 'sealed' AND report.id < {place}"
    if before != _LAST_ID:
        where += (
            " AND report_words.rowid <= COALESCE((SELECT n FROM report_text WHERE workspace_id = $1 AND"
            f" report_id < {place} ORDER BY report_id DESC LIMIT 1), 0)"
        )
    if wanted.since is not None:
        since = args.place(_first_id_of(wanted.since))
        where += (
            f" AND report.id >= {since} AND report_words.rowid >= COALESCE((SELECT n FROM report_text WHERE"
            f" workspace_id = $1 AND report_id >= {since} ORDER BY report_id LIMIT 1), 1 << 62)"
        )
    sql = (
        f"SELECT {_named(columns)} FROM report_words CROSS JOIN report_text ON report_text.n = report_words.rowid"
        " CROSS JOIN report ON report.workspace_id = report_text.workspace_id AND report.id = report_text.report_id"
        f" WHERE report.workspace_id = $1 AND $2 <> '' AND {where} ORDER BY report_words.rowid DESC LIMIT {count}"
    )
    return PageQuery(sql, tuple(args))


def _postgres(columns: str, wanted: ReportFilter, args: _Arguments, found: tuple[str, str], count: int) -> PageQuery:
    match, before = found
    place = args.place(before)
    where = (
        f"report_text.words @@ ({args.place(match)}::text)::tsquery"
        f" AND report_text.report_id < {place} AND report.id < {place}"  # of the one does not follow the other for it
    )
    if wanted.since is not None:
        since = args.place(_first_id_of(wanted.since))
        where += f" AND report_text.report_id >= {since} AND report.id >= {since}"
    sql = (
        f"SELECT {_named(columns)} FROM report_text JOIN report ON report.workspace_id = report_text.workspace_id"
        " AND report.id = report_text.report_id WHERE report_text.workspace_id = $1 AND $2::text <> ''"
        f" AND report.state = 'sealed' AND {where} ORDER BY report_text.report_id DESC LIMIT {count}"
    )
    return PageQuery(sql, tuple(args))


def _terms(workspace_id: str, wanted: ReportFilter) -> list[str]:
    terms = [term("p", workspace_id)]
    texts = {"j": wanted.project, "v": wanted.version}
    terms += [term(kind, _plain_text(value)) for kind, value in texts.items() if value is not None]
    names = {"a": ("agent", wanted.agent), "g": ("group", wanted.group), "k": ("kind", wanted.kind)}
    terms += [term(kind, _name(member, value)) for kind, (member, value) in names.items() if value is not None]
    if wanted.exit_code is not None:
        terms.append(term("x", str(wanted.exit_code)))
    return terms


def _plain_text(value: str) -> str:
    if len(value) > _LONGEST or any(mark in value for mark in "'\"\\\0"):
        raise BadInput("A filter is a plain text of at most 200 characters.", hint="Take one from the list.")
    return value


def _name(member: str, value: str) -> str:
    if len(value) > _LONGEST or not _NAME.fullmatch(value):
        raise BadInput(f"`{member}` is letters, digits, `-` and `_`.", hint="Take one from the list.")
    return value


def _named(columns: str) -> str:
    return ", ".join(f"report.{column.strip()}" for column in columns.split(","))


def first_id_at(us: int) -> str:
    """Return the smallest id that is made at `us` (microseconds since 1970) or later."""
    digits = f"{max(us, 0) // 1000:012x}"
    return f"{digits[:8]}-{digits[8:]}"


def _first_id_of(day: int) -> str:
    return first_id_at(day * DAY_US)
