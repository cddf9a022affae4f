"""The verbs on recordings: begin, extend, stay alive, end, note what broke off. Reading is `reading.py`.

```text
begin ──► live ──► extend … ──► end ──► ended
live ──► broken      nothing was heard for 30 seconds, or whoever recorded was killed
broken ──► live      the same recorder comes back and goes on where the chain stands
```

A chunk is an artifact that is durable before its row; its row, the new link and their audit record are one transaction.
"""

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

import msgspec

from failgate.access.principal import Principal
from failgate.artifacts.artifacts import Artifact, Artifacts, uncounted
from failgate.audit.log import AuditLog
from failgate.audit.record import SERVER, Act, Actor, Event
from failgate.base.canonical import JSON, canonical
from failgate.base.clock import MICROSECONDS, Clock
from failgate.base.db import Database, Transaction, Verb
from failgate.base.errors import Conflict, NotFound, TooLarge
from failgate.base.idempotency import FirstAnswers, RequestKey
from failgate.base.ids import new_id
from failgate.base.links import first_link, next_link
from failgate.recordings.lines import Lines, read_lines
from failgate.recordings.stored import SELECT_ONE, Recording, recording_of
from failgate.redaction import Scanner, redact_bytes
from failgate.wire.recordings import (
    MOST_CHUNK_BYTES,
    SILENT_SECONDS,
    BeginRecording,
    EndRecording,
    RecordingReceipt,
    RecordingState,
)

ScannerOf = Callable[[str], Awaitable[Scanner]]
"""A workspace's id to the scanner with its own rules."""

RequesterOf = Callable[[str, str], Awaitable[str | None]]
"""`(workspace_id, command_id)`: the id of the principal that asked for the command, or None."""

Admit = Callable[[Transaction, str, str, int], Awaitable[None]]
"""`(tx, workspace_id, quota, more)`: raises when the workspace may not use `more` of the quota."""

Count = Callable[[Transaction, str, str, int], Awaitable[None]]
"""`(tx, workspace_id, "recording_ms", amount)`: adds to the usage of today."""

Tell = Callable[[str], None]
"""The id of a recording that changed, to those who follow it."""

Revisit = Callable[[Transaction, str, str, Scanner], Awaitable[None]]
"""`(tx, workspace_id, recording_id, scanner)`: what `scanner` saw of the recording may have to be seen again."""

