"""The desk's verbs: reports are received, followed and answered. Each is on record before it is done."""

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal
from uuid import uuid4

import msgspec

from failgate.plugin import (
    Actor,
    Conflict,
    Database,
    Host,
    NotFound,
    PlatformPerson,
    Row,
    SecretBox,
    Transaction,
    Unprocessable,
)
from failgate_disclosure.attachments import Attachment
from failgate_disclosure.fields import LONGEST_MESSAGE, Contents
from failgate_disclosure.kept_files import Files
from failgate_disclosure.limits import digest_of
from failgate_disclosure.states import ACKNOWLEDGE_SECONDS, MEANING, NEXT, REASONS, State

Kind = Literal["reporter", "desk", "note", "state"]
MOST_MESSAGES: Final = 500  # of one report
PAGE: Final = 50  # reports on a page of the queue
_LINK: Final = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)


class _Said(msgspec.Struct, frozen=True):
    text: str


@dataclass(frozen=True, slots=True)
class Message:
    """What was said about a report: by the reporter, by the desk to them, as a note among the desk, a new state."""

    kind: Kind
    author: str
    written_us: int
    text: str


@dataclass(frozen=True, slots=True)
class Report:
    """A report as the desk keeps it; `number` is what people call it by. Times are microseconds since 1970."""

    id: str
    number: int
    state: State
    reason: str | None
    assignee: str | None
    received_us: int
    acknowledged_us: int | None
    contents: Contents


