"""The verbs on private bytes: receive, open, unlink, sweep. What an artifact belongs to is not known here.

An object is durable in the store before its row exists, and its row is gone before the object is: a kill in between
leaves at worst an object without a row, which nobody can read and which the next start sweeps.
"""

import logging
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

import msgspec

from failgate.artifacts.artifact import COLUMNS, Artifact, artifact_of, made_us, salt_text
from failgate.artifacts.keys import ArtifactKeys
from failgate.artifacts.receiving import Inspection, received, too_large
from failgate.artifacts.sealing import new_salt, opened_pieces, sealed_pieces, span_of
from failgate.artifacts.store import ArtifactStore, Incoming
from failgate.base.clock import MICROSECONDS, Clock
from failgate.base.db import Database, Transaction
from failgate.base.errors import Conflict, FailgateError, NotFound, StorageUnavailable
from failgate.base.ids import is_id, new_id

__all__ = ["Artifact", "ArtifactLimits", "Artifacts", "Attach", "Inspection", "IsReferenced"]

_SWEEP_BATCH = 200
_log = logging.getLogger("failgate.artifacts")

_FIND = f"SELECT {COLUMNS} FROM artifact WHERE workspace_id = $1 AND sha256 = $2"
_INSERT = """
INSERT INTO artifact (id, workspace_id, sha256, size_bytes, findings, scanned_by, created_us, salt)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (workspace_id, sha256) DO NOTHING
"""
_FOUND = "UPDATE artifact SET findings = $1, scanned_by = $2 WHERE id = $3"


@dataclass(frozen=True, slots=True)
class ArtifactLimits:
    """The largest artifact in bytes, and how old an object without a row is before it is swept."""

    artifact_bytes: int = 1 << 30
    orphan_age_seconds: int = 24 * 3600


Attach = Callable[[Transaction, Artifact], Awaitable[None]]
Seen = tuple[Mapping[str, int], str]
Count = Callable[[Transaction, str, str, int], Awaitable[None]]
"""`(tx, workspace_id, "bytes_added" | "bytes_removed", amount)`: adds to the usage of today."""

IsReferenced = Callable[[Transaction, str], Awaitable[bool]]


async def uncounted(tx: Transaction, workspace_id: str, what: str, amount: int) -> None:  # a place's fixed signature
    """Count nothing."""


