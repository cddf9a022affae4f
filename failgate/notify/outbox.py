"""What is to be told, to whom, and how that went: rows that are put, taken in order, marked, sent again and swept."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from failgate.base.clock import MICROSECONDS, Clock
from failgate.base.db import Database, Row, Transaction
from failgate.notify.notifier import Notification

State = Literal["waiting", "delivered", "dead"]
MOST_WAITING: Final = 1_000  # for one target; what comes beyond is dead at once
MOST_ENDED: Final = 500  # that are kept for one target
KEPT_SECONDS: Final = 30 * 86_400
SWEEP_SECONDS: Final = 600
OVERFULL: Final = f"Not sent: {MOST_WAITING} waited already."

_COLUMNS: Final = (
    "id, workspace_id, target, is_member, notifier, place, event, body, state, attempts, next_us, created_us, ended_us,"
    " outcome"
)
_PUT: Final = (
    f"INSERT INTO notification ({_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, $10, $10, $11, $12)"
    " ON CONFLICT DO NOTHING"
)
_OF_TARGET: Final = f"SELECT {_COLUMNS} FROM notification WHERE workspace_id = $1 AND target = $2"
# The first of each target: what comes behind it waits for it.
_HEADS: Final = (
    f"SELECT {', '.join(f'n.{name.strip()}' for name in _COLUMNS.split(','))} FROM notification n JOIN"
    " (SELECT target, notifier, MIN(place) AS place FROM notification WHERE state = 'waiting'"
    " GROUP BY target, notifier) first"
    " ON first.target = n.target AND first.notifier = n.notifier AND first.place = n.place"
    " WHERE n.state = 'waiting' ORDER BY n.next_us, n.id LIMIT $1"
)
_HEAD: Final = (
    f"SELECT {_COLUMNS} FROM notification WHERE target = $1 AND notifier = $2 AND state = 'waiting'"
    " ORDER BY place LIMIT 1"
)
_MARK: Final = (
    "UPDATE notification SET state = $1, attempts = attempts + 1, next_us = $2, ended_us = $3, outcome = $4"
    " WHERE id = $5 AND state = 'waiting'"
)
_AGAIN: Final = (
    "UPDATE notification SET state = 'waiting', attempts = 0, next_us = $1, ended_us = NULL"
    " WHERE id = $2 AND workspace_id = $3 AND target = $4 AND state <> 'waiting'"
)
_SWEEP_OLD: Final = "DELETE FROM notification WHERE state <> 'waiting' AND ended_us < $1"
_SWEEP_MANY: Final = (
    "DELETE FROM notification WHERE id IN (SELECT id FROM (SELECT id, ROW_NUMBER() OVER"
    " (PARTITION BY target, notifier ORDER BY created_us DESC, id DESC) AS number FROM notification"
    " WHERE state <> 'waiting') ranked WHERE number > $1)"
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One notification for one target. Times are microseconds since 1970."""

    id: str
    workspace_id: str
    target: str
    is_member: bool
    notifier: str
    place: int
    event: str
    notification: Notification
    state: State
    attempts: int
    next_us: int
    created_us: int
    ended_us: int | None = None
    outcome: str | None = None


@dataclass(frozen=True, slots=True)
class Count:
    """How many notifications of a target stand how."""

    waiting: int = 0
    dead: int = 0
    delivered: int = 0


def message_id(entry_id: str) -> str:
    """Return the id under which the other side sees an entry, the same at each try."""
    return f"msg_{entry_id}"


