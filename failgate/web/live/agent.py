"""The agent's socket: ask, hear the verdict, use it, tell how it ended. The hottest path of the server.

Frames of one socket are done one after another, in their order; verdicts come between them. Each frame is authorized
anew. It works on the socket's own protocol: a wrapper for each message would cost more than the decision. What is asked
for is answered from the commit that made it durable, without a task that waits for it.
"""

from __future__ import annotations

import asyncio
import contextvars
from typing import TYPE_CHECKING, Any

import msgspec
from litestar import WebSocket

from failgate.access.permission import Permission
from failgate.base.db import workspace_scope
from failgate.base.errors import BadInput, FailgateError, NotFound, NotSignedIn, TooManyRequests
from failgate.base.ids import is_id
from failgate.base.log import RequestContext, request_context
from failgate.web.context import services_of, visit_of
from failgate.web.errors import note_error, problem_of
from failgate.web.guard import digest_of_agent, may_at_once, may_still
from failgate.web.live.frames import Cancel, Decided, Done, Finish, Incoming, Ref, Refused, Submit, Submitted, Use
from failgate.web.live.sockets import CREDENTIAL_ENDED, Entered, OpenSockets
from failgate.web.metrics import Metrics
from failgate.web.strict_json import convert, decode

if TYPE_CHECKING:
    from failgate.gate.endings import Ending
    from failgate.gate.stored import Receipt
    from failgate.roster import Services
    from failgate.web.context import Visit
    from failgate.web.socket_protocol import SocketProtocol

FRAME_BYTES = 65_536
MAX_WATCHED = 1024  # pending commands of one socket
UNSUPPORTED = 1003

_encode = msgspec.json.Encoder().encode
_REFS = frozenset({str, int})  # exactly: a boolean is none
_KINDS: dict[str, Any] = {"submit": Submit, "consume": Use, "outcome": Finish, "cancel": Cancel}


async def agent_socket(socket: WebSocket[Any, Any, Any]) -> None:
    """Open the socket of an agent, which is served until it leaves, its token ends or the server stops.

    This returns at once, and all layers around it: ten thousand that wait would each hold theirs.
    """
    visit = visit_of(socket)
    wire = visit.wire
    assert wire is not None
    sockets: OpenSockets = socket.app.state.sockets
    speaking = _Agent(visit, wire, services_of(socket))
    entered = sockets.enter(visit, speaking.end)
    try:
        await socket.accept()
    except BaseException:
        entered.leave()
        raise
    wire.keep(_served(speaking, visit, entered, socket.app.state.metrics))


async def _served(speaking: _Agent, visit: Visit, entered: Entered, metrics: Metrics) -> None:
    request_context.set(RequestContext(visit.request_id, visit.ip))  # again: the layers have taken theirs back
    workspace_scope.set(visit.here().id)
    metrics.socket_opened("live.agent")
    try:
        await speaking.listen()
    finally:
        metrics.socket_closed("live.agent")
        entered.leave()
        await speaking.forget()


