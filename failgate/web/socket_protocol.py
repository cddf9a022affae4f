"""The connection of a WebSocket, below the application: how its messages wait, are answered, and how it ends."""

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.protocol import State

from failgate.web.asgi import App, Message, Receive, Scope, Send
from failgate.web.protocol import PEER, HttpProtocol

if TYPE_CHECKING:
    from failgate.web.peer import PeerCertificate

GOING_AWAY = 1001
NOT_TEXT = 1007
SWITCHING = 101
FINAL_TEXT = 0x81
LONG_SIZE = 126  # and above: the size stands in the next 2 or 8 bytes
WIRE = "failgate.wire"  # the socket's own protocol in an ASGI scope: a SocketProtocol


class SocketProtocol(WebSocketsSansIOProtocol):
    """Hands messages over without detours, and ends its socket with 1001 (going away) when the server stops."""

    peer: "PeerCertificate | None" = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._inbox = _Inbox(self.loop)
        self.queue = cast("asyncio.Queue[Any]", self._inbox)  # uvicorn only puts into it
        self.writable = cast("asyncio.Event", _Latch(self.loop))
        self._kept: Coroutine[Any, Any, None] | None = None

    @property
    def app(self) -> App:
        """The application as uvicorn calls it; what it leaves behind by `keep` is served after it."""
        return self._visited

    @app.setter
    def app(self, application: App) -> None:
        self._application = application

    def keep(self, conversation: Coroutine[Any, Any, None]) -> None:
        """Have `conversation` go on when the application has returned, without its layers; then the socket closes."""
        self._kept = conversation

    async def _visited(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._application(scope, receive, send)
        finally:
            kept, self._kept = self._kept, None
            if kept is not None:
                await self._talked(kept)

    async def _talked(self, conversation: Coroutine[Any, Any, None]) -> None:
        self._forget_handshake()
        try:
            await conversation
        except asyncio.CancelledError:
            if not self.close_sent:  # a server that stops says so before
                raise

    def _forget_handshake(self) -> None:
        """Let go of headers that nobody reads any more: a quarter of what an idle socket holds."""
        cast("dict[str, Any]", self.scope).clear()
        del self.request, self.response

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take over from the protocol of the handshake, which has read the certificate of the peer."""
        before = cast("asyncio.Transport", transport).get_protocol()
        if isinstance(before, HttpProtocol):
            self.peer = before.peer
        super().connection_made(transport)

    def handle_connect(self, event: Any) -> None:
        """Begin the visit; its scope holds this socket, and which certificate it came with."""
        super().handle_connect(event)
        if self.response.status_code == SWITCHING:
            scope = cast("dict[str, Any]", self.scope)  # the visit itself begins at the loop's next turn
            scope[WIRE] = self
            if self.peer is not None:
                scope[PEER] = self.peer

    def send_receive_event_to_app(self) -> None:
        """Hand a message over; text that is not UTF-8 ends the socket with 1007, which uvicorn would log as its own.

        Nothing more is read while a message waits. uvicorn stops reading at each, also at one that is awaited: two
        system calls a message.
        """
        octets = self.frames[0] if len(self.frames) == 1 else b"".join(self.frames)
        self.frames = []
        if self.close_sent:
            return  # who has said goodbye is not heard any more
        message: dict[str, Any] = {"type": "websocket.receive"}
        if self.curr_msg_data_type == "text":
            try:
                message["text"] = octets.decode()
            except UnicodeDecodeError:
                if self.conn.state is State.OPEN:
                    self.conn.send_close(NOT_TEXT)
                    self.handle_parser_exception()
                return
        else:
            message["bytes"] = bytes(octets)
        if not self._inbox.is_awaited() and not self.read_paused:
            self.read_paused = True
            self.transport.pause_reading()
        self._inbox.put_nowait(message)

    async def receive(self) -> Any:
        """Return the next message of ASGI; wait for it."""
        while self._inbox.empty():
            await self._inbox.coming()
        message = self._inbox.take()
        if self.read_paused and self._inbox.empty():
            self.read_paused = False
            self.transport.resume_reading()
        return message

    def say(self, octets: bytes) -> None:
        """Send `octets`, which are UTF-8, as a text; nothing happens when the socket has ended."""
        if self.conn.state is State.OPEN and not self.close_sent and not self.disconnected:
            self.transport.write(text_frame(octets))

    def is_full(self) -> bool:
        """Tell whether the peer does not read what it was told; then `until_written` is to be awaited."""
        return not self.writable.is_set()

    async def until_written(self) -> None:
        """Return when the peer has read enough of what it was told."""
        await self.writable.wait()

    def cut(self) -> None:
        """End the connection without a further byte."""
        self.transport.abort()

    async def send(self, message: Any) -> None:
        """Do what `message` says."""
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body", False):
            self.handshake_complete = True  # by a refusal; uvicorn would log it as an error of ours

    def shutdown(self) -> None:
        """Say 1001 to the peer and to the handler, and close."""
        if self.handshake_complete and not self.close_sent:
            self.stop_keepalive()
            self.queue.put_nowait({"type": "websocket.disconnect", "code": GOING_AWAY})
            self.conn.send_close(GOING_AWAY)
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.close_sent = True
            self.transport.close()
            return
        super().shutdown()


def text_frame(octets: bytes) -> bytes:
    """Return `octets` as one whole text frame of a server. Source: RFC 6455 section 5.2."""
    size = len(octets)
    if size < LONG_SIZE:
        return bytes((FINAL_TEXT, size)) + octets
    if size < 1 << 16:
        return bytes((FINAL_TEXT, LONG_SIZE)) + size.to_bytes(2) + octets
    return bytes((FINAL_TEXT, LONG_SIZE + 1)) + size.to_bytes(8) + octets


class _Inbox:
    """Messages that have come and were not read yet, for one reader. In place of `asyncio.Queue`, at half its cost.

    A list, for few ever wait: an empty deque holds 0.6 KB.
    """

    __slots__ = ("_loop", "_messages", "_reader")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._messages: list[Message] = []
        self._reader: asyncio.Future[None] | None = None

    def put_nowait(self, message: Message) -> None:
        """Let `message` wait, or wake its reader."""
        self._messages.append(message)
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def empty(self) -> bool:
        """Tell whether nothing waits."""
        return not self._messages

    def is_awaited(self) -> bool:
        """Tell whether a reader will take the next message at once."""
        return self._reader is not None and not self._reader.done()

    def coming(self) -> "asyncio.Future[None]":
        """Return what ends when the next message is there."""
        self._reader = self._loop.create_future()
        return self._reader

    def take(self) -> Message:
        """Return the oldest message, which is there."""
        return self._messages.pop(0)


class _Latch:
    """As much of `asyncio.Event` as uvicorn uses, without its deque: whether the peer reads what it is sent."""

    __slots__ = ("_is_set", "_loop", "_waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._is_set = True
        self._waiting: asyncio.Future[None] | None = None

    def is_set(self) -> bool:
        """Tell whether nobody has to wait."""
        return self._is_set

    def set(self) -> None:
        """Let everybody on."""
        self._is_set = True
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)
        self._waiting = None

    def clear(self) -> None:
        """Let who comes wait."""
        self._is_set = False

    async def wait(self) -> None:
        """Return when it is set."""
        while not self._is_set:
            if self._waiting is None:
                self._waiting = self._loop.create_future()
            await asyncio.shield(self._waiting)  # several may wait, and one of them be cancelled
