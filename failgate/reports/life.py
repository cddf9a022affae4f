"""What happens around a report when it is sealed: it joins its group, becomes findable, is counted. All in its verb.

A storm of one failure costs a few statements by key for each report; no output is read again: what an output says of
its failure was taken while its bytes arrived.
"""

from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from failgate.audit.log import AuditLog
from failgate.audit.record import SERVER, Act, Event
from failgate.base.clock import MICROSECONDS, Clock
from failgate.base.db import Row, Transaction
from failgate.base.ids import new_id
from failgate.reports.excerpt import Excerpt
from failgate.reports.grouping import Cause, cause_in, cause_of, fingerprint, is_older
from failgate.reports.words import kept, term
from failgate.wire.reports import Manifest

DAY_US: Final = 24 * 3600 * MICROSECONDS
COMMAND_CHARACTERS: Final = 1000

NO_EXCERPT: Final = Excerpt()

Count = Callable[[Transaction, str, str, int], None]
"""`(tx, workspace_id, "reports" | "recording_ms", amount)`: adds to the usage of today."""

Admit = Callable[[Transaction, str, str, int], Awaitable[None]]
"""`(tx, workspace_id, quota, more)`: raises when the workspace may not use `more` of the quota."""

_EXCERPT = """
SELECT excerpt.error, excerpt.frame, excerpt.text FROM report_artifact AS entry
JOIN report_excerpt AS excerpt ON excerpt.artifact_id = entry.artifact_id
WHERE entry.workspace_id = $1 AND entry.report_id = $2 AND entry.kind = 'output' ORDER BY entry.position LIMIT 1
"""
_FIND = """
SELECT id, state, resolved_in_version FROM report_group WHERE workspace_id = $1 AND project = $2 AND fingerprint = $3
"""
_INSERT = """
INSERT INTO report_group (workspace_id, id, project, fingerprint, title, command, error, state, changed_us, first_us,
  last_us, first_version, last_version, last_report_id, count)
VALUES ($1, $2, $3, $4, $5, $6, $7, 'open', $8, $8, $8, $9, $9, $10, 1)
"""
_SEEN = """
UPDATE report_group SET last_us = $1, last_version = $2, last_report_id = $3, count = count + 1
WHERE workspace_id = $4 AND id = $5
"""
_REGRESS = """
UPDATE report_group SET state = 'regressed', changed_us = $1, changed_by = NULL WHERE workspace_id = $2 AND id = $3
"""
_JOIN = "UPDATE report SET group_id = $1 WHERE workspace_id = $2 AND id = $3"
_DAY = """
INSERT INTO report_group_day (workspace_id, group_id, day, count) VALUES ($1, $2, $3, 1)
ON CONFLICT (workspace_id, group_id, day) DO UPDATE SET count = report_group_day.count + 1
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


def uncounted(tx: Transaction, workspace_id: str, what: str, amount: int) -> None:  # a place's fixed signature
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


def origin_in(row: Row) -> Origin:
    """Return the origin that a report's row keeps."""
    return Origin(
        row["title"], row["exit_code"], row["project"], row["version"], row["source"], row["command"],
        cause_in(row["cause"]), row["recording_ms"],
    )  # fmt: skip


class ReportLife:
    """Follows reports, inside the verbs of others."""

    def __init__(self, audit: AuditLog, clock: Clock, count: Count) -> None:
        """Record in `audit`, and count what is used with `count`."""
        self._audit = audit
        self._clock = clock
        self._count = count

    async def keep_excerpt(self, tx: Transaction, artifact_id: str, excerpt: Excerpt) -> None:
        """Keep what an output said, beside its artifact."""
        await tx.execute(_KEEP_EXCERPT, artifact_id, excerpt.error, excerpt.frame, excerpt.text)

    async def group_of(
        self, tx: Transaction, workspace_id: str, origin: Origin, excerpt: Excerpt = NO_EXCERPT
    ) -> Group:
        """Return the group that a report of this origin joins when it is sealed: one that is there, or a new one."""
        print_ = fingerprint(origin.cause, excerpt.error, excerpt.frame)
        row = await tx.fetch_one(_FIND, workspace_id, origin.project, print_)
        return Group(str(row["id"]) if row is not None else new_id(), print_, excerpt, row)

    async def sealed(
        self, tx: Transaction, workspace_id: str, report_id: str, origin: Origin, uploader_id: str,
        *, has_artifacts: bool,
    ) -> None:  # fmt: skip
        """Let a report that was sealed right now join its group."""
        row = await tx.fetch_one(_EXCERPT, workspace_id, report_id) if has_artifacts else None
        excerpt = Excerpt(row["error"], row["frame"], row["text"]) if row is not None else NO_EXCERPT
        group = await self.group_of(tx, workspace_id, origin, excerpt)
        await tx.execute(_JOIN, group.id, workspace_id, report_id)
        await self.joined(tx, workspace_id, report_id, origin, uploader_id, group)

    async def joined(
        self, tx: Transaction, workspace_id: str, report_id: str, origin: Origin, uploader_id: str, group: Group
    ) -> None:
        """Count a report, whose row names its group, and make it findable."""
        await self._seen(tx, workspace_id, report_id, origin, group)
        tx.put_off(_DAY, workspace_id, group.id, self._clock.now_us() // DAY_US)
        terms, excerpt = terms_of(workspace_id, origin, uploader_id, group.id), group.excerpt
        words = kept(terms, origin.command, origin.title, excerpt.error, origin.project, origin.version, excerpt.text)
        tx.put_together(_WORDS[tx.dialect], workspace_id, report_id, words)
        self._count(tx, workspace_id, "reports", 1)
        if origin.recording_ms:
            self._count(tx, workspace_id, "recording_ms", origin.recording_ms)

    async def _seen(self, tx: Transaction, workspace_id: str, report_id: str, origin: Origin, group: Group) -> None:
        now_us, row = self._clock.now_us(), group.row
        if row is None:
            error = group.excerpt.error
            await tx.execute(
                _INSERT, workspace_id, group.id, origin.project, group.fingerprint, error or origin.title,
                origin.command, error, now_us, origin.version, report_id,
            )  # fmt: skip
            return
        await tx.execute(_SEEN, now_us, origin.version, report_id, workspace_id, group.id)
        if row["state"] == "resolved" and not is_older(origin.version, row["resolved_in_version"] or ""):
            await tx.execute(_REGRESS, now_us, workspace_id, group.id)
            facts = {"report": report_id}
            event = Event(Act.REPORT_GROUP_REGRESSED, workspace_id, "report_group", group.id, SERVER, {**facts})
            await self._audit.append(tx, event)


def terms_of(workspace_id: str, origin: Origin, uploader_id: str, group_id: str) -> list[str]:
    """Return the exact terms that a report is found by."""
    found = [term("p", workspace_id), term("x", str(origin.exit_code)), term("k", origin.source)]
    found += [term("a", uploader_id), term("g", group_id), term("j", origin.project)]
    return [*found, term("v", origin.version)] if origin.version else found
