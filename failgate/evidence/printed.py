"""A pack as one HTML file that prints: style inside, nothing from outside, no script. Pure.

The policy in the file lets its own style count and nothing else, whoever serves it.
"""

import re
from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from importlib.resources import files
from typing import Final

from failgate.base.spreadsheet import seen
from failgate.evidence.controls import of_pack
from failgate.evidence.sheets import SOURCE, Line, Section

_STYLE: Final = files("failgate.evidence").joinpath("printed.css").read_text(encoding="utf-8").strip()
_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{b64encode(sha256(_STYLE.encode()).digest()).decode()}';"
    " base-uri 'none'; form-action 'none'"
)
_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")
_LONG: Final = 16  # characters of a word


@dataclass(frozen=True, slots=True)
class Cover:
    """What stands on the first page: of whom, of when, from what. Times are RFC 3339; an open end is None."""

    pack: str
    title: str
    about: str
    workspace: str
    slug: str
    log: str
    begin: str | None
    end: str | None
    first: int
    last: int
    checkpoint: str
    vkey: str
    made_at: str
    tool: str
    name: str


def row_of(line: Line) -> str:
    """Return a line as a row of its table: the printed columns, and its record before them."""
    printed = (cell for column, cell in zip(line.section.columns, line.cells, strict=True) if column.is_printed)
    log, seq = line.source[:2]
    number = seq if log == line.record.said["ws"] and log != "system" else f"{log} {seq}"
    cells = "".join(_cell(cell) for cell in printed)
    return f'<tr><td class="number">{escape(number)}</td>{cells}</tr>\n'


def _cell(text: str) -> str:
    """Return a cell: times to the second, and long words such as IDs broken anywhere."""
    if _TIME.fullmatch(text):
        text = f"{text[:10]} {text[11:19]}"
    is_long = max(map(len, text.split()), default=0) > _LONG
    return f'<td class="long">{escape(text)}</td>' if is_long else f"<td>{escape(text)}</td>"


def beginning(cover: Cover, sections: tuple[Section, ...], counts: Mapping[str, int]) -> str:
    """Return everything up to the first section: the header, how it is verified, which controls it shows."""
    facts = (
        ("Workspace", f"{cover.workspace} ({cover.slug})"),
        ("Log", cover.log),
        ("From", f"{cover.begin or 'the beginning of the log'} (included, UTC)"),
        ("Until", f"{cover.end or 'the end of the log'} (not included, UTC)"),
        ("Records", f"{cover.first} to {cover.last} of {_size(cover)} that were signed"),
        *((section.title, _lines(counts[section.id])) for section in sections),
        ("Made", f"{cover.made_at} by {cover.tool}"),
        ("Key of the log", cover.vkey),
    )  # fmt: skip
    listed = "".join(f"<dt>{_text(name)}</dt><dd>{_text(value)}</dd>" for name, value in facts)
    title = f"{cover.title}: {cover.workspace}"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="content-security-policy" content="{escape(_POLICY)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_text(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n"
        f'<header><h1>{_text(title)}</h1><p class="about">{_text(cover.about)}</p></header>\n<dl>{listed}</dl>\n'
        "<h2>Signed checkpoint</h2>\n"
        f"<pre>{'<br>'.join(_text(one) for one in cover.checkpoint.rstrip().splitlines())}</pre>\n"
        "<h2>How it is verified</h2>\n"
        "<p>The folder <code>bundle</code> beside this file holds the records of the period;"
        " a program that needs no server proves them, and then that every line names one of them:</p>\n"
        f"<pre>{_text(commands(cover))}</pre>\n"
        "<p>Ask for the key of the log by another way than this file. Names of people and agents are as the server has"
        " them now; the log holds their IDs, which stand in the CSV files with all columns and the exact times.</p>\n"
        f"{_controls(cover.pack)}"
    )


def commands(cover: Cover) -> str:
    """Return the commands that verify the pack, one on a line."""
    return f"failgate-verify evidence {cover.name} --vkey '{cover.vkey}'"


def section_head(section: Section, count: int, printed: int) -> str:
    """Return what stands before the rows of a section that has `count` lines, of which `printed` follow."""
    columns = [column for column in section.columns if column.is_printed]
    head = f'<section aria-labelledby="{section.id}">\n<h2 id="{section.id}">{_text(section.title)}</h2>\n'
    head += f'<p class="about">{_text(section.about)}</p>\n'
    if not count:
        return head + '<p class="none">No line in this period.</p>\n'
    if printed < count:
        head += f"<p>The first {printed:,} of {count:,} lines; all of them are in <code>{section.id}.csv</code>.</p>\n"
    named = "".join(f'<th scope="col" title="{_text(one.about)}">{_label(one.name)}</th>' for one in columns)
    return (
        f'{head}<div class="wide" role="region" tabindex="0" aria-labelledby="{section.id}"><table><thead><tr>'
        f'<th scope="col" class="number">{_label(SOURCE[1])}</th>{named}</tr></thead>\n<tbody>\n'
    )


def section_tail(count: int) -> str:
    """Return what stands behind the rows of a section."""
    return "</tbody></table></div>\n</section>\n" if count else "</section>\n"


def ending() -> str:
    """Return the end of the file."""
    return "</main>\n</body>\n</html>\n"


def _controls(pack: str) -> str:
    rows = "".join(
        f"<tr><td>{_text(f'{control.framework} {control.id}')}<br>{_text(control.title)}</td>"
        f"<td>{_text(f'{shown.section}: {_listed(shown.columns)}')}</td>"
        f"<td>{_text(shown.shows)}</td><td>{_text(shown.lacks)}</td></tr>\n"
        for control, shown in of_pack(pack)
    )
    return (
        '<section aria-labelledby="controls">\n<h2 id="controls">What it shows, control by control</h2>\n'
        '<p class="about">Whether a control is met is for the auditor to say; this says where to look.</p>\n'
        '<div class="wide" role="region" tabindex="0" aria-labelledby="controls"><table class="controls"><thead><tr>'
        '<th scope="col">Control</th><th scope="col">Section and columns</th><th scope="col">Shows</th>'
        f'<th scope="col">Does not show</th></tr></thead>\n<tbody>\n{rows}</tbody></table></div>\n</section>\n'
    )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(name.replace("_", " ") for name in names)


def _label(name: str) -> str:
    return _text(name.replace("_", " ").capitalize())


def _lines(count: int) -> str:
    return f"{count:,} line{'' if count == 1 else 's'}"


def _size(cover: Cover) -> str:
    return cover.checkpoint.split("\n")[1]


def _text(text: str) -> str:
    return escape(seen(text))