class Artifacts:
    """Private bytes of workspaces, each content once per workspace."""

    def __init__(
        self,
        db: Database,
        store: ArtifactStore,
        clock: Clock,
        limits: ArtifactLimits | None = None,
        keys: ArtifactKeys | None = None,
    ) -> None:
        """Keep the parts; without `keys` every artifact is plain."""
        self._db = db
        self._store = store
        self._clock = clock
        self._keys = keys
        self.limits = limits or ArtifactLimits()
        self._count: Count = uncounted
        self._kept_while: list[IsReferenced] = []

    def keep_while(self, is_referenced: IsReferenced) -> None:
        """Keep every artifact of which `is_referenced` says that a row refers to it."""
        self._kept_while.append(is_referenced)

    def count_by(self, count: Count) -> None:
        """Tell `count` of all bytes that come and go, in the transaction in which they do."""
        self._count = count

    async def receive(
        self,
        workspace_id: str,
        expected_sha256: str,
        expected_size: int,
        stream: AsyncIterable[bytes],
        *,
        inspection: Inspection | None = None,
        attach: Attach | None = None,
    ) -> Artifact:
        """Keep the bytes of `stream` as an artifact of the workspace, durably; return it.

        The same content again keeps one object; what `inspection` finds in it now, and what was found before, both
        stand. `attach` runs in the transaction that makes the row. When anything fails, no row exists and no object is
        readable.

        Raises: TooLarge (over the limit, as soon as it is), Unprocessable (another size or digest), StorageUnavailable.
        """
        if expected_size > self.limits.artifact_bytes:
            raise too_large(self.limits.artifact_bytes)
        if await self.find(workspace_id, expected_sha256) is not None:
            async with aclosing(self._received(stream, expected_sha256, expected_size, inspection)) as pieces:
                async for _ in pieces:
                    pass  # the sender proves that it holds the bytes; they are stored already
            seen = await inspection.finish() if inspection is not None else ({}, "")
            return await self._db.write(lambda tx: self._attach_known(tx, workspace_id, expected_sha256, attach, seen))
        key = new_id()
        artifact = Artifact(key, workspace_id, expected_sha256, expected_size)
        data_key = await self._keys.sealing_key(workspace_id) if self._keys is not None else None
        if data_key is not None:
            artifact = replace(artifact, salt=new_salt())
        async with self._store.put(key) as incoming:
            async with aclosing(self._received(stream, expected_sha256, expected_size, inspection)) as pieces:
                await _copy(_as_stored(pieces, artifact, data_key), incoming)
            findings, scanned_by = await inspection.finish() if inspection is not None else ({}, "")
            await incoming.commit()
        artifact = replace(artifact, findings=findings, scanned_by=scanned_by)
        try:
            kept = await self._db.write(lambda tx: self._keep(tx, artifact, attach))
        except StorageUnavailable:
            raise  # it may still turn out to be committed: the object stays, and the sweep decides by the row
        except FailgateError:
            await self.discard([artifact])
            raise
        if kept.id != key:
            await self.discard([artifact])
        return kept

    async def find(self, workspace_id: str, sha256: str) -> Artifact | None:
        """Return the workspace's artifact of this digest, or None."""
        row = await self._db.fetch_one(_FIND, workspace_id, sha256)
        return artifact_of(row) if row else None

    async def find_in(self, tx: Transaction, workspace_id: str, sha256: str) -> Artifact | None:
        """Return the workspace's artifact of this digest as the transaction sees it, or None."""
        row = await tx.fetch_one(_FIND, workspace_id, sha256)
        return artifact_of(row) if row else None

    async def open(
        self, workspace_id: str, sha256: str, start: int = 0, stop: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Yield the bytes `start` to `stop` (exclusive, None = end).

        Raises: NotFound (also for another workspace's artifact), StorageUnavailable.
        """
        artifact = await self.find(workspace_id, sha256)
        if artifact is None:
            raise NotFound("There is no such artifact.")
        async with aclosing(await self._begun(artifact, start, stop)) as pieces:
            async for piece in pieces:
                yield piece

    def read(self, artifact: Artifact, data_key: bytes | None, start: int, stop: int) -> AsyncGenerator[bytes, None]:
        """Return the plaintext bytes `start` to `stop` of an artifact; `data_key` opens a sealed one.

        Raises: NotFound (no object), StorageUnavailable.
        """
        sealed = artifact.sealed
        if sealed is None:
            return closing(self._store.open(artifact.key, start, stop))
        assert data_key is not None, "a sealed artifact is read by its key"
        span = span_of(sealed, start, stop)
        stored = closing(self._store.open(artifact.key, span.start, span.stop))
        return closing(opened_pieces(stored, sealed, data_key, start, stop), stored)

    async def _begun(self, artifact: Artifact, start: int, stop: int | None) -> AsyncGenerator[bytes, None]:
        """Return the bytes with their first piece fetched; an object that was just put anew is looked up again."""
        pieces = await self._pieces(artifact, start, stop)
        try:
            first = await anext(pieces, b"")
        except NotFound:
            await pieces.aclose()
            again = await self.find(artifact.workspace_id, artifact.sha256)
            if again is None or again.key == artifact.key:
                raise
            pieces = await self._pieces(again, start, stop)
            first = await anext(pieces, b"")
        return _chained(first, pieces)

    async def _pieces(self, artifact: Artifact, start: int, stop: int | None) -> AsyncGenerator[bytes, None]:
        data_key = None
        if artifact.salt is not None:
            if self._keys is None:
                raise StorageUnavailable("The artifact is sealed.", hint="Name its key in [artifacts.encryption].")
            data_key = await self._keys.opening_key(artifact.workspace_id)
        end = artifact.size_bytes if stop is None else min(stop, artifact.size_bytes)
        begin = min(max(start, 0), end)
        return self.read(artifact, data_key, begin, end)

    async def unlink(self, tx: Transaction, workspace_id: str, digests: Sequence[str]) -> list[Artifact]:
        """Remove the rows of artifacts that nothing refers to any more; return them for `discard` after the commit."""
        removed: list[Artifact] = []
        for sha256 in dict.fromkeys(digests):
            artifact = await self.find_in(tx, workspace_id, sha256)
            if artifact is None or any([await is_kept(tx, artifact.id) for is_kept in self._kept_while]):
                continue
            await tx.execute("DELETE FROM artifact WHERE id = $1", artifact.id)
            await self._count(tx, workspace_id, "bytes_removed", artifact.size_bytes)
            removed.append(artifact)
        return removed

    async def discard(self, artifacts: Sequence[Artifact]) -> int:
        """Remove the objects of artifacts that have no row; return how many the store did not let go (swept later)."""
        pending = 0
        for artifact in artifacts:
            try:
                await self._store.unlink(artifact.key)
            except FailgateError as error:
                pending += 1
                _log.warning("an object without a row stays until the next sweep: %s", error.slug)
        return pending

    async def remove_objects(self, workspace_id: str, limit: int) -> Sequence[Artifact]:
        """Remove the objects of up to `limit` artifacts of a workspace that is deleted; return those artifacts.

        Their rows are removed after this: nobody reads there any more, and a kill in between leaves rows that lead to
        what is still to be removed, never an object without a row.

        Raises: StorageUnavailable (some are removed; asked again, the others are).
        """
        query = f"SELECT {COLUMNS} FROM artifact WHERE workspace_id = $1 ORDER BY id LIMIT $2"
        found = [artifact_of(row) for row in await self._db.fetch(query, workspace_id, limit)]
        for artifact in found:
            await self._store.unlink(artifact.key)
        return found

    async def stored(self) -> tuple[int, int]:
        """Return how many artifacts are kept in all workspaces, and their bytes."""
        query = "SELECT count(*) AS number, CAST(COALESCE(SUM(size_bytes), 0) AS BIGINT) AS bytes FROM artifact"
        row = await self._db.fetch_one(query)
        return (int(row["number"]), int(row["bytes"])) if row is not None else (0, 0)

    async def sweep_orphans(self) -> int:
        """Remove objects that have no row and are older than a day; return how many. For the start, before requests.

        An object's age is read from its key, which is a time-ordered id of ours; other names are left alone.
        """
        oldest_us = self._clock.now_us() - self.limits.orphan_age_seconds * MICROSECONDS
        removed = 0
        batch: list[str] = []
        async for key in self._store.keys():
            if is_id(key) and key[14] == "7" and made_us(key) < oldest_us:
                batch.append(key)
            if len(batch) == _SWEEP_BATCH:
                removed += await self._sweep(batch)
                batch = []
        return removed + await self._sweep(batch)

    async def known_keys(self, keys: Sequence[str]) -> frozenset[str]:
        """Return those of `keys` (at most 200) that are the object of an artifact."""
        if not keys:
            return frozenset()
        numbers = ", ".join(f"${number}" for number in range(1, len(keys) + 1))
        query = (
            f"SELECT COALESCE(object_key, id) AS object_key FROM artifact WHERE id IN ({numbers}) "
            f"OR object_key IN ({numbers})"
        )
        return frozenset(row["object_key"] for row in await self._db.fetch(query, *keys)) & frozenset(keys)

    async def _sweep(self, keys: Sequence[str]) -> int:
        known = await self.known_keys(keys)
        return sum([await self._store.unlink(key) for key in keys if key not in known])

    async def _keep(self, tx: Transaction, artifact: Artifact, attach: Attach | None) -> Artifact:
        findings = msgspec.json.encode(artifact.findings).decode()
        inserted = await tx.execute(
            _INSERT, artifact.id, artifact.workspace_id, artifact.sha256, artifact.size_bytes, findings,
            artifact.scanned_by, self._clock.now_us(), salt_text(artifact.salt),
        )  # fmt: skip
        if inserted == 1:
            await self._count(tx, artifact.workspace_id, "bytes_added", artifact.size_bytes)
        seen = (artifact.findings, artifact.scanned_by)
        return await self._attach_known(tx, artifact.workspace_id, artifact.sha256, attach, seen)

    async def _attach_known(
        self, tx: Transaction, workspace_id: str, sha256: str, attach: Attach | None, seen: Seen
    ) -> Artifact:
        artifact = await self.find_in(tx, workspace_id, sha256)
        if artifact is None:
            raise Conflict("The artifact was removed while it was sent.", hint="Send it again.")
        findings, scanned_by = seen
        if findings and not artifact.findings:  # rules came since it was looked through
            artifact = replace(artifact, findings=findings, scanned_by=scanned_by)
            await tx.execute(_FOUND, msgspec.json.encode(findings).decode(), scanned_by, artifact.id)
        if attach is not None:
            await attach(tx, artifact)
        return artifact

    def _received(
        self, stream: AsyncIterable[bytes], sha256: str, size_bytes: int, inspection: Inspection | None
    ) -> AsyncGenerator[bytes, None]:
        return received(stream, sha256, size_bytes, self.limits.artifact_bytes, inspection)


def _as_stored(pieces: AsyncIterator[bytes], artifact: Artifact, data_key: bytes | None) -> AsyncIterator[bytes]:
    sealed = artifact.sealed
    if sealed is None or data_key is None:
        return pieces
    return sealed_pieces(pieces, sealed, data_key)


async def _copy(pieces: AsyncIterator[bytes], incoming: Incoming) -> None:
    async for piece in pieces:
        await incoming.write(piece)


async def closing(
    pieces: AsyncIterator[bytes], inner: AsyncGenerator[bytes, None] | None = None
) -> AsyncGenerator[bytes, None]:
    """Yield `pieces`; whoever leaves closes them, and what they read from."""
    try:
        async for piece in pieces:
            yield piece
    finally:
        if isinstance(pieces, AsyncGenerator):
            await pieces.aclose()
        if inner is not None:
            await inner.aclose()


async def _chained(first: bytes, rest: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(rest):
        if first:
            yield first
        async for piece in rest:
            yield piece
