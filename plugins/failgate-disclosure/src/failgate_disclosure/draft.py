"""The draft of an advisory: the fields of its form, kept as they were written, whatever may be wrong with them. Pure.

A field of a list is called `products.0.vendor`. Entries of a list that say nothing go when a draft is saved.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from failgate_disclosure.advisory.text import from_form
from failgate_disclosure.advisory.weaknesses import WEAKNESSES

LARGEST_DRAFT_BYTES: Final = 1_048_576


@dataclass(frozen=True, slots=True)
class Entry:
    """A field: at most `most` characters on `rows` lines, or one of `choices` (value and words)."""

    name: str
    label: str
    hint: str = ""
    most: int = 300
    rows: int = 1
    choices: tuple[tuple[str, str], ...] = ()
    is_time: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """A list of at most `most` entries, each called `one`."""

    name: str
    label: str
    one: str
    most: int
    entries: tuple[Entry, ...]


_SCHEMES: Final = tuple((name, name) for name in ("semver", "pypi", "npm", "deb", "rpm", "golang", "generic"))
_REMEDIES: Final = (
    ("vendor_fix", "Fix"),
    ("mitigation", "Mitigation"),
    ("workaround", "Workaround"),
    ("no_fix_planned", "No fix is planned"),
    ("none_available", "None available yet"),
)
_RANGES: Final = "One range a line: >=1.0.0 <1.4.2, or <=2.1.0, or 7.0 alone, or all."
_CWES: Final = (("", "None"), *((number, f"{number} {name}") for number, name in WEAKNESSES.items()))

ENTRIES: Final = (
    Entry("tracking_id", "Identifier", "As SA-2026-0001. It stays for good once it is published.", 100),
    Entry("title", "Title", "In one line."),
    Entry("summary", "Summary", "What somebody can do, and to whom it matters.", 5_000, 4),
    Entry("description", "Description", "What was wrong. Plain text; an empty line begins a paragraph.", 50_000, 10),
    Entry("cwe", "Weakness", "The CWE that fits best.", choices=_CWES),
    Entry("cve", "CVE number", "As CVE-2026-12345, when there is one.", 30),
    Entry("language", "Language", "Two letters, as en.", 2),
)
GROUPS: Final = (
    Group(
        "products",
        "Products",
        "Product",
        10,
        (
            Entry("vendor", "Vendor"),
            Entry("name", "Name"),
            Entry("scheme", "Versions as in", choices=_SCHEMES),
            Entry("purl", "Package URL", "Optional, without a version: pkg:pypi/name.", 500),
            Entry("affected", "Affected versions", _RANGES, 5_000, 2),
            Entry("fixed", "Fixed versions", "One a line.", 5_000, 2),
        ),
    ),
    Group(
        "remediations",
        "What to do",
        "Remediation",
        8,
        (
            Entry("kind", "Kind", choices=_REMEDIES),
            Entry("details", "What to do", "", 10_000, 3),
            Entry("url", "Where more is said", "Optional, https://…", 2_000),
        ),
    ),
    Group(
        "references",
        "References",
        "Reference",
        12,
        (Entry("summary", "What it is"), Entry("url", "Address", "https://…", 2_000)),
    ),
    Group(
        "credits",
        "Credits",
        "Credit",
        12,
        (
            Entry("name", "Name"),
            Entry("organization", "Organization"),
            Entry("summary", "For what"),
            Entry("url", "Their page", "Optional, https://…", 2_000),
        ),
    ),
    Group(
        "timeline",
        "Timeline",
        "Moment",
        12,
        (Entry("at", "When", "In UTC.", 30, is_time=True), Entry("what", "What happened")),
    ),
)
CHANGE: Final = Entry("change", "What this revision changes", "In one line; readers see it in the list of revisions.")


def draft_in(form: Mapping[str, str]) -> dict[str, str]:
    """Return the draft that a form says: line ends become one character, spaces around go, empty entries too."""
    found = {entry.name: _plain(entry, form.get(entry.name, "")) for entry in (*ENTRIES, CHANGE)}
    for group in GROUPS:
        kept = [row for row in rows_in(form, group) if _says_something(group, row)]
        for index, row in enumerate(kept):
            found |= {f"{group.name}.{index}.{name}": value for name, value in row.items()}
    return found


def rows_in(fields: Mapping[str, str], group: Group) -> list[dict[str, str]]:
    """Return the entries of a list, up to the last that stands in `fields`."""
    rows: list[dict[str, str]] = []
    for index in range(group.most):
        names = {entry.name: f"{group.name}.{index}.{entry.name}" for entry in group.entries}
        if any(name in fields for name in names.values()):
            rows.append({entry.name: _plain(entry, fields.get(names[entry.name], "")) for entry in group.entries})
    return rows


def _says_something(group: Group, row: Mapping[str, str]) -> bool:
    return any(row[entry.name] for entry in group.entries if not entry.choices)


def _plain(entry: Entry, text: str) -> str:
    plain = from_form(text)
    return plain.strip("\n").rstrip() if entry.rows > 1 else plain.strip()