class Desk:
    """Keeps reports in a database of its own, their contents sealed."""

    def __init__(self, host: Host, database: Database, box: SecretBox, files: Files | None = None) -> None:
        """Keep in `database`, seal by `box`; attachments are in `files`."""
        self.files = files or Files(database, box, host.clock)
        self._host = host
        self._database = database
        self._box = box

    async def receive(
        self, contents: Contents, stamp: str, actor: Actor, attachments: Sequence[Attachment] = ()
    ) -> str:
        """Keep a new report with its attachments; return the secret of its private link (256 bits, 43 characters).

        Raises: Conflict (the form of `stamp` was sent already, no room for attachments).
        """
        identity, link, form = str(uuid4()), secrets.token_urlsafe(32), digest_of(stamp)
        if await self._database.fetch_one("SELECT id FROM report WHERE form_sha256 = $1", form) is not None:
            raise _sent_already()
        await self.files.check_room(attachments)
        await self._host.record("disclosure.received", identity, actor=actor, state="new")
        sealed = self._box.seal(msgspec.json.encode(contents), purpose="disclosure report", owner=identity)
        now_us = self._host.clock.now_us()

        async def verb(tx: Transaction) -> None:
            if await tx.fetch_one("SELECT id FROM report WHERE form_sha256 = $1", form) is not None:
                raise _sent_already()
            await tx.execute(
                "INSERT INTO report (id, number, link_sha256, form_sha256, state, received_us, sealed)"
                " SELECT $1, COALESCE(MAX(number), 0) + 1, $2, $3, 'new', $4, $5 FROM report",
                identity, digest_of(link), form, now_us, sealed,
            )  # fmt: skip
            await self.files.put(tx, identity, attachments)

        await self._database.write(verb)
        self._host.log.info("disclosure.received", report=identity)
        return link

    async def by_link(self, link: str) -> Report:
        """Return the report of a private link. Raises: NotFound."""
        row = None
        if _LINK.fullmatch(link):
            row = await self._database.fetch_one("SELECT * FROM report WHERE link_sha256 = $1", digest_of(link))
        if row is None:
            raise NotFound("There is no report behind this link.")
        return self._report(row)

    async def by_id(self, identity: str) -> Report:
        """Return the report `identity`. Raises: NotFound."""
        row = await self._database.fetch_one("SELECT * FROM report WHERE id = $1", identity)
        if row is None:
            raise NotFound("There is no such report.")
        return self._report(row)

    async def queue(self, *, is_closed: bool, number: int = 1) -> tuple[list[Report], bool]:
        """Return page `number`, from 1, of the open reports, the oldest first, or of the closed ones, the newest first.

        With it comes whether more follow.
        """
        which = "= 'closed' ORDER BY" if is_closed else "<> 'closed' ORDER BY state <> 'new', received_us,"
        order = "number DESC" if is_closed else "number"
        rows = await self._database.fetch(
            f"SELECT * FROM report WHERE state {which} {order} LIMIT {PAGE + 1} OFFSET $1", (number - 1) * PAGE
        )
        return [self._report(row) for row in rows[:PAGE]], len(rows) > PAGE

    async def move(self, report: Report, state: str, reason: str | None, *, actor: Actor, author: str) -> None:
        """Put a report into `state`; the reporter reads so, and when it is closed the words of `reason`.

        Raises: Unprocessable (no such state or reason), Conflict (it is in another state by now).
        """
        after = next((each for each in NEXT[report.state] if each == state), None)
        if after is None:
            raise Conflict(f"A report that is {report.state} does not become that.", hint="Load its page again.")
        if (after == "closed") != (reason is not None) or (reason is not None and reason not in REASONS):
            raise Unprocessable("A report is closed for one of the reasons.", hint="Choose one.")
        await self._host.record("disclosure.moved", report.id, actor=actor, state=f"{after} {reason or ''}".strip())
        now_us = self._host.clock.now_us()

        async def verb(tx: Transaction) -> None:
            changed = await tx.execute(
                "UPDATE report SET state = $1, reason = $2, acknowledged_us = COALESCE(acknowledged_us, $3)"
                " WHERE id = $4 AND state = $5",
                after, reason, now_us, report.id, report.state,
            )  # fmt: skip
            if changed != 1:
                raise Conflict("Somebody moved this report meanwhile.", hint="Load its page again.")
            await self._add(tx, report.id, "state", author, f"{MEANING[after]} {REASONS.get(reason or '', '')}".strip())

        await self._database.write(verb)

    async def assign(self, report: Report, assignee: str | None, *, actor: Actor) -> None:
        """Give a report to the person of the address `assignee`, who has the platform role, or to nobody.

        Raises: Unprocessable (nobody of that address has the role by now).
        """
        person = next((one for one in await self.people() if one.email == assignee), None)
        if assignee is not None and person is None:
            hint = "Choose one of those who have the role."
            raise Unprocessable("The person of this address does not have the platform role.", hint=hint)
        act = "disclosure.assigned" if person else "disclosure.released"
        await self._host.record(act, report.id, actor=actor, state=person.id if person else None)
        await self._database.write(
            lambda tx: tx.execute("UPDATE report SET assignee = $1 WHERE id = $2", assignee, report.id)
        )

    async def people(self) -> Sequence[PlatformPerson]:
        """Return whom a report may be given to: who has the platform role."""
        return await self._host.platform_people()

    async def note_read(self, report: Report, actor: Actor) -> None:
        """Put on record that somebody of the desk read a report."""
        await self._host.record("disclosure.read", report.id, actor=actor)

    async def note_exported(self, report: Report, form: str, actor: Actor) -> None:
        """Put on record that somebody took the draft of a report's advisory away, in `form`."""
        await self._host.record("disclosure.exported", report.id, actor=actor, state=form)

    async def note_late(self) -> int:
        """Put on record, once each, the reports that nobody acknowledged in time; return how many wait that long."""
        now_us = self._host.clock.now_us()
        rows = await self._database.fetch(
            "SELECT id, number, overdue_us FROM report WHERE state = 'new' AND received_us <= $1",
            now_us - ACKNOWLEDGE_SECONDS * 1_000_000,
        )
        for identity, number in [(row["id"], row["number"]) for row in rows if row["overdue_us"] is None]:
            await self._host.record("disclosure.overdue", identity, actor=Actor("system", "failgate"))
            self._host.log.warning("disclosure.overdue", report=identity, number=number)
            await self._database.write(partial(_mark_late, identity, now_us))
        return len(rows)

    async def messages(self, report: Report, kinds: Sequence[Kind]) -> list[Message]:
        """Return what was said about a report, of `kinds` alone, the oldest first."""
        rows = await self._database.fetch("SELECT * FROM message WHERE report_id = $1 ORDER BY rowid", report.id)
        return [self._message(row) for row in rows if row["kind"] in kinds]

    async def say(
        self, report: Report, kind: Kind, text: str, *, actor: Actor, author: str,
        attachments: Sequence[Attachment] = (),
    ) -> None:  # fmt: skip
        """Add `text`, 1 to 10,000 characters, to what was said about a report, with its attachments.

        Raises: Unprocessable (empty or too long), Conflict (nobody reads that many, no room for attachments).
        """
        if not 1 <= len(text) <= LONGEST_MESSAGE:
            hint = f"Say it in 1 to {LONGEST_MESSAGE:,} characters; a message has {len(text):,}."
            raise Unprocessable("The message is empty or too long.", hint=hint)
        rows = await self._database.fetch_one("SELECT COUNT(*) AS n FROM message WHERE report_id = $1", report.id)
        if rows is not None and rows["n"] >= MOST_MESSAGES:
            raise Conflict("So much was said here that nobody reads it.", hint="Go on by one of the other contacts.")
        await self.files.check_room(attachments, report.id)
        acts = {"reporter": "disclosure.answered", "desk": "disclosure.told", "note": "disclosure.noted"}
        await self._host.record(acts[kind], report.id, actor=actor)

        async def verb(tx: Transaction) -> None:
            await self._add(tx, report.id, kind, author, text)
            await self.files.put(tx, report.id, attachments)

        await self._database.write(verb)

    async def _add(self, tx: Transaction, report_id: str, kind: Kind, author: str, text: str) -> None:
        identity = str(uuid4())
        sealed = self._box.seal(msgspec.json.encode(_Said(text)), purpose="disclosure message", owner=identity)
        await tx.execute(
            "INSERT INTO message (id, report_id, kind, author, written_us, sealed) VALUES ($1, $2, $3, $4, $5, $6)",
            identity, report_id, kind, author, self._host.clock.now_us(), sealed,
        )  # fmt: skip

    def _report(self, row: Row) -> Report:
        plain = self._box.unseal(row["sealed"], purpose="disclosure report", owner=row["id"])
        return Report(
            row["id"], row["number"], row["state"], row["reason"], row["assignee"], row["received_us"],
            row["acknowledged_us"], msgspec.json.decode(plain, type=Contents),
        )  # fmt: skip

    def _message(self, row: Row) -> Message:
        plain = self._box.unseal(row["sealed"], purpose="disclosure message", owner=row["id"])
        return Message(row["kind"], row["author"], row["written_us"], msgspec.json.decode(plain, type=_Said).text)


async def _mark_late(identity: str, now_us: int, tx: Transaction) -> None:
    await tx.execute("UPDATE report SET overdue_us = $1 WHERE id = $2", now_us, identity)


def _sent_already() -> Conflict:
    return Conflict(
        "This form was sent already, and its report has arrived.", hint="Load the form again to write another one."
    )
