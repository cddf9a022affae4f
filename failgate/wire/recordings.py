"""Recordings of shells: begun, sent in chunks while they run, ended.

A chunk is whole lines of asciicast v2, at most 1 MiB; the first line of the first chunk is the header. Times in a chunk
are seconds since the beginning. `chain` is the last link in hex (`base/links.py`).
"""

from typing import Annotated, Final, Literal

import msgspec

MEDIA_TYPE: Final = "application/x-asciicast"
MOST_CHUNK_BYTES: Final = 1024 * 1024
SILENT_SECONDS: Final = 30
"""A recording from which nothing was heard for this long broke off."""
HEARTBEAT_SECONDS: Final = 10

RecordingState = Literal["live", "ended", "broken"]
MarkKind = Literal["asked", "approved", "observed", "denied", "expired", "refused", "started", "ended"]


class BeginRecording(msgspec.Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """`POST recordings`: the terminal's size, the host, when it began (RFC 3339), what it is."""

    width: Annotated[int, msgspec.Meta(ge=1, le=10_000)]
    height: Annotated[int, msgspec.Meta(ge=1, le=10_000)]
    host: Annotated[str, msgspec.Meta(max_length=255)]
    began_at: Annotated[str, msgspec.Meta(max_length=40)]
    title: Annotated[str, msgspec.Meta(max_length=200)] | None = None


class EndRecording(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`POST recordings/{id}/end`: how many chunks there are and the last link, as the sender has them.

    `is_broken`: what was recorded was killed; `exit_code` is null then.
    """

    chunks: int
    chain: str
    exit_code: int | None = None
    is_broken: bool = False


class RecordingReceipt(msgspec.Struct, frozen=True):
    """Where a recording stands: the number of the next chunk, and the link that it follows."""

    id: str
    state: RecordingState
    chunks: int
    chain: str


class ChunkView(msgspec.Struct, frozen=True):
    """One chunk: which bytes of the whole it is, and the link after it. Times in milliseconds since the beginning."""

    number: int
    sha256: str
    size_bytes: int
    from_ms: int
    to_ms: int
    chain: str


class RecordedCommand(msgspec.Struct, frozen=True):
    """A command that was asked for in a recorded shell. Times in milliseconds since the beginning.

    `state` and `rendering` are those of the command; both are null for who may not read it.
    """

    command_id: str
    asked_ms: int
    started_ms: int | None = None
    ended_ms: int | None = None
    state: str | None = None
    rendering: list[str] | None = None
    exit_code: int | None = None


class RecordingView(msgspec.Struct, frozen=True):
    """A recording as the API answers it. `is_withheld`: the server still found a secret, the content stays closed."""

    id: str
    state: RecordingState
    created_at: str
    agent: str
    host: str
    title: str | None
    width: int
    height: int
    duration_ms: int
    chunks: int
    size_bytes: int
    chain: str
    is_withheld: bool
    ended_at: str | None = None
    exit_code: int | None = None
    commands: list[RecordedCommand] | None = None
    parts: list[ChunkView] | None = None


class RecordingPage(msgspec.Struct, frozen=True):
    """`GET recordings`."""

    items: list[RecordingView]
    next: str | None


class DeletedRecording(msgspec.Struct, frozen=True):
    """Answer to `DELETE recordings/{id}`: the receipt. `record` is the deletion's number in the workspace's audit log.

    `chain` is the last link of its `chunks`, which the log keeps. `pending_objects` counts those whose bytes the store
    did not let go yet; nobody can read them, and the next start sweeps them.
    """

    id: str
    chain: str
    chunks: int
    deleted_at: str
    record: int
    pending_objects: int


class ChainProof(msgspec.Struct, frozen=True):
    """What a check of the stored chunks found: intact, or changed from chunk `broken_at` (from 0) on.

    `record` is the number of the audit record that holds `chain`.
    """

    id: str
    verdict: Literal["intact", "changed"]
    chunks: int
    chain: str
    broken_at: int | None = None
    reason: str | None = None
    record: int | None = None
