"""Recordings read: the list, one with its commands, its bytes, the proof of its chain. Reading content is on record."""

import hashlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Final

import msgspec

from failgate.access.principal import Principal
from failgate.artifacts.artifacts import Artifacts
from failgate.audit.log import AuditLog
from failgate.audit.record import Act, Actor, Event
from failgate.base.canonical import JSON
from failgate.base.db import Database, Transaction
from failgate.base.errors import BadInput, FailgateError, NotFound
from failgate.base.ids import is_id
from failgate.base.links import first_link, next_link
from failgate.recordings.stored import (
    SELECT_CHUNKS,
    SELECT_MARKS,
    SELECT_ONE,
    Recording,
    chunk_of,
    commands_of,
    recording_of,
    view_of,
)
from failgate.wire.gate import CommandView
from failgate.wire.recordings import ChainProof, ChunkView, RecordedCommand, RecordingPage, RecordingView

CommandsOf = Callable[[str, Sequence[str]], Awaitable[dict[str, CommandView]]]
"""`(workspace_id, ids)`: the commands by id, those that are there."""

PAGE_MOST: Final = 100
_PAGE = "SELECT * FROM recording WHERE workspace_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3"
_AFTER_ALL: Final = "g"  # greater than every id
_OF_COMMAND = "SELECT recording_id FROM recording_mark WHERE workspace_id = $1 AND command_id = $2 LIMIT 1"


