"""What the desk makes of a report: how severe it is, until when it stays secret, who is thanked. Pure.

Also what of this server it speaks of, named by identifiers alone: whoever follows such a link passes the doors of that
workspace as always, and nothing of it is shown here.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

import msgspec

from failgate.plugin import Unprocessable
from failgate_disclosure.advisory.cvss import score_of
from failgate_disclosure.advisory.errors import AdvisoryRefused, shown
from failgate_disclosure.advisory.text import check_line, check_time, from_form

MOST_CREDITS: Final = 12
MOST_LINKS: Final = 50  # of one report
_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2})?Z?)?", re.ASCII)
_SLUG: Final = re.compile(r"(?=.{2,40}\Z)[a-z0-9](?:-?[a-z0-9])*", re.ASCII)
_ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_SEQ: Final = re.compile(r"0|[1-9][0-9]{0,14}", re.ASCII)
_OBJECTS: Final = {"command": _ID, "report": _ID, "record": _SEQ}
KINDS: Final = {"command": "Command", "report": "Report", "record": "Audit record"}


class Triage(msgspec.Struct, frozen=True):
    """A CVSS 4.0 vector or nothing; the embargo in microseconds since 1970, or none; names of who is thanked."""

    vector: str = ""
    embargo_us: int | None = None
    credits: tuple[str, ...] = ()


class Link(msgspec.Struct, frozen=True):
    """A command, report or audit record of a workspace."""

    kind: str
    workspace: str
    object: str

    @property
    def path(self) -> str:
        """Return where it stands on this server."""
        if self.kind == "record":
            return f"/w/{self.workspace}/audit?object={self.object}"
        return f"/w/{self.workspace}/{self.kind}s/{self.object}"


def triage_in(form: Mapping[str, str]) -> tuple[Triage, dict[str, str]]:
    """Return what the fields `vector`, `embargo` and `credits` say, and by the names of fields what is wrong."""
    faults: dict[str, str] = {}
    vector = form.get("vector", "").strip()
    try:
        if vector:
            score_of(vector, where="vector")
    except AdvisoryRefused as refused:
        faults["vector"] = said(refused)
    embargo = None
    try:
        embargo = moment_in("embargo", form.get("embargo", ""))
    except AdvisoryRefused as refused:
        faults["embargo"] = said(refused)
    names = tuple(filter(None, map(str.strip, from_form(form.get("credits", "")).split("\n"))))
    try:
        for number, name in enumerate(names, 1):
            check_line(f"line {number}", name)
    except AdvisoryRefused as refused:
        faults["credits"] = refused.sentence + (f" {refused.hint}" if refused.hint else "")
    if len(names) > MOST_CREDITS:
        faults["credits"] = f"These are {len(names)} names; {MOST_CREDITS} are taken. Thank a team."
    return Triage(vector, None if embargo is None else micros(embargo), names), faults


def link_in(form: Mapping[str, str]) -> Link:
    """Return the link that a form names. Raises: Unprocessable (it is not written as ours are)."""
    kind, workspace, written = (form.get(name, "").strip() for name in ("kind", "workspace", "object"))
    if kind not in _OBJECTS:
        raise Unprocessable("A link leads to a command, a report or an audit record.", hint="Choose one of them.")
    if not _SLUG.fullmatch(workspace):
        raise Unprocessable("That is no short name of a workspace.", hint="It stands in its address, after /w/.")
    if not _OBJECTS[kind].fullmatch(written.lower()):
        what = "the number of a record" if kind == "record" else f"the identifier of a {kind}"
        raise Unprocessable(f"That is not {what}.", hint="Copy it from the address of its page.")
    return Link(kind, workspace, written.lower())


def moment_in(where: str, text: str) -> datetime | None:
    """Return the time that `text` says in UTC, as 2026-12-01 or 2026-12-01T10:00; None for nothing.

    Raises: AdvisoryRefused.
    """
    text = text.strip()
    if not text:
        return None
    hint = "Write 2026-12-01 or 2026-12-01T10:00, in UTC."
    if not _TIME.fullmatch(text):
        raise AdvisoryRefused(where, f"{shown(text)} is no time.", hint=hint)
    try:
        moment = datetime.fromisoformat(text.removesuffix("Z").replace(" ", "T")).replace(tzinfo=UTC)
    except ValueError:
        raise AdvisoryRefused(where, f"{shown(text)} is no day or time that there is.", hint=hint) from None
    check_time(where, moment)
    return moment


def micros(moment: datetime) -> int:
    """Return the microseconds from 1970 to `moment`, which is on a whole second."""
    return int(moment.timestamp()) * 1_000_000


def moment_of(time_us: int) -> datetime:
    """Return the time of `time_us`, to the second, in UTC."""
    return datetime.fromtimestamp(time_us // 1_000_000, UTC)


def as_field(time_us: int | None) -> str:
    """Return a time as a browser's field wants it: 2026-12-01T10:00:00, without the seconds where there are none."""
    if time_us is None:
        return ""
    return moment_of(time_us).strftime("%Y-%m-%dT%H:%M:%S").removesuffix(":00")


def said(refused: AdvisoryRefused) -> str:
    """Return what is wrong and the mend, as it stands at a field: without the name of the field."""
    sentence = refused.sentence.removeprefix(f"{refused.where}: ")
    whole = f"{sentence} {refused.hint}" if refused.hint else sentence
    return whole[:1].upper() + whole[1:]
