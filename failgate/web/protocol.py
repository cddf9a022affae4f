"""The connection, below the application: how slow and how large headers may be.

uvicorn has no limit of its own for either, so its protocol class is subclassed here; sockets: `socket_protocol.py`.
Measured: 300 of 300 connections that dripped one header byte every 6 s stayed open for as long as they liked.
"""

import asyncio
from collections.abc import Awaitable
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, cast
from weakref import ref

from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from failgate.base.ids import new_id
from failgate.web.asgi import ARRIVED
from failgate.web.errors import OtherStatus, problem_body, problem_of
from failgate.web.headers import new_nonce, security_headers
from failgate.web.whole_answer import answer_whole

if TYPE_CHECKING:
    from failgate.web.peer import PeerCertificate

HEADER_BYTES = 65_536
WHOLE_BYTES = 16_384  # a piece of a body of this size is worth the way around a copy
PEER = "failgate.peer"  # the client certificate in an ASGI scope: a PeerCertificate


class HttpProtocol(HttpToolsProtocol):
    """Closes a connection whose request line and headers are not complete in time, or are too large.

    A fresh connection that sends nothing counts as one that is slow with its headers.
    """

    header_seconds: ClassVar[float] = 10.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.access_log = False  # its line would hold the query; `request_log` writes one without
        self._header_timer: asyncio.TimerHandle | None = None
        self._header_bytes = 0
        self._is_in_head = False
        self._is_between = True  # no request is being read or answered
        self._answered: RequestResponseCycle | None = None  # `cycle` is the newest request, this one is being answered
        self._last_word: bytes | None = None  # the answer to what is no HTTP, when those before it are answered
        self.peer: PeerCertificate | None = None
        self._fault: str | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn declares it
        """Begin, and expect headers in time; with a client certificate that is not made for clients, end."""
        super().connection_made(transport)
        self._expect_headers()
        if self.scheme == "https":
            self._read_peer(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """End, and expect nothing any more; who still answers learns that nobody reads it."""
        self._stop_timer()
        self.pipeline.clear()
        if self._answered is not None and not self._answered.response_complete:
            self._answered.disconnected = True
            self._answered.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes; between two requests the first of them starts the time for the next headers."""
        if self.transport.is_closing() or self._last_word is not None:
            return
        if self._is_between and self._header_timer is None:
            self._expect_headers()
        self._header_bytes += len(data)
        super().data_received(data)
        is_reading = self._is_in_head or self._header_timer is not None
        if is_reading and self._header_bytes > HEADER_BYTES and not self.transport.is_closing():
            self._refuse(431, "The headers are too large.")

    def on_message_begin(self) -> None:
        """Begin a request; its scope says which certificate it came with."""
        super().on_message_begin()
        self._is_in_head = True
        if not self._is_between:
            self._header_bytes = 0  # what came before it in this piece was of others
        if self.peer is not None:
            cast("dict[str, Any]", self.scope)[PEER] = self.peer

    def on_headers_complete(self) -> None:
        """Pass the request on; its headers came in time.

        Raises: ValueError for a request that another reader could take for a different one; it is answered 400.
        """
        parser = cast("Any", self.parser)  # uvicorn declares the None of a lost connection
        self._fault = _fault_of(parser.get_http_version(), self.url, self.headers)
        if self._fault is not None:
            raise ValueError(self._fault)
        self._is_between = self._is_in_head = False
        self._stop_timer()
        super().on_headers_complete()
        if parser.should_upgrade() and not self._should_upgrade():
            self.cycle.keep_alive = False  # the parser reads nothing after an upgrade, whoever declines it

    def on_body(self, body: bytes) -> None:
        """Take bytes of a body. uvicorn copies them twice; those that come alone are handed on as they are."""
        cycle = self.cycle
        held: object = cycle.body
        if held or len(body) < WHOLE_BYTES:
            if isinstance(held, bytes):
                cycle.body = bytearray(held)
            super().on_body(body)
            return
        super().on_body(b"")
        if not cycle.response_complete:
            cycle.body = cast("bytearray", body)  # `receive` only makes bytes of it
            if len(body) > HIGH_WATER_LIMIT:
                self.flow.pause_reading()

    def on_response_complete(self) -> None:
        """Wait for the next request, unless it has come already, or this one never arrived whole."""
        self._is_between = not self.pipeline
        if self._is_between and self._last_word is not None and not self.transport.is_closing():
            self.transport.write(self._last_word)
            self.transport.close()
        elif self._is_between and self.cycle.more_body:
            self.transport.close()
        super().on_response_complete()

    def handle_websocket_upgrade(self) -> None:
        """Become a socket, unless an answer is still on its way: both would write."""
        if self._answered is not None and not self._answered.response_complete:
            self._refuse(400, "A socket begins on a connection of its own.")
        else:
            super().handle_websocket_upgrade()

    def close_if_unused(self) -> None:
        """Close when no complete request has arrived yet: there is nothing to answer."""
        if self._is_between:
            self.transport.close()

    def cut(self) -> None:
        """End the connection without a further byte."""
        self.transport.abort()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP with a problem document, and close."""
        self._refuse(400, self._fault or msg)

    def _read_peer(self, transport: asyncio.Transport) -> None:
        shown: bytes | None = transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
        if shown is None:
            return
        from failgate.web.peer import read_peer

        self.peer = read_peer(shown)
        if self.peer is None:
            self.cut()

    def _expect_headers(self) -> None:
        self._header_bytes = 0
        self._header_timer = self.loop.call_later(self.header_seconds, self._too_slow)

    def _stop_timer(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _too_slow(self) -> None:
        self._header_timer = None
        if not self.transport.is_closing():
            self.transport.close()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answered = cycle
        # By a weak reference: a circle would keep all that a request held until the collector comes by.
        cast("dict[str, Any]", cycle.scope)[ARRIVED] = partial(_has_arrived, ref(cycle))

        def whole(_scope: object, _receive: object, _send: object) -> Awaitable[None]:
            return answer_whole(app, cycle)

        super()._start_asgi_task(cycle, cast("Any", whole))

    def _refuse(self, status: int, sentence: str) -> None:
        """Answer what is no request, and close. Requests before it are answered first: it is not taken for theirs."""
        self._stop_timer()
        if self.transport.is_closing():
            return
        answer = plain_answer(status, sentence, is_https=self.scheme == "https")
        current = self._answered
        if current is None or current.response_complete:
            self.transport.write(answer)
        else:
            is_of_newest = not self._is_in_head and self.cycle.more_body  # its body is broken
            if not is_of_newest or current is not self.cycle:
                if is_of_newest:
                    self.pipeline.popleft()
                self._last_word = answer
                return
            if not current.response_started:
                self.transport.write(answer)
        self.transport.close()


def _has_arrived(cycle: "ref[RequestResponseCycle]") -> bool:
    found = cycle()
    return found is not None and not found.more_body


def _fault_of(version: str, target: bytes, headers: list[tuple[bytes, bytes]]) -> str | None:
    """Return what is wrong with the head of a request although the parser takes it; None when nothing is.

    Source: RFC 9112 sections 2.3, 3.2 and 6.1: proxies in front read these differently.
    """
    framings = [value for name, value in headers if name == b"transfer-encoding"]
    hosts = sum(name == b"host" for name, _ in headers)
    if version not in {"1.0", "1.1"}:
        return "The request is of another version than HTTP/1.1."
    if hosts > 1 or (hosts == 0 and version == "1.1"):
        return "The request does not name one host."
    if not target.startswith(b"/") or b"#" in target:
        return "The request names no path."
    if framings and (version == "1.0" or [value.strip().lower() for value in framings] != [b"chunked"]):
        return "The body is framed in a way that is not read the same everywhere."
    return None


def plain_answer(status: int, sentence: str, *, is_https: bool) -> bytes:
    """Return a whole answer of HTTP/1.1 that ends its connection: a problem document."""
    error = OtherStatus(status, sentence)
    request_id = new_id()
    _, document, _ = problem_of(error, request_id)
    body = problem_body(document)
    headers = security_headers(new_nonce(), is_https=is_https, is_trustworthy=True)
    headers += [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(body)).encode()),
        (b"x-request-id", request_id.encode()),
        (b"connection", b"close"),
    ]
    lines = [b"HTTP/1.1 %d %s" % (status, error.other_title.encode()), *(b"%s: %s" % pair for pair in headers)]
    return b"\r\n".join([*lines, b"", body])
