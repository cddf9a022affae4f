"""What is kept of recordings: metadata and the chain. The bytes are artifacts. Times are microseconds since 1970."""

from typing import Final

from piccolo.columns import BigInt, Text
from piccolo.table import Table

from failgate.base.emptying import Rows


class RecordingRow(Table, tablename="recording"):
    """A recording. `begun` is canonical JSON of what was said at its beginning, `findings` JSON `{rule: count}`.

    `chain` is the last link in hex; `heard_us` when something last came from whoever records.
    """

    id = Text(primary_key=True, default="")
    workspace_id = Text()
    state = Text()
    begun = Text()
    recorder_t = Text()
    recorder_id = Text()
    recorder_label = Text()
    created_us = BigInt()
    heard_us = BigInt()
    ended_us = BigInt(null=True, default=None)
    exit_code = BigInt(null=True, default=None)
    chunks = BigInt()
    size_bytes = BigInt()
    duration_ms = BigInt()
    chain = Text()
    findings = Text()


class RecordingChunkRow(Table, tablename="recording_chunk"):
    """One chunk, its artifact, and the link after it; the key is recording and number."""

    workspace_id = Text()
    recording_id = Text(primary_key=True)
    number = BigInt()
    sha256 = Text()
    size_bytes = BigInt()
    from_ms = BigInt()
    to_ms = BigInt()
    chain = Text()
    artifact_id = Text()


class RecordingMarkRow(Table, tablename="recording_mark"):
    """What a chunk says of a command, in its order; the key is recording, chunk and position."""

    workspace_id = Text()
    recording_id = Text(primary_key=True)
    chunk = BigInt()
    position = BigInt()
    at_ms = BigInt()
    kind = Text()
    command_id = Text()


class RecordingScanRow(Table, tablename="recording_scan"):
    """How far the recordings of a workspace were looked through again since one of its redaction rules was added."""

    workspace_id = Text(primary_key=True)
    generation = BigInt()
    is_scanning = BigInt()
    scan_after = Text()


# What goes with a workspace that is deleted, in the order in which it goes: before the artifacts that chunks name.
OF_WORKSPACE: Final = (
    Rows("recording", children=(("recording_chunk", "recording_id"), ("recording_mark", "recording_id"))),
    Rows("recording_scan", "workspace_id"),
)
