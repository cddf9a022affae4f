"""The floors: servers that do the least which the job allows.

`python floors.py echo-http|echo-ws|relay PORT [DATABASE]`. With a database each message is kept in one row,
committed and synced to the disk before its answer, as the job demands; without one nothing is durable.
"""

import sqlite3
import sys
from collections.abc import Callable
from typing import Any

import msgspec
import uvicorn

decode = msgspec.json.Decoder().decode
encode = msgspec.json.Encoder().encode
Keep = Callable[[str], None]


def keeper(path: str | None) -> Keep:
    """Return what makes one message durable: one row, one commit, one sync."""
    if path is None:
        return lambda _message: None
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE message (id INTEGER PRIMARY KEY, body TEXT NOT NULL)")

    def keep(message: str) -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO message (body) VALUES (?)", (message,))
        connection.execute("COMMIT")

    return keep


def echo_http(keep: Keep) -> Any:
    """Litestar and msgspec: decode a JSON body, answer a small object."""
    from litestar import Litestar, Request, Response, get, post

    @post("/", status_code=201)
    async def echo(request: Request) -> Response[bytes]:
        raw = await request.body()
        body = decode(raw)
        keep(raw.decode())
        return Response(encode({"id": "x", "size": len(body)}), media_type="application/json", status_code=201)

    @get("/readyz")
    async def ready() -> str:
        return "ok"

    return Litestar([echo, ready], openapi_config=None)


def echo_ws(keep: Keep) -> Any:
    """A raw ASGI socket: decode each message, answer a small object."""

    async def answer(scope: dict, receive: Any, send: Any) -> None:
        if scope["type"] != "websocket":
            return
        await receive()
        await send({"type": "websocket.accept"})
        while (event := await receive())["type"] == "websocket.receive":
            message = decode(event["text"])
            keep(event["text"])
            said = {"type": "submitted", "state": "approved", "ref": message.get("ref")}
            await send({"type": "websocket.send", "text": encode(said).decode()})

    return answer


class Relay:
    """Agent to reviewer and back: nothing is checked. Both messages are kept when there is a database."""

    def __init__(self, keep: Keep) -> None:
        self.keep = keep
        self.reviewers: list[Any] = []
        self.waiting: dict[str, Any] = {}

    async def __call__(self, scope: dict, receive: Any, send: Any) -> None:
        if scope["type"] != "websocket":
            return
        await receive()
        await send({"type": "websocket.accept"})
        is_agent = scope["path"] == "/agent"
        if not is_agent:
            self.reviewers.append(send)
        number = 0
        try:
            while (event := await receive())["type"] == "websocket.receive":
                message = decode(event["text"])
                self.keep(event["text"])
                if is_agent:
                    number += 1
                    self.waiting[str(number)] = send
                    command = {"id": str(number), "digest": message.get("digest")}
                    note = encode({"type": "command", "event": "created", "command": command}).decode()
                    for reviewer in self.reviewers:
                        await reviewer({"type": "websocket.send", "text": note})
                else:
                    agent = self.waiting.pop(message["id"])
                    said = {"type": "verdict", "id": message["id"], "state": "approved"}
                    await agent({"type": "websocket.send", "text": encode(said).decode()})
        finally:
            if not is_agent:
                self.reviewers.remove(send)


def main() -> None:
    kind, port = sys.argv[1], int(sys.argv[2])
    keep = keeper(sys.argv[3] if len(sys.argv) > 3 else None)
    app = {"echo-http": echo_http, "echo-ws": echo_ws, "relay": Relay}[kind](keep)
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=port,
        log_level="error",
        access_log=False,
        ws="websockets-sansio",
        http="httptools",
        loop="uvloop",
        lifespan="off" if kind != "echo-http" else "auto",
        ws_per_message_deflate=False,
    )
    uvicorn.Server(config).run()


if __name__ == "__main__":
    main()
