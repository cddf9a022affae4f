"""Answers that are written in one piece are what uvicorn would have written, and no header of theirs splits one."""

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from hypothesis import given
from hypothesis import strategies as st

from failgate.web.asgi import ARRIVED
from failgate.web.protocol import HttpProtocol
from failgate.web.whole_answer import head_of

Headers = list[tuple[bytes, bytes]]
GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
PLAIN: Headers = [
    (b"content-type", b"text/plain"),
    (b"content-length", b"5"),
    (b"set-cookie", b"a=1"),
    (b"x-1", b"\xe4"),
]


class Pieces:
    """Counts what a transport is given."""

    def __init__(self) -> None:
        self.number = 0


@asynccontextmanager
async def answering(app: Callable[..., Any], pieces: Pieces | None = None) -> AsyncIterator[int]:
    """Yield the port at which `app` answers through our protocol."""

    class Protocol(HttpProtocol):
        def connection_made(self, transport: asyncio.Transport) -> None:
            if pieces is not None:
                write = transport.write

                class Counting:
                    def __getattr__(self, name: str) -> Any:
                        return getattr(transport, name)

                    def write(self, data: bytes) -> None:
                        pieces.number += 1
                        write(data)

                super().connection_made(Counting())
                return
            super().connection_made(transport)

    config = uvicorn.Config(app, http=Protocol, lifespan="off", log_level="critical", date_header=False)
    config.load()
    server = uvicorn.Server(config)
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(
        lambda: Protocol(config=config, server_state=server.server_state, app_state={}), "127.0.0.1", 0
    )
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()


async def said_to(port: int, request: bytes, until: bytes = b"") -> bytes:
    """Return what is answered; `until` these bytes, else to the end of the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    said = await asyncio.wait_for(reader.readuntil(until) if until else reader.read(), 5)
    writer.close()
    return said


def of(*messages: dict[str, Any]) -> Callable[..., Any]:
    """Return an application that sends these."""

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        for message in messages:
            await send(message)

    return app


def start(headers: Headers, status: int = 200) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": headers}


def body(content: bytes, *, has_more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": content, "more_body": has_more}


async def test_a_small_answer_is_one_piece() -> None:
    pieces = Pieces()
    async with answering(of(start(PLAIN, 201), body(b"hello")), pieces) as port:
        said = await said_to(port, GET, b"hello")
    lines = said.split(b"\r\n")
    assert lines[0] == b"HTTP/1.1 201 Created"
    assert lines[-4:] == [b"set-cookie: a=1", b"x-1: \xe4", b"", b"hello"]
    assert pieces.number == 1


async def test_a_connection_that_ends_is_told_so_and_ends() -> None:
    async with answering(of(start(PLAIN), body(b"hello"))) as port:
        said = await said_to(port, GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    assert b"\r\nconnection: close\r\n\r\nhello" in said


async def test_one_connection_carries_many() -> None:
    async with answering(of(start(PLAIN), body(b"hello"))) as port:
        said = await said_to(port, GET * 3 + GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    assert said.count(b"hello") == said.count(b"HTTP/1.1 200 OK") == 4


@pytest.mark.parametrize(
    ("messages", "wanted"),
    [
        ([start(PLAIN), body(b"he", has_more=True), body(b"llo")], b"\r\n\r\nhello"),
        ([start([]), body(b"hello")], b"\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
        ([start([(b"Content-Length", b"5")]), body(b"hello")], b"content-length: 5\r\n\r\nhello"),
        ([start([(b"content-length", b"5"), (b"connection", b"close")]), body(b"hello")], b"close\r\n\r\nhello"),
    ],
    ids=["in pieces", "of no known length", "with capitals", "that ends the connection"],
)
async def test_every_other_answer_goes_the_usual_way(messages: list[dict[str, Any]], wanted: bytes) -> None:
    async with answering(of(*messages)) as port:
        assert (await said_to(port, GET, wanted)).startswith(b"HTTP/1.1 200 OK\r\n")


async def test_a_head_whose_body_never_comes_is_cut_and_no_whole_answer() -> None:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send(start(PLAIN))

    async with answering(app) as port:
        said = await said_to(port, GET)
    assert said.startswith(b"HTTP/1.1 200 OK")
    assert said.endswith(b"\r\n\r\n")


async def test_a_body_of_another_length_than_was_said_is_never_a_whole_answer() -> None:
    for content in (b"hell", b"hello!"):
        async with answering(of(start(PLAIN), body(content))) as port:
            assert content not in (await said_to(port, GET)) or len(content) < 5


@pytest.mark.parametrize(
    "headers",
    [
        [(b"x-1", b"a\r\nset-cookie: b=2")], [(b"x-1", b"a\nb")], [(b"x-1", b"a\rb")], [(b"x-1", b"a\0b")],
        [(b"x-1\r\nx-2", b"a")], [(b"x 1", b"a")], [(b"x-1:", b"a")], [(b"x-1", b"\x7f")],
    ],
)  # fmt: skip
async def test_no_header_splits_an_answer(headers: Headers) -> None:
    async with answering(of(start([*PLAIN, *headers]), body(b"hello"))) as port:
        said = await said_to(port, GET)
    assert b"hello" not in said
    assert b"b=2" not in said


@given(
    st.lists(st.tuples(st.sampled_from([b"x-1", b"etag", b"x\r", b"a b", b"A", b"connection"]), st.binary(max_size=9))),
    st.booleans(),
)
def test_a_head_is_as_many_lines_as_it_has_headers(headers: Headers, is_kept: bool) -> None:
    head = head_of(200, headers, is_kept=is_kept)
    if head is not None:
        lines = head.split(b"\r\n")
        assert lines[-2:] == [b"", b""]
        assert len(lines) == 1 + len(headers) + (not is_kept) + 2
        assert head.count(b"\n") == head.count(b"\r") == len(lines) - 1


async def test_what_a_request_held_goes_with_it_and_waits_for_no_collector() -> None:
    held: list[weakref.ref[object]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope[ARRIVED]()
        held.append(weakref.ref(receive.__self__))
        await send(start(PLAIN))
        await send(body(b"hello"))

    gc.disable()
    try:
        async with answering(app) as port:
            await said_to(port, GET * 3 + GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert [one() for one in held[:3]] == [None] * 3
    finally:
        gc.enable()
