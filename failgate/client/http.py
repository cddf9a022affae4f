"""JSON over HTTP/1.1 on one connection, as small as it can be.

`http.client` is not used: importing it loads `ssl` and the parsers of e-mail and doubles the start-up time of every
command that an agent runs. Redirects and proxies are refused: whoever could send one would receive the token.
"""

from __future__ import annotations

import os
import time

from failgate.base.canonical import json_bytes
from failgate.base.quick import socket
from failgate.client.address import Address, parse_address
from failgate.client.answer import Answer, Lost, Raw, Strange, accepted, parsed_head
from failgate.client.exits import NotConfigured, Refused
from failgate.client.settings import Settings

CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 30.0
LARGEST_HEAD_BYTES = 64 * 1024
LARGEST_BODY_BYTES = 16 * 1024 * 1024
_PIECE = 64 * 1024
_SENT_BYTES = 256 * 1024

TYPE_CHECKING = False  # typing's is slow to load
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import IO, Self

    Tick = Callable[[], None]


class Api:
    """Calls the server with this machine's token. One connection, kept open between calls; no thread safety.

    An access token of a login is renewed before it runs out, and when the server does not take it any more.
    """

    def __init__(self, settings: Settings, *, is_anonymous: bool = False) -> None:
        """Check the address and that a token may travel there; connect at the first call.

        `is_anonymous`: speak for nobody, by `form` alone.

        Raises: NotConfigured.
        """
        if settings.token is None and settings.tls.certificate is None and not is_anonymous:
            raise NotConfigured(
                "This machine has no token and no login.",
                hint="Sign in: failgate login URL. Agents and CI: set FAILGATE_TOKEN, or failgate login --token-stdin.",
            )
        self.address: Address = parse_address(settings.url)
        if not (self.address.is_tls or self.address.is_loopback or settings.is_http_accepted):
            raise NotConfigured(
                f"{self.address} is plain HTTP to another machine: the token could be read on the way.",
                hint="Use https, or set insecure_http = true in client.toml.",
            )
        if settings.token is None and not self.address.is_tls and not is_anonymous:
            raise NotConfigured(
                f"{self.address} is plain HTTP, which shows no client certificate.", hint="Use https, or a token."
            )
        self._tls = settings.tls
        self.settings = settings
        self._token = None if is_anonymous else settings.token
        self._login = None if is_anonymous else settings.login
        self._workspace = settings.workspace
        self._socket: socket.socket | None = None
        self._rest = b""
        self.was_connected = False

    def __enter__(self) -> Self:
        """Give itself; leaving the block closes the connection."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection."""
        self.close()

    def workspace(self) -> str:
        """Return the path of the workspace; asks the server for it when none is named and there is only one.

        Raises: NotConfigured, and what `call` raises.
        """
        if self._workspace is None and self._token is None:
            raise NotConfigured("A client certificate names no workspace.", hint="Set FAILGATE_WORKSPACE.")
        if self._workspace is None:
            named = [one.get("workspace") for one in self.call("GET", "/api/v1/whoami").content.get("workspaces", [])]
            if len(named) != 1 or not isinstance(named[0], str):
                raise NotConfigured(f"This token belongs to {len(named)} workspaces.", hint="Set FAILGATE_WORKSPACE.")
            self._workspace = named[0]
        if not self._workspace.replace("-", "").replace("_", "").isalnum() or not self._workspace.isascii():
            raise NotConfigured(f"FAILGATE_WORKSPACE is {self._workspace!r}, which is no workspace's short name.")
        return f"/api/v1/workspaces/{self._workspace}"

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        seconds: float = ANSWER_SECONDS,
        idempotency_key: str | None = None,
        tick: Tick | None = None,
    ) -> Answer:
        """Send one request and return its answer of 200 to 299. `tick` is called about once a second meanwhile.

        A connection that was kept open and turns out dead is opened once more.

        Raises: Refused (a problem document), Lost, Strange; NotConfigured (the login has ended).
        """
        if self._login is not None and self._login.is_due():
            self._renew()
        try:
            return self._call(method, path, body, seconds, idempotency_key, tick)
        except Refused as error:
            if error.answered != 401 or self._login is None:
                raise self._explained(error, path) from error
        self._renew()
        return self._call(method, path, body, seconds, idempotency_key, tick)

    def _explained(self, error: Refused, path: str) -> Refused:
        """Return `error` in words of whoever set this client up, where the server's say nothing of what they set."""
        rest = path.partition("?")[0].removeprefix(f"/api/v1/workspaces/{self._workspace}/")
        if error.answered == 401 and self._token is not None:
            sentence = f"{self.address} does not accept this token: it is misspelt, expired or revoked."
            hint = "Set FAILGATE_TOKEN to one that is valid, or sign in: failgate login URL."
        elif error.answered == 404 and rest != path and "/" not in rest:  # a list: nothing but the workspace is named
            sentence = f"{self.address} has no workspace {self._workspace!r} that this token may enter."
            hint = "Check FAILGATE_WORKSPACE; failgate whoami tells which there are."
        else:
            return error
        return Refused(error.answered, error.problem, sentence, hint=hint, members=error.members)

    def form(self, path: str, fields: Mapping[str, str], *, idempotency_key: str | None = None) -> Answer:
        """Send an HTML form, for nobody; return its answer of 200 to 299.

        Raises: Refused (`problem` is the word of OAuth), Lost, Strange.
        """
        from urllib.parse import urlencode

        content = urlencode(fields).encode("ascii")
        headers = "Content-Type: application/x-www-form-urlencoded\r\n"
        if idempotency_key is not None:
            headers += f"Idempotency-Key: {idempotency_key}\r\n"
        return self._exchange([self._head("POST", path, len(content), headers) + content], ANSWER_SECONDS, None)

    def _renew(self) -> None:
        from failgate.client.login import renewed

        assert self._login is not None
        self._login = renewed(self.settings, self._login)
        self._token = self._login.access_token

    def _call(
        self, method: str, path: str, body: object, seconds: float, idempotency_key: str | None, tick: Tick | None
    ) -> Answer:
        content, headers = b"", ""
        if body is not None:
            content = json_bytes(body)
            headers = "Content-Type: application/json\r\n"
        if idempotency_key is not None:
            headers += f"Idempotency-Key: {idempotency_key}\r\n"
        head = self._head(method, path, len(content), headers)
        was_open = self._socket is not None
        try:
            return self._exchange([head + content], seconds, tick)
        except Lost:
            if not was_open or (method == "POST" and idempotency_key is None):
                raise
        return self._exchange([head + content], seconds, tick)

    def put_file(self, path: str, stream: IO[bytes], size: int, sent: Callable[[int], None] | None = None) -> Answer:
        """Send `size` bytes of `stream` as the body of a PUT; tell `sent` how many went with each piece.

        Raises: Refused, Lost, Strange.
        """
        if self._login is not None and self._login.is_due():
            self._renew()
        head = self._head("PUT", path, size, "Content-Type: application/octet-stream\r\n")

        def pieces() -> Iterator[bytes]:
            yield head
            left = size
            while left > 0 and (piece := stream.read(min(left, _SENT_BYTES))):
                left -= len(piece)
                yield piece
                if sent is not None:
                    sent(len(piece))

        # What was sent is checked and brought to disk before the answer: a slow disk writes 10 MB a second.
        return self._exchange(pieces(), ANSWER_SECONDS + size / 10_000_000, None)

    def get_file(self, path: str, size: int, write: Callable[[bytes], None], *, start: int = 0) -> None:
        """Give the bytes from `start` on of a body that has `size` in all to `write`, piece by piece.

        What came before a break was written. A server that knows no ranges sends all; the beginning is passed over.

        Raises: Refused, Lost, Strange (another size, or another range than was asked for).
        """
        if self._login is not None and self._login.is_due():
            self._renew()
        range_ = f"Range: bytes={start}-\r\n" if start else ""

        def read(link: socket.socket) -> tuple[Raw, bool]:
            status, headers = self._read_head(link, time.monotonic() + ANSWER_SECONDS, None)
            if status not in (200, 206):
                body, is_framed = self._read_body(link, time.monotonic() + ANSWER_SECONDS, status, headers)
                return Raw(status, headers, body), is_framed and _is_kept(headers)
            is_part = status == 206 and headers.get("content-range") == f"bytes {start}-{size - 1}/{size}"
            if not is_part and (status == 206 or headers.get("content-length") != str(size)):
                raise Strange(f"{self.address} answered with other bytes than were asked for.")
            skip, left = (0, size - start) if is_part else (start, size)
            while left > 0:
                piece = self._rest or self._receive(link, time.monotonic() + ANSWER_SECONDS, None)
                self._rest, piece = piece[left:], piece[:left]
                left -= len(piece)
                write(piece[skip:])
                skip = max(0, skip - len(piece))
            return Raw(200, headers, b""), _is_kept(headers)

        self._exchange([self._head("GET", path, 0, range_)], ANSWER_SECONDS, None, read)

    def close(self) -> None:
        """Close the connection; the next call opens a new one."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None
        self._rest = b""

    def _head(self, method: str, path: str, size: int, headers: str) -> bytes:
        proof = f"Authorization: Bearer {self._token}\r\n" if self._token is not None else ""
        return (
            f"{method} {self.address.prefix}{path} HTTP/1.1\r\nHost: {self.address.authority}\r\n"
            f"User-Agent: failgate-client\r\nAccept: application/json\r\n{proof}"
            f"{headers}Content-Length: {size}\r\n\r\n"
        ).encode("ascii")

    def _exchange(
        self,
        pieces: list[bytes] | Iterator[bytes],
        seconds: float,
        tick: Tick | None,
        read: Callable[[socket.socket], tuple[Raw, bool]] | None = None,
    ) -> Answer:
        try:
            link = self._socket or self._connect()
            link.settimeout(ANSWER_SECONDS)
            for piece in pieces:
                link.sendall(piece)
            answer, is_kept = read(link) if read else self._read_answer(link, time.monotonic() + seconds, tick)
        except (OSError, EOFError) as error:
            reason = _reason(error, self._socket, is_tls=self.address.is_tls)
            self.close()
            raise Lost(
                f"{self.address} did not answer: {reason}.", hint="Check FAILGATE_URL and that the server runs."
            ) from error
        except BaseException:
            self.close()
            raise
        if not is_kept:
            self.close()
        return accepted(answer, self.address)

    def _connect(self) -> socket.socket:
        link = _connected(self.address)
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.address.is_tls:
            from failgate.client.tls import wrapped

            try:
                link = wrapped(link, self.address, self._tls)
            except BaseException:
                link.close()
                raise
        self._socket = link
        self._rest = b""
        self.was_connected = True
        return link

    def _receive(self, link: socket.socket, deadline: float, tick: Tick | None) -> bytes:
        """Return the next bytes. Raises: EOFError when the other side closed, TimeoutError after `deadline`."""
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("no answer in time")
            link.settimeout(min(left, 1.0) if tick else left)
            try:
                piece = link.recv(_PIECE)
            except TimeoutError:
                if tick:
                    tick()
                continue
            if not piece:
                raise EOFError("it closed the connection")
            return piece

    def _read_answer(self, link: socket.socket, deadline: float, tick: Tick | None) -> tuple[Raw, bool]:
        status, headers = self._read_head(link, deadline, tick)
        body, is_framed = self._read_body(link, deadline, status, headers)
        return Raw(status, headers, body), is_framed and _is_kept(headers)

    def _read_head(self, link: socket.socket, deadline: float, tick: Tick | None) -> tuple[int, dict[str, str]]:
        while True:
            while b"\r\n\r\n" not in self._rest:
                if len(self._rest) > LARGEST_HEAD_BYTES:
                    raise Strange(f"{self.address} answered with a head of more than {LARGEST_HEAD_BYTES} bytes.")
                self._rest += self._receive(link, deadline, tick)
            head, _, self._rest = self._rest.partition(b"\r\n\r\n")
            status, headers = parsed_head(head, self.address)
            if status >= 200:
                return status, headers

    def _read_body(
        self, link: socket.socket, deadline: float, status: int, headers: dict[str, str]
    ) -> tuple[bytes, bool]:
        if status in (204, 304):
            return b"", True
        if "chunked" in headers.get("transfer-encoding", "").lower():
            return self._read_chunks(link, deadline), True
        length = headers.get("content-length")
        if length is None:
            body = self._rest
            try:
                while len(body) <= LARGEST_BODY_BYTES:
                    body += self._receive(link, deadline, None)
            except EOFError:
                return body, False
        elif length.isascii() and length.isdigit() and int(length) <= LARGEST_BODY_BYTES:
            return self._take(link, deadline, int(length)), True
        raise Strange(f"{self.address} answered with a body that is too large or has no length.")

    def _read_chunks(self, link: socket.socket, deadline: float) -> bytes:
        body = bytearray()
        while True:
            while b"\r\n" not in self._rest:
                self._rest += self._receive(link, deadline, None)
            line, _, self._rest = self._rest.partition(b"\r\n")
            try:
                size = int(line.split(b";")[0], 16)
            except ValueError:
                raise Strange(f"{self.address} answered with a chunk without a size.") from None
            if size < 0 or len(body) + size > LARGEST_BODY_BYTES:
                raise Strange(f"{self.address} answered with a body that is too large.")
            if size == 0:
                while self._take(link, deadline, 2) != b"\r\n":  # trailers are read and dropped
                    while b"\r\n" not in self._rest:
                        self._rest += self._receive(link, deadline, None)
                    self._rest = self._rest.partition(b"\r\n")[2]
                return bytes(body)
            body += self._take(link, deadline, size + 2)[:-2]

    def _take(self, link: socket.socket, deadline: float, size: int) -> bytes:
        pieces = [self._rest]
        have = len(self._rest)
        while have < size:
            piece = self._receive(link, deadline, None)
            pieces.append(piece)
            have += len(piece)
        whole = b"".join(pieces)
        self._rest = whole[size:]
        return whole[:size]


def _is_kept(headers: Mapping[str, str]) -> bool:
    return "close" not in headers.get("connection", "").lower()


def _connected(address: Address) -> socket.socket:
    """Return a connection to the first address of the host that takes one.

    The host is given as bytes: a text would load the codec for international names, which it is not (it is ASCII).
    """
    failure: OSError = OSError("the host has no address")
    for family, kind, protocol, _, place in socket.getaddrinfo(
        address.host.encode("ascii"), address.port, 0, socket.SOCK_STREAM
    ):
        link = socket.socket(family, kind, protocol)
        try:
            link.settimeout(CONNECT_SECONDS)
            link.connect(place)
        except OSError as error:
            link.close()
            failure = error
            continue
        return link
    raise failure


def _reason(error: Exception, link: socket.socket | None, *, is_tls: bool) -> str:
    if is_tls:
        from failgate.client.tls import explained

        if said := explained(error, link):
            return said
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno) if error.errno > 0 else str(error)
    return str(error)
