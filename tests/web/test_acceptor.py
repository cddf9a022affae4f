"""TLS as the other side sees it: versions, plain HTTP, slow handshakes, WebSockets, the end (E9)."""

import asyncio
import contextlib
import logging
import re
import shutil
import socket
import ssl
import subprocess

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from failgate.config.units import Duration
from failgate.web.routes import LIVE
from tests.pace import busy
from tests.web.conftest import cookies_of, session_of
from tests.web.test_serve import DOORS
from tests.web.tls_server import TlsFiles, running_tls


@pytest.fixture
def files(tmp_path):
    folder = tmp_path / "tls"
    folder.mkdir()
    return TlsFiles(folder)


@pytest.fixture
async def secure(services, files):
    async with running_tls(services, files) as one:
        yield one


async def test_an_answer_carries_hsts_and_its_cookies_are_host_bound(secure):
    async with secure.client() as client:
        answer = await client.get("/signin")
    assert answer.status_code == 200
    assert answer.headers["strict-transport-security"].startswith("max-age=31536000")
    cookies = answer.headers.get_list("set-cookie")
    assert cookies
    for cookie in cookies:
        assert re.match(r"__Host-fg_\w+=[^;]+", cookie)
        assert {"Secure", "HttpOnly", "Path=/"} <= set(cookie.split("; "))


async def test_plain_http_at_the_port_is_refused_in_plain_http(secure):
    reader, writer = await asyncio.open_connection("127.0.0.1", secure.port)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"say https" in answer
    assert b"connection: close" in answer
    assert b"strict-transport-security" not in answer


@pytest.mark.parametrize("noise", [b"", b"\x16\x03\x01\x00\x05nonsense", b"\x00" * 50, b"SSH-2.0-x\r\n"])
async def test_what_is_neither_tls_nor_http_is_let_go_and_others_are_served(secure, noise):
    reader, writer = await asyncio.open_connection("127.0.0.1", secure.port)
    writer.write(noise)
    if not noise:
        writer.write_eof()
    with contextlib.suppress(ConnectionError):
        assert b"Traceback" not in await asyncio.wait_for(reader.read(), 5)
    writer.close()
    async with secure.client() as client:
        assert (await client.get("/healthz")).status_code == 200


async def test_a_socket_is_served_by_tls(secure, people):
    token = await session_of(secure.services, people.accounts["owner"])
    url = f"wss://localhost:{secure.port}/api/v1/live?workspace=acme"
    headers = {"cookie": cookies_of(token, is_https=True)}
    async with connect(
        url, ssl=secure.files.context(), origin=secure.origin, additional_headers=headers, proxy=None
    ) as live:
        assert live.subprotocol is None
        await (await live.ping())


async def test_http_1_1_is_agreed_on(secure):
    context = secure.files.context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    _, writer = await secure.open(context)
    assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == "http/1.1"
    writer.close()


OPENSSL = shutil.which("openssl")


@pytest.mark.skipif(OPENSSL is None, reason="openssl is not installed")
@pytest.mark.parametrize(
    ("arguments", "is_taken"),
    [
        (["-tls1_3"], True),
        (["-tls1_2"], True),
        (["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"], False),
        (["-tls1", "-cipher", "DEFAULT@SECLEVEL=0"], False),
        (["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"], True),
        (["-tls1_2", "-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305"], True),
        (["-tls1_2", "-cipher", "AES128-SHA:AES256-GCM-SHA384"], False),
        (["-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-SHA"], False),
        (["-tls1_2", "-cipher", "DHE-RSA-AES128-GCM-SHA256"], False),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, list) else str(given),
)
async def test_versions_and_ciphers_as_openssl_sees_them(secure, arguments, is_taken):
    def knock() -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [str(OPENSSL), "s_client", "-connect", f"127.0.0.1:{secure.port}", *arguments],
            input=b"", capture_output=True, timeout=20, check=False,
        )  # fmt: skip

    seen = await asyncio.to_thread(knock)
    is_open = re.search(rb"New, (TLSv1\.[23]), Cipher is (?!\(NONE\))", seen.stdout) is not None
    assert is_open is is_taken, (seen.stdout + seen.stderr).decode()


@pytest.mark.parametrize("said", [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01"])
async def test_a_slow_handshake_is_cut(services, files, said):
    async with running_tls(services, files, header_timeout=Duration("1s")) as one:
        reader, writer = await asyncio.open_connection("127.0.0.1", one.port)
        began = asyncio.get_running_loop().time()
        writer.write(said)
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(), 5) == b""
        assert 0.8 < asyncio.get_running_loop().time() - began < 3
        writer.close()
        async with one.client() as client:
            metrics = (await client.get("/metrics")).text
    assert 'failgate_tls_handshakes_failed_total{reason="timeout"} 1.0' in metrics


async def test_headers_that_are_slow_after_the_handshake_are_cut_too(services, files):
    async with running_tls(services, files, header_timeout=Duration("1s")) as one:
        reader, writer = await one.open()
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: loc")
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()


async def test_it_stops_within_a_second_with_everything_open(services, files, people, caplog):
    """Streams, idle connections, a handshake that is not finished, a socket, and a peer that answers nothing."""
    token = await session_of(services, people.accounts["owner"])
    async with running_tls(services, files, doors=(*DOORS, *LIVE)) as one:
        stream_reader, stream_writer = await one.open()
        stream_writer.write(b"GET /drip HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await stream_reader.readuntil(b"\r\n\r\n")
        _, idle_writer = await one.open()
        _, half_writer = await asyncio.open_connection("127.0.0.1", one.port)
        half_writer.write(b"\x16\x03\x01")
        deaf = await asyncio.to_thread(open_deaf, one)
        async with one.client() as client:
            poll = asyncio.create_task(client.get("/linger"))
            headers = {"cookie": cookies_of(token, is_https=True)}
            url = f"wss://localhost:{one.port}/api/v1/live?workspace=acme"
            async with connect(
                url, ssl=files.context(), origin=one.origin, additional_headers=headers, proxy=None
            ) as live:
                await asyncio.sleep(0.2)
                seconds = await one.one.stop()
                with pytest.raises(ConnectionClosed) as closed:
                    await live.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1001
            assert (await poll).text == "stopped"
        assert seconds < busy(1)
        for writer in (stream_writer, idle_writer, half_writer):
            writer.close()
        deaf.close()
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


def open_deaf(one) -> ssl.SSLSocket:
    """Open a connection that will not answer the goodbye of TLS."""
    raw = socket.create_connection(("127.0.0.1", one.port))
    return one.files.context().wrap_socket(raw, server_hostname="localhost")


async def test_thousands_of_bytes_both_ways(secure, people):
    """A body of a megabyte is read whole through TLS, and refused for what it is, not for how it came."""
    async with secure.client() as client:
        answer = await client.post(
            "/api/v1/workspaces/acme/commands",
            headers={"authorization": f"Bearer {people.agent}"},
            json={"command": "x" * 1_000_000},
        )
    assert answer.status_code == 400
