"""The desk's pages about an advisory: its draft is edited, exported and published here."""

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from failgate.plugin import Asked, Download, NotFound, PageDoor, SentOn, Shown, Unprocessable
from failgate_disclosure.advisories import PLACE, Advisories, Drafted
from failgate_disclosure.advisory import csaf_bytes, csaf_filename, markdown
from failgate_disclosure.advisory.csaf import MEDIA_TYPE
from failgate_disclosure.checking import Checked
from failgate_disclosure.desk import Desk, Report
from failgate_disclosure.draft import CHANGE, ENTRIES, GROUPS, LARGEST_DRAFT_BYTES, Entry, draft_in, rows_in
from failgate_disclosure.fields import visible
from failgate_disclosure.triage_pages import Severity, edit_in, minute, severity_of
from failgate_disclosure.triaging import Stale, Triaging

_CHANGED: Final = (
    "Nothing was published: somebody changed the draft, the severity or the embargo meanwhile. Read it again."
)
_ELSEWHERE: Final = {
    "publisher": "Publisher",
    "cvss": "Severity",
    "embargo_until": "Embargo",
    "revisions": "Time",
    "sure": "To publish",
}


class FieldLine(msgspec.Struct, frozen=True):
    """A field as it stands on the page; `theirs` is what is kept, where it differs from what was written."""

    name: str
    entry: Entry
    value: str
    fault: str = ""
    theirs: str | None = None


class GroupLines(msgspec.Struct, frozen=True):
    """A list as it stands on the page, with an empty entry at its end; `fault` is of the list as a whole."""

    name: str
    label: str
    one: str
    fault: str
    rows: tuple[tuple[FieldLine, ...], ...]


class DraftView(msgspec.Struct, frozen=True):
    """The page of a draft; `elsewhere` is what keeps it from being published and stands in no field of it."""

    id: str
    number: int
    edit: int
    changed: str
    problem: str
    lines: tuple[FieldLine, ...]
    groups: tuple[GroupLines, ...]
    change: FieldLine
    elsewhere: tuple[tuple[str, str], ...]
    faults: int
    severity: Severity | None
    embargo: str
    published: str
    revisions: tuple[str, ...]


