"""What happens around a report when it is sealed: it joins its group, becomes findable, is counted. All in its verb.

A storm of one failure costs a few statements by key for each report; no output is read again: what an output says of
its failure was taken while its bytes arrived.
"""

from collections.abc import Awaitable, Callable, Sequence
from itertools import chain
from typing import Final

import msgspec

from failgate.audit.log import AuditLog
from failgate.audit.record import SERVER, Act, Event
from failgate.base.clock import MICROSECONDS, Clock
from failgate.base.db import Row, Transaction
from failgate.base.dialect import with_rows
from failgate.base.ids import new_id
from failgate.reports.excerpt import Excerpt
from failgate.reports.grouping import Cause, cause_of, fingerprint, is_older
from failgate.reports.words import kept, term
from failgate.wire.reports import Manifest

DAY_US: Final = 24 * 3600 * MICROSECONDS
COMMAND_CHARACTERS: Final = 1000

NO_EXCERPT: Final = Excerpt()

Count = Callable[[Transaction, str, str, int], Awaitable[None]]
"""`(tx, workspace_id, "reports" | "recording_ms", amount)`: adds to the usage of today."""

Admit = Callable[[Transaction, str, str, int], Awaitable[None]]
"""`(tx, workspace_id, quota, more)`: raises when the workspace may not use `more` of the quota."""

_EXCERPT = """
SELECT excerpt.error, excerpt.frame, excerpt.text FROM report_artifact AS entry
JOIN report_excerpt AS excerpt ON excerpt.artifact_id = entry.artifact_id
WHERE entry.workspace_id = $1 AND entry.report_id = $2 AND entry.kind = 'output' ORDER BY entry.position LIMIT 1
"""
_FIND = """
WITH asked (project, fingerprint) AS (VALUES {})
SELECT own.project, own.fingerprint, own.id, own.state, own.resolved_in_version FROM asked JOIN report_group AS own
  ON own.workspace_id = $1 AND own.project = asked.project AND own.fingerprint = asked.fingerprint
"""
_INSERT = (
    "INSERT INTO report_group (workspace_id, id, project, fingerprint, title, command, error, state, changed_us,"
    " first_us, last_us, first_version, last_version, last_report_id, count, kept)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $15)"
)
_SEEN = """
UPDATE report_group SET last_us = $1, last_version = $2, last_report_id = $3, count = count + $4, kept = kept + $4
WHERE workspace_id = $5 AND id = $6
"""
_REGRESS = """
UPDATE report_group SET state = 'regressed', changed_us = $1, changed_by = NULL WHERE workspace_id = $2 AND id = $3
"""
_JOIN = "UPDATE report SET group_id = $1 WHERE workspace_id = $2 AND id = $3"
_DAY = """
INSERT INTO report_group_day (workspace_id, group_id, day, count) VALUES ($1, $2, $3, $4)
ON CONFLICT (workspace_id, group_id, day) DO UPDATE SET count = report_group_day.count + excluded.count
"""
_WORDS: Final = {
    "sqlite": "INSERT INTO report_text (workspace_id, report_id, words) SELECT json_extract(value, '$[0]'),"
    " json_extract(value, '$[1]'), json_extract(value, '$[2]') FROM json_each($1)",
    "postgres": "INSERT INTO report_text (workspace_id, report_id, words) SELECT value ->> 0, value ->> 1,"
    " array_to_tsvector(ARRAY(SELECT DISTINCT unnest(string_to_array(value ->> 2, ' '))))"
    " FROM json_array_elements($1::text::json)",
}
_KEEP_EXCERPT = """
INSERT INTO report_excerpt (artifact_id, error, frame, text) VALUES ($1, $2, $3, $4)
ON CONFLICT (artifact_id) DO NOTHING
"""


class Origin(msgspec.Struct, frozen=True):
    """What a report's row keeps of where it comes from. `recording_ms` is how long it was recorded."""

    title: str
    exit_code: int
    project: str
    version: str
    source: str
    command: str
    cause: Cause
    recording_ms: int


class Group(msgspec.Struct, frozen=True):
    """The group that a report joins; `row` is None while there is none. `excerpt` is what the report's output says."""

    id: str
    fingerprint: str
    excerpt: Excerpt
    row: Row | None


class Joining(msgspec.Struct, frozen=True):
    """A report that joins its group: its row, which names the group, is written."""

    report_id: str
    origin: Origin
    uploader_id: str
    group: Group


async def uncounted(tx: Transaction, workspace_id: str, what: str, amount: int) -> None:  # a place's fixed signature
    """Count nothing."""


async def unlimited(tx: Transaction, workspace_id: str, quota: str, more: int) -> None:
    """Refuse nothing."""


def origin_of(manifest: Manifest, title: str) -> Origin:
    """Return the origin that a checked manifest states."""
    own_title = title if manifest.source != "command" else ""
    cause = cause_of(manifest.argv, manifest.exit_code, manifest.signal, own_title, manifest.fingerprint or "")
    is_recorded = any(one.kind == "recording" for one in manifest.artifacts)
    return Origin(
        title,
        manifest.exit_code,
        manifest.project or "",
        manifest.version or "",
        manifest.source,
        " ".join(manifest.argv)[:COMMAND_CHARACTERS],
        cause,
        manifest.duration_ms if is_recorded else 0,
    )


