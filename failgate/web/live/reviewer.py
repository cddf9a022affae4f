"""The reviewers' socket: what happens in one workspace, as it happens. It only speaks; votes go by the API.

Every frame is authorized anew: a role that was lost ends the socket before the next frame, an ended session at once.
"""

from __future__ import annotations

import asyncio
from typing import Any

from litestar import WebSocket

from failgate.access.permission import Permission
from failgate.web.context import services_of, visit_of
from failgate.web.guard import may_still
from failgate.web.live.sockets import CREDENTIAL_ENDED, ROLE_ENDED, OpenSockets, first_of
from failgate.web.metrics import Metrics

TRY_AGAIN = 1013
_LONGEST_SILENT_INPUT = 64  # frames that a page may send; it has nothing to say


async def reviewer_socket(socket: WebSocket[Any, Any, Any]) -> None:
    """Send every event of the workspace until the page leaves, the session ends or the server stops."""
    visit, services = visit_of(socket), services_of(socket)
    sockets: OpenSockets = socket.app.state.sockets
    metrics: Metrics = socket.app.state.metrics
    ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    with sockets.register(visit, first_of(ended)), services.feed.subscribe(visit.here().id) as events:
        await socket.accept()
        metrics.socket_opened("live.reviewer")
        leaving = asyncio.create_task(until_left(socket))
        speaking = asyncio.create_task(_speak(socket, events))
        waited: set[asyncio.Future[Any]] = {leaving, speaking, ended}
        try:
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (leaving, speaking):
                task.cancel()
            await asyncio.wait({leaving, speaking})
            metrics.socket_closed("live.reviewer")
        if ended.done():
            await close(socket, ended.result(), "the session or the role has ended")
        elif not leaving.cancelled():
            return
        elif speaking.done() and not speaking.cancelled() and speaking.exception() is None:
            await close(socket, speaking.result(), "ask again")


async def _speak(socket: WebSocket[Any, Any, Any], events: Any) -> int:
    """Send events; return the code to close with: the role or the token is gone, or the page did not keep up."""
    visit, services = visit_of(socket), services_of(socket)
    async for octets in events:
        if not await may_still(visit, Permission.WORKSPACE_COMMAND_READ, services):
            return CREDENTIAL_ENDED if visit.principal.kind == "anonymous" else ROLE_ENDED
        await socket.send({"type": "websocket.send", "text": octets.decode(), "bytes": None})
    return TRY_AGAIN


async def until_left(socket: WebSocket[Any, Any, Any]) -> None:
    """Return when the page left, or said more than a page has to say."""
    for _ in range(_LONGEST_SILENT_INPUT):
        message = await socket.receive()
        if message["type"] != "websocket.receive":
            return


async def close(socket: WebSocket[Any, Any, Any], code: int, reason: str) -> None:
    """Close the socket with `code`."""
    await socket.send({"type": "websocket.close", "code": code, "reason": reason})
