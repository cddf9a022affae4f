"""The data keys of workspaces, wrapped by a key that the operator keeps outside the database.

Who has the database and the store reads nothing without the wrapping key. Destroying a workspace's data key makes its
sealed artifacts unreadable at once, also those in backups of the store (crypto-shredding).
"""

import base64
import hashlib
import secrets
from collections.abc import Sequence
from functools import partial
from typing import Final, final

from failgate.artifacts.sealing import KEY_BYTES
from failgate.audit.log import AuditLog
from failgate.audit.record import SERVER, Act, Actor, Event
from failgate.base.canonical import JSON
from failgate.base.clock import Clock
from failgate.base.db import Database, Row, Transaction
from failgate.base.errors import Conflict, FailgateError, NotFound, StartRefused, StorageUnavailable
from failgate.base.secret import Secret, key_of
from failgate.base.secretbox import SecretBox

ROTATED_AT_ONCE: Final = 100
_PURPOSE: Final = "artifact data key"
_SELECT: Final = "SELECT workspace_id, wrapped, wrapping_key_id, destroyed_us FROM artifact_key"
_INSERT: Final = """
INSERT INTO artifact_key (workspace_id, wrapped, wrapping_key_id, created_us) VALUES ($1, $2, $3, $4)
ON CONFLICT (workspace_id) DO NOTHING
"""


@final
class WrappingKeys:
    """The key that wraps now (None: nothing new is sealed), and earlier ones that still open."""

    def __init__(self, current: Secret | None = None, previous: Sequence[Secret] = ()) -> None:
        """Read the keys.

        Raises: ValueError.
        """
        self._boxes: dict[str, SecretBox] = {}
        self.current: str | None = None
        for secret in (*previous, *([current] if current is not None else ())):
            key = key_of(secret)
            self.current = hashlib.sha256(b"failgate wrapping key\n" + key).hexdigest()[:16]
            self._boxes[self.current] = SecretBox(key)
        if current is None:
            self.current = None

    def __contains__(self, key_id: str) -> bool:
        return key_id in self._boxes

    def wrap(self, data_key: bytes, workspace_id: str) -> tuple[str, str]:
        """Return the wrapped data key and the id of the key that wrapped it."""
        assert self.current is not None, "nothing is wrapped without a key"
        box = self._boxes[self.current]
        sealed = box.seal(data_key, purpose=_PURPOSE, owner=f"{workspace_id}:{self.current}")
        return base64.b64encode(sealed).decode(), self.current

    def unwrap(self, wrapped: str, key_id: str, workspace_id: str) -> bytes:
        """Return the data key.

        Raises: StorageUnavailable (the wrapping key is not configured, or the row was changed).
        """
        if key_id not in self._boxes:
            raise StorageUnavailable(
                f"The artifacts of this workspace are sealed under the key {key_id}, which is not configured.",
                hint="Put it into [artifacts.encryption] previous.",
            )
        try:
            sealed = base64.b64decode(wrapped, validate=True)
            return self._boxes[key_id].unseal(sealed, purpose=_PURPOSE, owner=f"{workspace_id}:{key_id}")
        except (FailgateError, ValueError) as error:
            raise StorageUnavailable(
                "The key of this workspace's artifacts does not open: its row was changed.",
                hint="Put the database back from a backup.",
            ) from error


