"""What happens around a report when it is sealed: it joins its group, becomes findable, is counted. All in its verb.

A storm of one failure costs a few statements by key for each report; no output is read again: what an output says of
its failure was taken while its bytes arrived.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import msgspec

from failgate.audit.log import AuditLog
from failgate.audit.record import SERVER, Act, Event
from failgate.base.clock import MICROSECONDS, Clock
from failgate.base.db import Row, Transaction
from failgate.base.ids import new_id
from failgate.reports.excerpt import Excerpt
from failgate.reports.grouping import Cause, cause_of, fingerprint, is_older
from failgate.reports.words import kept, term
from failgate.wire.reports import Manifest

DAY_US: Final = 24 * 3600 * MICROSECONDS
COMMAND_CHARACTERS: Final = 1000

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
    "sqlite": "INSERT INTO report_text (workspace_id, report_id, words) VALUES ($1, $2, $3)",
    "postgres": "INSERT INTO report_text (workspace_id, report_id, words)"
    " VALUES ($1, $2, array_to_tsvector(ARRAY(SELECT DISTINCT unnest(string_to_array($3, ' ')))))",
}
_KEEP_EXCERPT = """
INSERT INTO report_excerpt (artifact_id, error, frame, text) VALUES ($1, $2, $3, $4)
ON CONFLICT (artifact_id) DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class Origin:
    """What a report's row keeps of where it comes from. `cause` is JSON; `recording_ms` is how long it was recorded."""

    title: str
    exit_code: int
    project: str
    version: str
    source: str
    command: str
    cause: str
    recording_ms: int


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
        msgspec.json.encode(cause).decode(),
        manifest.duration_ms if is_recorded else 0,
    )


def origin_in(row: Row) -> Origin:
    """Return the origin that a report's row keeps."""
    return Origin(
        row["title"], row["exit_code"], row["project"], row["version"], row["source"], row["command"], row["cause"],
        row["recording_ms"],
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

    async def sealed(
        self, tx: Transaction, workspace_id: str, report_id: str, origin: Origin, uploader_id: str,
        *, has_artifacts: bool,
    ) -> str:  # fmt: skip
        """Let a report that was sealed right now join its group; return the group's id."""
        row = await tx.fetch_one(_EXCERPT, workspace_id, report_id) if has_artifacts else None
        excerpt = Excerpt(row["error"], row["frame"], row["text"]) if row is not None else Excerpt()
        group_id = await self._joined(tx, workspace_id, report_id, origin, excerpt)
        await tx.execute(_JOIN, group_id, workspace_id, report_id)
        day = self._clock.now_us() // DAY_US
        tx.put_off(_DAY, workspace_id, group_id, day)
        terms = terms_of(workspace_id, origin, uploader_id, group_id)
        words = kept(terms, origin.command, origin.title, excerpt.error, origin.project, origin.version, excerpt.text)
        tx.put_off(_WORDS[tx.dialect], workspace_id, report_id, words)
        self._count(tx, workspace_id, "reports", 1)
        if origin.recording_ms:
            self._count(tx, workspace_id, "recording_ms", origin.recording_ms)
        return group_id

    async def _joined(
        self, tx: Transaction, workspace_id: str, report_id: str, origin: Origin, excerpt: Excerpt
    ) -> str:
        now_us = self._clock.now_us()
        cause = msgspec.json.decode(origin.cause, type=Cause)
        print_ = fingerprint(cause, excerpt.error, excerpt.frame)
        row = await tx.fetch_one(_FIND, workspace_id, origin.project, print_)
        if row is None:
            group_id = new_id()
            title = excerpt.error or origin.title
            await tx.execute(
                _INSERT, workspace_id, group_id, origin.project, print_, title, origin.command, excerpt.error, now_us,
                origin.version, report_id,
            )  # fmt: skip
            return group_id
        group_id = str(row["id"])
        await tx.execute(_SEEN, now_us, origin.version, report_id, workspace_id, group_id)
        if row["state"] == "resolved" and not is_older(origin.version, row["resolved_in_version"] or ""):
            await tx.execute(_REGRESS, now_us, workspace_id, group_id)
            facts = {"report": report_id}
            event = Event(Act.REPORT_GROUP_REGRESSED, workspace_id, "report_group", group_id, SERVER, {**facts})
            await self._audit.append(tx, event)
        return group_id


def terms_of(workspace_id: str, origin: Origin, uploader_id: str, group_id: str) -> list[str]:
    """Return the exact terms that a report is found by."""
    found = [term("p", workspace_id), term("x", str(origin.exit_code)), term("k", origin.source)]
    found += [term("a", uploader_id), term("g", group_id), term("j", origin.project)]
    return [*found, term("v", origin.version)] if origin.version else found
