"""Members of a backup into files aside, and its artifacts into the store; each by its digest once more."""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from failgate.artifacts.artifact import COLUMNS, Artifact, artifact_of
from failgate.artifacts.store import ArtifactStore
from failgate.assembly import open_store_only
from failgate.backup.archive import PIECE_BYTES, BackupDamaged, BackupIncomplete, members_of
from failgate.backup.manifest import MANIFEST, OBJECT_FOLDER, Manifest
from failgate.backup.present import Present
from failgate.base.db import Database
from failgate.base.errors import Conflict, NotFound
from failgate.config.model import Config

# What a member outside of objects/ may be called: nothing that leads out of the folder.
_NAME: Final = re.compile(
    r"audit\.(?:heads|keys)\.json|keys\.sealed|database/[a-z0-9_]+\.(?:sqlite|copy)|plugins/[a-z][a-z0-9-]*/[a-z][a-z0-9-]*\.sqlite",
    re.ASCII,
)


def plain_name(folder: Path, name: str) -> Path:
    """Return where the member `name` lies in `folder`. Raises: BackupIncomplete (it is not there)."""
    path = folder / name
    if not path.is_file():
        raise BackupIncomplete(f"The backup lacks {name}.", hint="Use another backup.")
    return path


def extract(file: Path, manifest: Manifest, folder: Path) -> None:
    """Write every member but the artifacts below `folder`.

    Raises: BackupDamaged (a name that is none, or other bytes than a moment ago), OSError (no room).
    """
    named = {member.name: member for member in manifest.members}
    with members_of(file) as members:
        for name, stream in members:
            if name == MANIFEST or name.startswith(OBJECT_FOLDER):
                continue
            if _NAME.fullmatch(name) is None:
                raise BackupDamaged(f"The backup holds {name!a}, which is no member of one.", hint="Use another copy.")
            path = folder / name
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if name not in named or _written(stream, path) != named[name].sha256:
                raise BackupDamaged(f"{name} changed while it was read.", hint="Restore again.")


def _written(stream: IO[bytes], path: Path) -> str:
    digest = hashlib.sha256()
    path.touch(mode=0o600)
    with path.open("wb") as file:
        while piece := stream.read(PIECE_BYTES):
            digest.update(piece)
            file.write(piece)
    return digest.hexdigest()


@dataclass(slots=True)
class Placed:
    """How many artifacts are in the store, and what is to be said of the others."""

    count: int = 0
    warnings: list[str] = field(default_factory=list[str])


async def put_objects(
    config: Config,
    folder: Path,
    file: Path,
    manifest: Manifest,
    database: Database,
    forgotten: set[str],
    present: Present,
    tell: Callable[[str], None],
) -> Placed:
    """Put the artifacts that have a row into the store over the data folder `folder`.

    Left out: those of workspaces in `forgotten`, and those of reports and recordings that the log that is there says
    were deleted since: they do not come back.

    Raises: BackupDamaged, StorageUnavailable; what was put by then has no row in any database that is in place.
    """
    rows = [artifact_of(row) for row in await database.fetch(f"SELECT {COLUMNS} FROM artifact")]
    ended = await _ended(database, present.deleted)
    wanted = {one.key: one for one in rows if one.workspace_id not in forgotten and one.id not in ended}
    placed = Placed()
    if len(wanted) < len(rows):
        placed.warnings.append(f"{len(rows) - len(wanted)} artifacts were deleted since and are not put back.")
    digests = {member.name: member.sha256 for member in manifest.members}
    async with open_store_only(config, folder) as store:
        if manifest.artifacts == "copied":
            with members_of(file) as members:
                for name, stream in members:
                    key = name.removeprefix(OBJECT_FOLDER)
                    if name.startswith(OBJECT_FOLDER) and key in wanted:
                        await _put(store, key, stream, digests[name])
                        placed.count += 1
                        if placed.count % 500 == 0:
                            tell(f"{placed.count} of {len(wanted)} artifacts")
        else:
            placed.count = sum([await _has(store, one) for one in wanted.values()])
    if placed.count < len(wanted):
        absent = len(wanted) - placed.count
        placed.warnings.append(f"{absent} artifacts have no object: `failgate doctor` names their reports.")
    return placed


async def _ended(database: Database, deleted: set[str]) -> set[str]:
    """Return the artifacts that nothing names but reports and recordings in `deleted`."""
    query = (
        "SELECT artifact_id, report_id AS owner FROM report_artifact WHERE artifact_id IS NOT NULL "
        "UNION ALL SELECT artifact_id, recording_id AS owner FROM recording_chunk"
    )
    rows = await database.fetch(query) if deleted else []
    of_deleted = {row["artifact_id"] for row in rows if row["owner"] in deleted}
    return of_deleted - {row["artifact_id"] for row in rows if row["owner"] not in deleted}


async def _put(store: ArtifactStore, key: str, stream: IO[bytes], sha256: str) -> None:
    """Put one object; one that lies there already, as in a store outside of the data folder, has to be the same."""
    digest = hashlib.sha256()
    try:
        async with store.put(key) as incoming:
            while piece := stream.read(PIECE_BYTES):
                digest.update(piece)
                await incoming.write(piece)
            if digest.hexdigest() != sha256:
                raise BackupDamaged(f"{OBJECT_FOLDER}{key} changed while it was read.", hint="Restore again.")
            await incoming.commit()
    except Conflict as taken:
        there = hashlib.sha256()
        async for piece in store.open(key):
            there.update(piece)
        if there.hexdigest() != sha256:
            raise BackupDamaged(
                f"The store holds another object under {key} than the backup.", hint="Restore into an empty store."
            ) from taken


async def _has(store: ArtifactStore, artifact: Artifact) -> bool:
    try:
        return await store.size(artifact.key) == artifact.stored_bytes
    except NotFound:
        return False