class ReportLife:
    """Follows reports, inside the verbs of others."""

    def __init__(self, audit: AuditLog, clock: Clock) -> None:
        """Record in `audit`."""
        self._audit = audit
        self._clock = clock

    async def keep_excerpt(self, tx: Transaction, artifact_id: str, excerpt: Excerpt) -> None:
        """Keep what an output said, beside its artifact."""
        await tx.execute(_KEEP_EXCERPT, artifact_id, excerpt.error, excerpt.frame, excerpt.text)

    async def group_of(
        self, tx: Transaction, workspace_id: str, origin: Origin, excerpt: Excerpt = NO_EXCERPT
    ) -> Group:
        """Return the group that a report of this origin joins when it is sealed: one that is there, or a new one."""
        return (await self.groups_of(tx, workspace_id, [(origin, excerpt)]))[0]

    async def groups_of(
        self, tx: Transaction, workspace_id: str, reports: Sequence[tuple[Origin, Excerpt]]
    ) -> list[Group]:
        """Return for each of `reports` the group that it joins; those of one cause are given the same, new or not."""
        causes = [
            (origin.project, fingerprint(origin.cause, excerpt.error, excerpt.frame)) for origin, excerpt in reports
        ]
        asked = dict.fromkeys(causes)
        query = with_rows(_FIND, len(asked), 2, first=2)
        rows = await tx.fetch(query, workspace_id, *chain.from_iterable(asked))
        known = {(str(row["project"]), str(row["fingerprint"])): row for row in rows}
        ids = {cause: str(known[cause]["id"]) if cause in known else new_id() for cause in asked}
        return [
            Group(ids[cause], cause[1], excerpt, known.get(cause))
            for cause, (_, excerpt) in zip(causes, reports, strict=True)
        ]

    async def sealed(
        self, tx: Transaction, workspace_id: str, report_id: str, origin: Origin, uploader_id: str,
        *, has_artifacts: bool,
    ) -> None:  # fmt: skip
        """Let a report that was sealed right now join its group."""
        row = await tx.fetch_one(_EXCERPT, workspace_id, report_id) if has_artifacts else None
        excerpt = Excerpt(row["error"], row["frame"], row["text"]) if row is not None else NO_EXCERPT
        group = await self.group_of(tx, workspace_id, origin, excerpt)
        await tx.execute(_JOIN, group.id, workspace_id, report_id)
        await self.joined(tx, workspace_id, Joining(report_id, origin, uploader_id, group))

    async def joined(self, tx: Transaction, workspace_id: str, one: Joining) -> None:
        """Count a report in the group of its row, and make it findable; a group that comes back is on record."""
        for event in (await self.joined_all(tx, workspace_id, (one,))).values():
            await self._audit.append(tx, event)

    async def joined_all(self, tx: Transaction, workspace_id: str, joining: Sequence[Joining]) -> dict[str, Event]:
        """Do what `joined` does for many, in their order; return what is to be recorded, by the report it follows."""
        regressed = await self._seen(tx, workspace_id, joining)
        for one in joining:
            origin, group, excerpt = one.origin, one.group, one.group.excerpt
            terms = terms_of(workspace_id, origin, one.uploader_id, group.id)
            words = kept(
                terms, origin.command, origin.title, excerpt.error, origin.project, origin.version, excerpt.text
            )
            tx.put_together(_WORDS[tx.dialect], workspace_id, one.report_id, words)
        return regressed

    async def _seen(self, tx: Transaction, workspace_id: str, joining: Sequence[Joining]) -> dict[str, Event]:
        """Count each report in its group, one change for each group; return the records of groups that come back."""
        now_us = self._clock.now_us()
        of_group: dict[str, list[Joining]] = {}
        for one in joining:
            of_group.setdefault(one.group.id, []).append(one)
        new: list[tuple[object, ...]] = []
        seen: list[tuple[object, ...]] = []
        regressed: dict[str, Event] = {}
        for group_id, reports in of_group.items():
            first, last, row = reports[0], reports[-1], reports[0].group.row
            tx.put_off(_DAY, workspace_id, group_id, now_us // DAY_US, len(reports))
            if row is None:
                origin, error = first.origin, first.group.excerpt.error
                new.append(
                    (workspace_id, group_id, origin.project, first.group.fingerprint, error or origin.title,
                     origin.command, error, "open", now_us, now_us, now_us, origin.version, last.origin.version,
                     last.report_id, len(reports))
                )  # fmt: skip
                continue
            seen.append((now_us, last.origin.version, last.report_id, len(reports), workspace_id, group_id))
            if row["state"] == "resolved":
                fixed = row["resolved_in_version"] or ""
                again = next((one for one in reports if not is_older(one.origin.version, fixed)), None)
                if again is not None:
                    regressed[again.report_id] = self._regressed(workspace_id, group_id, again.report_id)
        if new:
            await tx.execute_many(_INSERT, new)
        if seen:
            await tx.execute_many(_SEEN, seen)
        for event in regressed.values():
            await tx.execute(_REGRESS, now_us, workspace_id, event.obj_id)
        return regressed

    def _regressed(self, workspace_id: str, group_id: str, report_id: str) -> Event:
        return Event(Act.REPORT_GROUP_REGRESSED, workspace_id, "report_group", group_id, SERVER, {"report": report_id})


def terms_of(workspace_id: str, origin: Origin, uploader_id: str, group_id: str) -> list[str]:
    """Return the exact terms that a report is found by."""
    found = [term("p", workspace_id), term("x", str(origin.exit_code)), term("k", origin.source)]
    found += [term("a", uploader_id), term("g", group_id), term("j", origin.project)]
    return [*found, term("v", origin.version)] if origin.version else found
