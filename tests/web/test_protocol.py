"""What two readers could read differently is refused whole, and nothing behind it is answered (SECURITY 2)."""

import asyncio
import contextlib
import hashlib
import io
import logging
import re
from typing import Any

import pytest
import structlog
from litestar import Request, Response

from failgate.access.permission import Permission
from failgate.base.log import start_logging
from failgate.web.app import Application
from failgate.web.door import Door
from failgate.web.forms import pieces_of
from failgate.web.routes import OPERATION
from tests.web.conftest import running
from tests.web.tls_server import TlsFiles, running_tls

GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
POST = b"POST /healthz HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
BEHIND = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

SMUGGLED = {
    "length and chunks": POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and length": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    "chunks twice": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "identity, chunked": POST + b"Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n",
    "chunked, identity": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "xchunked": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "gzip": POST + b"Transfer-Encoding: gzip\r\n\r\n0\r\n\r\n",
    "space before colon": POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "folded encoding": POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "vertical tab": POST + b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
    "chunks in 1.0": b"POST /healthz HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "same length twice": POST + b"Content-Length: 0\r\nContent-Length: 0\r\n\r\n",
    "two lengths": POST + b"Content-Length: 0\r\nContent-Length: 5\r\n\r\nhello",
    "list of lengths": POST + b"Content-Length: 5, 5\r\n\r\nhello",
    "length with plus": POST + b"Content-Length: +5\r\n\r\nhello",
    "length below zero": POST + b"Content-Length: -5\r\n\r\nhello",
    "length in hex": POST + b"Content-Length: 0x5\r\n\r\nhello",
    "length beyond 64 bits": POST + b"Content-Length: 99999999999999999999999\r\n\r\nhello",
    "empty length": POST + b"Content-Length: \r\n\r\nhello",
    "folded header": GET + b"X-A: a\r\n b\r\n\r\n",
    "first header folded": b"GET /healthz HTTP/1.1\r\n Host: localhost\r\n\r\n",
    "bare LF everywhere": b"GET /healthz HTTP/1.1\nHost: localhost\n\n",
    "bare LF after the line": b"GET /healthz HTTP/1.1\nHost: localhost\r\n\r\n",
    "bare LF after a header": b"GET /healthz HTTP/1.1\r\nHost: localhost\nX-A: b\r\n\r\n",
    "bare LF at the end": b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\n",
    "bare CR": GET + b"X-A: a\rX-B: b\r\n\r\n",
    "NUL in a value": GET + b"X-A: a\0b\r\n\r\n",
    "NUL in a name": GET + b"X\0A: b\r\n\r\n",
    "NUL in the path": b"GET /health\0z HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "control character": GET + b"X-A: a\x01b\r\n\r\n",
    "space in a name": GET + b"X A: b\r\n\r\n",
    "no name": GET + b": b\r\n\r\n",
    "no colon": GET + b"Nocolon\r\n\r\n",
    "name beyond ASCII": GET + b"X-\xc3\xa9: b\r\n\r\n",
    "chunk below zero": CHUNKED + b"-1\r\n\r\n",
    "chunk with 0x": CHUNKED + b"0x5\r\nhello\r\n0\r\n\r\n",
    "chunk beyond 64 bits": CHUNKED + b"fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
    "chunk size and bare LF": CHUNKED + b"5\nhello\r\n0\r\n\r\n",
    "chunk extension and bare LF": CHUNKED + b"5;a\nhello\r\n0\r\n\r\n",
    "chunk extension and bare CR": CHUNKED + b"5;a\rb\r\nhello\r\n0\r\n\r\n",
    "chunk extension and NUL": CHUNKED + b"5;a\0b\r\nhello\r\n0\r\n\r\n",
    "chunk longer than said": CHUNKED + b"5\r\nhelloXX0\r\n\r\n",
    "chunk without its end": CHUNKED + b"5\r\nhello0\r\n\r\n",
    "chunk size and space": CHUNKED + b"5 \r\nhello\r\n0\r\n\r\n",
    "chunk without size": CHUNKED + b"\r\nhello\r\n0\r\n\r\n",
    "length as a trailer": CHUNKED + b"5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n",
    "version 0.9": b"GET /healthz\r\n\r\n",
    "version 1.2": b"GET /healthz HTTP/1.2\r\nHost: localhost\r\n\r\n",
    "version 2.0": b"GET /healthz HTTP/2.0\r\nHost: localhost\r\n\r\n",
    "preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "tabs in the line": b"GET\t/healthz\tHTTP/1.1\r\nHost: localhost\r\n\r\n",
    "two hosts": GET + b"Host: evil.example\r\n\r\n",
    "the same host twice": GET + b"Host: localhost\r\n\r\n",
    "no host": b"GET /healthz HTTP/1.1\r\n\r\n",
    "whole address": b"GET http://evil.example/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "tunnel": b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "star": b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "fragment": b"GET /healthz#x HTTP/1.1\r\nHost: localhost\r\n\r\n",
}