class ArtifactKeys:
    """The data keys, made when a workspace's first artifact is sealed."""

    def __init__(self, db: Database, audit: AuditLog, clock: Clock, wrapping: WrappingKeys) -> None:
        self._db = db
        self._audit = audit
        self._clock = clock
        self._wrapping = wrapping
        self._opened: dict[str, bytes] = {}
        self._destroyed: set[str] = set()

    @property
    def is_sealing(self) -> bool:
        """Tell whether new artifacts are sealed."""
        return self._wrapping.current is not None

    async def check(self) -> None:
        """Do nothing when every data key can be opened.

        Raises: StartRefused naming the keys that are missing and the mend.
        """
        query = (
            "SELECT wrapping_key_id, count(*) AS number, min(workspace_id) AS workspace_id FROM artifact_key "
            "WHERE destroyed_us IS NULL GROUP BY wrapping_key_id ORDER BY wrapping_key_id"
        )
        for row in await self._db.fetch(query):
            if row["wrapping_key_id"] not in self._wrapping:
                raise StartRefused(
                    f"The artifacts of {row['number']} workspaces are sealed under the key {row['wrapping_key_id']}, "
                    "which the config does not hold.",
                    hint="Put that key back as `key` or into `previous` of [artifacts.encryption]; without it they "
                    "cannot be read by anybody.",
                )
            try:
                await self.opening_key(row["workspace_id"])
            except StorageUnavailable as error:
                raise StartRefused(error.sentence, hint=error.hint) from error

    async def sealing_key(self, workspace_id: str) -> bytes | None:
        """Return the data key under which a new artifact is sealed, made now if there is none; None: it stays plain.

        Raises: Conflict (it was destroyed), StorageUnavailable.
        """
        if not self.is_sealing:
            return None
        known = self._opened.get(workspace_id)
        if known is not None:
            return known
        if await self._row(workspace_id) is None:
            await self._db.write(lambda tx: self._create(tx, workspace_id))
        try:
            return await self.opening_key(workspace_id)
        except NotFound:
            raise Conflict(
                "The key of this workspace's artifacts was destroyed.", hint="Nothing more is kept in this workspace."
            ) from None

    async def opening_key(self, workspace_id: str) -> bytes:
        """Return the data key that opens the workspace's sealed artifacts.

        Raises: NotFound (destroyed), StorageUnavailable (its wrapping key is missing, or its row was changed).
        """
        known = self._opened.get(workspace_id)
        if known is not None:
            return known
        row = await self._row(workspace_id)
        if row is None or row["destroyed_us"] is not None:
            raise NotFound("The key of this artifact was destroyed; nobody can read it any more.")
        key = self._wrapping.unwrap(row["wrapped"], row["wrapping_key_id"], workspace_id)
        if workspace_id not in self._destroyed:  # while the row was read
            self._opened[workspace_id] = key
        return key

    async def destroy(self, tx: Transaction, workspace_id: str, actor: Actor) -> bool:
        """Destroy the data key for ever: sealed artifacts of the workspace are unreadable from the commit on.

        False when there was none.
        """
        changed = await tx.execute(
            "UPDATE artifact_key SET wrapped = '', destroyed_us = $1 WHERE workspace_id = $2 AND destroyed_us IS NULL",
            self._clock.now_us(), workspace_id,
        )  # fmt: skip
        if not changed:
            return False
        await self._append(tx, Act.ARTIFACT_KEY_DESTROYED, workspace_id, {}, actor)
        tx.after_commit(lambda: self._forget(workspace_id))
        return True

    async def rotate(self, actor: Actor) -> int:
        """Wrap every data key that an earlier key wraps by the current one; return how many.

        What was sealed stays as it is. It may be asked again after a break.

        Raises: Conflict (no current key), StorageUnavailable (an earlier key is missing).
        """
        if self._wrapping.current is None:
            raise Conflict("There is no current key to wrap with.", hint="Name one as [artifacts.encryption] key.")
        query = f"{_SELECT} WHERE destroyed_us IS NULL AND wrapping_key_id <> $1 ORDER BY workspace_id LIMIT $2"
        rotated = 0
        while rows := await self._db.fetch(query, self._wrapping.current, ROTATED_AT_ONCE):
            for row in rows:
                rotated += await self._db.write(partial(self._rewrap, row=row, actor=actor))
        return rotated

    def _forget(self, workspace_id: str) -> None:
        self._destroyed.add(workspace_id)
        self._opened.pop(workspace_id, None)

    async def _rewrap(self, tx: Transaction, row: Row, actor: Actor) -> int:
        workspace_id, before = row["workspace_id"], row["wrapping_key_id"]
        wrapped, now = self._wrapping.wrap(self._wrapping.unwrap(row["wrapped"], before, workspace_id), workspace_id)
        changed = await tx.execute(
            "UPDATE artifact_key SET wrapped = $1, wrapping_key_id = $2 "
            "WHERE workspace_id = $3 AND wrapping_key_id = $4 AND destroyed_us IS NULL",
            wrapped, now, workspace_id, before,
        )  # fmt: skip
        if changed:
            facts: dict[str, JSON] = {"wrapping_key": now, "wrapping_key_before": before}
            await self._append(tx, Act.ARTIFACT_KEY_ROTATED, workspace_id, facts, actor)
        return changed

    async def _create(self, tx: Transaction, workspace_id: str) -> None:
        wrapped, key_id = self._wrapping.wrap(secrets.token_bytes(KEY_BYTES), workspace_id)
        if await tx.execute(_INSERT, workspace_id, wrapped, key_id, self._clock.now_us()):
            await self._append(tx, Act.ARTIFACT_KEY_CREATED, workspace_id, {"wrapping_key": key_id}, SERVER)

    async def _append(self, tx: Transaction, act: Act, workspace_id: str, facts: dict[str, JSON], actor: Actor) -> None:
        await self._audit.append(tx, Event(act, workspace_id, "workspace", workspace_id, actor, facts))

    async def _row(self, workspace_id: str) -> Row | None:
        return await self._db.fetch_one(f"{_SELECT} WHERE workspace_id = $1", workspace_id)
