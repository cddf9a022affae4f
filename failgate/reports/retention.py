"""How long reports, recordings, leftovers and single kinds of artifacts are kept; and legal hold, which stops it all.

A sweep deletes in small batches, the oldest first, each batch its own transaction with a receipt on record for each
thing: a stop in between loses nothing, and the next sweep goes on. What is held is never deleted.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from failgate.access.principal import Principal
from failgate.artifacts.artifacts import Artifact, Artifacts
from failgate.audit.log import AuditLog
from failgate.audit.record import SERVER, Act, Actor, Event
from failgate.base.canonical import JSON
from failgate.base.clock import MICROSECONDS, Clock
from failgate.base.db import Database, Row, Transaction
from failgate.base.errors import BadInput, NotFound
from failgate.reports.deletion import ReportDeletion
from failgate.reports.life import DAY_US
from failgate.reports.reading import SELECT_ONE, no_report
from failgate.reports.search import first_id_at

BATCH: Final = 20
BATCHES_IN_A_SWEEP: Final = 25  # so that a sweep ends, and others come between
EVERY_SECONDS: Final = 300
MOST_DAYS: Final = 3650
REASON_CHARACTERS: Final = 500
REPORT: Final = "report"
LEFTOVER: Final = "leftover"
SESSION: Final = "session"
KINDS: Final = (
    "output", "diff", "environment", "source", "recording", "file", "snapshot", "bundle", "junit", "sarif", "envelope",
)  # fmt: skip
SUBJECTS: Final = (REPORT, LEFTOVER, SESSION, *KINDS)

WorkspaceIds = Callable[[], Awaitable[Sequence[str]]]

_OLD_REPORTS = """
SELECT id FROM report WHERE workspace_id = $1 AND id < $2 AND state = 'sealed' AND held_us IS NULL ORDER BY id LIMIT $3
"""
_LEFTOVERS = """
SELECT id FROM report WHERE workspace_id = $1 AND id < $2 AND state <> 'sealed' AND held_us IS NULL ORDER BY id LIMIT $3
"""
_OLD_ARTIFACTS = """
SELECT entry.report_id, entry.sha256 FROM report_artifact AS entry JOIN report ON
  report.workspace_id = entry.workspace_id AND report.id = entry.report_id
WHERE entry.workspace_id = $1 AND entry.report_id < $2 AND entry.kind = $3 AND entry.artifact_id IS NOT NULL
  AND report.held_us IS NULL ORDER BY entry.report_id LIMIT $4
"""
_COUNT_REPORTS = """
SELECT count(*) AS number FROM report WHERE workspace_id = $1 AND id < $2 AND state = 'sealed' AND held_us IS NULL
"""
_COUNT_LEFTOVERS = """
SELECT count(*) AS number FROM report WHERE workspace_id = $1 AND id < $2 AND state <> 'sealed' AND held_us IS NULL
"""
_COUNT_ARTIFACTS = """
SELECT count(*) AS number FROM report_artifact AS entry JOIN report ON
  report.workspace_id = entry.workspace_id AND report.id = entry.report_id
WHERE entry.workspace_id = $1 AND entry.report_id < $2 AND entry.kind = $3 AND entry.artifact_id IS NOT NULL
  AND report.held_us IS NULL
