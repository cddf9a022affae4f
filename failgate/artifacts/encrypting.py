"""Sealing what was kept before encryption was switched on, one artifact after the other, while the server goes on.

Each artifact is put anew under another name, sealed; its row changes to that name; then the plain object goes. A break
at any point leaves the artifact readable and at most one object without a row, which the sweep removes.
"""

import hashlib
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, replace

from failgate.artifacts.artifact import COLUMNS, Artifact, artifact_of, salt_text
from failgate.artifacts.artifacts import Artifacts
from failgate.artifacts.keys import ArtifactKeys
from failgate.artifacts.sealing import new_salt, sealed_pieces
from failgate.artifacts.store import ArtifactStore
from failgate.audit.log import AuditLog
from failgate.audit.record import Act, Actor, Event
from failgate.base.canonical import JSON
from failgate.base.db import Database, Transaction
from failgate.base.errors import Conflict, FailgateError, NotFound, StorageUnavailable
from failgate.base.ids import new_id
from failgate.base.log import get_logger

_log = get_logger("failgate.artifacts")
_NEXT = f"SELECT {COLUMNS} FROM artifact WHERE salt IS NULL AND id > $1 ORDER BY id LIMIT 50"
_CHANGE = """
UPDATE artifact SET object_key = $1, salt = $2 WHERE id = $3 AND salt IS NULL AND COALESCE(object_key, id) = $4
"""


@dataclass(frozen=True, slots=True)
class Encrypted:
    """How many artifacts were sealed, how many could not be, how many are plain still."""

    sealed: int
    failed: int
    left: int


class Encrypting:
    """The verb over a store."""

    def __init__(
        self, db: Database, audit: AuditLog, store: ArtifactStore, artifacts: Artifacts, keys: ArtifactKeys
    ) -> None:
        self._db = db
        self._audit = audit
        self._store = store
        self._artifacts = artifacts
        self._keys = keys

    async def run(self, actor: Actor, seconds: float) -> Encrypted:
        """Seal plain artifacts until none is left or `seconds` are over; asked again it goes on.

        Raises: Conflict (no key is configured), StorageUnavailable.
        """
        if not self._keys.is_sealing:
            raise Conflict("Encryption is not switched on.", hint="Name a key in [artifacts.encryption].")
        deadline = time.monotonic() + seconds
        sealed = failed = 0
        after = ""
        while time.monotonic() < deadline and (rows := await self._db.fetch(_NEXT, after)):
            for row in rows:
                artifact = artifact_of(row)
                after = artifact.id
                try:
                    sealed += await self._seal(artifact, actor)
                except (Conflict, NotFound, StorageUnavailable) as error:  # one that is lost does not stop the others
                    failed += 1
                    _log.warning("artifact.not_encrypted", artifact=artifact.id, reason=error.sentence)
                if time.monotonic() >= deadline:
                    break
        [counted] = await self._db.fetch("SELECT count(*) AS number FROM artifact WHERE salt IS NULL")
        return Encrypted(sealed, failed, int(counted["number"]))

    async def _seal(self, artifact: Artifact, actor: Actor) -> int:
        data_key = await self._keys.sealing_key(artifact.workspace_id)
        anew = replace(artifact, object_key=new_id(), salt=new_salt())
        assert anew.sealed is not None
        assert data_key is not None
        async with self._store.put(anew.key) as incoming:
            async for piece in sealed_pieces(self._checked(artifact), anew.sealed, data_key):
                await incoming.write(piece)
            await incoming.commit()
        try:
            changed = await self._db.write(lambda tx: self._change(tx, artifact, anew, actor))
        except StorageUnavailable:
            raise  # it may be committed all the same: the sweep decides by the row
        except FailgateError:
            await self._artifacts.discard([anew])
            raise
        await self._artifacts.discard([artifact if changed else anew])
        return changed

    async def _checked(self, artifact: Artifact) -> AsyncIterator[bytes]:
        digest = hashlib.sha256()
        async with aclosing(self._artifacts.read(artifact, None, 0, artifact.size_bytes)) as pieces:
            async for piece in pieces:
                digest.update(piece)
                yield piece
        if digest.hexdigest() != artifact.sha256:
            raise StorageUnavailable("The object's bytes have another digest than its row.")

    async def _change(self, tx: Transaction, artifact: Artifact, anew: Artifact, actor: Actor) -> int:
        changed = await tx.execute(_CHANGE, anew.key, salt_text(anew.salt), artifact.id, artifact.key)
        if changed:
            facts: dict[str, JSON] = {"sha256": artifact.sha256}
            event = Event(Act.ARTIFACT_ENCRYPTED, artifact.workspace_id, "artifact", artifact.id, actor, facts)
            await self._audit.append(tx, event)
        return changed
