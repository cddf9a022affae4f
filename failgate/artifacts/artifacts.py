"""The verbs on private bytes: receive, open, unlink, sweep. What an artifact belongs to is not known here.

An object is durable in the store before its row exists, and its row is gone before the object is: a kill in between
leaves at worst an object without a row, which nobody can read and which the next start sweeps.
"""

import hashlib
import logging
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from failgate.artifacts.store import ArtifactStore, Incoming
from failgate.base.clock import MICROSECONDS, Clock
from failgate.base.db import Database, Row, Transaction
from failgate.base.errors import Conflict, FailgateError, NotFound, StorageUnavailable, TooLarge, Unprocessable
from failgate.base.ids import is_id, new_id

PIECE_BYTES = 1024 * 1024  # hashed and handed on at once; smaller pieces cost more than they weigh
_SWEEP_BATCH = 200
_log = logging.getLogger("failgate.artifacts")
_decode_findings = msgspec.json.Decoder(dict[str, int]).decode

_FIND = """
SELECT id, workspace_id, sha256, size_bytes, findings, scanned_by FROM artifact WHERE workspace_id = $1 AND sha256 = $2
"""
_INSERT = """
INSERT INTO artifact (id, workspace_id, sha256, size_bytes, findings, scanned_by, created_us)
VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (workspace_id, sha256) DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class ArtifactLimits:
    """The largest artifact in bytes, and how old an object without a row is before it is swept."""

    artifact_bytes: int = 1 << 30
    orphan_age_seconds: int = 24 * 3600


@dataclass(frozen=True, slots=True)
class Artifact:
    """One stored object: `id` is its key in the store; `findings` counts what a scan found, by rule."""

    id: str
    workspace_id: str
    sha256: str
    size_bytes: int
    findings: Mapping[str, int] = field(default_factory=dict[str, int])
    scanned_by: str = ""


class Inspection(Protocol):
    """Watches the bytes of one artifact while they arrive."""

    async def feed(self, piece: bytes) -> None:
        """See the next piece."""
        ...

    async def finish(self) -> tuple[Mapping[str, int], str]:
        """Return the counts by rule, and the name of the rule set (empty when nothing was scanned)."""
        ...


Attach = Callable[[Transaction, Artifact], Awaitable[None]]
IsReferenced = Callable[[Transaction, str], Awaitable[bool]]


class Artifacts:
    """Private bytes of workspaces, each content once per workspace."""

    def __init__(self, db: Database, store: ArtifactStore, clock: Clock, limits: ArtifactLimits | None = None) -> None:
        self._db = db
        self._store = store
        self._clock = clock
        self.limits = limits or ArtifactLimits()

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

        The same content again keeps one object. `attach` runs in the transaction that makes the row. When anything
        fails, no row exists and no object is readable.

        Raises: TooLarge (over the limit, as soon as it is), Unprocessable (another size or digest), StorageUnavailable.
        """
        if expected_size > self.limits.artifact_bytes:
            raise self._too_large()
        pieces = self._checked(stream, expected_sha256, expected_size, inspection)
        if await self.find(workspace_id, expected_sha256) is not None:
            async for _ in pieces:
                pass  # the sender proves that it holds the bytes; they are stored already
            return await self._db.write(lambda tx: self._attach_known(tx, workspace_id, expected_sha256, attach))
        key = new_id()
        async with self._store.put(key) as incoming:
            await _copy(pieces, incoming)
            findings, scanned_by = await inspection.finish() if inspection is not None else ({}, "")
            await incoming.commit()
        artifact = Artifact(key, workspace_id, expected_sha256, expected_size, findings, scanned_by)
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
        return _artifact(row) if row else None

    async def find_in(self, tx: Transaction, workspace_id: str, sha256: str) -> Artifact | None:
        """Return the workspace's artifact of this digest as the transaction sees it, or None."""
        row = await tx.fetch_one(_FIND, workspace_id, sha256)
        return _artifact(row) if row else None

    async def open(
        self, workspace_id: str, sha256: str, start: int = 0, stop: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Yield the bytes `start` to `stop` (exclusive, None = end).

        Raises: NotFound (also for another workspace's artifact), StorageUnavailable.
        """
        artifact = await self.find(workspace_id, sha256)
        if artifact is None:
            raise NotFound("There is no such artifact.")
        stream = self._store.open(artifact.id, start, stop)
        try:
            async for piece in stream:
                yield piece
        finally:
            if isinstance(stream, AsyncGenerator):
                await stream.aclose()

    async def unlink(
        self, tx: Transaction, workspace_id: str, digests: Sequence[str], is_referenced: IsReferenced
    ) -> list[Artifact]:
        """Remove the rows of artifacts that nothing refers to any more; return them for `discard` after the commit."""
        removed: list[Artifact] = []
        for sha256 in dict.fromkeys(digests):
            artifact = await self.find_in(tx, workspace_id, sha256)
            if artifact is None or await is_referenced(tx, artifact.id):
                continue
            await tx.execute("DELETE FROM artifact WHERE id = $1", artifact.id)
            removed.append(artifact)
        return removed

    async def discard(self, artifacts: Sequence[Artifact]) -> int:
        """Remove the objects of artifacts that have no row; return how many the store did not let go (swept later)."""
        pending = 0
        for artifact in artifacts:
            try:
                await self._store.unlink(artifact.id)
            except FailgateError as error:
                pending += 1
                _log.warning("an object without a row stays until the next sweep: %s", error.slug)
        return pending

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
            if is_id(key) and key[14] == "7" and _made_us(key) < oldest_us:
                batch.append(key)
            if len(batch) == _SWEEP_BATCH:
                removed += await self._sweep(batch)
                batch = []
        return removed + await self._sweep(batch)

    async def _sweep(self, keys: Sequence[str]) -> int:
        if not keys:
            return 0
        numbers = ", ".join(f"${number}" for number in range(1, len(keys) + 1))
        rows = await self._db.fetch(f"SELECT id FROM artifact WHERE id IN ({numbers})", *keys)
        known = {row["id"] for row in rows}
        return sum([await self._store.unlink(key) for key in keys if key not in known])

    async def _keep(self, tx: Transaction, artifact: Artifact, attach: Attach | None) -> Artifact:
        findings = msgspec.json.encode(artifact.findings).decode()
        await tx.execute(
            _INSERT, artifact.id, artifact.workspace_id, artifact.sha256, artifact.size_bytes, findings,
            artifact.scanned_by, self._clock.now_us(),
        )  # fmt: skip
        return await self._attach_known(tx, artifact.workspace_id, artifact.sha256, attach)

    async def _attach_known(self, tx: Transaction, workspace_id: str, sha256: str, attach: Attach | None) -> Artifact:
        artifact = await self.find_in(tx, workspace_id, sha256)
        if artifact is None:
            raise Conflict("The artifact was removed while it was sent.", hint="Send it again.")
        if attach is not None:
            await attach(tx, artifact)
        return artifact

    async def _checked(
        self, stream: AsyncIterable[bytes], sha256: str, size_bytes: int, inspection: Inspection | None
    ) -> AsyncIterator[bytes]:
        """Yield the stream in pieces of at least 1 MiB; the last one only when size and digest are as expected."""
        digest = hashlib.sha256()
        received = 0
        held: list[bytes] = []
        held_bytes = 0
        async for chunk in stream:
            received += len(chunk)
            if received > self.limits.artifact_bytes:
                raise self._too_large()
            if received > size_bytes:
                raise Unprocessable(
                    f"The artifact has more than the {size_bytes} bytes that its manifest says.",
                    hint="Capture it again.",
                )
            held.append(chunk)
            held_bytes += len(chunk)
            if held_bytes >= PIECE_BYTES and received < size_bytes:
                piece = b"".join(held)
                held, held_bytes = [], 0
                digest.update(piece)
                if inspection is not None:
                    await inspection.feed(piece)
                yield piece
        piece = b"".join(held)
        digest.update(piece)
        if received != size_bytes:
            raise Unprocessable(
                f"The artifact has {received} bytes; its manifest says {size_bytes}.", hint="Send the whole file again."
            )
        if digest.hexdigest() != sha256:
            raise Unprocessable(
                "The artifact's bytes have another SHA-256 than its manifest says.", hint="Send it again."
            )
        if inspection is not None:
            await inspection.feed(piece)
        yield piece

    def _too_large(self) -> TooLarge:
        return TooLarge(
            "The artifact is too large.",
            hint=f"At most {self.limits.artifact_bytes} bytes are taken.",
            limit_bytes=self.limits.artifact_bytes,
        )


async def _copy(pieces: AsyncIterator[bytes], incoming: Incoming) -> None:
    async for piece in pieces:
        await incoming.write(piece)


def _artifact(row: Row) -> Artifact:
    return Artifact(
        row["id"],
        row["workspace_id"],
        row["sha256"],
        row["size_bytes"],
        _decode_findings(row["findings"]),
        row["scanned_by"],
    )


def _made_us(key: str) -> int:
    """Return when a UUID of version 7 was made, microseconds since 1970."""
    return int(key[:8] + key[9:13], 16) * 1000
