"""Stored reports scanned again after their workspace added a rule.

What is stored is immutable: its digest is what its owner consented to. So nothing is rewritten: a report in which the
rules find something is quarantined, which leaves its manifest, digest and consent as they were and shows its content
to its uploader alone, who captures it anew or deletes it.

The scan goes through the reports in the order of their ids. Each step is one transaction: the quarantine, its audit
record, and how far the scan came; a server that dies goes on there. Two servers do not harm each other: a step moves
only from where it began.

What arrives while a rule is added may have been looked through without it, and behind the scan: `revisit` sends the
scan back to it.
"""

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping

import msgspec

from failgate.artifacts.artifacts import Artifacts
from failgate.audit.log import AuditLog
from failgate.audit.record import SERVER, Act, Event
from failgate.base.background import DueWork
from failgate.base.clock import Clock
from failgate.base.db import Database, Row, Transaction
from failgate.base.errors import NotFound
from failgate.base.log import get_logger
from failgate.redaction import Scanner
from failgate.reports.deletion import forget_texts
from failgate.reports.inspection import inspection_for, merged, scan_text, summary
from failgate.reports.manifest import texts
from failgate.reports.redaction_rules import RedactionRules
from failgate.wire.reports import Manifest

_DUE = "SELECT workspace_id, generation, scan_after, scanned, quarantined FROM redaction_set WHERE is_scanning = 1"
_NEXT = """
SELECT id, state, manifest, manifest_sha256, findings FROM report
WHERE workspace_id = $1 AND id > $2 AND state <> 'quarantined' ORDER BY id LIMIT 1
"""
_ENTRIES = """
SELECT kind, media_type, sha256, artifact_id FROM report_artifact WHERE workspace_id = $1 AND report_id = $2
  AND artifact_id IS NOT NULL ORDER BY position
"""
_STEP = """
UPDATE redaction_set SET scan_after = $1, scanned = scanned + 1, quarantined = quarantined + $2
WHERE workspace_id = $3 AND generation = $4 AND scan_after = $5 AND is_scanning = 1
"""
_END = """
UPDATE redaction_set SET is_scanning = 0, scan_ended_us = $1
WHERE workspace_id = $2 AND generation = $3 AND scan_after = $4 AND is_scanning = 1
"""
# Another generation: a step that is under way has not seen what came, and must not go on from there.
_RETURN = """
UPDATE redaction_set SET scan_after = CASE WHEN is_scanning = 1 AND scan_after < $1 THEN scan_after ELSE $1 END,
  generation = generation + 1, is_scanning = 1, scan_ended_us = NULL WHERE workspace_id = $2
"""
_RETURN_IF_GOING = f"{_RETURN} AND is_scanning = 1"
_QUARANTINE = """
UPDATE report SET state = 'quarantined', findings = $1 WHERE workspace_id = $2 AND id = $3 AND state <> 'quarantined'
"""
_FOUND = "UPDATE artifact SET findings = $1, scanned_by = $2 WHERE id = $3"
_decode_manifest = msgspec.json.Decoder(Manifest).decode
_decode_findings = msgspec.json.Decoder(dict[str, int]).decode
_log = get_logger("failgate.reports")