async def answers(reader: asyncio.StreamReader) -> tuple[list[bytes], bytes]:
    """Return every status up to the end of the connection, which must come, and everything that was said."""
    said = b""
    with contextlib.suppress(ConnectionError):
        while piece := await asyncio.wait_for(reader.read(65_536), 5):
            said += piece
    return re.findall(rb"HTTP/1\.1 (\d\d\d)", said), said


@pytest.mark.parametrize("raw", SMUGGLED.values(), ids=SMUGGLED)
async def test_an_ambiguous_request_is_400_and_the_end(server, raw):
    reader, writer = await asyncio.open_connection(server.host, server.port)
    writer.write(raw + BEHIND)
    statuses, said = await answers(reader)
    writer.close()
    assert statuses == [b"400"]
    assert b"urn:failgate:error:bad-request" in said
    assert b"connection: close" in said


async def test_the_same_through_tls(services, tmp_path):
    async with running_tls(services, TlsFiles(tmp_path)) as one:
        for name in ("length and chunks", "two hosts", "bare LF everywhere", "chunk below zero"):
            reader, writer = await one.open()
            writer.write(SMUGGLED[name] + BEHIND)
            assert (await answers(reader))[0] == [b"400"], name
            writer.close()


@pytest.mark.parametrize(
    "raw",
    [
        GET + b"\r\n",
        GET + b"Content-Length: 5\r\n\r\nhello",
        POST + b"Transfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        CHUNKED + b"5;a=b\r\nhello\r\n0\r\nX-Trailer: b\r\n\r\n",
    ],
)
async def test_what_every_reader_reads_the_same_is_answered_and_so_is_what_comes_behind(server, raw):
    reader, writer = await asyncio.open_connection(server.host, server.port)
    writer.write(raw + BEHIND)
    statuses, _ = await answers(reader)
    writer.close()
    assert len(statuses) == 2
    assert b"400" not in statuses


async def test_an_upgrade_that_is_declined_is_the_last_request_of_its_connection(server):
    reader, writer = await asyncio.open_connection(server.host, server.port)
    writer.write(
        GET + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n" + BEHIND
    )
    assert (await answers(reader))[0] == [b"200"]
    writer.close()


async def at_leisure(request: Request[Any, Any, Any]) -> Response[str]:
    """Answer when the test says so."""
    began, go = request.app.state.began, request.app.state.go
    began.set()
    await go.wait()
    return Response("at leisure", media_type="text/plain")


LEISURE = Door(
    name="tests.leisure", method="GET", path="/leisure", handler=at_leisure, permission=Permission.PUBLIC_PAGE_READ, kind="operation"
)  # fmt: skip
SLOWLY = b"GET /leisure HTTP/1.1\r\nHost: localhost\r\n\r\n"
SOCKET = GET.replace(b"/healthz", b"/api/v1/agent") + b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
SOCKET += b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"


