"""The desk's pages, for the platform role with a second factor: the queue, a report, what is done with it."""

import msgspec

from failgate.plugin import Asked, Clock, PageDoor, SentOn, Shown, to_rfc3339
from failgate_disclosure.desk import Desk, Report
from failgate_disclosure.fields import LONGEST_MESSAGE, message_in, visible
from failgate_disclosure.file_pages import FileLine, lines_of
from failgate_disclosure.intake import MessageLine, Part, line_of, parts_of
from failgate_disclosure.paging import beside, page_in
from failgate_disclosure.states import NEXT, REASONS, Standing, standing_of
from failgate_disclosure.triage_pages import Severity, TriageFacts, TriagePages


class Line(msgspec.Struct, frozen=True):
    """A report in the queue."""

    id: str
    number: int
    title: str
    affected: str
    state: str
    received: str
    assignee: str
    standing: Standing
    severity: Severity | None = None


class QueueView(msgspec.Struct, frozen=True):
    """A page of the queue, or of what was closed; `newer` and `older` are the addresses beside it."""

    lines: tuple[Line, ...]
    is_closed: bool
    newer: str = ""
    older: str = ""


class ReportView(msgspec.Struct, frozen=True):
    """A report, what was said, and what may be done; `next` are the states that may follow but for the closed one."""

    line: Line
    reason: str
    parts: tuple[Part, ...]
    messages: tuple[MessageLine, ...]
    next: tuple[str, ...]
    reasons: dict[str, str]
    is_mine: bool
    most: int
    attached: tuple[FileLine, ...]
    people: tuple[str, ...]
    triage: TriageFacts


class DeskPages:
    """Answers at the doors of the desk."""

    def __init__(self, desk: Desk, triage: TriagePages, clock: Clock) -> None:
        """Show `desk`, with what `triage` knows of each report, at the time of `clock`."""
        self._desk = desk
        self._triage = triage
        self._clock = clock

    def doors(self) -> tuple[PageDoor, ...]:
        """Return the doors of the desk."""
        reading = (
            ("queue", "", self.queue), ("queue_page", "/page/{number}", self.queue), ("closed", "/closed", self.closed),
            ("closed_page", "/closed/page/{number}", self.closed), ("report", "/{id}", self.report),
        )  # fmt: skip
        changing = (("move", self.move), ("take", self.take), ("release", self.release), ("assign", self.assign))
        writing = (*changing, ("note", self.note), ("tell", self.tell))
        return (
            *(PageDoor(name=name, path=path, handler=handler, audience="platform") for name, path, handler in reading),
            *(
                PageDoor(
                    name=name, path=f"/{{id}}/{name}", handler=handler, audience="platform", method="POST",
                    form_bytes=131_072,
                )
                for name, handler in writing
            ),
            *self._triage.doors(),
        )  # fmt: skip

    async def queue(self, asked: Asked) -> Shown:
        """Show what is open, what waits for its acknowledgement first."""
        return Shown("Disclosure desk", "queue.html", await self._page(asked, is_closed=False))

    async def closed(self, asked: Asked) -> Shown:
        """Show what was closed."""
        return Shown("Closed reports", "queue.html", await self._page(asked, is_closed=True))

    async def _page(self, asked: Asked, *, is_closed: bool) -> QueueView:
        number = page_in(asked)
        reports, has_more = await self._desk.queue(is_closed=is_closed, number=number)
        severities = await self._triage.severities([report.id for report in reports])
        place = asked.here + ("/closed" if is_closed else "")
        lines = tuple(self._line(report, severities.get(report.id)) for report in reports)
        return QueueView(lines, is_closed, *beside(place, number, has_more=has_more))

    async def report(self, asked: Asked) -> Shown:
        """Show a report with everything that was said; that it was read is on record."""
        report = await self._desk.by_id(asked.path["id"])
        await self._desk.note_read(report, asked.actor)
        messages = await self._desk.messages(report, ("reporter", "desk", "note", "state"))
        facts = await self._triage.facts(report.id)
        view = ReportView(
            self._line(report, facts.severity),
            REASONS.get(report.reason or "", ""),
            parts_of(report),
            tuple(line_of(message, with_author=True) for message in messages),
            tuple(state for state in NEXT[report.state] if state != "closed"),
            REASONS if "closed" in NEXT[report.state] else {},
            report.assignee == asked.email,
            LONGEST_MESSAGE,
            lines_of(await self._desk.files.of_report(report.id)),
            tuple(person.email for person in await self._desk.people()),
            facts,
        )
        return Shown(f"Report {report.number}", "report.html", view)

    async def move(self, asked: Asked) -> SentOn:
        """Put a report into another state."""
        report = await self._desk.by_id(asked.path["id"])
        state, reason = asked.form.get("state", ""), asked.form.get("reason") or None
        await self._desk.move(report, state, reason, actor=asked.actor, author=asked.email)
        return _back(asked)

    async def take(self, asked: Asked) -> SentOn:
        """Give a report to who asks."""
        await self._desk.assign(await self._desk.by_id(asked.path["id"]), asked.email, actor=asked.actor)
        return _back(asked)

    async def release(self, asked: Asked) -> SentOn:
        """Give a report to nobody."""
        await self._desk.assign(await self._desk.by_id(asked.path["id"]), None, actor=asked.actor)
        return _back(asked)

    async def assign(self, asked: Asked) -> SentOn:
        """Give a report to somebody who has the platform role, or to nobody."""
        report = await self._desk.by_id(asked.path["id"])
        await self._desk.assign(report, asked.form.get("assignee") or None, actor=asked.actor)
        return _back(asked)

    async def note(self, asked: Asked) -> SentOn:
        """Keep a note for the desk, which the reporter never reads."""
        report = await self._desk.by_id(asked.path["id"])
        await self._desk.say(report, "note", message_in(asked.form), actor=asked.actor, author=asked.email)
        return _back(asked)

    async def tell(self, asked: Asked) -> SentOn:
        """Keep a message for the reporter; the first one acknowledges the report."""
        report = await self._desk.by_id(asked.path["id"])
        await self._desk.say(report, "desk", message_in(asked.form), actor=asked.actor, author=asked.email)
        if report.state == "new":
            await self._desk.move(report, "acknowledged", None, actor=asked.actor, author=asked.email)
        return _back(asked)

    def _line(self, report: Report, severity: Severity | None) -> Line:
        now_us = self._clock.now_us()
        return Line(
            report.id,
            report.number,
            visible(report.contents.title),
            visible(report.contents.affected),
            report.state,
            to_rfc3339(report.received_us)[:16].replace("T", " "),
            report.assignee or "",
            standing_of(report.state, report.received_us, report.acknowledged_us, now_us),
            severity,
        )


def _back(asked: Asked) -> SentOn:
    return SentOn(f"{asked.here}/{asked.path['id']}")
