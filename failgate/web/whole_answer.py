"""Writes an answer that is known whole in one piece; everything else goes uvicorn's own way.

uvicorn writes head and body apart, and searches each name and each value of the head by itself: of a small answer with
our security headers that is a good part of its time.
"""

from typing import Any, Final, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from failgate.web.asgi import App, Message, Scope

_PLAIN: Final = bytes(byte for byte in range(256) if byte >= 0x20 and byte != 0x7F) + b"\t"  # RFC 9110 section 5.5
_NAME: Final = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789-")
_OF_THE_CONNECTION: Final = frozenset({b"connection", b"transfer-encoding"})
_MOST_NAMES: Final = 256
_names: set[bytes] = set()  # that are written as header names are; those of our answers are few


async def answer_whole(app: App, cycle: RequestResponseCycle) -> None:
    """Run `app` for the request of `cycle`, as `cycle.run_asgi` does with the application that it is given."""
    answer = _Answer(cycle)
    await app(cast("Scope", cycle.scope), cast("Any", cycle.receive), answer.send)
    await answer.let_go()


def head_of(status: int, headers: list[tuple[bytes, bytes]], *, is_kept: bool) -> bytes | None:
    """Return the bytes of a head; None for one that says something of the connection, or is not written as heads are.

    Source: RFC 9112 section 5.
    """
    names = {name for name, _ in headers}
    if not names <= _names:
        if not names.isdisjoint(_OF_THE_CONNECTION) or not all(name and _NAME.issuperset(name) for name in names):
            return None
        if len(_names) < _MOST_NAMES:
            _names.update(names)
    if b"".join([value for _, value in headers]).translate(None, _PLAIN):
        return None
    lines = [b"%b: %b\r\n" % pair for pair in headers]
    return b"".join([STATUS_LINE[status], *lines, b"\r\n" if is_kept else b"connection: close\r\n\r\n"])


class _Answer:
    """Holds the head of an answer that says how long it is, until its body comes."""

    __slots__ = ("_cycle", "_start")

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle
        self._start: Message | None = None

    async def send(self, message: Message) -> None:
        if self._start is None:
            if message["type"] == "http.response.start" and _length_in(message["headers"]) is not None:
                self._start = message
                return
        elif not self._is_written(self._start, message):
            await self.let_go()
        else:
            self._start = None
            return
        await self._cycle.send(cast("Any", message))

    async def let_go(self) -> None:
        """Send a head that waits, in uvicorn's way."""
        if self._start is not None:
            start, self._start = self._start, None
            await self._cycle.send(cast("Any", start))

    def _is_written(self, start: Message, message: Message) -> bool:
        """Write the answer when `message` is all of its body; tell whether it did."""
        cycle, body = self._cycle, message.get("body", b"")
        is_whole = message["type"] == "http.response.body" and not message.get("more_body", False)
        if not is_whole or cycle.disconnected or cycle.response_started or cycle.flow.write_paused:
            return False
        if cycle.scope["method"] == "HEAD" or len(body) != _length_in(start["headers"]):
            return False
        head = head_of(start["status"], [*cycle.default_headers, *start["headers"]], is_kept=cycle.keep_alive)
        if head is None:
            return False
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        cycle.transport.write(head + body)
        cycle.message_event.set()
        if not cycle.keep_alive:
            cycle.transport.close()
        cycle.on_response()
        return True


def _length_in(headers: list[tuple[bytes, bytes]]) -> int | None:
    for name, value in headers:
        if name == b"content-length":
            return int(value) if value.isdigit() else None
    return None