@contextlib.asynccontextmanager
async def leisurely(services, monkeypatch):
    """A server one door of which waits, a connection to it on which that door was asked, and what lets it answer."""
    began, go = asyncio.Event(), asyncio.Event()
    honest = Application.__init__

    def begin(self, *given):
        honest(self, *given)
        self.litestar.state["began"], self.litestar.state["go"] = began, go

    monkeypatch.setattr(Application, "__init__", begin)
    async with running(services, (*OPERATION, LEISURE)) as one:
        reader, writer = await asyncio.open_connection(one.host, one.port)
        writer.write(SLOWLY)
        await asyncio.wait_for(began.wait(), 10)
        yield reader, writer, go
        writer.close()


@pytest.mark.parametrize(
    ("behind", "status"),
    [
        (b"NONSENSE\r\n\r\n", b"400"),
        (GET + b"Host: evil.example\r\n\r\n", b"400"),
        (SOCKET, b"400"),
        (CHUNKED + b"zz\r\n", b"400"),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + b"X-A: b\r\n" * 60_000, b"431"),
    ],
    ids=["nonsense", "two hosts", "a socket", "a broken body", "endless headers"],
)
async def test_what_is_refused_behind_a_request_is_not_taken_for_its_answer(services, monkeypatch, behind, status):
    """The 400 of the second would else stand before, or inside, the answer to the first."""
    async with leisurely(services, monkeypatch) as (reader, writer, go):
        for at in range(0, len(behind), 16_384):
            writer.write(behind[at : at + 16_384])
            await asyncio.sleep(0)
        writer.write(BEHIND)
        await asyncio.sleep(0.1)  # nothing may come: there is no event to wait for
        go.set()
        statuses, said = await answers(reader)
    assert statuses == [b"200", status]
    assert said.index(b"at leisure") < said.index(b"HTTP/1.1 " + status)


@pytest.fixture
def logged():
    """The lines of the log from a warning up."""
    root = logging.getLogger()
    before, level, stream = root.handlers[:], root.level, io.StringIO()
    start_logging(level="warning", stream=stream)
    yield lambda: stream.getvalue().splitlines()
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()


async def test_a_body_that_ends_with_its_connection_is_no_failure_of_the_server(server, people, logged):
    head = POST.replace(b"/healthz", b"/api/v1/workspaces/acme/commands") + b"Content-Type: application/json\r\n"
    head += f"Authorization: Bearer {people.agent}\r\nContent-Length: 100\r\n\r\n".encode()
    _, writer = await asyncio.open_connection(server.host, server.port)
    writer.write(head + b"{")
    await writer.drain()
    await asyncio.sleep(0.1)  # the handler waits for the rest
    writer.transport.abort()
    await asyncio.sleep(0.1)
    assert logged() == []


async def digest_of_body(request: Request[Any, Any, Any]) -> Response[str]:
    """Answer the length and the digest of the body."""
    digest, size = hashlib.sha256(), 0
    async for piece in pieces_of(request, 1 << 20):
        digest.update(piece)
        size += len(piece)
    return Response(f"{size} {digest.hexdigest()}", media_type="text/plain")


DIGEST = Door(
    name="tests.digest", method="POST", path="/digest", handler=digest_of_body, permission=Permission.PUBLIC_REPORT_INGEST, kind="operation"
)  # fmt: skip


async def test_a_body_arrives_as_it_was_sent_in_pieces_of_every_size(services):
    pieces = [bytes([number]) * size for number, size in enumerate([1, 20_000, 3, 70_000, 16_384, 5, 16_383, 300_000])]
    head = CHUNKED.replace(b"/healthz", b"/digest") + b"Origin: http://localhost\r\n"
    head = head.replace(b"\r\n\r\n", b"\r\n", 1) + b"\r\n"
    async with running(services, (*OPERATION, DIGEST)) as one:
        reader, writer = await asyncio.open_connection(one.host, one.port)
        writer.write(head)
        for piece in pieces:
            writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            await asyncio.sleep(0)
        writer.write(b"0\r\n\r\n" + BEHIND)
        statuses, said = await answers(reader)
        writer.close()
    assert statuses[0] == b"200"
    whole = b"".join(pieces)
    assert f"{len(whole)} {hashlib.sha256(whole).hexdigest()}".encode() in said
