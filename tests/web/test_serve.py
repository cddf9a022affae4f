"""The server itself, over real sockets: how it starts, what it does to slow clients, how it stops."""

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import pytest
from litestar import Request, Response
from litestar.response import Stream
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from failgate.access.permission import Permission
from failgate.base.errors import StartRefused
from failgate.web.context import stop_of
from failgate.web.door import Door
from failgate.web.listening import listen
from failgate.web.routes import OPERATION
from failgate.web.serve import serve
from tests.pace import busy
from tests.web.conftest import cookies_of, running, session_of, with_server

ROOT = Path(__file__).parents[2]


async def drip(request: Request[Any, Any, Any]) -> Stream:
    async def pieces():
        while True:
            yield b"x"
            await asyncio.sleep(0.05)

    return Stream(pieces(), media_type="text/plain")


async def linger(request: Request[Any, Any, Any]) -> Response[str]:
    answered = await stop_of(request).first(asyncio.sleep(55, "decided"))
    return Response(answered or "stopped", media_type="text/plain")


async def fail(request: Request[Any, Any, Any]) -> Response[str]:
    raise RuntimeError(
        "/secret/path SELECT token fg_usr_0351wKnaSu6yN9ZUD6Kh4Q_YxJpvHHMvkOmKWtzFA8q65VK2liGZHnUvV44yPr2yBx_1Lg6R0"
    )


def open_door(name: str, path: str, handler: Any) -> Door:
    return Door(
        name=name, method="GET", path=path, handler=handler, permission=Permission.PUBLIC_PAGE_READ, kind="operation"
    )


DOORS = (
    *OPERATION,
    open_door("tests.drip", "/drip", drip),
    open_door("tests.linger", "/linger", linger),
    open_door("tests.fail", "/fail", fail),
)


async def read_all(reader: asyncio.StreamReader, seconds: float = 5) -> bytes:
    async with asyncio.timeout(seconds):
        return await reader.read()


async def test_it_answers_and_says_where_it_listens(server):
    async with server.client() as client:
        answer = await client.get("/healthz")
    assert answer.status_code == 200
    assert server.port > 0


async def test_it_names_no_server_software_and_carries_security_headers_on_every_answer(server):
    async with server.client() as client:
        for path in ("/healthz", "/absent", "/api/v1/whoami", "/api/openapi.json"):
            answer = await client.get(path)
            assert "server" not in answer.headers
            assert "access-control-allow-origin" not in answer.headers
            assert "'strict-dynamic'" in answer.headers["content-security-policy"]
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["x-request-id"]


def test_a_taken_port_is_named_with_the_mend():
    with listen("127.0.0.1", 0) as holder:
        port = holder.getsockname()[1]
        with pytest.raises(StartRefused) as caught:
            listen("127.0.0.1", port)
        assert str(port) in caught.value.sentence
        assert "--listen" in (caught.value.hint or "")


async def test_a_door_that_is_not_fully_declared_stops_the_start_and_frees_the_port(services):
    listener = listen("127.0.0.1", 0)
    port = listener.getsockname()[1]
    with pytest.raises(StartRefused, match="twice"):
        await serve(services, listener, doors=(*OPERATION, *OPERATION))
    listen("127.0.0.1", port).close()


async def test_an_address_of_another_machine_is_refused():
    with pytest.raises(StartRefused, match="cannot listen"):
        listen("192.0.2.1", 0)


@pytest.mark.parametrize(
    "first",
    [b"", b"GET / HTTP/1.1\r\nHost: x\r\nX-a: ", b"\r\n", b"G"],
    ids=["silent", "slow header", "empty lines", "one letter"],
)
async def test_a_connection_whose_headers_do_not_come_is_cut(services, first):
    async with running(with_server(services, header_timeout=type(services.config.server.header_timeout)("1s"))) as one:
        reader, writer = await asyncio.open_connection(one.host, one.port)
        writer.write(first)
        began = asyncio.get_running_loop().time()

        async def keep_dripping():
            with contextlib.suppress(ConnectionError):
                while True:
                    await asyncio.sleep(0.2)
                    writer.write({b"\r\n": b"\r\n", b"G": b"", b"": b""}.get(first, b"b"))

        dripping = asyncio.create_task(keep_dripping())
        try:
            with contextlib.suppress(ConnectionError):
                assert await read_all(reader) == b""
            assert asyncio.get_running_loop().time() - began < 3
        finally:
            dripping.cancel()
            writer.close()