class Rescanning:
    """Scans what is stored, in the background, one report after another."""

    def __init__(
        self, db: Database, audit: AuditLog, clock: Clock, artifacts: Artifacts, rules: RedactionRules
    ) -> None:
        """Read bytes from `artifacts`; `rules` give a workspace's scanner."""
        self.due = DueWork("rescanning", self.run_once)
        self._db = db
        self._audit = audit
        self._clock = clock
        self._artifacts = artifacts
        self._rules = rules

    async def run_once(self) -> int:
        """Scan whatever is due to its end; return how many reports were scanned."""
        scanned, before = 0, -1
        while scanned > before:  # a rule may be added meanwhile: its scan begins anew
            before = scanned
            for row in await self._db.fetch(_DUE):
                while await self._step(row["workspace_id"], row["generation"]):
                    scanned += 1
        return scanned

    async def revisit(self, tx: Transaction, workspace_id: str, report_id: str, scanner: Scanner | None) -> None:
        """Send the scan back to a report that `scanner` looked through, when the rules have changed since.

        Without `scanner`, what the report now names came with another report, which a scan under way is still to reach:
        the scan comes back to this one first.
        Raises: NotFound (the workspace is deleted).
        """
        before = report_id[:-1]  # sorts right before it
        if scanner is None:
            await tx.execute(_RETURN_IF_GOING, before, workspace_id)
        elif not self._rules.is_current(workspace_id, scanner):
            self._audit.must_be_open(tx, workspace_id)
            await tx.execute(_RETURN, before, workspace_id)
            tx.after_commit(self.due.wake)

    async def _step(self, workspace_id: str, generation: int) -> bool:
        """Scan the next report; False when none is left, or the scan is another one by now."""
        due = await self._db.fetch_one(f"{_DUE} AND workspace_id = $1 AND generation = $2", workspace_id, generation)
        if due is None:
            return False
        row = await self._db.fetch_one(_NEXT, workspace_id, due["scan_after"])
        scanner = await self._rules.scanner_of(workspace_id)
        if row is None:
            await self._db.write(lambda tx: self._end(tx, due, scanner.version))
            return False
        manifest_findings = await scan_text(_texts_of(row["manifest"]), scanner)
        by_artifact = await self._scan_artifacts(workspace_id, row["id"], scanner)
        found = merged(manifest_findings, *by_artifact.values())
        await self._db.write(lambda tx: self._keep(tx, due, row, found, by_artifact, scanner))
        return True

    async def _scan_artifacts(self, workspace_id: str, report_id: str, scanner: Scanner) -> dict[str, dict[str, int]]:
        """Return the findings of each artifact that has any, by its id."""
        found: dict[str, dict[str, int]] = {}
        for entry in await self._db.fetch(_ENTRIES, workspace_id, report_id):
            inspection = inspection_for(entry["kind"], entry["media_type"], scanner)
            with contextlib.suppress(NotFound):  # deleted meanwhile, or lost: there is nothing left to show
                async with contextlib.aclosing(self._artifacts.open(workspace_id, entry["sha256"])) as pieces:
                    async for piece in pieces:
                        await inspection.feed(piece)
            counts = dict((await inspection.finish())[0])
            if counts:
                found[entry["artifact_id"]] = counts
        return found

    async def _keep(
        self,
        tx: Transaction,
        due: Row,
        row: Row,
        found: Mapping[str, int],
        by_artifact: Mapping[str, Mapping[str, int]],
        scanner: Scanner,
    ) -> None:
        workspace_id = due["workspace_id"]
        if not self._rules.is_current(workspace_id, scanner):
            return
        step = (row["id"], 1 if found else 0, workspace_id, due["generation"], due["scan_after"])
        if await tx.execute(_STEP, *step) != 1 or not found:
            return
        for artifact_id, counts in by_artifact.items():
            await tx.execute(_FOUND, _text(counts), scanner.version, artifact_id)
        total = merged(_decode_findings(row["findings"]), found)
        if await tx.execute(_QUARANTINE, _text(total), workspace_id, row["id"]) == 1:
            facts = {"manifest": row["manifest_sha256"], "reason": summary(found), "findings": Counter(found).total()}
            event = Event(Act.REPORT_QUARANTINED, workspace_id, "report", row["id"], SERVER, {**facts})
            await self._audit.append(tx, event)
            await forget_texts(tx, workspace_id, row["id"])

    async def _end(self, tx: Transaction, due: Row, version: str) -> None:
        ended = (self._clock.now_us(), due["workspace_id"], due["generation"], due["scan_after"])
        if await tx.execute(_END, *ended) == 1:
            facts = {"version": version, "reports": due["scanned"], "quarantined": due["quarantined"]}
            event = Event(
                Act.REDACTION_SCAN_ENDED, due["workspace_id"], "workspace", due["workspace_id"], SERVER, {**facts}
            )
            await self._audit.append(tx, event)


def _texts_of(manifest: str) -> str:
    """Return the free texts of a stored manifest; of one in another format all texts, each after its name."""
    try:
        return texts(_decode_manifest(manifest))
    except msgspec.DecodeError:
        return "\n".join(_strings(msgspec.json.decode(manifest), ""))


def _strings(value: object, name: str) -> Iterator[str]:
    if isinstance(value, str):
        yield f"{name}={value}"
    elif isinstance(value, dict):
        members: dict[str, object] = value
        for key, member in members.items():
            yield from _strings(member, key)
    elif isinstance(value, list):
        items: list[object] = value
        for item in items:
            yield from _strings(item, name)


def _text(findings: Mapping[str, int]) -> str:
    return msgspec.json.encode(findings).decode()
