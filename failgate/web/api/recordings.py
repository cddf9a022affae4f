"""The recordings' doors: begin, send chunks, stay alive, end; list, read, download, prove.

A recording is only ever an attachment. Who may not read recordings sends their own all the same.
"""

import re
from typing import Annotated, Any, Final, Literal

from litestar import Request, Response
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.response import Stream

from failgate.access.principal import Principal
from failgate.base.errors import BadInput
from failgate.recordings.export import as_version_3
from failgate.recordings.stored import Recording
from failgate.web.api.gate import After
from failgate.web.api.idempotency import IdempotencyKey, key_of
from failgate.web.api.reports import Limit, until_stopped
from failgate.web.artifact_host import artifact_host_of
from failgate.web.context import services_of, stop_of, visit_of
from failgate.web.forms import read_whole
from failgate.web.headers import SANDBOX
from failgate.wire.recordings import (
    MEDIA_TYPE,
    MOST_CHUNK_BYTES,
    BeginRecording,
    ChainProof,
    DeletedRecording,
    EndRecording,
    RecordingPage,
    RecordingReceipt,
    RecordingView,
)

Asking = Request[Any, Any, Any]
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,8}", re.ASCII)
_LINK: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
Link = Annotated[str, QueryParameter(name="chain", max_length=64, description="The link after this chunk, in hex.")]
Version = Annotated[Literal["2", "3"], QueryParameter(name="version", description="The version of asciicast.")]


async def begin(
    request: Asking, data: JSONBody[BeginRecording], idempotency_key: IdempotencyKey = None
) -> RecordingReceipt:
    """Begin a recording; `chain` is the link that its first chunk follows."""
    visit = visit_of(request)
    key = key_of(request, idempotency_key, data)
    return await services_of(request).recording_room.recordings.begin(visit.principal, visit.here().id, data, key)


async def extend(
    request: Asking,
    id: FromPath[str],  # noqa: A002 - the path's word
    number: FromPath[str],
    chain: Link,
) -> RecordingReceipt:
    """Send chunk `number` (from 0) as raw bytes: whole lines of asciicast v2. Sent again, it changes nothing."""
    visit = visit_of(request)
    if not _NUMBER.fullmatch(number):
        raise BadInput("The number of a chunk counts from 0.")
    if not _LINK.fullmatch(chain):
        raise BadInput("`chain` is no link.", hint="Send 64 hexadecimal digits in lower case.")
    content = await read_whole(request, MOST_CHUNK_BYTES)
    recordings = services_of(request).recording_room.recordings
    return await recordings.extend(visit.principal, visit.here().id, id, int(number), chain, content)


async def hear(request: Asking, id: FromPath[str]) -> RecordingReceipt:  # noqa: A002 - the path's word
    """Say that the recorder lives although nothing is shown; from one that is silent for 30 s the recording broke."""
    visit = visit_of(request)
    return await services_of(request).recording_room.recordings.hear(visit.principal, visit.here().id, id)


async def end(request: Asking, id: FromPath[str], data: JSONBody[EndRecording]) -> RecordingReceipt:  # noqa: A002 - the path's word
    """End a recording, naming its last link; with `is_broken` when what was recorded was killed."""
    visit = visit_of(request)
    return await services_of(request).recording_room.recordings.end(visit.principal, visit.here().id, id, data)


async def listing(request: Asking, limit: Limit = 50, after: After = None) -> RecordingPage:
    """List recordings, the newest first."""
    return await services_of(request).recording_room.reading.page(visit_of(request).here().id, limit, after)


async def one(request: Asking, id: FromPath[str]) -> RecordingView:  # noqa: A002 - the path's word
    """Answer one recording: its commands, its chunks and their links; nothing of what it shows."""
    return await services_of(request).recording_room.reading.view(visit_of(request).here().id, id)


async def cast(request: Asking, id: FromPath[str], version: Version = "2") -> Response[Any]:  # noqa: A002 - the path's word
    """Download a recording as asciicast; the reading is on record before the first byte."""
    visit = visit_of(request)
    recording = await services_of(request).recording_room.reading.find(visit.here().id, id)
    elsewhere = artifact_host_of(request).lead(visit, "recording", id, version)
    return elsewhere or await cast_of(request, visit.principal, recording, version)


async def cast_of(request: Asking, principal: Principal, recording: Recording, version: Version) -> Response[Any]:
    """Return the recording as a download."""
    reading = services_of(request).recording_room.reading
    pieces = await reading.open(principal, recording, await reading.chunks(recording))
    if version == "3":
        pieces = as_version_3(pieces)
    headers = {
        "content-disposition": f'attachment; filename="{recording.id}.cast"',
        "content-security-policy": SANDBOX,
    }
    return Stream(until_stopped(pieces, stop_of(request)), headers=headers, media_type=MEDIA_TYPE)


async def delete(request: Asking, id: FromPath[str]) -> DeletedRecording:  # noqa: A002 - the path's word
    """Delete a recording that has ended; answers the receipt. What other recordings or reports name of it stays."""
    visit = visit_of(request)
    return await services_of(request).recording_room.deletion.delete(visit.principal, visit.here().id, id)


async def proof(request: Asking, id: FromPath[str]) -> ChainProof:  # noqa: A002 - the path's word
    """Read all chunks, fold their chain again and compare it with the audit log; answers whether it is intact."""
    return await services_of(request).recording_room.reading.prove(visit_of(request).here().id, id)