async def test_slow_headers_of_a_second_request_are_cut_too(services):
    async with running(with_server(services, header_timeout=type(services.config.server.header_timeout)("1s"))) as one:
        reader, writer = await asyncio.open_connection(one.host, one.port)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await reader.readuntil(b"ok\n")
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: loc")
        with contextlib.suppress(ConnectionError):
            assert await read_all(reader) == b""
        writer.close()


async def test_quick_headers_are_not_cut_while_the_answer_takes_longer(services):
    settings = with_server(services, header_timeout=type(services.config.server.header_timeout)("1s"))
    async with running(settings, DOORS) as one:
        reader, writer = await asyncio.open_connection(one.host, one.port)
        writer.write(b"GET /drip HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(1.3)
        assert await reader.readexactly(30)
        writer.close()


async def test_headers_without_end_are_refused(server):
    reader, writer = await asyncio.open_connection(server.host, server.port)
    with contextlib.suppress(ConnectionError):
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-a: ")
        for _ in range(40):
            writer.write(b"a" * 4096)
            await writer.drain()
        answer = await read_all(reader)
        assert answer.startswith(b"HTTP/1.1 431 ")
        assert b"urn:failgate:error:" in answer
    writer.close()


@pytest.mark.parametrize(
    "raw",
    [
        b"NONSENSE\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX y: a\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_a_problem_document_and_the_end_of_the_connection(server, raw):
    reader, writer = await asyncio.open_connection(server.host, server.port)
    writer.write(raw)
    answer = await read_all(reader)
    writer.close()
    assert answer.split(b" ")[1][:1] == b"4"
    assert b"content-security-policy" in answer
    assert b"Traceback" not in answer


async def test_a_foreign_host_name_is_refused(server):
    async with server.client() as client:
        answer = await client.get("/healthz", headers={"host": "evil.example"})
        assert answer.status_code == 400
        assert answer.headers["content-type"] == "application/problem+json"


async def test_an_error_of_ours_shows_a_request_id_and_nothing_else(services, caplog):
    async with running(services, DOORS) as one, one.client() as client:
        answer = await client.get("/fail")
    assert answer.status_code == 500
    problem = answer.json()
    assert problem["request_id"] == answer.headers["x-request-id"]
    for word in ("Traceback", "/secret", "SELECT", "fg_usr", "RuntimeError"):
        assert word not in answer.text


async def test_head_is_answered_like_get_without_a_body(server):
    async with server.client() as client:
        answer = await client.head("/healthz")
    assert answer.status_code == 200
    assert answer.content == b""


async def test_it_stops_within_a_second_with_streams_long_polls_and_sockets_open(services, people, caplog):
    token = await session_of(services, people.accounts["owner"])
    from failgate.web.routes import LIVE

    async with running(services, (*DOORS, *LIVE)) as one:
        stream_reader, stream_writer = await asyncio.open_connection(one.host, one.port)
        stream_writer.write(b"GET /drip HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await stream_reader.readuntil(b"\r\n\r\n")
        _, idle_writer = await asyncio.open_connection(one.host, one.port)
        async with one.client() as client:
            poll = asyncio.create_task(client.get("/linger"))
            headers = {"cookie": cookies_of(token)}
            socket_url = f"ws://{one.host}:{one.port}/api/v1/live?workspace=acme"
            async with connect(socket_url, origin=one.origin, additional_headers=headers, proxy=None) as live:
                await asyncio.sleep(0.2)
                seconds = await one.stop()
                with pytest.raises(ConnectionClosed) as closed:
                    await live.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1001
            assert (await poll).text == "stopped"
        assert seconds < busy(1)
        stream_writer.close()
        idle_writer.close()
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_sigterm_and_sigint_end_with_exit_code_0(tmp_path):
    program = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from failgate.assembly import open_services\n"
        "from failgate.config.load import load_config\n"
        "from failgate.base.log import start_logging\n"
        "from failgate.web.routes import OPERATION\n"
        "from failgate.web.listening import listen\n"
        "from failgate.web.serve import serve\n"
        "async def main():\n"
        "    start_logging()\n"
        "    config = load_config(None, {}).with_listen('127.0.0.1:0')\n"
        "    async with open_services(config, Path(sys.argv[1])) as services:\n"
        "        say = lambda host, port: print(port, flush=True)\n"
        "        await serve(services, listen('127.0.0.1', 0), doors=OPERATION, on_listening=say)\n"
        "import uvloop; uvloop.run(main())\n"
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, str(tmp_path / str(int(number))),
            cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            async with asyncio.timeout(60):
                line = await process.stdout.readline()
                if not line:
                    raise AssertionError((await process.stderr.read()).decode())
                with socket.create_connection(("127.0.0.1", int(line))):
                    process.send_signal(number)
                    out, err = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.communicate()
        assert process.returncode == 0, err.decode()
        assert out == b""
        assert b"Traceback" not in err


async def test_a_foreign_origin_cannot_open_the_live_socket(server, people):
    token = await session_of(server.services, people.accounts["owner"])
    url = f"ws://{server.host}:{server.port}/api/v1/live?workspace=acme"
    headers = {"cookie": cookies_of(token)}
    for origin in ("https://evil.example", "null", None):
        with pytest.raises(InvalidStatus) as refused:
            await connect(url, origin=origin, additional_headers=headers, proxy=None).__aenter__()
        assert refused.value.response.status_code == 403
        body = refused.value.response.body or b""
        assert json.loads(body)["type"] == "urn:failgate:error:cross-site"
    async with connect(url, origin=server.origin, additional_headers=headers, proxy=None):
        pass


async def test_a_frame_over_64_kib_ends_the_socket_with_1009(server, people):
    url = f"ws://{server.host}:{server.port}/api/v1/agent"
    headers = {"authorization": f"Bearer {people.agent}"}
    async with connect(url, additional_headers=headers, proxy=None, compression="deflate") as agent:
        assert agent.protocol.extensions == []
        await agent.send("x" * 70_000)
        with pytest.raises(ConnectionClosed) as closed:
            await agent.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009


async def test_a_message_of_100_mb_ends_the_socket_long_before_its_end(server, people):
    """In one frame, whose length alone is enough, and in pieces of which each is small."""
    url = f"ws://{server.host}:{server.port}/api/v1/agent"
    headers = {"authorization": f"Bearer {people.agent}"}
    async with connect(url, additional_headers=headers, proxy=None) as agent:
        agent.transport.write(b"\x81\xff" + (100_000_000).to_bytes(8, "big") + b"\0\0\0\0" + b"a" * 1000)
        with pytest.raises(ConnectionClosed) as closed:
            await agent.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009
    async with connect(url, additional_headers=headers, proxy=None) as agent:
        sent = 0

        async def pieces():
            nonlocal sent
            while sent < 100_000_000:
                sent += 32_768
                yield "a" * 32_768

        with pytest.raises(ConnectionClosed) as closed:
            await agent.send(pieces())
            await agent.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009
    assert sent < 20_000_000  # the server read three of them; the rest is what lies between the two


async def test_text_that_is_none_ends_the_socket_with_1007(server, people):
    url = f"ws://{server.host}:{server.port}/api/v1/agent"
    headers = {"authorization": f"Bearer {people.agent}"}
    async with connect(url, additional_headers=headers, proxy=None) as agent:
        agent.transport.write(b"\x81\x82\0\0\0\0\xff\xfe")
        with pytest.raises(ConnectionClosed) as closed:
            await agent.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1007
