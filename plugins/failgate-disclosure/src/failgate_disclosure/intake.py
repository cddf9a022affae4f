"""The reporter's pages: the form, and the private page on which a report is followed and answered."""

from collections.abc import Mapping

import msgspec

from failgate.plugin import Asked, PageDoor, SentOn, Shown, to_rfc3339
from failgate_disclosure.desk import Desk, Message, Report
from failgate_disclosure.fields import (
    FIELDS,
    LARGEST_FORM_BYTES,
    LONGEST_MESSAGE,
    FormField,
    contents_of,
    faults_in,
    message_in,
    visible,
)
from failgate_disclosure.limits import Pace, Stamps
from failgate_disclosure.states import MEANING, REASONS

PATH = "/security/report"
FOLLOW = "/security/follow"


class FormLine(msgspec.Struct, frozen=True):
    """A field as it stands on the page."""

    field: FormField
    value: str
    fault: str | None


class FormView(msgspec.Struct, frozen=True):
    """The page of the form; `problem` is why nothing was taken."""

    lines: tuple[FormLine, ...]
    stamp: str
    problem: str | None


class MessageLine(msgspec.Struct, frozen=True):
    """Something that was said, as it is shown."""

    kind: str
    author: str
    at: str
    text: str


class Part(msgspec.Struct, frozen=True):
    """A field of a report, as it is shown."""

    label: str
    text: str


class FollowView(msgspec.Struct, frozen=True):
    """The private page of a report."""

    number: int
    state: str
    meaning: str
    reason: str | None
    received: str
    parts: tuple[Part, ...]
    messages: tuple[MessageLine, ...]
    most: int


class Intake:
    """Answers at the reporter's doors."""

    def __init__(self, desk: Desk, stamps: Stamps, pace: Pace, elsewhere: str) -> None:
        """Take reports for `desk`; `elsewhere` is where to write when the form takes none."""
        self._desk = desk
        self._stamps = stamps
        self._pace = pace
        self._elsewhere = elsewhere

    def doors(self) -> tuple[PageDoor, ...]:
        """Return the doors of the reporter."""
        follow = f"{FOLLOW}/{{key}}"
        return (
            PageDoor(name="form", path=PATH, handler=self.form, audience="anybody"),
            PageDoor(
                name="send", path=PATH, handler=self.send, audience="anybody", method="POST",
                form_bytes=LARGEST_FORM_BYTES,
            ),
            PageDoor(name="follow", path=follow, handler=self.follow, audience="anybody"),
            PageDoor(
                name="answer", path=follow, handler=self.answer, audience="anybody", method="POST", form_bytes=131_072
            ),
        )  # fmt: skip

    async def form(self, _asked: Asked) -> Shown:
        """Show the empty form."""
        return self._form({}, {}, None, 200)

    async def send(self, asked: Asked) -> Shown | SentOn:
        """Take a report, or show the form again with what was written and why it is not taken."""
        faults = faults_in(asked.form)
        if faults:
            return self._form(asked.form, faults, "Nothing was sent yet: see the marked fields.", 422)
        stamp = asked.form.get("stamp", "")
        problem = self._stamps.problem(stamp)
        if problem is not None:
            return self._form(asked.form, {}, problem, 422)
        if not self._pace.admits(asked.ip):
            said = f"Too many reports came in the last hour. Send it later, or write to {self._elsewhere}."
            return self._form(asked.form, {}, said, 429)
        link = await self._desk.receive(contents_of(asked.form), stamp, asked.actor)
        return SentOn(f"{FOLLOW}/{link}")

    async def follow(self, asked: Asked) -> Shown:
        """Show the report of a private link, and what was said."""
        report = await self._desk.by_link(asked.path["key"])
        messages = await self._desk.messages(report, ("reporter", "desk", "state"))
        view = FollowView(
            report.number,
            report.state,
            MEANING[report.state],
            REASONS.get(report.reason or ""),
            to_rfc3339(report.received_us)[:16].replace("T", " "),
            parts_of(report),
            tuple(line_of(message, with_author=False) for message in messages),
            LONGEST_MESSAGE,
        )
        return Shown(f"Report {report.number}", "follow.html", view)

    async def answer(self, asked: Asked) -> SentOn:
        """Keep what the reporter says."""
        report = await self._desk.by_link(asked.path["key"])
        await self._desk.say(report, "reporter", message_in(asked.form), actor=asked.actor, author="reporter")
        return SentOn(f"{FOLLOW}/{asked.path['key']}")

    def _form(self, form: Mapping[str, str], faults: Mapping[str, str], problem: str | None, status: int) -> Shown:
        lines = tuple(FormLine(field, form.get(field.name, ""), faults.get(field.name)) for field in FIELDS)
        return Shown("Report a vulnerability", "form.html", FormView(lines, self._stamps.make(), problem), status)


def parts_of(report: Report) -> tuple[Part, ...]:
    """Return what the reporter wrote, field by field, as it may be shown."""
    said = msgspec.structs.asdict(report.contents)
    return tuple(Part(field.label, visible(said[field.name])) for field in FIELDS if said[field.name])


def line_of(message: Message, *, with_author: bool) -> MessageLine:
    """Return a message as it may be shown: who of the desk wrote it is not for the reporter."""
    at = to_rfc3339(message.written_us)[:16].replace("T", " ")
    return MessageLine(message.kind, message.author if with_author else "", at, visible(message.text))
