"""The desk's pages about a report's severity, embargo, credits and links."""

from collections.abc import Mapping, Sequence

import msgspec

from failgate.plugin import Asked, PageDoor, SentOn, Shown, to_rfc3339
from failgate_disclosure.advisories import PLACE, Advisories
from failgate_disclosure.advisory.cvss import METRICS, score_of
from failgate_disclosure.desk import Desk, Report
from failgate_disclosure.fields import visible
from failgate_disclosure.triage import KINDS, MOST_CREDITS, Link, Triage, as_field, link_in, triage_in
from failgate_disclosure.triaging import Stale, Triaged, Triaging


class Severity(msgspec.Struct, frozen=True):
    """A score as it is shown."""

    word: str
    value: str
    vector: str

    @property
    def look(self) -> str:
        """Return the look of its chip."""
        return {"Critical": "bad", "High": "bad", "Medium": "wait"}.get(self.word, "")


class LinkLine(msgspec.Struct, frozen=True):
    """A link as it is shown: where it leads and the three fields by which it is taken away."""

    label: str
    path: str
    link: Link


class TriageFacts(msgspec.Struct, frozen=True):
    """What the page of a report says of its triage and its advisory."""

    severity: Severity | None
    embargo: str
    credits: tuple[str, ...]
    links: tuple[LinkLine, ...]
    kinds: dict[str, str]
    changed: str
    has_advisory: bool
    published: str


class TriageLine(msgspec.Struct, frozen=True):
    """A field of the form: `theirs` is what is kept, where it is something else than what was written."""

    value: str
    fault: str = ""
    theirs: str | None = None


class TriageView(msgspec.Struct, frozen=True):
    """The form of a triage."""

    id: str
    number: int
    title: str
    edit: int
    problem: str
    lines: dict[str, TriageLine]
    severity: Severity | None
    metrics: tuple[tuple[str, str], ...]
    most_credits: int


class TriagePages:
    """Answers at the doors of the triage."""

    def __init__(self, desk: Desk, triaging: Triaging, advisories: Advisories) -> None:
        """Show and change what `triaging` keeps of the reports of `desk`."""
        self._desk = desk
        self._triaging = triaging
        self._advisories = advisories

    def doors(self) -> tuple[PageDoor, ...]:
        """Return the doors of the triage."""
        return (
            PageDoor(name="triage", path="/{id}/triage", handler=self.form, audience="platform"),
            *(
                PageDoor(name=f"triage_{name}", path=f"/{{id}}/{name}", handler=handler, audience="platform",
                         method="POST")
                for name, handler in (("triage", self.save), ("link", self.link), ("unlink", self.unlink))
            ),
        )  # fmt: skip

    async def severities(self, report_ids: Sequence[str]) -> dict[str, Severity | None]:
        """Return the severities of reports by their ids."""
        found = await self._triaging.of_all(report_ids) if report_ids else {}
        return {identity: severity_of(one.triage.vector) for identity, one in found.items()}

    async def facts(self, report_id: str) -> TriageFacts:
        """Return what the page of a report says."""
        triaged = await self._triaging.of(report_id)
        newest = await self._advisories.newest(report_id)
        triage = triaged.triage
        links = await self._triaging.links(report_id)
        return TriageFacts(
            severity_of(triage.vector),
            "" if triage.embargo_us is None else minute(triage.embargo_us),
            tuple(map(visible, triage.credits)),
            tuple(LinkLine(f"{KINDS[one.kind]} {one.object}, {one.workspace}", one.path, one) for one in links),
            KINDS,
            changed_of(triaged),
            await self._advisories.draft_of(report_id) is not None,
            "" if newest is None else f"{PLACE}/{newest.file_name.removesuffix('.json')}",
        )

    async def form(self, asked: Asked) -> Shown:
        """Show the form with what is kept."""
        report = await self._desk.by_id(asked.path["id"])
        await self._desk.note_read(report, asked.actor)
        triaged = await self._triaging.of(report.id)
        return _form(report, triaged, _fields(triaged.triage), {})

    async def save(self, asked: Asked) -> Shown | SentOn:
        """Keep what the form says, or show it again with what is wrong, or with what somebody else kept meanwhile."""
        report = await self._desk.by_id(asked.path["id"])
        written = {name: asked.form.get(name, "") for name in ("vector", "embargo", "credits")}
        triage, faults = triage_in(asked.form)
        if faults:
            edit = edit_in(asked.form)
            return _form(report, await self._triaging.of(report.id), written, faults, edit=edit)
        try:
            await self._triaging.save(report.id, edit_in(asked.form), triage, actor=asked.actor, author=asked.email)
        except Stale:
            return _form(report, await self._triaging.of(report.id), written, {}, is_stale=True)
        return SentOn(f"{asked.here}/{report.id}")

    async def link(self, asked: Asked) -> SentOn:
        """Link the report with a command, a report or an audit record."""
        report = await self._desk.by_id(asked.path["id"])
        await self._triaging.link(report.id, link_in(asked.form), actor=asked.actor)
        return SentOn(f"{asked.here}/{report.id}")

    async def unlink(self, asked: Asked) -> SentOn:
        """Take a link away."""
        report = await self._desk.by_id(asked.path["id"])
        await self._triaging.unlink(report.id, link_in(asked.form), actor=asked.actor)
        return SentOn(f"{asked.here}/{report.id}")


def severity_of(vector: str) -> Severity | None:
    """Return the severity of a vector that was checked; None for none."""
    if not vector:
        return None
    score = score_of(vector)
    return Severity(score.severity, f"{score.value:.1f}", score.vector)


def edit_in(form: Mapping[str, str]) -> int:
    """Return the number of the text that a form began from; -1, which is never kept, for what is no number."""
    written = form.get("edit", "")
    return int(written) if written.isascii() and written.isdigit() and len(written) < 10 else -1


def minute(time_us: int) -> str:
    """Return a time to the minute, in UTC, for people."""
    return f"{to_rfc3339(time_us)[:16].replace('T', ' ')} UTC"


def changed_of(triaged: Triaged) -> str:
    """Return who changed it last and when; nothing when nobody did."""
    return f"{triaged.changed_by}, {minute(triaged.changed_us)}" if triaged.edit else ""


def _fields(triage: Triage) -> dict[str, str]:
    return {
        "vector": triage.vector,
        "embargo": as_field(triage.embargo_us),
        "credits": "\n".join(triage.credits),
    }


def _form(
    report: Report,
    kept: Triaged,
    written: Mapping[str, str],
    faults: Mapping[str, str],
    *,
    edit: int | None = None,
    is_stale: bool = False,
) -> Shown:
    theirs = _fields(kept.triage)
    lines = {
        name: TriageLine(
            value, faults.get(name, ""), visible(theirs[name]) if is_stale and theirs[name] != value else None
        )
        for name, value in written.items()
    }
    problem = ""
    if is_stale:
        problem = f"Nothing was saved: {changed_of(kept) or 'somebody'} changed it meanwhile. Both texts stand here."
    elif faults:
        problem = "Nothing was saved yet: see the marked fields."
    view = TriageView(
        report.id,
        report.number,
        visible(report.contents.title),
        kept.edit if edit is None else edit,
        problem,
        lines,
        severity_of(kept.triage.vector),
        tuple((name, " ".join(values)) for name, values in METRICS.items()),
        MOST_CREDITS,
    )
    return Shown(
        f"Severity of report {report.number}", "triage.html", view, 409 if is_stale else 422 if faults else 200
    )