class RecordingReading:
    """The reading half of recordings."""

    def __init__(self, db: Database, audit: AuditLog, artifacts: Artifacts, commands_of: CommandsOf) -> None:
        """Read from `db` and `artifacts`, on record in `audit`; `commands_of` knows what commands are."""
        self._db = db
        self._audit = audit
        self._artifacts = artifacts
        self._commands_of = commands_of

    async def page(self, workspace_id: str, limit: int = 50, after: str | None = None) -> RecordingPage:
        """Return up to `limit` (1 to 100) recordings, newest first, that are older than the id `after`.

        Raises: BadInput (`after` is not an id).
        """
        if after is not None and not is_id(after):
            raise BadInput("`after` is not the id of a recording.", hint="Use the `next` of the page before.")
        count = min(max(limit, 1), PAGE_MOST)
        rows = await self._db.fetch(_PAGE, workspace_id, after or _AFTER_ALL, count + 1)
        items = [view_of(recording_of(row)) for row in rows[:count]]
        return RecordingPage(items, items[-1].id if len(rows) > count else None)

    async def find(self, workspace_id: str, recording_id: str) -> Recording:
        """Return a recording. Raises: NotFound."""
        return recording_of(await self._db.fetch_one(SELECT_ONE, workspace_id, recording_id))

    async def view(self, workspace_id: str, recording_id: str) -> RecordingView:
        """Return a recording with its commands and chunks; nothing of what it shows.

        Raises: NotFound.
        """
        recording = await self.find(workspace_id, recording_id)
        return view_of(recording, await self.commands(recording), await self.chunks(recording))

    async def chunks(self, recording: Recording, first: int = 0) -> list[ChunkView]:
        """Return the chunks of a recording from number `first` on."""
        rows = await self._db.fetch(SELECT_CHUNKS, recording.workspace_id, recording.id, first)
        return [chunk_of(row) for row in rows]

    async def commands(self, recording: Recording) -> list[RecordedCommand]:
        """Return the commands that were asked for in a recording, with what became of them."""
        found = commands_of(await self._db.fetch(SELECT_MARKS, recording.workspace_id, recording.id))
        known = await self._commands_of(recording.workspace_id, [one.command_id for one in found])
        return [_joined(one, known.get(one.command_id)) for one in found]

    async def of_command(self, workspace_id: str, command_id: str) -> str | None:
        """Return the id of the recording in which the command was asked for, or None."""
        row = await self._db.fetch_one(_OF_COMMAND, workspace_id, command_id)
        return None if row is None else row["recording_id"]

    async def open(
        self, principal: Principal, recording: Recording, chunks: Sequence[ChunkView]
    ) -> AsyncGenerator[bytes, None]:
        """Return the bytes of `chunks`, a chunk at a time; the reading is on record, the first chunk there.

        Raises: NotFound (withheld: the server still found a secret), StorageUnavailable.
        """
        if recording.findings and principal.id != recording.recorder_id:
            raise NotFound("The recording is withheld: the server still found a secret in it.")
        facts: dict[str, JSON] = {"chain": recording.chain, "chunks": recording.chunks}
        if chunks:
            facts |= {"first": chunks[0].number, "last": chunks[-1].number}
        actor = Actor.of(principal)
        await self._audit.record(
            Event(Act.RECORDING_READ, recording.workspace_id, "recording", recording.id, actor, facts)
        )
        return self._read(recording.workspace_id, chunks)

    async def follow(self, recording: Recording, chunks: Sequence[ChunkView]) -> bytes:
        """Return the bytes of `chunks` for who was let in by `open` and follows."""
        return b"".join([piece async for piece in self._read(recording.workspace_id, chunks)])

    async def prove(self, workspace_id: str, recording_id: str) -> ChainProof:
        """Read every chunk, fold the chain again, compare it with rows and audit record; return what was found.

        Raises: NotFound, StorageUnavailable.
        """
        recording = await self.find(workspace_id, recording_id)
        link = first_link(recording.id, msgspec.to_builtins(recording.begun))
        chunks = await self.chunks(recording)
        for place, chunk in enumerate(chunks):
            digest = await self._digest(workspace_id, chunk)
            if digest is None:
                return _proof(recording, place, "its bytes cannot be read")
            link = next_link(link, place, digest)
            if digest.hex() != chunk.sha256 or chunk.number != place:
                return _proof(recording, place, "its bytes are others than were kept")
            if link.hex() != chunk.chain:
                return _proof(recording, place, "it does not fit the chain")
        if (len(chunks), link.hex()) != (recording.chunks, recording.chain):
            return _proof(recording, len(chunks), "chunks are missing at the end")
        said, record = await self._db.write(lambda tx: self._said(tx, recording))
        if said != (recording.chunks, recording.chain):
            return _proof(recording, min(said[0], recording.chunks), "the audit log says another chain", record)
        return ChainProof(recording.id, "intact", recording.chunks, recording.chain, record=record)

    async def _said(self, tx: Transaction, recording: Recording) -> tuple[tuple[int, str], int]:
        """Return how many chunks and which link the audit log has of the recording, and in which record."""
        said, record = (0, ""), 0
        for stored in await self._audit.of_object(tx, recording.workspace_id, recording.id):
            data = stored.record["data"]
            if stored.record["act"] == Act.RECORDING_BEGUN:
                said, record = (0, data["chain"]), stored.seq
            elif stored.record["act"] == Act.RECORDING_EXTENDED:
                said, record = (data["number"] + 1, data["chain"]), stored.seq
        return said, record

    async def _digest(self, workspace_id: str, chunk: ChunkView) -> bytes | None:
        digest = hashlib.sha256()
        try:
            async for piece in self._read(workspace_id, [chunk]):
                digest.update(piece)
        except FailgateError:
            return None
        return digest.digest()

    async def _read(self, workspace_id: str, chunks: Sequence[ChunkView]) -> AsyncGenerator[bytes, None]:
        for chunk in chunks:
            async for piece in self._artifacts.open(workspace_id, chunk.sha256):
                yield piece


def _joined(one: RecordedCommand, known: CommandView | None) -> RecordedCommand:
    if known is None:
        return one
    exit_code = known.outcome.exit_code if known.outcome is not None else None
    return msgspec.structs.replace(one, state=known.state, rendering=known.rendering, exit_code=exit_code)


def _proof(recording: Recording, number: int, reason: str, record: int | None = None) -> ChainProof:
    return ChainProof(recording.id, "changed", recording.chunks, recording.chain, number, reason, record)