class AdvisoryPages:
    """Answers at the doors of drafts."""

    def __init__(self, desk: Desk, triaging: Triaging, advisories: Advisories) -> None:
        """Edit what `advisories` keeps of the reports of `desk`."""
        self._desk = desk
        self._triaging = triaging
        self._advisories = advisories

    def doors(self) -> tuple[PageDoor, ...]:
        """Return the doors of drafts."""
        at = "/{id}/advisory"
        reading = (("", self.page), ("csaf", self.csaf), ("markdown", self.markdown))
        writing = (
            ("", self.save, LARGEST_DRAFT_BYTES),
            ("begin", self.begin, 65_536),
            ("publish", self.publish, 65_536),
        )
        return (
            *(
                PageDoor(name=f"advisory_{name or 'page'}", path=f"{at}/{name}".rstrip("/"), handler=handler,
                         audience="platform")
                for name, handler in reading
            ),
            *(
                PageDoor(name=f"advisory_{name or 'save'}", path=f"{at}/{name}".rstrip("/"), handler=handler,
                         audience="platform", method="POST", form_bytes=most)
                for name, handler, most in writing
            ),
        )  # fmt: skip

    async def begin(self, asked: Asked) -> SentOn:
        """Begin a draft."""
        report = await self._desk.by_id(asked.path["id"])
        await self._advisories.begin(report, actor=asked.actor, author=asked.email)
        return _back(asked)

    async def page(self, asked: Asked) -> Shown:
        """Show a draft with everything that is wrong with it."""
        report, drafted = await self._found(asked)
        await self._desk.note_read(report, asked.actor)
        return await self._shown(report, drafted)

    async def save(self, asked: Asked) -> Shown | SentOn:
        """Keep a draft, whatever is wrong with it; what somebody else kept meanwhile is shown beside it instead."""
        report, _ = await self._found(asked)
        written = draft_in(asked.form)
        try:
            await self._advisories.save(report.id, edit_in(asked.form), written, actor=asked.actor, author=asked.email)
        except Stale:
            _, drafted = await self._found(asked)
            return await self._shown(report, drafted, written=written, status=409)
        return _back(asked)

    async def csaf(self, asked: Asked) -> Download:
        """Give the draft as CSAF 2.0."""
        return await self._export(asked, "csaf")

    async def markdown(self, asked: Asked) -> Download:
        """Give the draft as Markdown."""
        return await self._export(asked, "markdown")

    async def publish(self, asked: Asked) -> Shown | SentOn:
        """Make the draft public as it is kept, or show why it is not yet."""
        report, drafted = await self._found(asked)
        if asked.form.get("sure") != "yes":
            return await self._shown(report, drafted, faults={"sure": "Say that you have read it."}, status=422)
        try:
            checked = await self._advisories.publish(
                report.id, edit_in(asked.form), actor=asked.actor, author=asked.email
            )
        except Stale:
            _, drafted = await self._found(asked)
            return await self._shown(report, drafted, problem=_CHANGED, status=409)
        if checked.advisory is None:
            said = "Nothing was published: see what is marked."
            return await self._shown(report, drafted, problem=said, status=422)
        return _back(asked)

    async def _export(self, asked: Asked, form: Literal["csaf", "markdown"]) -> Download:
        report, drafted = await self._found(asked)
        advisory = (await self._advisories.check(drafted, "draft")).advisory
        if advisory is None:
            raise Unprocessable("The draft is not whole yet.", hint="Its page marks what is wrong with it.")
        await self._desk.note_exported(report, form, asked.actor)
        name = csaf_filename(advisory.tracking_id)
        if form == "csaf":
            return Download(name, csaf_bytes(advisory), MEDIA_TYPE)
        return Download(f"{name.removesuffix('.json')}.md", markdown(advisory).encode(), "text/markdown; charset=utf-8")

    async def _found(self, asked: Asked) -> tuple[Report, Drafted]:
        report = await self._desk.by_id(asked.path["id"])
        drafted = await self._advisories.draft_of(report.id)
        if drafted is None:
            raise NotFound("This report has no advisory.", hint="Begin one at the report.")
        return report, drafted

    async def _shown(
        self,
        report: Report,
        drafted: Drafted,
        *,
        written: Mapping[str, str] | None = None,
        faults: Mapping[str, str] | None = None,
        problem: str = "",
        status: int = 200,
    ) -> Shown:
        theirs = drafted.fields if written is not None else None
        fields = drafted.fields if written is None else written
        newest = await self._advisories.newest(report.id)
        # Of a text that lost, what is wrong is said once it is kept.
        checked = await self._advisories.check(drafted, "final") if written is None else Checked(None)
        found = {**checked.faults, **(faults or {})}
        if theirs is not None:
            problem = (
                f"Nothing was saved: {drafted.changed_by} changed the draft at {minute(drafted.changed_us)}. Your text"
                " stands in the fields, theirs below each that differs. What you save now replaces theirs."
            )
        triage = (await self._triaging.of(report.id)).triage
        view = DraftView(
            report.id,
            report.number,
            drafted.edit,
            f"{drafted.changed_by}, {minute(drafted.changed_us)}",
            problem,
            tuple(_line(entry.name, entry, fields, found, theirs) for entry in ENTRIES),
            tuple(_group(name, fields, found, theirs) for name in (group.name for group in GROUPS)),
            _line(CHANGE.name, CHANGE, fields, found, theirs),
            tuple((label, found[name]) for name, label in _ELSEWHERE.items() if name in found),
            len(found),
            severity_of(triage.vector),
            "" if triage.embargo_us is None else minute(triage.embargo_us),
            "" if newest is None else f"{PLACE}/{newest.file_name.removesuffix('.json')}",
            () if newest is None else tuple(
                f"{number}, {one.at:%Y-%m-%d %H:%M} UTC: {one.summary}"
                for number, one in enumerate(newest.advisory.revisions, 1)
            ),
        )  # fmt: skip
        return Shown(f"Advisory of report {report.number}", "draft.html", view, status)


def _group(
    name: str, fields: Mapping[str, str], faults: Mapping[str, str], theirs: Mapping[str, str] | None
) -> GroupLines:
    group = next(group for group in GROUPS if group.name == name)
    count = max(len(rows_in(fields, group)), 0 if theirs is None else len(rows_in(theirs, group)))
    rows = tuple(
        tuple(_line(f"{name}.{index}.{entry.name}", entry, fields, faults, theirs) for entry in group.entries)
        for index in range(min(count + 1, group.most))
    )
    return GroupLines(name, group.label, group.one, faults.get(name, ""), rows)


def _line(
    name: str, entry: Entry, fields: Mapping[str, str], faults: Mapping[str, str], theirs: Mapping[str, str] | None
) -> FieldLine:
    unsaid = entry.choices[0][0] if entry.choices else ""  # what a browser shows where nobody chose
    value = fields.get(name) or unsaid
    kept = None if theirs is None else theirs.get(name) or unsaid
    return FieldLine(name, entry, value, faults.get(name, ""), None if kept is None or kept == value else visible(kept))


def _back(asked: Asked) -> SentOn:
    return SentOn(f"{asked.here}/{asked.path['id']}/advisory")