"""
_TAKE_OUT = """
UPDATE report_artifact SET artifact_id = NULL, removed_us = $1
WHERE workspace_id = $2 AND report_id = $3 AND sha256 = $4 AND kind = $5
"""
_HOLD = """
UPDATE report SET held_us = $1, held_by = $2, held_reason = $3 WHERE workspace_id = $4 AND id = $5
"""
_OLDEST_HOLD = """
SELECT id, held_reason FROM report WHERE workspace_id = $1 AND held_us IS NOT NULL ORDER BY held_us LIMIT 1
"""
_SET = """
INSERT INTO workspace_retention (workspace_id, kind, days) VALUES ($1, $2, $3)
ON CONFLICT (workspace_id, kind) DO UPDATE SET days = $3
"""


class Expiring(Protocol):
    """Things of another room that are kept for so many days; each has an id that sorts by the time it began."""

    async def count(self, workspace_id: str, before: str) -> int:
        """Return how many with an id smaller than `before` may go."""
        ...

    async def sweep(self, workspace_id: str, before: str, limit: int) -> int:
        """Delete up to `limit` of them, the oldest first; return how many were looked at."""
        ...


@dataclass(frozen=True, slots=True)
class Hold:
    """A legal hold: since when, in microseconds since 1970, by whose id, why."""

    since_us: int
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Terms:
    """For how many days things are kept: `report`, `leftover`, `session`, each kind of artifact; None: for good."""

    days: Mapping[str, int | None] = field(default_factory=dict[str, "int | None"])

    def of(self, subject: str) -> int | None:
        """Return the days of `subject`."""
        return self.days.get(subject)


class Retention:
    """Deletes what has had its time, and holds what must stay."""

    def __init__(  # the parts that it works with
        self,
        db: Database,
        audit: AuditLog,
        clock: Clock,
        artifacts: Artifacts,
        deletion: ReportDeletion,
        *,
        defaults: Terms,
        workspace_ids: WorkspaceIds,
    ) -> None:
        """Delete by `deletion`; `defaults` hold where a workspace says nothing of its own."""
        self._db = db
        self._audit = audit
        self._clock = clock
        self._artifacts = artifacts
        self._deletion = deletion
        self._defaults = defaults
        self._workspace_ids = workspace_ids
        self._next_us = 0
        self._others: dict[str, Expiring] = {}

    def also_sweep(self, subject: str, others: Expiring) -> None:
        """Let things of another room go by the days of `subject`, too."""
        self._others[subject] = others

    async def own_terms(self, workspace_id: str) -> Mapping[str, int | None]:
        """Return what the workspace says itself."""
        rows = await self._db.fetch("SELECT kind, days FROM workspace_retention WHERE workspace_id = $1", workspace_id)
        return {row["kind"]: row["days"] for row in rows}

    async def terms(self, workspace_id: str) -> Terms:
        """Return what holds in the workspace."""
        return Terms({**self._defaults.days, **await self.own_terms(workspace_id)})

    async def due(self, workspace_id: str, days: Mapping[str, int | None]) -> dict[str, int]:
        """Return how many things of each subject would go now if they were kept for `days`; none are left out.

        Raises: BadInput, as `set_terms`.
        """
        _check(days)
        found: dict[str, int] = {}
        for subject, number in days.items():
            if number is None:
                continue
            before = first_id_at(self._clock.now_us() - number * DAY_US)
            if subject == SESSION:
                others = self._others.get(subject)
                count = await others.count(workspace_id, before) if others is not None else 0
                found |= {subject: count} if count else {}
                continue
            query = {REPORT: _COUNT_REPORTS, LEFTOVER: _COUNT_LEFTOVERS}.get(subject, _COUNT_ARTIFACTS)
            kind = () if subject in {REPORT, LEFTOVER} else (subject,)
            row = await self._db.fetch_one(query, workspace_id, before, *kind)
            if row is not None and row["number"]:
                found[subject] = row["number"]
        return found

    async def set_terms(
        self, principal: Principal, workspace_id: str, days: Mapping[str, int | None]
    ) -> Mapping[str, int | None]:
        """Say for how many days things are kept (None: for good); return what holds now.

        Raises: BadInput (an unknown subject, or not 1 to 3650 days).
        """
        _check(days)

        async def verb(tx: Transaction) -> None:
            for subject, number in days.items():
                await tx.execute(_SET, workspace_id, subject, number)
                facts: dict[str, JSON] = {"kind": subject, "days": number}
                event = Event(
                    Act.RETENTION_CHANGED, workspace_id, "workspace", workspace_id, Actor.of(principal), facts
                )
                await self._audit.append(tx, event)

        await self._db.write(verb)
        return (await self.terms(workspace_id)).days

    async def hold(self, principal: Principal, workspace_id: str, report_id: str, reason: str) -> Hold:
        """Put a report under legal hold: nothing deletes it, or a part of it, until it is released.

        Raises: BadInput (no reason, or over 500 characters); NotFound.
        """
        text = " ".join(reason.split())
        if not 0 < len(text) <= REASON_CHARACTERS:
            raise BadInput(f"A hold has a reason of 1 to {REASON_CHARACTERS} characters.", hint="Say which matter.")
        hold = Hold(self._clock.now_us(), principal.id, text)
        await self._db.write(lambda tx: self._set_hold(tx, principal, workspace_id, report_id, hold))
        return hold

    async def release(self, principal: Principal, workspace_id: str, report_id: str) -> None:
        """Release a report from legal hold; its time goes on as if it had not been held.

        Raises: NotFound.
        """
        await self._db.write(lambda tx: self._set_hold(tx, principal, workspace_id, report_id, None))

    async def hold_on(self, workspace_id: str, report_id: str) -> Hold | None:
        """Return the hold on a report, or None."""
        query = "SELECT held_us, held_by, held_reason FROM report WHERE workspace_id = $1 AND id = $2"
        row = await self._db.fetch_one(query, workspace_id, report_id)
        if row is None or row["held_us"] is None:
            return None
        return Hold(row["held_us"], row["held_by"] or "", row["held_reason"] or "")

    async def oldest_hold(self, tx: Transaction | Database, workspace_id: str) -> tuple[str, str] | None:
        """Return a report of the workspace that is under legal hold, and why; None: nothing is held."""
        row = await tx.fetch_one(_OLDEST_HOLD, workspace_id)
        return (row["id"], row["held_reason"] or "") if row is not None else None

    async def sweep(self) -> int:
        """Delete what has had its time, at most every five minutes; return how many things went."""
        now_us = self._clock.now_us()
        if now_us < self._next_us:
            return 0
        gone = 0
        for workspace_id in await self._workspace_ids():
            gone += await self.sweep_workspace(workspace_id)
        is_done = gone < BATCH * BATCHES_IN_A_SWEEP
        self._next_us = now_us + (EVERY_SECONDS * MICROSECONDS if is_done else 0)
        return gone

    async def sweep_workspace(self, workspace_id: str) -> int:
        """Delete what has had its time in one workspace, as much as a sweep does; return how many things went."""
        terms = await self.terms(workspace_id)
        gone = 0
        for subject in SUBJECTS:
            days = terms.of(subject)
            if days is None:
                continue
            before = first_id_at(self._clock.now_us() - days * DAY_US)
            for _ in range(BATCHES_IN_A_SWEEP):
                count = await self._batch(workspace_id, subject, before)
                gone += count
                if count < BATCH:
                    break
        return gone

    async def _batch(self, workspace_id: str, subject: str, before: str) -> int:
        if subject == SESSION:
            others = self._others.get(subject)
            return await others.sweep(workspace_id, before, BATCH) if others is not None else 0
        if subject in {REPORT, LEFTOVER}:
            query = _OLD_REPORTS if subject == REPORT else _LEFTOVERS
            rows = await self._db.fetch(query, workspace_id, before, BATCH)
            return await self._delete(workspace_id, [row["id"] for row in rows], "retention")
        rows = await self._db.fetch(_OLD_ARTIFACTS, workspace_id, before, subject, BATCH)
        removed = await self._db.write(lambda tx: self._take_out(tx, workspace_id, subject, rows)) if rows else []
        await self._artifacts.discard(removed)
        return len(rows)

    async def _delete(self, workspace_id: str, report_ids: Sequence[str], reason: str) -> int:
        async def verb(tx: Transaction) -> list[Artifact]:
            removed: list[Artifact] = []
            for report_id in report_ids:
                row = await tx.fetch_one(SELECT_ONE, workspace_id, report_id)
                if row is not None and row["held_us"] is None:  # as it is now: somebody may have held it meanwhile
                    deleted = await self._deletion.delete_within(tx, SERVER, workspace_id, report_id, reason)
                    removed += deleted.removed
            return removed

        if report_ids:
            await self._artifacts.discard(await self._db.write(verb))
        return len(report_ids)

    async def _take_out(self, tx: Transaction, workspace_id: str, kind: str, entries: Sequence[Row]) -> list[Artifact]:
        taken: list[str] = []
        for entry in entries:
            row = await tx.fetch_one(SELECT_ONE, workspace_id, entry["report_id"])
            if row is None or row["held_us"] is not None:
                continue
            now_us = self._clock.now_us()
            await tx.execute(_TAKE_OUT, now_us, workspace_id, entry["report_id"], entry["sha256"], kind)
            taken.append(entry["sha256"])
            facts: dict[str, JSON] = {"sha256": entry["sha256"], "report": entry["report_id"], "reason": "retention"}
            event = Event(Act.ARTIFACT_DELETED, workspace_id, "artifact", entry["sha256"], SERVER, facts)
            await self._audit.append(tx, event)
        return await self._deletion.unlink(tx, workspace_id, taken)

    async def _set_hold(
        self, tx: Transaction, principal: Principal, workspace_id: str, report_id: str, hold: Hold | None
    ) -> None:
        row = await tx.fetch_one(SELECT_ONE, workspace_id, report_id)
        if row is None:
            raise no_report()
        if hold is None and row["held_us"] is None:
            raise NotFound("The report is not under legal hold.")
        held = (hold.since_us, hold.by, hold.reason) if hold is not None else (None, None, None)
        await tx.execute(_HOLD, *held, workspace_id, report_id)
        act = Act.REPORT_HELD if hold is not None else Act.REPORT_RELEASED
        facts: dict[str, JSON] = {"manifest": row["manifest_sha256"]}
        await self._audit.append(tx, Event(act, workspace_id, "report", report_id, Actor.of(principal), facts))


def _check(days: Mapping[str, int | None]) -> None:
    for subject, number in days.items():
        if subject not in SUBJECTS:
            raise BadInput(f"Nothing called {subject[:40]!r} is kept.", hint=f"One of {', '.join(SUBJECTS)}.")
        if number is not None and not 1 <= number <= MOST_DAYS:
            raise BadInput(f"Things are kept for 1 to {MOST_DAYS} days, or for good.", hint="Leave it empty.")