class _Agent:
    """One agent's open socket."""

    __slots__ = (
        "_context", "_endings", "_gate", "_is_asking", "_is_ended", "_is_gone", "_services", "_tasks",
        "_token_digest", "_turn", "_visit", "_wire", "_workspace_id",
    )  # fmt: skip

    def __init__(self, visit: Visit, wire: SocketProtocol, services: Services) -> None:
        self._visit = visit
        self._services = services
        self._gate = services.gate
        self._workspace_id = visit.here().id
        self._wire = wire
        self._token_digest = digest_of_agent(visit)
        self._context = contextvars.copy_context()  # of this request, for what the commit calls
        self._tasks: set[asyncio.Task[None]] = set()
        self._endings: dict[str, Ending] = {}  # by the id of the request that waits
        self._is_asking = False  # a submission is on its way to the disk
        self._turn: asyncio.Future[None] | None = None  # of the frame after it, when that is here already
        self._is_ended = False
        self._is_gone = False

    async def listen(self) -> None:
        """Do frame after frame until the socket is closed."""
        while True:
            message = await self._wire.receive()
            if message["type"] != "websocket.receive":
                return
            text = message.get("text")
            if text is None:
                await self._close(UNSUPPORTED, "send text")
                return
            if self._is_asking:  # the frame before is not answered yet
                self._turn = asyncio.get_running_loop().create_future()
                await self._turn
            if self._wire.is_full():
                await self._wire.until_written()
            try:
                answer = await self._answer(text)
            except NotSignedIn:
                await self._close(CREDENTIAL_ENDED, "the token is not valid any more")
                return
            if answer is not None:
                self._wire.say(answer)
            del message, text, answer  # not held until the next comes

    async def forget(self) -> None:
        """Watch nothing any more."""
        self._is_gone = True
        for ending in self._endings.values():
            ending.leave()
        self._endings.clear()
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def end(self, _code: int) -> None:
        """Close: the token was revoked, or the role behind it is gone; to an agent that is one thing."""
        if not self._is_ended:  # both may be true of one moment
            self._is_ended = True
            self._spawn(self._close(CREDENTIAL_ENDED, "the token is not valid any more"))

    async def _answer(self, text: str) -> bytes | None:
        """Do one frame; return the answer, or None when the commit will give it.

        Raises: NotSignedIn (who sent it may not speak any more).
        """
        ref: Ref | None = None
        try:
            value = decode(text, FRAME_BYTES)
            ref = _ref(value)
            return await self._do(convert(value, _kind(value)))
        except NotSignedIn:
            raise
        except Exception as error:  # noqa: BLE001 - one frame that fails does not end the socket
            return self._failed(error, ref)

    async def _do(self, frame: Incoming) -> bytes | None:
        gate, workspace_id = self._gate, self._workspace_id
        if isinstance(frame, Submit):
            self._services.exporting.required.must_keep_up()
            if not self._may_at_once(Permission.WORKSPACE_COMMAND_SUBMIT):
                await self._authorize(Permission.WORKSPACE_COMMAND_SUBMIT)
            if len(self._endings) >= MAX_WATCHED:
                raise TooManyRequests("This agent waits for too many commands.", retry_after_seconds=1)
            ref = frame.ref
            await gate.ask(
                self._visit.principal,
                workspace_id,
                frame,
                lambda asked: self._context.run(self._tell_submitted, ref, asked),
            )
            self._is_asking = True
            return None
        if isinstance(frame, Cancel):
            await self._authorize(Permission.WORKSPACE_COMMAND_SUBMIT)
            view = await gate.cancel(self._visit.principal, workspace_id, _checked(frame.id))
            return _encode(Done("cancelled", view.id, view.state, frame.ref))
        await self._authorize(Permission.WORKSPACE_COMMAND_CONSUME)
        if isinstance(frame, Use):
            self._services.exporting.required.must_keep_up()
            view = await gate.consume(self._visit.principal, workspace_id, _checked(frame.id), frame)
            return _encode(Done("consumed", view.id, view.state, frame.ref))
        view = await gate.outcome(self._visit.principal, workspace_id, _checked(frame.id), frame)
        return _encode(Done("finished", view.id, view.state, frame.ref))

    def _tell_submitted(self, ref: Ref | None, asked: Receipt | Exception) -> None:
        """Tell how a submission ended: it is durable, or was not kept."""
        self._is_asking = False
        if self._turn is not None and not self._turn.done():
            self._turn.set_result(None)
        if self._is_gone:
            return
        if isinstance(asked, Exception):
            self._wire.say(self._failed(asked, ref))
            return
        self._wire.say(_encode(Submitted(asked.id, asked.state, asked.digest, asked.expires_at, ref, asked.verdict)))
        if asked.state == "pending":
            ending = self._gate.endings.tell(asked.id, lambda ended: self._context.run(self._tell_ended, ref, ended))
            if ending is None:  # it was decided in the meantime
                self._spawn(self._look_again(asked.id, ref))
            else:
                self._endings[asked.id] = ending

    def _tell_ended(self, ref: Ref | None, ended: Receipt) -> None:
        """Tell the verdict of a request that waited, once."""
        del self._endings[ended.id]
        self._wire.say(_encode(Decided(ended.id, ended.state, ended.digest, ref, ended.verdict)))

    def _may_at_once(self, permission: Permission) -> bool:
        digest = self._token_digest
        return digest is not None and may_at_once(self._visit, digest, permission, self._services)

    async def _authorize(self, permission: Permission) -> None:
        if not await may_still(self._visit, permission, self._services):
            raise NotSignedIn("The token is not valid any more.")

    async def _look_again(self, command_id: str, ref: Ref | None) -> None:
        view = await self._gate.wait(self._workspace_id, command_id, self._visit.principal, None)
        self._wire.say(_encode(Decided(view.id, view.state, view.digest, ref, view.verdict)))

    async def _close(self, code: int, reason: str) -> None:
        await self._wire.send({"type": "websocket.close", "code": code, "reason": reason})

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(_quietly(work), context=self._context)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _failed(self, error: Exception, ref: Ref | None) -> bytes:
        if not isinstance(error, FailgateError):
            note_error(error)
        _, document, _ = problem_of(error, self._visit.request_id)
        return _encode(Refused(document, ref))


def _checked(command_id: str) -> str:
    """Return `command_id`; what is written like none names nothing. Raises: NotFound."""
    if not is_id(command_id):
        raise NotFound("There is no such command.")
    return command_id


def _ref(value: Any) -> Ref | None:
    if not isinstance(value, dict):
        raise BadInput("A frame is a JSON object.", hint='Send {"type": …}.')
    ref: Any = value.get("ref")
    return ref if type(ref) in _REFS else None


def _kind(value: dict[str, Any]) -> Any:
    """Return the struct of the frame `value`: choosing among all of them would cost msgspec seven times as much."""
    named: object = value.get("type")
    return _KINDS.get(named, Incoming) if isinstance(named, str) else Incoming


async def _quietly(work: Any) -> None:
    """Do `work` beside the frames; a socket that is gone, or a failure, ends it alone."""
    try:
        await work
    except FailgateError:
        return
    except Exception as error:  # noqa: BLE001 - nobody awaits this task
        if type(error).__name__ not in {"ClientDisconnected", "WebSocketDisconnect"}:
            note_error(error)
