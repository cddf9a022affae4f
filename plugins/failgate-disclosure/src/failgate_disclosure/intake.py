"""The reporter's pages: the form, and the private page on which a report is followed and answered."""

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import msgspec

from failgate.plugin import Asked, Clock, FilesTaken, PageDoor, SentFile, SentOn, Shown, TooManyRequests, to_rfc3339
from failgate_disclosure.attachments import TAKEN, Attachment, AttachmentRefused, judged
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
from failgate_disclosure.file_pages import FileLine, lines_of
from failgate_disclosure.limits import MINUTE_SECONDS, Pace, Stamps
from failgate_disclosure.settings import DisclosureSettings
from failgate_disclosure.states import MEANING, REASONS

PATH = "/security/report"
FOLLOW = "/security/follow"
_TRIES: Final = 30  # forms from one address in a minute, whatever becomes of them
_TRIES_OF_ALL: Final = 300
_JUDGES: Final = ThreadPoolExecutor(max_workers=1, thread_name_prefix="disclosure")


class FilesView(msgspec.Struct, frozen=True):
    """What may be attached: `most` files, none when it is 0, of `size` together."""

    most: int
    size: str
    kinds: str = TAKEN


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
    files: FilesView


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
    attached: tuple[FileLine, ...]
    files: FilesView


class Intake:
    """Answers at the reporter's doors."""

    def __init__(self, desk: Desk, stamps: Stamps, clock: Clock, settings: DisclosureSettings) -> None:
        """Take reports for `desk`, as `settings` bound them."""
        self._desk = desk
        self._stamps = stamps
        self._pace = Pace(clock, settings.per_address, settings.per_hour)
        self._looks = Pace(clock, 4 * settings.per_address, 4 * settings.per_hour)
        self._tries = Pace(clock, _TRIES, _TRIES_OF_ALL, MINUTE_SECONDS)
        self._elsewhere = settings.contacts[0].removeprefix("mailto:")
        self._files = FilesView(settings.files, f"{settings.files_size.bytes / (1 << 20):g} MiB")
        self._taken = (
            FilesTaken(most=settings.files, bytes_together=settings.files_size.bytes) if settings.files else None
        )

    def doors(self) -> tuple[PageDoor, ...]:
        """Return the doors of the reporter."""
        follow = f"{FOLLOW}/{{key}}"
        return (
            PageDoor(name="form", path=PATH, handler=self.form, audience="anybody"),
            PageDoor(
                name="send", path=PATH, handler=self.send, audience="anybody", method="POST",
                form_bytes=LARGEST_FORM_BYTES, files=self._taken, admit=self._tries.admit,
            ),
            PageDoor(name="follow", path=follow, handler=self.follow, audience="anybody"),
            PageDoor(
                name="answer", path=follow, handler=self.answer, audience="anybody", method="POST", form_bytes=131_072,
                files=self._taken, admit=self._tries.admit,
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
        if wait := self._pace.wait_seconds(asked.ip) or self._wait_to_look(asked):
            return self._form(asked.form, {}, self._too_many(), 429, wait)
        try:
            attachments = await _judge(asked.files)
        except AttachmentRefused as refused:
            said = f"Nothing was sent yet: {refused.sentence} {TAKEN} Choose your files once more."
            return self._form(asked.form, {}, said, 422)
        if not self._pace.admits(asked.ip):
            return self._form(asked.form, {}, self._too_many(), 429, self._pace.wait_seconds(asked.ip))
        link = await self._desk.receive(contents_of(asked.form), stamp, asked.actor, attachments)
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
            lines_of(await self._desk.files.of_report(report.id)),
            self._files,
        )
        return Shown(f"Report {report.number}", "follow.html", view)

    async def answer(self, asked: Asked) -> SentOn:
        """Keep what the reporter says and attaches. Raises: AttachmentRefused, TooManyRequests, as `Desk.say`."""
        report = await self._desk.by_link(asked.path["key"])
        if wait := self._wait_to_look(asked):
            raise TooManyRequests(self._too_many(), retry_after_seconds=wait)
        attachments, text = await _judge(asked.files), message_in(asked.form)
        await self._desk.say(report, "reporter", text, actor=asked.actor, author="reporter", attachments=attachments)
        return SentOn(f"{FOLLOW}/{asked.path['key']}")

    def _wait_to_look(self, asked: Asked) -> int:
        """Return for how many seconds no more attachments of who asks are looked into: looking costs time."""
        return 0 if not asked.files or self._looks.admits(asked.ip) else self._looks.wait_seconds(asked.ip)

    def _too_many(self) -> str:
        return f"Too many reports came in the last hour. Send it later, or write to {self._elsewhere}."

    def _form(
        self, form: Mapping[str, str], faults: Mapping[str, str], problem: str | None, status: int,
        wait_seconds: int | None = None,
    ) -> Shown:  # fmt: skip
        lines = tuple(FormLine(field, form.get(field.name, ""), faults.get(field.name)) for field in FIELDS)
        view = FormView(lines, self._stamps.make(), problem, self._files)
        return Shown("Report a vulnerability", "form.html", view, status, wait_seconds)


async def _judge(files: Sequence[SentFile]) -> tuple[Attachment, ...]:
    """Return `files` as `judged` does, on a thread of its own. Raises: AttachmentRefused."""
    if not files:
        return ()
    return await asyncio.get_running_loop().run_in_executor(_JUDGES, judged, files)


def parts_of(report: Report) -> tuple[Part, ...]:
    """Return what the reporter wrote, field by field, as it may be shown."""
    said = msgspec.structs.asdict(report.contents)
    return tuple(Part(field.label, visible(said[field.name])) for field in FIELDS if said[field.name])


def line_of(message: Message, *, with_author: bool) -> MessageLine:
    """Return a message as it may be shown: who of the desk wrote it is not for the reporter."""
    at = to_rfc3339(message.written_us)[:16].replace("T", " ")
    return MessageLine(message.kind, message.author if with_author else "", at, visible(message.text))
