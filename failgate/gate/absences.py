"""Who is away, and who stands in for them. What a stand-in may do is up to `standing_in`; who is told, to `notify`.

An absence is declared by whoever is away, for one workspace. It counts while its time lasts and both still may decide
there: that is asked anew each time. It ends for good when either leaves, is disabled or loses the role.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from failgate.audit.log import AuditLog
from failgate.audit.record import Act, Actor, Event
from failgate.base.canonical import JSON
from failgate.base.clock import MICROSECONDS, Clock
from failgate.base.db import Database, Transaction
from failgate.base.errors import BadInput, Forbidden, NotFound, Unprocessable
from failgate.gate.electorate import VOTING_ROLES, Electorate
from failgate.gate.terms import Person, Terms, mailbox

MOST_DAYS: Final = 366
_DAY_US: Final = 86_400 * MICROSECONDS
_KEEP: Final = (
    "INSERT INTO gate_absence (workspace_id, account_id, from_us, until_us, zone, stand_in, declared_us)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (workspace_id, account_id) DO UPDATE SET"
    " from_us = excluded.from_us, until_us = excluded.until_us, zone = excluded.zone, stand_in = excluded.stand_in,"
    " declared_us = excluded.declared_us"
)
_COLUMNS: Final = "workspace_id, account_id, from_us, until_us, zone, stand_in, declared_us"
_AHEAD: Final = f"SELECT {_COLUMNS} FROM gate_absence WHERE workspace_id = $1 AND until_us > $2 ORDER BY from_us"
_OWN: Final = f"SELECT {_COLUMNS} FROM gate_absence WHERE account_id = $1 AND until_us > $2"
_DROP: Final = "DELETE FROM gate_absence WHERE workspace_id = $1 AND account_id = $2"
_LEAVE: Final = "UPDATE gate_absence SET stand_in = NULL WHERE workspace_id = $1 AND account_id = $2"


class Absence(msgspec.Struct, frozen=True):
    """An absence as it was declared; times are microseconds since 1970, `zone` is the name of the zone they were in.

    `declared_us` is set when it is kept.
    """

    workspace_id: str
    account_id: str
    from_us: int
    until_us: int
    zone: str
    stand_in: str | None = None
    declared_us: int = 0

    @property
    def counts_from_us(self) -> int:
        """Return since when somebody stands in: not before it was declared."""
        return max(self.from_us, self.declared_us)


class Away(msgspec.Struct, frozen=True):
    """Somebody who may decide and is away now; `stand_in` is who does so for them, if they may."""

    absence: Absence
    person: Person
    stand_in: Person | None


class Absences:
    """The absences of all members."""

    def __init__(self, db: Database, audit: AuditLog, clock: Clock, electorate: Electorate) -> None:
        """Keep them in `db`; `electorate` knows who may decide."""
        self._db = db
        self._audit = audit
        self._clock = clock
        self._electorate = electorate

    async def declare(self, actor: Actor, absence: Absence) -> None:
        """Have the account be away, in place of what it declared before.

        Raises: BadInput (times that are none, no such zone), Forbidden (it may not decide there), Unprocessable (who
        would stand in may not decide there, or is the same person).
        """
        now_us = self._clock.now_us()
        if not max(absence.from_us, now_us) < absence.until_us <= absence.from_us + MOST_DAYS * _DAY_US:
            raise BadInput(
                "The absence ends before it begins, is over already, or is longer than a year.",
                hint=f"It ends in the future, at most {MOST_DAYS} days after it began.",
            )
        check_zone(absence.zone)
        workspace_id, account_id = absence.workspace_id, absence.account_id

        async def verb(tx: Transaction) -> None:
            person = await self._electorate.voter(tx, workspace_id, account_id)
            if person is None:
                raise Forbidden(
                    "Only who may decide on commands here declares an absence.",
                    hint="Enrol a second factor, or ask an admin of the workspace for the role.",
                )
            if absence.stand_in is not None:
                await self._check_stand_in(tx, person, absence)
            facts: dict[str, JSON] = {"from_us": absence.from_us, "until_us": absence.until_us}
            if absence.stand_in is not None:
                facts["stand_in"] = absence.stand_in
            await self._record(tx, Act.ABSENCE_DECLARED, workspace_id, account_id, actor, facts)
            await tx.execute(_KEEP, *msgspec.structs.astuple(absence)[:-1], now_us)

        await self._db.write(verb)

    async def _check_stand_in(self, tx: Transaction, person: Person, absence: Absence) -> None:
        stand_in = await self._electorate.voter(tx, absence.workspace_id, absence.stand_in or "")
        if stand_in is None:
            raise Unprocessable(
                "Who would stand in may not decide in this workspace.",
                hint="Name a member whose role may vote, and who has a second factor.",
            )
        if mailbox(stand_in.email) == mailbox(person.email):
            raise Unprocessable("Nobody stands in for themselves.", hint="Name another person, or nobody.")

    async def end(self, actor: Actor, workspace_id: str, account_id: str) -> None:
        """Have the account be back. Raises: NotFound (it is not away)."""

        async def verb(tx: Transaction) -> None:
            if await tx.execute(_DROP, workspace_id, account_id) != 1:
                raise NotFound("There is no such absence.")
            await self._record(tx, Act.ABSENCE_ENDED, workspace_id, account_id, actor, {"reason": "returned"})

        await self._db.write(verb)

    async def end_in_workspace(self, tx: Transaction, workspace_id: str, account_id: str, actor: Actor) -> None:
        """End the absence of a member who leaves, and what they stand in for."""
        await self._end_all(tx, workspace_id, account_id, actor, "member_removed")

    async def end_of_account(self, tx: Transaction, account_id: str, actor: Actor) -> None:
        """End everywhere the absences of an account that is disabled, and what it stands in for."""
        query = "SELECT DISTINCT workspace_id FROM gate_absence WHERE account_id = $1 OR stand_in = $1"
        for row in await tx.fetch(query, account_id):
            await self._end_all(tx, row["workspace_id"], account_id, actor, "account_disabled")

    async def follow_role(self, tx: Transaction, workspace_id: str, account_id: str, actor: Actor) -> None:
        """End the absence of a member whose role may no longer vote, and what they stand in for."""
        query = "SELECT role FROM membership WHERE workspace_id = $1 AND account_id = $2"
        row = await tx.fetch_one(query, workspace_id, account_id)
        if row is None or row["role"] not in VOTING_ROLES:
            await self._end_all(tx, workspace_id, account_id, actor, "role_lost")

    async def _end_all(self, tx: Transaction, workspace_id: str, account_id: str, actor: Actor, reason: str) -> None:
        if await tx.execute(_DROP, workspace_id, account_id):
            await self._record(tx, Act.ABSENCE_ENDED, workspace_id, account_id, actor, {"reason": reason})
        query = "SELECT account_id FROM gate_absence WHERE workspace_id = $1 AND stand_in = $2 ORDER BY account_id"
        for row in await tx.fetch(query, workspace_id, account_id):
            facts: dict[str, JSON] = {"stand_in": account_id, "reason": reason}
            await self._record(tx, Act.STAND_IN_ENDED, workspace_id, row["account_id"], actor, facts)
            await tx.execute(_LEAVE, workspace_id, row["account_id"])

    async def of_account(self, account_id: str) -> Mapping[str, Absence]:
        """Return what an account declared that is not over, by workspace."""
        rows = await self._db.fetch(_OWN, account_id, self._clock.now_us())
        return {row["workspace_id"]: Absence(**row) for row in rows}

    async def now(self, workspace_id: str) -> list[Away]:
        """Return who is away in the workspace now, each with who stands in; neither who may not decide there."""
        now_us, found = self._clock.now_us(), list[Away]()
        for row in await self._db.fetch(_AHEAD, workspace_id, now_us):
            absence = Absence(**row)
            if absence.from_us > now_us:
                continue
            person = await self._electorate.voter(self._db, workspace_id, absence.account_id)
            if person is not None:
                stand_in = absence.stand_in
                other = None if stand_in is None else await self._electorate.voter(self._db, workspace_id, stand_in)
                found.append(Away(absence, person, other))
        return found

    async def stand_ins(self, workspace_id: str) -> Mapping[str, str]:
        """Return the account that stands in, by the account that is away now."""
        away = await self.now(workspace_id)
        return {one.person.account_id: one.stand_in.account_id for one in away if one.stand_in is not None}

    async def _record(
        self, tx: Transaction, act: Act, workspace_id: str, account_id: str, actor: Actor, facts: dict[str, JSON]
    ) -> None:
        await self._audit.append(tx, Event(act, workspace_id, "account", account_id, actor, facts))


def seats_of(terms: Terms, excluded: Collection[str], away: Sequence[Away]) -> list[Away]:
    """Return those of `away` whose seat in a group of `terms` somebody else may take, as far as it shows here. Pure.

    `excluded` are accounts that do not decide. What counts is `standing_in.with_seats`.
    """
    barred = set(map(mailbox, terms.excluded))
    return [
        one
        for one in away
        if one.stand_in is not None
        and any(group.has(one.person) for group in terms.groups)
        and not any(who.account_id in excluded or mailbox(who.email) in barred for who in (one.person, one.stand_in))
    ]


def check_zone(name: str) -> tzinfo:
    """Return the zone of that name. Raises: BadInput."""
    if name == "UTC":
        return UTC  # also where the machine has no list of zones
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        raise BadInput("There is no such time zone.", hint="Write it like Europe/Berlin, or UTC.") from None


def moment_in(text: str, zone: tzinfo) -> int:
    """Return the local time `text` (`2026-11-24T09:00`) of `zone`, in microseconds since 1970. Raises: BadInput."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is not None or not 2000 <= at.year <= 2200:
        raise BadInput("A time of the absence is none.", hint="Write it like 2026-11-24T09:00.")
    return int(at.replace(tzinfo=zone).astimezone(UTC).timestamp()) * MICROSECONDS
