"""From the draft of an advisory to the advisory, or to everything that is wrong with it, field by field. Pure.

The model refuses with its first fault. Here each fault is noted at its field, what is wrong is put right, and the model
is asked again: so a form shows all of them at once, and no rule stands in two places.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypeVar

from failgate_disclosure.advisory import (
    Advisory,
    AdvisoryRefused,
    Credit,
    Moment,
    Product,
    Publisher,
    Reference,
    Remediation,
    Revision,
    VersionRange,
)
from failgate_disclosure.advisory.errors import shown
from failgate_disclosure.advisory.model import Status
from failgate_disclosure.advisory.text import rfc3339
from failgate_disclosure.draft import ENTRIES, GROUPS, Entry, rows_in
from failgate_disclosure.triage import moment_in, said

Made = TypeVar("Made")
_SIGNS: Final = {">=": "introduced", "<=": "last", "<": "fixed", "=": "only"}
_RIGHT_VECTOR: Final = "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:N/VI:N/VA:N/SC:N/SI:N/SA:N"
_RIGHT_PUBLISHER: Final = Publisher("x", "https://x.example")
_RIGHT_REMEDY: Final = Remediation("none_available", "x")
# Where a fault of a whole value is shown, and what is put right with a field beside itself.
_PLACE: Final = {"credit": "name", "product": "affected"}
_WITH: Final = {"affected": ("affected", "fixed")}


@dataclass(frozen=True, slots=True)
class Basis:
    """What an advisory needs beside its draft; `before` are the revisions that were published, `at` is its time."""

    status: Status
    publisher: Publisher | None
    at: datetime
    vector: str
    embargo: datetime | None = None
    before: tuple[Revision, ...] = ()
    first_words: str = "First publication."


@dataclass(frozen=True, slots=True)
class Checked:
    """An advisory, or by the names of fields what is wrong."""

    advisory: Advisory | None
    faults: dict[str, str] = field(default_factory=dict[str, str])


def check(draft: Mapping[str, str], basis: Basis) -> Checked:
    """Return the advisory that `draft` says, or all that is wrong with it.

    Beside the fields of the form: `publisher`, `cvss`, `embargo_until`, `change` and `revisions`.
    """
    return _Check(draft).whole(basis)


class _Check:
    """One draft, and what was found wrong with it so far."""

    def __init__(self, draft: Mapping[str, str]) -> None:
        self._draft = draft
        self._faults: dict[str, str] = {}

    def whole(self, basis: Basis) -> Checked:
        if basis.publisher is None:
            self._faults["publisher"] = "This server's address is not known. Set `url` in [plugins.disclosure]."
        said_of_change = self._draft.get("change", "") or ("" if basis.before else basis.first_words)
        revision = self._made(
            Revision, {"at": basis.at, "summary": said_of_change}, {"summary": "x"}, "", {"summary": "change"}
        )  # fmt: skip
        plain = {entry.name: self._draft.get(entry.name, "") for entry in ENTRIES}
        values: dict[str, Any] = {
            **plain,
            "cwe": plain["cwe"] or None,
            "cve": plain["cve"] or None,
            "publisher": basis.publisher or _RIGHT_PUBLISHER,
            "status": basis.status,
            "revisions": (*basis.before, revision),
            "cvss": basis.vector,
            "embargo_until": basis.embargo,
            **{group.name: self._rows(group.name) for group in GROUPS},
        }
        if not basis.vector:
            self._faults["cvss"] = "The severity is open. Give the report its CVSS 4.0 vector."
            values["cvss"] = _RIGHT_VECTOR
        right: dict[str, Any] = {
            "title": "x", "tracking_id": "x", "summary": "x", "description": "x", "language": "en", "cwe": None,
            "cve": None, "cvss": _RIGHT_VECTOR, "embargo_until": None, "timeline": (), "credits": (), "references": (),
            "revisions": (revision,), "remediations": (_RIGHT_REMEDY,),
            "products": (Product("x", "x", (VersionRange(),)),),
        }  # fmt: skip
        names_any = bool(values["products"])
        advisory = self._made(Advisory, values, right, "")
        if not names_any:
            self._faults["products"] = "Name at least one product."
        if "remediations" in self._faults:
            self._faults["remediations"] = "Say what to do about it, or that nothing is available yet."
        if basis.embargo is not None and "embargo_until" in self._faults:
            self._faults["embargo_until"] = f"It lasts until {rfc3339(basis.embargo)}: nothing is published before."
        return Checked(None if self._faults else advisory, self._faults)

    def _rows(self, name: str) -> tuple[object, ...]:
        group = next(group for group in GROUPS if group.name == name)
        make = {
            "products": self._product, "remediations": self._remediation, "references": self._reference,
            "credits": self._credit, "timeline": self._moment,
        }[name]  # fmt: skip
        made: list[object] = []
        for index, row in enumerate(rows_in(self._draft, group)):
            at = f"{name}.{index}."
            for entry in group.entries:
                row[entry.name] = self._chosen(at, entry, row[entry.name])
            one = make(at, index, row)
            if one is not None:
                made.append(one)
        return tuple(made)

    def _chosen(self, at: str, entry: Entry, value: str) -> str:
        if entry.choices and value not in dict(entry.choices):
            self._faults[at + entry.name] = f"{shown(value)} is none of these. Choose one."
            return entry.choices[0][0]
        return value

    def _product(self, at: str, index: int, row: dict[str, str]) -> Product:
        affected: list[VersionRange] = []
        for line in filter(None, map(str.strip, row["affected"].split("\n"))):
            try:
                affected.append(range_in(line))
            except AdvisoryRefused as refused:
                self._faults.setdefault(f"{at}affected", f"{shown(line)}: {said(refused)}")
        if f"{at}affected" in self._faults:
            affected = [VersionRange()]
        values = {
            **row,
            "affected": tuple(affected),
            "fixed": tuple(filter(None, map(str.strip, row["fixed"].split("\n")))),
            "purl": row["purl"] or None,
        }
        right = {"vendor": "x", "name": f"row {index}", "affected": (VersionRange(),), "fixed": (), "purl": None}
        return self._made(Product, values, right, at)

    def _remediation(self, at: str, _index: int, row: dict[str, str]) -> Remediation:
        return self._made(Remediation, {**row, "url": row["url"] or None}, {"details": "x", "url": None}, at)

    def _reference(self, at: str, _index: int, row: dict[str, str]) -> Reference:
        return self._made(Reference, {**row}, {"summary": "x", "url": "https://x.example"}, at)

    def _credit(self, at: str, _index: int, row: dict[str, str]) -> Credit:
        values = {name: text or None for name, text in row.items()}
        right = {"name": "x", "organization": None, "summary": None, "url": None}
        return self._made(Credit, values, right, at)

    def _moment(self, at: str, _index: int, row: dict[str, str]) -> Moment | None:
        """Return the moment, or None where nobody knows when it was: the order of the others is checked still."""
        when = None
        try:
            when = moment_in("at", row["at"])
            if when is None:
                self._faults[f"{at}at"] = "Is missing. Say when, in UTC."
        except AdvisoryRefused as refused:
            self._faults[f"{at}at"] = said(refused)
        any_time = datetime.fromisoformat("2000-01-01T00:00:00+00:00")
        moment = self._made(Moment, {"at": when or any_time, "what": row["what"]}, {"what": "x"}, at)
        return None if when is None else moment

    def _made(
        self,
        kind: Callable[..., Made],
        values: dict[str, Any],
        right: Mapping[str, Any],
        at: str,
        names: Mapping[str, str] | None = None,
    ) -> Made:
        """Return what `kind` makes of `values`; each that it refuses is noted as a fault and put right."""
        mended: set[str] = set()
        while True:
            try:
                return kind(**values)
            except AdvisoryRefused as refused:
                name = refused.where.partition(".")[2] or _PLACE.get(refused.where, refused.where)
                if name in mended or name not in right:
                    raise
                self._faults.setdefault(at + (names or {}).get(name, name), said(refused))
                mended.add(name)
                values |= {each: right[each] for each in _WITH.get(name, (name,))}


def range_in(line: str) -> VersionRange:
    """Return the range that a line says: `>=1.0 <1.4`, `<=2.1`, `7.0`, `all`.

    Raises: AdvisoryRefused.
    """
    if line.lower() in {"all", "*"}:
        return VersionRange()
    found: dict[str, str] = {}
    for word in line.replace(",", " ").split():
        sign = next((sign for sign in _SIGNS if word.startswith(sign)), "")
        name = _SIGNS[sign] if sign else "only"
        if name in found or (found and "only" in {name, *found}):
            raise AdvisoryRefused("range", "says two things at once.", hint="Write >=1.0.0 <1.4.2 or one version.")
        found[name] = word.removeprefix(sign)
    if "only" in found:
        return VersionRange(introduced=found["only"], last=found["only"])
    return VersionRange(**found)
