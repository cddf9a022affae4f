"""A client for ten thousand questions to one server: a kept-alive connection, and no more of HTTP than our answers have.

A matrix of every door and everybody asks so often that a client for all of HTTP costs more than the server does.
"""

import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

import httpx

from tests.journeys.team import Visitor

_BODILESS = frozenset({101, 204, 304})


@dataclass(frozen=True)
class Answer:
    """Status, headers in their order with lower-case names, and the body as it came."""

    status_code: int
    fields: list[tuple[str, str]]
    content: bytes

    @cached_property
    def headers(self) -> dict[str, str]:
        """The headers by name; of those that came twice the last."""
        return dict(self.fields)

    @property
    def text(self) -> str:
        return self.content.decode(errors="replace")

    def json(self) -> Any:
        return json.loads(self.content)


class Knocker:
    """Asks as `client` would: with its headers and its cookies, which it keeps up to date."""

    def __init__(self, client: Visitor) -> None:
        self.client = client
        self._address = (client.base_url.host, client.base_url.port or 80)
        self._host = f"{client.base_url.host}:{client.base_url.port}"
        self._socket: socket.socket | None = None

    def close(self) -> None:
        """Close the connection; the next question opens another."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def ask(
        self, method: str, path: str, headers: Mapping[str, str], *, json: object = None, data: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> Answer:  # fmt: skip
        """Send one request with at most one of `json`, `data` (a form) and `content`, and read its answer whole."""
        body, kind = content, None
        if json is not None:
            body, kind = _compact(json), "application/json"
        elif data is not None:
            body, kind = urlencode(data).encode(), "application/x-www-form-urlencoded"
        lines = [f"{method} {path} HTTP/1.1\r\nhost: {self._host}"]
        for name in ("authorization", "origin"):
            if name in self.client.headers and name not in headers:
                lines.append(f"{name}: {self.client.headers[name]}")
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if cookies := "; ".join(f"{cookie.name}={cookie.value}" for cookie in self.client.cookies.jar):
            lines.append(f"cookie: {cookies}")
        if kind is not None:
            lines.append(f"content-type: {kind}")
        if body is not None or method in {"POST", "PUT", "PATCH"}:
            lines.append(f"content-length: {len(body or b'')}")
        answer = self._exchange("\r\n".join(lines).encode() + b"\r\n\r\n" + (body or b""))
        if "set-cookie" in answer.headers:
            request = httpx.Request(method, self.client.base_url.join(path))
            self.client.cookies.extract_cookies(
                httpx.Response(answer.status_code, headers=answer.fields, request=request)
            )
        return answer

    def _exchange(self, request: bytes) -> Answer:
        if self._socket is not None:
            try:
                self._socket.sendall(request)
                begun = self._more()
            except ConnectionError:  # the server closed what it had kept, and said nothing to this
                self.close()
        if self._socket is None:
            self._socket = socket.create_connection(self._address, timeout=60)
            self._socket.sendall(request)
            begun = self._more()
        return self._read(begun)

    def _read(self, buffer: bytes) -> Answer:
        while (end := buffer.find(b"\r\n\r\n")) < 0:
            buffer += self._more()
        first, *rest = buffer[:end].decode("latin-1").split("\r\n")
        fields = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in rest)]
        status, named, body = int(first[9:12]), dict(fields), buffer[end + 4 :]
        if "content-length" in named:
            while len(body) < int(named["content-length"]):
                body += self._more()
        elif status not in _BODILESS:
            assert named["transfer-encoding"] == "chunked"
            body = self._chunks(body)
        if named.get("connection") == "close" or status == 101:
            self.close()
        return Answer(status, fields, body)

    def _chunks(self, body: bytes) -> bytes:
        found = b""
        while True:
            while (end := body.find(b"\r\n")) < 0:
                body += self._more()
            size = int(body[:end], 16)
            while len(body) < end + size + 4:
                body += self._more()
            found, body = found + body[end + 2 : end + 2 + size], body[end + size + 4 :]
            if size == 0:
                return found

    def _more(self) -> bytes:
        assert self._socket is not None
        if not (read := self._socket.recv(262_144)):
            raise ConnectionResetError
        return read


def _compact(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
