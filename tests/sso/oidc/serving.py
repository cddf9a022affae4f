"""A server of one test: paths and what they answer, with a count of what was asked."""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from failgate.sso.connection import OidcSettings


@dataclass
class Origin:
    """`answers` maps a path to a JSON value, or to bytes that are sent as they are; a missing one is 404."""

    url: str = ""
    answers: dict[str, Any] = field(default_factory=dict)
    asked: Counter = field(default_factory=Counter)
    bodies: list[bytes] = field(default_factory=list)
    heads: list[bytes] = field(default_factory=list)
    delay: float = 0

    def metadata(self, **changed: Any) -> dict[str, Any]:
        right = {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/auth",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
            "response_types_supported": ["code"],
            **changed,
        }
        return {name: value for name, value in right.items() if value is not ...}

    def publish(self, **changed: Any) -> None:
        self.answers["/.well-known/openid-configuration"] = self.metadata(**changed)

    def settings(self, **changed: Any) -> OidcSettings:
        return OidcSettings(**{"issuer": self.url, "client_id": "failgate", **changed})


@contextlib.asynccontextmanager
async def origin() -> AsyncIterator[Origin]:
    made = Origin()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split(b" ")[1].decode().partition("?")[0]
            made.asked[path] += 1
            made.heads.append(head)
            length = next(
                (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
            )
            made.bodies.append(await reader.readexactly(length))
            await asyncio.sleep(made.delay)
            writer.write(_bytes(made.answers.get(path, ...)))
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        server.close()
        await asyncio.sleep(0)


def _bytes(answer: Any) -> bytes:
    if isinstance(answer, bytes):
        return answer
    status, body = ("404 Not Found", b"{}") if answer is ... else ("200 OK", json.dumps(answer).encode())
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def status(code: int, answer: Any) -> bytes:
    """An answer of another status."""
    body = json.dumps(answer).encode()
    return f"HTTP/1.1 {code} X\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
