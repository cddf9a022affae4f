"""Reads the rest of a body that was answered before its end.

A server that closes while bytes still arrive makes its kernel send a reset, and the reset can overtake the answer: a
client that uploads, or a proxy in front (which then answers 502), never reads why. Source: RFC 9112 section 9.6.
"""

import asyncio
import contextlib

from failgate.web.asgi import App, Message, Receive, Scope, Send

IDLE_SECONDS = 1.0  # without a byte: who sends nothing has the answer
SECONDS = 10.0
BYTES = 64 * 1024 * 1024


class UnreadBody:
    """Ends an answer only when its request has arrived, as long as it comes; the answer's bytes go at once."""

    def __init__(self, app: App) -> None:
        """Wrap `app`."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; let everything through that has no body, or that waits for a 100 before it sends one."""
        if scope["type"] != "http" or not _has_body(scope):
            await self._app(scope, receive, send)
            return
        body = _Body(receive)

        async def answer(message: Message) -> None:
            is_last = message["type"] == "http.response.body" and not message.get("more_body", False)
            if body.is_ended or not is_last:
                await send(message)
                return
            await send({**message, "more_body": True})
            await body.read_away()
            await send({"type": "http.response.body", "body": b"", "more_body": False})

        await self._app(scope, body.receive, answer)


class _Body:
    """What has arrived of a request."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.is_ended = False

    async def receive(self) -> Message:
        message = await self._receive()
        self.is_ended = not message.get("more_body", False)
        return message

    async def read_away(self) -> None:
        read = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SECONDS):
                while not self.is_ended and read < BYTES:
                    async with asyncio.timeout(IDLE_SECONDS):  # `wait_for` of 3.11 may swallow the end (cpython 86296)
                        message = await self.receive()
                    read += len(message.get("body", b""))


def _has_body(scope: Scope) -> bool:
    has_body = False
    for name, value in scope["headers"]:
        if name == b"expect":
            return False
        if name == b"transfer-encoding" or (name == b"content-length" and value != b"0"):
            has_body = True
    return has_body
