"""What a record covers by a digest alone: a report's manifest, the artifacts that it lists, and no other ones.

The record states the manifest's digest and the row repeats it (`kinds.py`); here the text has to have that digest, each
artifact of the report has to stand in the text, and each artifact that is kept has to be one of something.
"""

from collections.abc import Collection
from hashlib import sha256
from typing import Final

from failgate.base.db import Database, Transaction
from failgate.gate.verification import Contradiction

_PAGE: Final = 200  # manifests at once
_REPORT: Final = "SELECT workspace_id, id, manifest, manifest_sha256 FROM report"
_ENTRIES: Final = "SELECT workspace_id, report_id, sha256 FROM report_artifact"
_STRAY: Final = """
SELECT id, workspace_id FROM artifact
WHERE NOT EXISTS (SELECT 1 FROM report_artifact WHERE report_artifact.artifact_id = artifact.id)
AND NOT EXISTS (SELECT 1 FROM recording_chunk WHERE recording_chunk.artifact_id = artifact.id)
"""
_MOST: Final = 1000


async def contents_that_differ(database: Database, closed: Collection[str]) -> list[Contradiction]:
    """Return reports and artifacts that are not what manifests say; those of `closed` workspaces are left out."""
    suspects: list[tuple[str, str]] = []
    after = ""
    while page := await database.fetch(f"{_REPORT} WHERE id > $1 ORDER BY id LIMIT {_PAGE}", after):
        after = page[-1]["id"]
        digests: dict[str, list[str]] = {}
        query = f"{_ENTRIES} WHERE report_id >= $1 AND report_id <= $2"
        for entry in await database.fetch(query, page[0]["id"], after):
            digests.setdefault(entry["report_id"], []).append(entry["sha256"])
        suspects += [
            (row["workspace_id"], row["id"])
            for row in page
            if row["workspace_id"] not in closed
            and _fault(row["manifest"], row["manifest_sha256"], digests.get(row["id"], [])) is not None
        ]
    strays = [row["id"] for row in await database.fetch(f"{_STRAY} LIMIT {_MOST}") if row["workspace_id"] not in closed]
    if not suspects and not strays:
        return []
    return await database.write(lambda tx: _confirmed(tx, suspects[:_MOST], strays))


async def _confirmed(tx: Transaction, suspects: list[tuple[str, str]], strays: list[str]) -> list[Contradiction]:
    found: list[Contradiction] = []
    for workspace_id, report_id in suspects:
        row = await tx.fetch_one(f"{_REPORT} WHERE workspace_id = $1 AND id = $2", workspace_id, report_id)
        entries = await tx.fetch(f"{_ENTRIES} WHERE workspace_id = $1 AND report_id = $2", workspace_id, report_id)
        wrong = None if row is None else _fault(
            row["manifest"], row["manifest_sha256"], [entry["sha256"] for entry in entries]
        )  # fmt: skip
        if wrong is not None:
            found.append(Contradiction("report", report_id, workspace_id, None, wrong))
    for artifact_id in strays:
        row = await tx.fetch_one(f"{_STRAY} AND artifact.id = $1", artifact_id)
        if row is not None:
            said = "it is stored, and no report and no recording names it"
            found.append(Contradiction("artifact", artifact_id, row["workspace_id"], None, said))
    return found


def _fault(manifest: str, digest: str, artifacts: Collection[str]) -> str | None:
    if sha256(manifest.encode()).hexdigest() != digest:
        return "its manifest is not the one that is recorded"
    if any(f'"{one}"' not in manifest for one in artifacts):
        return "it has an artifact that its manifest does not list"
    return None
