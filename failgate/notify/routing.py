"""From the audit log into the outbox: each record that is to be told of becomes one entry for each who wants to hear.

The entries and the cursor change in one transaction, and an entry is unique for its target and record, so that a
crash at any moment neither loses nor doubles one. What is read is committed: nothing is told that did not happen.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from failgate.access.role import GRANTS, Role
from failgate.audit.log import AuditLog
from failgate.audit.record import Act
from failgate.base.clock import MICROSECONDS, Clock
from failgate.base.db import Database, Row, Transaction
from failgate.base.ids import new_id
from failgate.base.log import get_logger
from failgate.gate.journal import LAPSED
from failgate.notify import cursor, events
from failgate.notify.destinations import Destinations, Place
from failgate.notify.notifier import Notification, Notifiers
from failgate.notify.outbox import Entry, Outbox, message_id
from failgate.notify.preferences import Preferences
from failgate.notify.subjects import CommandFacts, ReportFacts, SealedFacts, Subjects
from failgate.notify.wording import Happening, Setting, of_command, of_report, of_sealed
from failgate.workspaces.workspaces import Workspaces

MOST_IN_BATCH: Final = 200
Subject = CommandFacts | ReportFacts | SealedFacts
StandIns = Callable[[str], Awaitable[Mapping[str, str]]]
"""Of a workspace: the account that stands in, by the account that is away now."""
_log = get_logger("failgate.notify")


@dataclass(frozen=True, slots=True)
class Audience:
    """Who may want to hear in one workspace: its destinations, the roles of its members, what they chose.

    `stand_ins` is who stands in for whoever is away now, by the account that is away.
    """

    slug: str
    places: Sequence[Place]
    roles: Mapping[str, Role]
    chosen: Mapping[str, frozenset[str]]
    stand_ins: Mapping[str, str] = field(default_factory=dict[str, str])


class Routing:
    """Reads the logs and fills the outbox."""

    def __init__(
        self,
        db: Database,
        audit: AuditLog,
        clock: Clock,
        *,
        notifiers: Notifiers,
        destinations: Destinations,
        preferences: Preferences,
        subjects: Subjects,
        workspaces: Workspaces,
        stand_ins: StandIns,
        outbox: Outbox,
        base_url: str,
    ) -> None:
        """Keep what it works with; links begin with `base_url`."""
        self._db = db
        self._audit = audit
        self._clock = clock
        self._notifiers = notifiers
        self._destinations = destinations
        self._preferences = preferences
        self._subjects = subjects
        self._workspaces = workspaces
        self._stand_ins = stand_ins
        self._outbox = outbox
        self._base_url = base_url

    async def run_once(self) -> int:
        """Read everything that is committed; return how many entries were made."""
        made = 0
        while rows := await cursor.behind(self._db):
            for row in rows:
                made += await self._read(row)
        return made

    async def _read(self, row: Row) -> int:
        workspace_id, seq = row["workspace_id"], row["seq"]
        records = await self._audit.records(workspace_id, seq - 1, min(MOST_IN_BATCH, row["size"] - seq))
        if [record.seq for record in records] != list(range(seq, seq + len(records))) or not records:
            raise LookupError(f"the log {workspace_id} has no record {seq}; run `failgate audit verify`")
        happenings = [found for record in records if (found := happening_of(record.record)) is not None]
        entries = await self._entries(workspace_id, happenings) if happenings else []

        async def verb(tx: Transaction) -> int:
            if not await cursor.move(tx, workspace_id, seq, records[-1].seq + 1):
                return 0  # the workspace is gone, or somebody else was quicker
            for entry in entries:
                await self._outbox.put(tx, entry)
            return len(entries)

        return await self._db.write(verb)

    async def _entries(self, workspace_id: str, happenings: Sequence[Happening]) -> list[Entry]:
        audience = await self._audience(workspace_id)
        if audience is None:
            return []
        entries: list[Entry] = []
        for happening in happenings:
            subject = await self._subject(workspace_id, happening)
            if subject is None:
                _log.warning("notification.skipped", event_name=happening.event, subject=happening.object_id)
                continue
            if "edits" in happening.data and isinstance(subject, CommandFacts) and subject.state != "pending":
                continue  # who edited it approved it in the same moment: it never waited
            entries += self._to_places(workspace_id, audience, happening, subject)
            entries += self._to_members(workspace_id, audience, happening, subject)
        return entries

    async def _audience(self, workspace_id: str) -> Audience | None:
        # After the records were read: whoever was there when one was written is there now, or has left.
        workspace = await self._workspaces.by_id(workspace_id)
        if workspace is None:
            return None
        members = await self._workspaces.members(workspace_id)
        return Audience(
            workspace.slug,
            await self._destinations.list(workspace_id),
            {member.account_id: member.role for member in members},
            await self._preferences.of_workspace(workspace_id),
            await self._stand_ins(workspace_id),
        )

    async def _subject(self, workspace_id: str, happening: Happening) -> Subject | None:
        if happening.event == "report.regressed":
            return await self._subjects.report(workspace_id, str(happening.data.get("report", "")))
        if happening.event.startswith("report."):
            return await self._subjects.report(workspace_id, happening.object_id)
        if happening.act.startswith("sealed_command."):
            return await self._subjects.sealed(workspace_id, happening.object_id)
        return await self._subjects.command(workspace_id, happening.object_id)

    def _to_places(self, workspace_id: str, audience: Audience, happening: Happening, subject: Subject) -> list[Entry]:
        return [
            self._entry(workspace_id, place.id, place.notifier, happening, subject,
                        Setting(audience.slug, self._base_url, place.is_detailed))
            for place in audience.places
            if place.is_enabled and happening.event in place.events and happening.place > place.since
            and place.notifier in self._notifiers
        ]  # fmt: skip

    def _to_members(self, workspace_id: str, audience: Audience, happening: Happening, subject: Subject) -> list[Entry]:
        names = [name for name, notifier in self._notifiers.items() if notifier.addressing == "member"]
        setting = Setting(audience.slug, self._base_url)
        return [
            self._entry(workspace_id, account_id, name, happening, subject, setting, is_member=True)
            for account_id in hearers(audience, happening, subject)
            for name in names
        ]

    def _entry(
        self, workspace_id: str, target: str, notifier: str, happening: Happening, subject: Subject, setting: Setting,
        *, is_member: bool = False,
    ) -> Entry:  # fmt: skip
        entry_id, now_us = new_id(), self._clock.now_us()
        return Entry(
            entry_id, workspace_id, target, is_member, notifier, happening.place, happening.event,
            said_of(message_id(entry_id), happening, subject, setting), "waiting", 0, now_us, now_us,
        )  # fmt: skip


def said_of(message: str, happening: Happening, subject: Subject, setting: Setting) -> Notification:
    """Return what is said of `happening`, under the id `message`."""
    if isinstance(subject, CommandFacts):
        return of_command(message, happening, subject, setting)
    if isinstance(subject, SealedFacts):
        return of_sealed(message, happening, subject, setting)
    return of_report(message, happening, subject, setting)


def happening_of(record: Mapping[str, Any]) -> Happening | None:
    """Return what an audit record tells of, or None when nobody is told of it. Pure."""
    event = events.OF_ACT.get(record["act"])
    data: Mapping[str, Any] = record["data"]
    if event is None or data.get("reason") == LAPSED:  # an approval that was not used: it was decided before
        return None
    if record["act"] == Act.SEALED_COMMAND_DECIDED and data.get("state") in {None, "pending"}:
        return None  # one of several who have to approve
    moment = datetime.fromisoformat(record["ts"])
    occurred_us = int(moment.timestamp()) * MICROSECONDS + moment.microsecond
    return Happening(event, record["seq"], occurred_us, record["act"], record["obj"]["id"], data)


def hearers(audience: Audience, happening: Happening, subject: Subject) -> list[str]:
    """Return the accounts that hear of `happening` in person, in a stable order. Pure.

    Each is a member whose role may see it and who chose it. Nobody is asked to decide on what they asked for, and
    nobody is told of what they did a moment ago themselves.
    """
    kind = events.BY_NAME[happening.event]
    wanting = {
        account_id
        for account_id, role in audience.roles.items()
        if kind.needs in GRANTS[role]
        and (kind.is_always or kind.name in audience.chosen.get(account_id, events.DEFAULT_OF_MEMBERS))
    }
    if isinstance(subject, ReportFacts):
        return sorted(wanting - {subject.uploader_account_id})
    if kind.is_own:
        own = {subject.requester_account_id} if happening.decision != "cancelled" else set[str | None]()
        return sorted(wanting & own)
    own = {subject.requester_account_id, *subject.excluded}
    # Who stands in for somebody who is away is told in their place, whatever they chose for themselves.
    if happening.event == "command.escalated":
        told = set(happening.data.get("accounts", ()))
        wanting = told & (wanting | set(audience.stand_ins.values()))
    elif happening.event == "command.pending":
        wanting = {audience.stand_ins.get(account_id, account_id) for account_id in wanting - own}
    else:
        return sorted(wanting)
    return sorted(one for one in wanting - own if one in audience.roles and kind.needs in GRANTS[audience.roles[one]])
