"""The store against the database: objects without a row, rows without an object, other sizes, other digests."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final

from failgate.artifacts.artifact import COLUMNS, Artifact, artifact_of
from failgate.artifacts.artifacts import Artifacts
from failgate.artifacts.keys import ArtifactKeys
from failgate.artifacts.store import ArtifactStore
from failgate.base.db import Database
from failgate.base.errors import FailgateError, NotFound

NAMED_AT_MOST: Final = 50
_ROWS_AT_ONCE: Final = 200
_ASKED_AT_ONCE: Final = 16
_ROWS: Final = f"SELECT {COLUMNS} FROM artifact WHERE id > $1 ORDER BY id LIMIT {_ROWS_AT_ONCE}"


@dataclass(slots=True)
class Compared:
    """What was found; each list names the first 50, each count has all of them.

    `orphans` are objects without a row: an upload of this moment, or what the next start sweeps. `shredded` counts
    artifacts whose key was destroyed, which no digest can be checked of. `leaving` counts artifacts of a workspace that
    is being emptied whose object is gone already: its row goes next.
    """

    objects: int = 0
    rows: int = 0
    orphans: int = 0
    lost: list[Artifact] = field(default_factory=list[Artifact])
    resized: list[Artifact] = field(default_factory=list[Artifact])
    changed: list[Artifact] = field(default_factory=list[Artifact])
    shredded: int = 0
    leaving: int = 0
    lost_count: int = 0
    resized_count: int = 0
    changed_count: int = 0


class Comparison:
    """Compares; changes nothing."""

    def __init__(self, db: Database, store: ArtifactStore, artifacts: Artifacts, keys: ArtifactKeys) -> None:
        self._db = db
        self._store = store
        self._artifacts = artifacts
        self._keys = keys

    async def run(self, *, is_deep: bool, emptied: frozenset[str] = frozenset()) -> Compared:
        """Return what was found; `is_deep` reads every byte and compares digests too.

        `emptied` are the workspaces of which objects go before their rows: none of those is lost.

        Raises: StorageUnavailable.
        """
        found = Compared()
        await self._find_orphans(found)
        async for rows in self._rows():
            found.rows += len(rows)
            turns = asyncio.Semaphore(_ASKED_AT_ONCE)
            await asyncio.gather(
                *(self._look_at(artifact, found, turns, is_deep=is_deep, emptied=emptied) for artifact in rows)
            )
        return found

    async def _find_orphans(self, found: Compared) -> None:
        batch: list[str] = []
        async for key in self._store.keys():
            found.objects += 1
            batch.append(key)
            if len(batch) == _ROWS_AT_ONCE:
                found.orphans += await self._without_row(batch)
                batch = []
        found.orphans += await self._without_row(batch)

    async def _without_row(self, keys: Sequence[str]) -> int:
        return len(keys) - len(await self._artifacts.known_keys(keys))

    async def _rows(self) -> AsyncIterator[list[Artifact]]:
        after = ""
        while rows := await self._db.fetch(_ROWS, after):
            after = rows[-1]["id"]
            yield [artifact_of(row) for row in rows]

    async def _look_at(
        self, artifact: Artifact, found: Compared, turns: asyncio.Semaphore, *, is_deep: bool, emptied: frozenset[str]
    ) -> None:
        async with turns:
            try:
                size = await self._store.size(artifact.key)
            except NotFound:
                if artifact.workspace_id in emptied:
                    found.leaving += 1
                elif await self._is_there_still(artifact):
                    found.lost_count += 1
                    _name(artifact, found.lost)
                return
            if size != artifact.stored_bytes:
                found.resized_count += 1
                _name(artifact, found.resized)
            elif is_deep and not await self._is_whole(artifact, found):
                found.changed_count += 1
                _name(artifact, found.changed)

    async def _is_there_still(self, artifact: Artifact) -> bool:
        """Tell whether the row names that object still: it may have been deleted, or sealed anew, meanwhile."""
        row = await self._db.fetch_one(f"SELECT {COLUMNS} FROM artifact WHERE id = $1", artifact.id)
        return row is not None and artifact_of(row).key == artifact.key

    async def _is_whole(self, artifact: Artifact, found: Compared) -> bool:
        digest, data_key = hashlib.sha256(), None
        try:
            if artifact.salt is not None:
                try:
                    data_key = await self._keys.opening_key(artifact.workspace_id)
                except NotFound:
                    found.shredded += 1
                    return True
            async with aclosing(self._artifacts.read(artifact, data_key, 0, artifact.size_bytes)) as pieces:
                async for piece in pieces:
                    digest.update(piece)
        except FailgateError:
            return False
        return digest.hexdigest() == artifact.sha256


def _name(artifact: Artifact, names: list[Artifact]) -> None:
    if len(names) < NAMED_AT_MOST:
        names.append(artifact)
