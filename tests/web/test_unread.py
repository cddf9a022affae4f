"""Who sends a body that nobody wants reads the answer nevertheless, and the connection ends when it has arrived."""

import asyncio
import re

import pytest

from failgate.web import unread

HEAD = b"PUT /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
PIECE = b"x" * 65_536
PIECES = 48


@pytest.mark.parametrize("framing", ["length", "chunks"])
async def test_an_answer_that_comes_before_the_body_is_whole_does_not_cut_the_body_off(server, framing):
    reader, writer = await asyncio.open_connection(server.host, server.port)
    if framing == "length":
        writer.write(HEAD + b"Content-Length: %d\r\n\r\n" % (PIECES * len(PIECE)))
    else:
        writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)).startswith(b"HTTP/1.1 405")
    for _ in range(PIECES):
        writer.write(PIECE if framing == "length" else b"%x\r\n%s\r\n" % (len(PIECE), PIECE))
        await writer.drain()
        await asyncio.sleep(0.002)  # a peer that has gone has said so by then
    assert not reader.at_eof()
    if framing == "chunks":
        writer.write(b"0\r\n\r\n")
    assert b"urn:failgate:error:" in await asyncio.wait_for(reader.read(), 5)
    writer.close()


async def test_the_next_request_may_come_right_behind_a_body_that_nobody_wanted(server):
    """More than the headers may hold, so that nothing of it is taken for one."""
    reader, writer = await asyncio.open_connection(server.host, server.port)
    length = PIECES * len(PIECE)
    head = b"PUT /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % length
    for _ in range(3):
        writer.write(head + PIECE * PIECES)
    for _ in range(3):
        said = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
        assert said.startswith(b"HTTP/1.1 405")
        await reader.readexactly(int(re.search(rb"content-length: (\d+)", said)[1]))
    writer.close()


async def test_a_connection_whose_request_never_came_whole_ends(server, monkeypatch):
    monkeypatch.setattr(unread, "IDLE_SECONDS", 0.1)
    reader, writer = await asyncio.open_connection(server.host, server.port)
    writer.write(b"PUT /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3000000\r\n\r\n" + PIECE)
    assert (await asyncio.wait_for(reader.read(), 3)).count(b"HTTP/1.1") == 1
    writer.close()


@pytest.mark.parametrize("limit", ["SECONDS", "BYTES"])
async def test_a_body_without_end_is_read_for_a_while_only(server, monkeypatch, limit):
    monkeypatch.setattr(unread, limit, 0.2 if limit == "SECONDS" else 100_000)
    reader, writer = await asyncio.open_connection(server.host, server.port)
    writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")

    async def send_for_ever() -> None:
        while True:
            writer.write(b"%x\r\n%s\r\n" % (len(PIECE), PIECE) if limit == "BYTES" else b"1\r\nx\r\n")
            await writer.drain()
            await asyncio.sleep(0.01)

    with pytest.raises(ConnectionError):
        await asyncio.wait_for(send_for_ever(), 4)
    writer.close()
    del reader


async def test_who_sends_no_more_is_not_waited_for(server, monkeypatch):
    monkeypatch.setattr(unread, "IDLE_SECONDS", 0.1)
    reader, writer = await asyncio.open_connection(server.host, server.port)
    writer.write(HEAD + b"Content-Length: 3000000\r\n\r\n" + PIECE)
    assert (await asyncio.wait_for(reader.read(), 3)).startswith(b"HTTP/1.1 405")
    writer.close()


async def test_who_waits_for_a_100_is_answered_without_one(server):
    reader, writer = await asyncio.open_connection(server.host, server.port)
    writer.write(HEAD + b"Expect: 100-continue\r\nContent-Length: 3000000\r\n\r\n")
    said = await asyncio.wait_for(reader.read(), 2)
    assert said.startswith(b"HTTP/1.1 405")
    assert b" 100 " not in said
    writer.close()


async def test_a_peer_that_goes_in_the_middle_of_its_body_is_no_error(server, caplog):
    _, writer = await asyncio.open_connection(server.host, server.port)
    writer.write(HEAD + b"Content-Length: 3000000\r\n\r\n" + PIECE)
    await writer.drain()
    writer.transport.abort()
    await asyncio.sleep(0.1)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
