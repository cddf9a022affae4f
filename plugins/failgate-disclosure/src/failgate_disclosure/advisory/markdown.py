"""An advisory as Markdown that people read: of a reporter's text nothing becomes markup, a link or HTML.

What CommonMark and its common extensions (tables, footnotes, mathematics, templates of site generators) could act on is
escaped in every field. Links are made of checked web addresses alone. A renderer that makes links of e-mail
addresses or names by itself may still do so: such a link shows where it leads.
Source: CommonMark 0.31 sections 2.4 and 2.5.
"""

import re
from collections.abc import Iterable
from itertools import groupby

from failgate_disclosure.advisory.model import Advisory, Credit, Product, VersionRange
from failgate_disclosure.advisory.text import rfc3339
from failgate_disclosure.advisory.weaknesses import WEAKNESSES

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}
_ALWAYS = re.compile(r"[\\`*_{}\[\]#!|~=$^@%(]")
_BEFORE_MORE = re.compile(r":(?=\S)")  # of a bare address, or a short name for a picture
_WWW = re.compile(r"(?i)(?<=www)\.")
# Rules, lists, definitions; letters and Roman numbers begin an item in some dialects.
_FIRST = re.compile(r"^(?:[-+?:)]|(?P<item>[0-9]{1,9}|[A-Za-z]|[ivxlcdmIVXLCDM]{1,7})(?P<sign>[.)])(?=[\s\0]|$))")
_EDGES = re.compile(r"^\s+|\s+$")  # indented code, hard breaks, and what renderers strip

_REMEDIES = {
    "vendor_fix": "Fix",
    "mitigation": "Mitigation",
    "workaround": "Workaround",
    "no_fix_planned": "No fix is planned",
    "none_available": "None available yet",
}


def escaped_line(line: str) -> str:
    """Return one line of text so that a renderer shows exactly it."""
    edges = _EDGES.sub(lambda found: "".join(f"\0{ord(space)}\1" for space in found[0]), line)
    marked = _ALWAYS.sub(lambda found: f"\\{found[0]}", edges)
    marked = _WWW.sub(r"\\.", _BEFORE_MORE.sub(r"\\:", marked))
    marked = _FIRST.sub(lambda found: f"{found['item']}\\{found['sign']}" if found["item"] else f"\\{found[0]}", marked)
    marked = "".join(_ENTITIES.get(sign, sign) for sign in marked)
    # The two controls cannot stand in a checked text: they kept the place of spaces while the rest was escaped.
    return marked.replace("\0", "&#").replace("\1", ";")


def escaped_text(text: str) -> str:
    """Return a text of several lines: an empty line begins a paragraph, every other line break stays one."""
    blocks = groupby(text.split("\n"), key=lambda line: bool(line.strip(" \t")))
    return "\n\n".join("\\\n".join(map(escaped_line, lines)) for is_said, lines in blocks if is_said)


def markdown(advisory: Advisory) -> str:
    """Return the advisory as one page of Markdown, ending in a line feed; the same text for the same advisory."""
    score = advisory.score
    facts = [
        ("Identifier", escaped_line(advisory.tracking_id)),
        ("Status", f"{advisory.status}, version {advisory.version}"),
        ("First published" if advisory.status != "draft" else "First written", rfc3339(advisory.revisions[0].at)),
        ("Last changed", rfc3339(advisory.revisions[-1].at)),
        ("Severity", f"{score.severity}, {score.value:.1f} ({score.nomenclature})"),
        ("Vector", f"`{score.vector}`"),
    ]
    if advisory.cve is not None:
        facts.append(("CVE", escaped_line(advisory.cve)))
    if advisory.cwe is not None:
        facts.append(("Weakness", escaped_line(f"{advisory.cwe}, {WEAKNESSES[advisory.cwe]}")))
    if advisory.embargo_until is not None and advisory.status == "draft":
        facts.append(("Not to be published before", rfc3339(advisory.embargo_until)))
    facts.append(("Publisher", f"{escaped_line(advisory.publisher.name)}, <{advisory.publisher.namespace}>"))
    if advisory.publisher.contact is not None:
        facts.append(("Contact", escaped_line(advisory.publisher.contact)))
    parts = [
        f"# {escaped_line(advisory.title)}",
        _items(f"**{name}:** {value}" for name, value in facts),
        "## Summary",
        escaped_text(advisory.summary),
        "## Affected and fixed versions",
        _items(_versions(product) for product in advisory.products),
        "## Description",
        escaped_text(advisory.description),
    ]
    parts += _afterwards(advisory)
    return "\n\n".join(part for part in parts if part) + "\n"


def _afterwards(advisory: Advisory) -> list[str]:
    """Return what to do and where it comes from, each part where there is something to say."""
    parts: list[str] = []
    if advisory.remediations:
        parts.append("## What to do")
        for remedy in advisory.remediations:
            parts += [f"### {_REMEDIES[remedy.kind]}", escaped_text(remedy.details)]
            if remedy.url is not None:
                parts.append(f"<{remedy.url}>")
    for heading, lines in (
        ("References", [f"{escaped_line(each.summary)}: <{each.url}>" for each in advisory.references]),
        ("Credits", [_credit(credit) for credit in advisory.credits]),
        ("Timeline", [f"{rfc3339(moment.at)}: {escaped_line(moment.what)}" for moment in advisory.timeline]),
        (
            "Revisions",
            [
                f"{number}, {rfc3339(revision.at)}: {escaped_line(revision.summary)}"
                for number, revision in enumerate(advisory.revisions, 1)
            ],
        ),
    ):
        if lines:
            parts += [f"## {heading}", _items(lines)]
    return parts


def _items(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _versions(product: Product) -> str:
    affected = "; ".join(_spread(spread) for spread in product.affected)
    fixed = f"; fixed in {escaped_line(', '.join(product.fixed))}" if product.fixed else ""
    return f"{escaped_line(product.vendor)} {escaped_line(product.name)}: {affected}{fixed}"


def _spread(spread: VersionRange) -> str:
    """Return a range in words."""
    if spread.introduced is not None and spread.introduced == spread.last:
        return escaped_line(spread.introduced)
    words: list[str] = []
    if spread.introduced is not None:
        words.append(f"from {escaped_line(spread.introduced)}")
    if spread.fixed is not None:
        words.append(f"before {escaped_line(spread.fixed)}")
    if spread.last is not None:
        words.append(f"up to and with {escaped_line(spread.last)}")
    return " ".join(words) or "every version"


def _credit(credit: Credit) -> str:
    thanked = ", ".join(escaped_line(each) for each in (credit.name, credit.organization) if each is not None)
    if credit.summary is not None:
        thanked += f": {escaped_line(credit.summary)}"
    return thanked + (f" <{credit.url}>" if credit.url is not None else "")