_INLINE_BYTES: Final = 32 * 1024
_INSERT = """
INSERT INTO recording (id, workspace_id, state, begun, recorder_t, recorder_id, recorder_label, created_us, heard_us,
  chunks, size_bytes, duration_ms, chain, findings) VALUES ($1, $2, 'live', $3, $4, $5, $6, $7, $7, 0, 0, 0, $8, '{}')
"""
_EXTEND = """
UPDATE recording SET state = 'live', chunks = chunks + 1, size_bytes = size_bytes + $1, duration_ms = $2, chain = $3,
  heard_us = $4, findings = $5, ended_us = NULL
WHERE workspace_id = $6 AND id = $7 AND chunks = $8 AND chain = $9 AND state IN ('live', 'broken')
"""
_INSERT_CHUNK = """
INSERT INTO recording_chunk (workspace_id, recording_id, number, sha256, size_bytes, from_ms, to_ms, chain, artifact_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""
_INSERT_MARK = """
INSERT INTO recording_mark (workspace_id, recording_id, chunk, position, at_ms, kind, command_id)
VALUES ($1, $2, $3, $4, $5, $6, $7)
"""
_FIND_CHUNK = "SELECT chain FROM recording_chunk WHERE workspace_id = $1 AND recording_id = $2 AND number = $3"
_HEARD = "UPDATE recording SET heard_us = $1 WHERE workspace_id = $2 AND id = $3 AND state = 'live'"
_RESUME = """
UPDATE recording SET state = 'live', heard_us = $1, ended_us = NULL
WHERE workspace_id = $2 AND id = $3 AND state = 'broken'
"""
_END = """
UPDATE recording SET state = $1, ended_us = $2, heard_us = $2, exit_code = $3
WHERE workspace_id = $4 AND id = $5 AND chunks = $6 AND chain = $7 AND state IN ('live', 'broken')
"""
_SILENT = "SELECT workspace_id, id FROM recording WHERE state = 'live' AND heard_us < $1 ORDER BY heard_us LIMIT 200"
_BREAK = """
UPDATE recording SET state = 'broken', ended_us = heard_us
WHERE workspace_id = $1 AND id = $2 AND state = 'live' AND heard_us < $3
"""
_IS_CHUNK = "SELECT number FROM recording_chunk WHERE artifact_id = $1 LIMIT 1"


async def unvisited(tx: Transaction, workspace_id: str, recording_id: str, scanner: Scanner) -> None:
    """See nothing again: the rules never change."""


async def unlimited(tx: Transaction, workspace_id: str, quota: str, more: int) -> None:  # a place's fixed signature
    """Admit everything."""


class Recordings:
    """Recordings of workspaces, as whoever records them sees them."""

    def __init__(
        self,
        db: Database,
        audit: AuditLog,
        clock: Clock,
        artifacts: Artifacts,
        *,
        scanner_of: ScannerOf,
        requester_of: RequesterOf,
        tell: Tell,
        count: Count = uncounted,
        admit: Admit = unlimited,
        revisit: Revisit = unvisited,
    ) -> None:
        """Keep the parts; from now on no artifact goes that is a chunk."""
        self._db = db
        self._audit = audit
        self._clock = clock
        self._artifacts = artifacts
        self._answers = FirstAnswers(db, clock.now_us)
        self._scanner_of = scanner_of
        self._requester_of = requester_of
        self._tell = tell
        self._count = count
        self._admit = admit
        self._revisit = revisit
        artifacts.keep_while(_is_chunk)

    async def begin(
        self, principal: Principal, workspace_id: str, begun: BeginRecording, key: RequestKey | None = None
    ) -> RecordingReceipt:
        """Begin a recording; the receipt has the link that its first chunk follows.

        Raises: TooManyRequests, TooLarge (a quota is used up), StorageUnavailable.
        """
        document = msgspec.to_builtins(begun)

        async def verb(tx: Transaction) -> RecordingReceipt:
            await self._admit(tx, workspace_id, "recording_seconds_per_day", 1)
            await self._admit(tx, workspace_id, "storage_bytes", 1)
            recording_id = new_id()
            chain = first_link(recording_id, document).hex()
            await tx.execute(
                _INSERT, recording_id, workspace_id, canonical(document).decode(), principal.kind, principal.id,
                principal.label, self._clock.now_us(), chain,
            )  # fmt: skip
            facts: dict[str, JSON] = {"chain": chain}
            await self._append(tx, Actor.of(principal), workspace_id, Act.RECORDING_BEGUN, recording_id, facts)
            return RecordingReceipt(recording_id, "live", 0, chain)

        return await self._answers.once(key, RecordingReceipt, verb)

    async def extend(
        self, principal: Principal, workspace_id: str, recording_id: str, number: int, chain: str, content: bytes
    ) -> RecordingReceipt:
        """Keep chunk `number`, after which the link is `chain` in hex; one that is there already changes nothing.

        Raises: NotFound (no such recording of one's own), Conflict (ended; not the next chunk, or it does not fit the
        chain: with where the recording stands), Unprocessable (no lines of asciicast), TooLarge, StorageUnavailable.
        """
        if len(content) > MOST_CHUNK_BYTES:
            raise TooLarge("The chunk is too large.", hint=f"At most {MOST_CHUNK_BYTES} bytes.")
        recording = await self._own(principal, workspace_id, recording_id)
        known = await self._db.fetch_one(_FIND_CHUNK, workspace_id, recording_id, number)
        if known is not None and known["chain"] == chain:
            return recording.receipt
        digest = hashlib.sha256(content).digest()
        _check_next(recording, number, chain, digest)
        scanner = await self._scanner_of(workspace_id)
        lines, found = await _inspected(recording, content, scanner)
        marks = [
            mark for mark in lines.marks if await self._requester_of(workspace_id, mark.command_id) == principal.id
        ]
        lines = lines._replace(marks=marks)
        await self._artifacts.receive(
            workspace_id, digest.hex(), len(content), _once(content),
            attach=lambda tx, artifact: self._attach(tx, principal, recording, artifact, chain, lines, found, scanner),
        )  # fmt: skip
        return (await self._own(principal, workspace_id, recording_id)).receipt

    async def hear(self, principal: Principal, workspace_id: str, recording_id: str) -> RecordingReceipt:
        """Note that the recorder lives; one that was taken for broken off is live again.

        Raises: NotFound (no such recording of one's own), Conflict (it has ended).
        """

        async def verb(tx: Transaction) -> RecordingReceipt:
            recording = await self._own(principal, workspace_id, recording_id, tx)
            now_us = self._clock.now_us()
            if recording.state == "ended":
                raise _moved(recording, "The recording has ended.")
            if recording.state == "broken":
                await tx.execute(_RESUME, now_us, workspace_id, recording_id)
                await self._resumed(tx, principal, recording)
            else:
                await tx.execute(_HEARD, now_us, workspace_id, recording_id)
            return msgspec.structs.replace(recording.receipt, state="live")

        return await self._db.write(verb)

    async def end(
        self, principal: Principal, workspace_id: str, recording_id: str, ending: EndRecording
    ) -> RecordingReceipt:
        """End a recording after its last chunk; ended the same way again, it stays as it is.

        Raises: NotFound (no such recording of one's own), Conflict (chunks are missing, or it ended otherwise).
        """
        state: RecordingState = "broken" if ending.is_broken else "ended"

        async def verb(tx: Transaction) -> RecordingReceipt:
            recording = await self._own(principal, workspace_id, recording_id, tx)
            if (recording.chunks, recording.chain) != (ending.chunks, ending.chain):
                raise _moved(recording, "The recording stands elsewhere.")
            if recording.state == state and recording.ended_us is not None:
                return recording.receipt
            now_us = self._clock.now_us()
            if not await tx.execute(
                _END, state, now_us, ending.exit_code, workspace_id, recording_id, ending.chunks, ending.chain
            ):
                raise _moved(recording, "The recording has ended.")
            facts: dict[str, JSON] = {"chain": ending.chain, "chunks": ending.chunks}
            if ending.is_broken:
                facts["reason"] = "killed"
            act = Act.RECORDING_BROKEN if ending.is_broken else Act.RECORDING_ENDED
            await self._append(tx, Actor.of(principal), workspace_id, act, recording_id, facts)
            return RecordingReceipt(recording_id, state, ending.chunks, ending.chain)

        return await self._db.write(verb)

    async def sweep(self) -> int:
        """Note of recordings from which nothing was heard for long that they broke off; return how many."""
        before_us = self._clock.now_us() - SILENT_SECONDS * MICROSECONDS

        def breaking(workspace_id: str, recording_id: str) -> Verb[int]:
            async def verb(tx: Transaction) -> int:
                if await tx.execute(_BREAK, workspace_id, recording_id, before_us) != 1:
                    return 0  # it was heard meanwhile
                recording = recording_of(await tx.fetch_one(SELECT_ONE, workspace_id, recording_id))
                facts: dict[str, JSON] = {"chain": recording.chain, "chunks": recording.chunks, "reason": "silent"}
                await self._append(tx, SERVER, workspace_id, Act.RECORDING_BROKEN, recording_id, facts)
                return 1

            return verb

        silent = await self._db.fetch(_SILENT, before_us)
        return sum([await self._db.write(breaking(row["workspace_id"], row["id"])) for row in silent])

    async def _attach(
        self,
        tx: Transaction,
        principal: Principal,
        recording: Recording,
        artifact: Artifact,
        chain: str,
        lines: Lines,
        found: dict[str, int],
        scanner: Scanner,
    ) -> None:
        workspace_id, recording_id, number = recording.workspace_id, recording.id, recording.chunks
        now = await self._own(principal, workspace_id, recording_id, tx)
        await self._admit(tx, workspace_id, "storage_bytes", 0)
        findings = dict(Counter(now.findings) + Counter(found))
        moved = await tx.execute(
            _EXTEND, artifact.size_bytes, lines.to_ms, chain, self._clock.now_us(),
            msgspec.json.encode(findings).decode(), workspace_id, recording_id, number, recording.chain,
        )  # fmt: skip
        if moved != 1:
            raise _moved(now, "The recording went on elsewhere, or has ended.")
        await tx.execute(
            _INSERT_CHUNK, workspace_id, recording_id, number, artifact.sha256, artifact.size_bytes, lines.from_ms,
            lines.to_ms, chain, artifact.id,
        )  # fmt: skip
        for position, mark in enumerate(lines.marks):
            await tx.execute(_INSERT_MARK, workspace_id, recording_id, number, position, *mark)
        await self._count(tx, workspace_id, "recording_ms", lines.to_ms - now.duration_ms)
        actor = Actor.of(principal)
        if now.state == "broken":
            await self._resumed(tx, principal, now)
        facts: dict[str, JSON] = {
            "number": number, "sha256": artifact.sha256, "chain": chain, "size_bytes": artifact.size_bytes,
        }  # fmt: skip
        await self._append(tx, actor, workspace_id, Act.RECORDING_EXTENDED, recording_id, facts)
        await self._revisit(tx, workspace_id, recording_id, scanner)
        if found:
            withheld: dict[str, JSON] = {"number": number, "findings": sum(found.values())}
            await self._append(tx, actor, workspace_id, Act.RECORDING_WITHHELD, recording_id, withheld)

    async def _resumed(self, tx: Transaction, principal: Principal, recording: Recording) -> None:
        facts: dict[str, JSON] = {"chain": recording.chain, "chunks": recording.chunks}
        await self._append(
            tx, Actor.of(principal), recording.workspace_id, Act.RECORDING_RESUMED, recording.id, facts
        )  # fmt: skip

    async def _own(
        self, principal: Principal, workspace_id: str, recording_id: str, tx: Transaction | None = None
    ) -> Recording:
        recording = recording_of(await (tx or self._db).fetch_one(SELECT_ONE, workspace_id, recording_id))
        if (recording.recorder_t, recording.recorder_id) != (principal.kind, principal.id):
            raise NotFound("There is no such recording.")
        return recording

    async def _append(
        self, tx: Transaction, actor: Actor, workspace_id: str, act: Act, recording_id: str, facts: dict[str, JSON]
    ) -> None:
        """Append the event; those who follow the recording are told when it is durable."""
        await self._audit.append(tx, Event(act, workspace_id, "recording", recording_id, actor, facts))
        tx.after_commit(lambda: self._tell(recording_id))


async def _inspected(recording: Recording, content: bytes, scanner: Scanner) -> tuple[Lines, dict[str, int]]:
    """Return what the chunk says, and what the server's rules still find in it; large ones off the loop."""

    def inspect() -> tuple[Lines, dict[str, int]]:
        lines = read_lines(content, recording.begun, is_first=recording.chunks == 0, after_ms=recording.duration_ms)
        _, findings = redact_bytes(lines.shown, scanner)
        return lines, dict(Counter(finding.rule for finding in findings))

    return inspect() if len(content) <= _INLINE_BYTES else await asyncio.to_thread(inspect)


def _check_next(recording: Recording, number: int, chain: str, content_sha256: bytes) -> None:
    if recording.state == "ended":
        raise _moved(recording, "The recording has ended.")
    if number != recording.chunks:
        raise _moved(recording, f"Chunk {number} is not the next one.")
    if next_link(bytes.fromhex(recording.chain), number, content_sha256).hex() != chain:
        raise _moved(recording, "The chunk does not fit the chain.")


def _moved(recording: Recording, sentence: str) -> Conflict:
    return Conflict(
        sentence, hint="Go on from where it stands.",
        state=recording.state, chunks=recording.chunks, chain=recording.chain,
    )  # fmt: skip


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content


async def _is_chunk(tx: Transaction, artifact_id: str) -> bool:
    return await tx.fetch_one(_IS_CHUNK, artifact_id) is not None
