"""What a restored database has to say of itself: that it was restored, what it forgot, what was undone by it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from failgate.audit.erasing import Erasing
from failgate.audit.erasure_list import ErasureList, Listed
from failgate.audit.erasures import Erasures
from failgate.audit.log import AuditLog
from failgate.audit.record import SYSTEM, Act, Actor, Event
from failgate.audit.search import Search
from failgate.backup.manifest import Manifest
from failgate.backup.proof import Behind
from failgate.base.canonical import JSON, base64url
from failgate.base.clock import Clock
from failgate.base.db import Database, Transaction

OPERATOR = Actor(t="operator", id="host")
_DESTROY = """
UPDATE artifact_key SET wrapped = '', destroyed_us = $1 WHERE workspace_id = $2 AND destroyed_us IS NULL
"""
_KEEP = """
INSERT INTO backup_made (id, made_us, manifest, size_bytes, artifacts) VALUES ($1, $2, $3, 0, $4)
ON CONFLICT (id) DO NOTHING
"""


async def forget(database: Database, workspaces: set[str], now_us: int) -> set[str]:
    """Destroy again the artifact keys of workspaces that were deleted since; return those that the backup still has."""
    known = {row["id"] for row in await database.fetch("SELECT id FROM workspace")} & workspaces

    async def destroy(tx: Transaction) -> None:
        for workspace_id in sorted(workspaces):
            await tx.execute(_DESTROY, now_us, workspace_id)

    await database.write(destroy)
    return known


async def erase_again(
    database: Database, clock: Clock, erased: Mapping[str, Erasures], listed: Listed, folder: Path
) -> int:
    """Erase again the addresses of records that were erased since: by log, and by the list; return how many.

    The list as it is then, with that of the database, lies in `folder`.
    """
    audit = AuditLog(database, clock, Path())  # as below
    asked = ErasureList(database, folder)
    erasing = Erasing(database, audit, Search(database, audit), clock, keep_us=None, listed=asked)
    count = sum([await erasing.erase_again(log, one, OPERATOR) for log, one in erased.items()])
    return count + await erasing.catch_up(listed, OPERATOR)


async def record_restored(
    database: Database, clock: Clock, manifest: Manifest, behind: Sequence[Behind], keys: str, forgotten: int
) -> None:
    """Record the restore, and each log that went back, in one transaction.

    Raises: StorageUnavailable.
    """
    import hashlib

    audit = AuditLog(database, clock, Path())  # it only appends here: nothing is signed, no file is touched
    sha256 = hashlib.sha256(manifest.octets).hexdigest()
    facts: dict[str, JSON] = {
        "manifest": sha256,
        "made_us": manifest.made_us,
        "keys": keys,
        "forgotten": forgotten,
    }
    logs = {head.log for head in manifest.heads}

    async def record(tx: Transaction) -> None:
        await tx.execute(_KEEP, manifest.id, manifest.made_us, sha256, len(manifest.objects))
        await audit.append(tx, Event(Act.BACKUP_RESTORED, SYSTEM, "backup", manifest.id, OPERATOR, facts))
        for one in behind:
            undone: dict[str, JSON] = {
                "signed_size": one.known_size,
                "signed_root": None if one.root is None else base64url(one.root),
                "found_size": one.found_size,
                "reason": one.sentence[:200],
            }
            log = one.log if one.log in logs else SYSTEM
            await audit.append(tx, Event(Act.ROLLBACK_ACCEPTED, log, "log", one.log, OPERATOR, undone))

    await database.write(record)
