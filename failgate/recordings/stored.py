"""A recording as its row has it, and as doors answer it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, cast, get_args

import msgspec

from failgate.base.clock import to_rfc3339
from failgate.base.db import Row
from failgate.base.errors import NotFound
from failgate.wire.recordings import (
    BeginRecording,
    ChunkView,
    MarkKind,
    RecordedCommand,
    RecordingReceipt,
    RecordingState,
    RecordingView,
)

SELECT_ONE: Final = "SELECT * FROM recording WHERE workspace_id = $1 AND id = $2"
SELECT_CHUNKS: Final = """
SELECT number, sha256, size_bytes, from_ms, to_ms, chain FROM recording_chunk
WHERE workspace_id = $1 AND recording_id = $2 AND number >= $3 ORDER BY number
"""
SELECT_MARKS: Final = """
SELECT at_ms, kind, command_id FROM recording_mark
WHERE workspace_id = $1 AND recording_id = $2 ORDER BY chunk, position
"""
MARK_KINDS: Final = get_args(MarkKind)
_decode_begun = msgspec.json.Decoder(BeginRecording).decode
_decode_findings = msgspec.json.Decoder(dict[str, int]).decode


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording. `chain` is the last link in hex; `findings` counts secrets that the server still found."""

    id: str
    workspace_id: str
    state: RecordingState
    begun: BeginRecording
    recorder_t: str
    recorder_id: str
    recorder_label: str
    created_us: int
    ended_us: int | None
    exit_code: int | None
    chunks: int
    size_bytes: int
    duration_ms: int
    chain: str
    findings: dict[str, int]

    @property
    def receipt(self) -> RecordingReceipt:
        """Return where it stands."""
        return RecordingReceipt(self.id, self.state, self.chunks, self.chain)


def recording_of(row: Row | None) -> Recording:
    """Return the recording of a row. Raises: NotFound for None."""
    if row is None:
        raise NotFound("There is no such recording.")
    return Recording(
        row["id"], row["workspace_id"], cast("RecordingState", row["state"]), _decode_begun(row["begun"]),
        row["recorder_t"], row["recorder_id"], row["recorder_label"], row["created_us"], row["ended_us"],
        row["exit_code"], row["chunks"], row["size_bytes"], row["duration_ms"], row["chain"],
        _decode_findings(row["findings"]),
    )  # fmt: skip


def chunk_of(row: Row) -> ChunkView:
    """Return the chunk of a row."""
    return ChunkView(
        row["number"], row["sha256"], row["size_bytes"], row["from_ms"], row["to_ms"], row["chain"]
    )  # fmt: skip


def view_of(
    recording: Recording, commands: list[RecordedCommand] | None = None, chunks: list[ChunkView] | None = None
) -> RecordingView:
    """Return the recording as a door answers it."""
    return RecordingView(
        id=recording.id,
        state=recording.state,
        created_at=to_rfc3339(recording.created_us),
        agent=recording.recorder_label,
        host=recording.begun.host,
        title=recording.begun.title,
        width=recording.begun.width,
        height=recording.begun.height,
        duration_ms=recording.duration_ms,
        chunks=recording.chunks,
        size_bytes=recording.size_bytes,
        chain=recording.chain,
        is_withheld=bool(recording.findings),
        ended_at=to_rfc3339(recording.ended_us) if recording.ended_us is not None else None,
        exit_code=recording.exit_code,
        commands=commands,
        parts=chunks,
    )


def commands_of(marks: Iterable[Row]) -> list[RecordedCommand]:
    """Return the commands that `marks` speak of, in the order in which they were asked for."""
    found: dict[str, RecordedCommand] = {}
    for mark in marks:
        command_id, at_ms, kind = mark["command_id"], mark["at_ms"], mark["kind"]
        known = found.setdefault(command_id, RecordedCommand(command_id, at_ms))
        if kind == "started":
            found[command_id] = msgspec.structs.replace(known, started_ms=at_ms)
        elif kind == "ended":
            found[command_id] = msgspec.structs.replace(known, ended_ms=at_ms)
    return list(found.values())


def contiguous(chunks: Sequence[ChunkView], most_bytes: int) -> list[list[ChunkView]]:
    """Return the chunks in groups, each of at most `most_bytes` or of one chunk."""
    groups: list[list[ChunkView]] = []
    size = 0
    for chunk in chunks:
        if not groups or size + chunk.size_bytes > most_bytes:
            groups.append([])
            size = 0
        groups[-1].append(chunk)
        size += chunk.size_bytes
    return groups
