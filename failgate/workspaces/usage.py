"""What each workspace uses, by day, and how much it may use.

Counters change in the transaction of what they count. Bytes are of artifacts, each content once in its workspace; what
is stored now is all that came less all that went. A quota is the server's (`[limits]`), or a workspace's own, set by
whoever has the platform role.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from failgate.access.principal import Principal
from failgate.audit.log import AuditLog
from failgate.audit.record import Act, Actor, Event
from failgate.base.canonical import JSON
from failgate.base.clock import MICROSECONDS, Clock
from failgate.base.db import Database, Row, Transaction
from failgate.base.errors import BadInput, Conflict, NotFound, TooLarge, TooManyRequests

DAY_SECONDS: Final = 24 * 3600
SHOWN_DAYS: Final = 90
MOST: Final = 2**53 - 1
QUOTAS: Final = ("storage_bytes", "reports_per_day", "recording_seconds_per_day", "commands_per_day", "seats")
_BY_DAY: Final = {
    "reports_per_day": "reports", "commands_per_day": "commands", "recording_seconds_per_day": "recording_ms",
}  # fmt: skip
_QUOTA_OF: Final = {column: quota for quota, column in _BY_DAY.items()} | {"bytes_added": "storage_bytes"}
_COLUMNS: Final = ("reports", "commands", "recording_ms", "bytes_added", "bytes_removed")
_ADD: Final = {
    column: f"INSERT INTO usage_day (workspace_id, day, {column}) VALUES ($1, $2, $3)"
    f" ON CONFLICT (workspace_id, day) DO UPDATE SET {column} = usage_day.{column} + excluded.{column}"
    for column in _COLUMNS
}
_STORED = """
SELECT CAST(COALESCE(SUM(bytes_added - bytes_removed), 0) AS BIGINT) AS number FROM usage_day WHERE workspace_id = $1
"""
_SEATS = "SELECT count(*) AS number FROM membership WHERE workspace_id = $1"
_REPORTS = "SELECT count(*) AS number FROM report WHERE workspace_id = $1"
_SET = """
INSERT INTO workspace_limit (workspace_id, quota, amount, set_by, set_us) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (workspace_id, quota) DO UPDATE SET amount = $3, set_by = $4, set_us = $5
"""


@dataclass(frozen=True, slots=True)
class Day:
    """The use of one day; `day` counts from 1970, in UTC."""

    day: int
    reports: int
    commands: int
    recording_ms: int
    bytes_added: int
    bytes_removed: int


@dataclass(frozen=True, slots=True)
class Quota:
    """A quota: what is used of it now, how much may be (None: no limit), and whether the workspace has its own."""

    name: str
    used: int
    limit: int | None
    is_own: bool


@dataclass(frozen=True, slots=True)
class Used:
    """What a workspace uses: stored now, its quotas, and its days, the oldest first."""

    bytes_stored: int
    reports: int
    seats: int
    quotas: tuple[Quota, ...]
    days: tuple[Day, ...]


class Usage:
    """Counts, answers and enforces."""

    def __init__(self, db: Database, audit: AuditLog, clock: Clock, defaults: Mapping[str, int | None]) -> None:
        """Count in `db`; `defaults` are the quotas of a workspace without its own."""
        self._db = db
        self._audit = audit
        self._clock = clock
        self._defaults = defaults
        self._own: dict[str, dict[str, int | None]] | None = None  # few: read once, then kept as they change

    async def asked(self, tx: Transaction, workspace_id: str, number: int) -> None:
        """Count `number` commands that are asked for.

        Raises: TooManyRequests.
        """
        await self.check(tx, workspace_id, "commands_per_day", number)
        await self.count(tx, workspace_id, "commands", number)

    async def count(self, tx: Transaction, workspace_id: str, column: str, amount: int) -> None:
        """Add `amount` to today's `reports`, `commands`, `recording_ms`, `bytes_added` or `bytes_removed`."""
        quota = _QUOTA_OF.get(column)
        if quota is None or (await self._limit(tx, workspace_id, quota))[0] is None:
            tx.put_off(_ADD[column], workspace_id, self._today(), amount)
        else:  # at once: what is put off is not seen by the next verb of the group, which would pass the quota too
            await tx.execute(_ADD[column], workspace_id, self._today(), amount)

    async def check(self, tx: Transaction, workspace_id: str, quota: str, more: int) -> None:
        """Return when `more` still fits into the quota.

        Raises: TooManyRequests (of a day); TooLarge (storage); Conflict (seats). Each names the quota and the mend.
        """
        limit, _ = await self._limit(tx, workspace_id, quota)
        if limit is None:
            return
        used = await self._used(tx, workspace_id, quota)
        if used + more <= limit:
            return
        said = f"The workspace's quota {quota} is used up: {used} of {limit}."
        if quota in _BY_DAY:
            raise TooManyRequests(
                said, hint="It begins anew at midnight UTC; whoever runs the server may raise it.",
                retry_after_seconds=DAY_SECONDS - self._clock.now_us() // MICROSECONDS % DAY_SECONDS,
            )  # fmt: skip
        if quota == "seats":
            raise Conflict(
                said, hint="Remove a member, or ask whoever runs the server.", quota=quota, used=used, limit=limit
            )
        raise TooLarge(
            said, hint="Delete reports, shorten the retention, or ask whoever runs the server.",
            quota=quota, used=used, limit=limit,
        )  # fmt: skip

    async def read(self, workspace_id: str, days: int = SHOWN_DAYS) -> Used:
        """Return what the workspace uses."""
        query = f"SELECT day, {', '.join(_COLUMNS)} FROM usage_day WHERE workspace_id = $1 AND day > $2 ORDER BY day"
        rows = await self._db.fetch(query, workspace_id, self._today() - days)
        stored = await self._used(self._db, workspace_id, "storage_bytes")
        seats = await self._used(self._db, workspace_id, "seats")
        quotas = [
            Quota(
                name, await self._used(self._db, workspace_id, name), *await self._limit(self._db, workspace_id, name)
            )
            for name in QUOTAS
        ]
        found = await self._db.fetch_one(_REPORTS, workspace_id)
        return Used(stored, found["number"] if found else 0, seats, tuple(quotas), tuple(_day(row) for row in rows))

    async def set_limit(self, principal: Principal, workspace_id: str, quota: str, amount: int | None) -> None:
        """Give a workspace a quota of its own; None: no limit.

        Raises: BadInput; NotFound (no such workspace).
        """
        if quota not in QUOTAS:
            raise BadInput(f"There is no quota {quota[:40]!r}.", hint=f"One of {', '.join(QUOTAS)}.")
        if amount is not None and not 0 <= amount <= MOST:
            raise BadInput("A quota is a whole number, or none.", hint="Leave it empty for no limit.")

        async def verb(tx: Transaction) -> None:
            if await tx.fetch_one("SELECT id FROM workspace WHERE id = $1", workspace_id) is None:
                raise NotFound("There is no such workspace.")
            await tx.execute(_SET, workspace_id, quota, amount, principal.id, self._clock.now_us())
            facts: dict[str, JSON] = {"quota": quota, "amount": amount}
            event = Event(Act.LIMIT_CHANGED, workspace_id, "workspace", workspace_id, Actor.of(principal), facts)
            await self._audit.append(tx, event)
            tx.after_commit(self._forget)

        await self._db.write(verb)

    def _forget(self) -> None:
        self._own = None

    async def _limit(self, reader: "Database | Transaction", workspace_id: str, quota: str) -> tuple[int | None, bool]:
        """Return how much of the quota there is, and whether that is the workspace's own limit."""
        own = self._own
        if own is None:
            own = self._own = {}
            for row in await reader.fetch("SELECT workspace_id, quota, amount FROM workspace_limit"):
                own.setdefault(row["workspace_id"], {})[row["quota"]] = row["amount"]
        mine = own.get(workspace_id)
        if mine is not None and quota in mine:
            return mine[quota], True
        return self._defaults.get(quota), False

    async def _used(self, reader: "Database | Transaction", workspace_id: str, quota: str) -> int:
        if quota in _BY_DAY:
            query = f"SELECT {_BY_DAY[quota]} AS number FROM usage_day WHERE workspace_id = $1 AND day = $2"
            row = await reader.fetch_one(query, workspace_id, self._today())
        else:
            row = await reader.fetch_one(_STORED if quota == "storage_bytes" else _SEATS, workspace_id)
        number = int(row["number"]) if row is not None else 0
        return number // 1000 if quota == "recording_seconds_per_day" else number

    def _today(self) -> int:
        return self._clock.now_us() // (DAY_SECONDS * MICROSECONDS)


def _day(row: Row) -> Day:
    return Day(
        row["day"], row["reports"], row["commands"], row["recording_ms"], row["bytes_added"], row["bytes_removed"]
    )