class Outbox:
    """The rows. `filled` is set whenever there may be something to deliver."""

    def __init__(self, db: Database, clock: Clock) -> None:
        """Keep them in `db`."""
        self.filled = asyncio.Event()
        self._db = db
        self._clock = clock
        self._swept_us = 0

    async def put(self, tx: Transaction, entry: Entry) -> None:
        """Keep `entry`, once for its target and place. A target that is too far behind gets it as a dead one."""
        row = await tx.fetch_one(
            "SELECT COUNT(*) AS number FROM notification WHERE target = $1 AND notifier = $2 AND state = 'waiting'",
            entry.target, entry.notifier,
        )  # fmt: skip
        is_overfull = row is not None and row["number"] >= MOST_WAITING
        await tx.execute(
            _PUT, entry.id, entry.workspace_id, entry.target, int(entry.is_member), entry.notifier, entry.place,
            entry.event, msgspec.json.encode(entry.notification).decode(), "dead" if is_overfull else "waiting",
            entry.created_us, entry.created_us if is_overfull else None, OVERFULL if is_overfull else None,
        )  # fmt: skip
        tx.after_commit(self.filled.set)

    async def heads(self, limit: int) -> Sequence[Entry]:
        """Return the first waiting one of each target, those that are due earliest first."""
        return [_entry(row) for row in await self._db.fetch(_HEADS, limit)]

    async def head(self, target: str, notifier: str) -> Entry | None:
        """Return the first waiting one of a target."""
        row = await self._db.fetch_one(_HEAD, target, notifier)
        return _entry(row) if row is not None else None

    async def mark(
        self, tx: Transaction, entry: Entry, state: State, outcome: str | None, next_us: int | None = None
    ) -> bool:
        """Keep how a try went; return False when the entry is gone meanwhile."""
        now_us = self._clock.now_us()
        ended_us = None if state == "waiting" else now_us
        return await tx.execute(_MARK, state, next_us or now_us, ended_us, outcome, entry.id) == 1

    async def again(self, tx: Transaction, workspace_id: str, target: str, entry_id: str) -> bool:
        """Send one that ended once more, before what waits; return False when there is no such one."""
        is_there = await tx.execute(_AGAIN, self._clock.now_us(), entry_id, workspace_id, target) == 1
        tx.after_commit(self.filled.set)
        return is_there

    async def page(self, workspace_id: str, target: str, limit: int, before: str | None = None) -> Sequence[Entry]:
        """Return up to `limit` of a target, the newest first, those before the id `before`."""
        if before is None:
            query = f"{_OF_TARGET} ORDER BY id DESC LIMIT $3"
            rows = await self._db.fetch(query, workspace_id, target, limit)
        else:
            query = f"{_OF_TARGET} AND id < $4 ORDER BY id DESC LIMIT $3"
            rows = await self._db.fetch(query, workspace_id, target, limit, before)
        return [_entry(row) for row in rows]

    async def counts(self, workspace_id: str) -> dict[str, Count]:
        """Return how many stand how, by target."""
        rows = await self._db.fetch(
            "SELECT target, state, COUNT(*) AS number FROM notification WHERE workspace_id = $1 GROUP BY target, state",
            workspace_id,
        )
        found: dict[str, dict[str, int]] = {}
        for row in rows:
            found.setdefault(row["target"], {})[row["state"]] = row["number"]
        return {target: Count(**states) for target, states in found.items()}

    async def states(self) -> dict[str, int]:
        """Return how many wait and how many were given up, for the metrics."""
        rows = await self._db.fetch(
            "SELECT state, COUNT(*) AS number FROM notification WHERE state <> 'delivered' GROUP BY state"
        )
        return {"waiting": 0, "dead": 0} | {row["state"]: row["number"] for row in rows}

    async def sweep(self) -> None:
        """Forget what ended 30 days ago, and of each target all but the newest 500; at most every ten minutes."""
        now_us = self._clock.now_us()
        if 0 <= now_us - self._swept_us < SWEEP_SECONDS * MICROSECONDS:
            return
        self._swept_us = now_us

        async def verb(tx: Transaction) -> None:
            await tx.execute(_SWEEP_OLD, now_us - KEPT_SECONDS * MICROSECONDS)
            await tx.execute(_SWEEP_MANY, MOST_ENDED)

        await self._db.write(verb)


async def drop_target(tx: Transaction, workspace_id: str, target: str) -> None:
    """Forget everything of a target that is removed."""
    await tx.execute("DELETE FROM notification WHERE workspace_id = $1 AND target = $2", workspace_id, target)


async def end_all(tx: Transaction, workspace_id: str, now_us: int) -> None:
    """Send nothing more of a workspace that is deleted."""
    await tx.execute(
        "UPDATE notification SET state = 'dead', ended_us = $1, outcome = $2"
        " WHERE workspace_id = $3 AND state = 'waiting'",
        now_us, "Not sent: the workspace is deleted.", workspace_id,
    )  # fmt: skip


def _entry(row: Row) -> Entry:
    fields = dict(row)
    body = fields.pop("body")
    is_member = bool(fields.pop("is_member"))
    return Entry(**fields, is_member=is_member, notification=msgspec.json.decode(body, type=Notification))
