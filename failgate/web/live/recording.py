"""A recording followed while it runs: its frames, as they come. It only speaks.

Every message is authorized anew, as the reviewers' socket does it; that somebody follows is on record before the first.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from litestar import WebSocket
from litestar.params import FromPath

from failgate.access.permission import Permission
from failgate.gate.feed import Subscription
from failgate.recordings.stored import Recording, contiguous
from failgate.web.context import services_of, visit_of
from failgate.web.guard import may_still
from failgate.web.live.reviewer import TRY_AGAIN, close, until_left
from failgate.web.live.sockets import CREDENTIAL_ENDED, ROLE_ENDED, OpenSockets, first_of
from failgate.web.metrics import Metrics
from failgate.web.playback import PLAYERS, LivePlayback, frames_document
from failgate.wire.recordings import ChunkView

_BEGUN_BYTES: Final = 256 * 1024  # of what was shown before: it stands at once
_LOOK_SECONDS: Final = 5.0  # another server process may have taken a chunk in
_FINISHED: Final = 1000


async def recording_socket(socket: WebSocket[Any, Any, Any], id: FromPath[str]) -> None:  # noqa: A002 - the path's word
    """Send what the recording shows until it ends, the page leaves, the session ends or the server stops."""
    visit, services = visit_of(socket), services_of(socket)
    reading = services.recording_room.reading
    recording = await reading.find(visit.here().id, id)
    chunks = (contiguous(await reading.chunks(recording), _BEGUN_BYTES) or [[]])[-1]
    await reading.open(visit.principal, recording, chunks)
    sockets: OpenSockets = socket.app.state.sockets
    metrics: Metrics = socket.app.state.metrics
    ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    with sockets.register(visit, first_of(ended)), services.following.subscribe(id) as events:
        await socket.accept()
        metrics.socket_opened("live.recording")
        leaving = asyncio.create_task(until_left(socket))
        speaking = asyncio.create_task(_speak(socket, recording, chunks, events))
        try:
            waited: set[asyncio.Future[Any]] = {leaving, speaking, ended}
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (leaving, speaking):
                task.cancel()
            await asyncio.wait({leaving, speaking})
            metrics.socket_closed("live.recording")
        if ended.done():
            await close(socket, ended.result(), "the session or the role has ended")
        elif not leaving.cancelled():
            return
        elif speaking.done() and not speaking.cancelled() and speaking.exception() is None:
            await close(socket, speaking.result(), "nothing more comes")


async def _speak(
    socket: WebSocket[Any, Any, Any], recording: Recording, chunks: list[ChunkView], events: Subscription
) -> int:
    """Send frames; return the code to close with: it ended, or the role or the token is gone."""
    visit, services = visit_of(socket), services_of(socket)
    reading, loop = services.recording_room.reading, asyncio.get_running_loop()
    player = LivePlayback(recording.begun.width, recording.begun.height)
    sent = chunks[0].number if chunks else recording.chunks
    while True:
        if not await may_still(visit, Permission.WORKSPACE_RECORDING_READ, services):
            return CREDENTIAL_ENDED if visit.principal.kind == "anonymous" else ROLE_ENDED
        recording = await reading.find(recording.workspace_id, recording.id)
        if recording.findings and visit.principal.id != recording.recorder_id:
            return TRY_AGAIN  # withheld from now on
        chunks = await reading.chunks(recording, sent)
        for chunk in chunks:
            content = await reading.follow(recording, [chunk])
            lines = content.partition(b"\n")[2] if chunk.number == 0 else content
            frames = await loop.run_in_executor(PLAYERS, player.feed, lines)
            await _send(socket, frames_document(frames, at=chunk.to_ms, state=recording.state))
            sent = chunk.number + 1
        if recording.state != "live":
            await _send(socket, frames_document((), at=recording.duration_ms, state=recording.state))
            return _FINISHED
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                await anext(events)
        except TimeoutError:
            continue
        except StopAsyncIteration:
            return TRY_AGAIN


async def _send(socket: WebSocket[Any, Any, Any], octets: bytes) -> None:
    await socket.send({"type": "websocket.send", "text": octets.decode(), "bytes": None})
