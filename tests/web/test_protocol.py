"""What two readers could read differently is refused whole, and nothing behind it is answered (SECURITY 2)."""

import asyncio
import contextlib
import re

import pytest

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
