"""Certificates that change while the server runs (E9)."""

import asyncio
import contextlib
import datetime as dt
import os
import signal
import socket
import ssl
from collections.abc import Callable

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from failgate.base.clock import FrozenClock
from failgate.web import renewal
from failgate.web.listening import listen
from failgate.web.metrics import Metrics
from failgate.web.renewal import Renewal
from failgate.web.serve import serve
from tests.web.authority import AGENT, DAY, NOW, Authority
from tests.web.conftest import Running, with_server
from tests.web.test_certified import agent_socket, who
from tests.web.tls_server import TlsRunning, running_tls


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(renewal, "LOOK_SECONDS", 0.05)


def der(pair) -> bytes:
    return pair.certificate.public_bytes(Encoding.DER)


async def until_shown(one: TlsRunning, wanted: bytes) -> None:
    async with asyncio.timeout(5):
        while await one.shown() != wanted:
            await asyncio.sleep(0.02)


async def metric(one: TlsRunning, name: str) -> float:
    async with one.client() as client:
        text = (await client.get("/metrics")).text
    [line] = [line for line in text.splitlines() if line.startswith(f"{name} ")]
    return float(line.rsplit(" ", 1)[1])


async def test_a_new_pair_is_taken_and_open_connections_stay(services, files):
    async with running_tls(services, files) as one:
        reader, writer = await one.open()
        fresh = files.root.server()
        fresh.write(files.folder, "server")
        await until_shown(one, der(fresh))
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"200 OK" in await reader.readuntil(b"ok\n")
        writer.close()
        assert await metric(one, "failgate_tls_reload_failures") == 0


async def test_a_pair_that_is_replaced_one_file_after_the_other_is_taken_whole(services, files, caplog):
    async with running_tls(services, files) as one:
        fresh = files.root.server()
        files.certificate.write_bytes(fresh.pem)
        files.key.write_bytes(fresh.key_pem)
        await until_shown(one, der(fresh))
        assert await metric(one, "failgate_tls_reload_failing") == 0


@pytest.mark.parametrize(
    "spoiled",
    ["another key", "nonsense", "missing", "readable by others", "expired", "list cut", "list of a forger", "no list"],
)
async def test_a_broken_new_pair_keeps_the_old_one_and_is_counted(services, files, spoiled):
    old = x509.load_pem_x509_certificate(files.certificate.read_bytes()).public_bytes(Encoding.DER)
    revoked = files.clients.client(AGENT)
    files.clients.revoked.append(revoked.certificate)
    files.crl.write_bytes(files.clients.crl())
    async with running_tls(services, files, "optional") as one:
        if spoiled == "list cut":
            files.crl.write_bytes(files.clients.crl()[:200])
        elif spoiled == "list of a forger":
            files.crl.write_bytes(Authority("Client root").crl())
        elif spoiled == "no list":
            files.crl.unlink()
        elif spoiled == "another key":
            files.key.write_bytes(files.root.server().key_pem)
        elif spoiled == "nonsense":
            files.certificate.write_text("nonsense")
        elif spoiled == "missing":
            files.certificate.unlink()
        elif spoiled == "expired":
            files.root.server(begins=NOW - 2 * DAY, ends=NOW - DAY).write(files.folder, "server")
        else:
            files.key.write_bytes(files.key.read_bytes())
            files.key.chmod(0o644)
        async with asyncio.timeout(5):
            while await metric(one, "failgate_tls_reload_failing") == 0:
                await asyncio.sleep(0.02)
        assert await one.shown() == old
        assert await metric(one, "failgate_tls_reload_failures") == 1
        with pytest.raises(httpx.TransportError):  # the list before it is still the one that counts
            async with one.client(revoked) as client:
                await client.get("/healthz")
        files.crl.unlink(missing_ok=True)
        files.crl.write_bytes(files.clients.crl())
        files.key.unlink()
        fresh = files.root.server()
        fresh.write(files.folder, "server")
        await until_shown(one, der(fresh))
        assert await metric(one, "failgate_tls_reload_failing") == 0


async def test_a_link_that_is_moved_to_another_folder_is_seen(services, files, tmp_path):
    """As ACME clients and secrets of orchestrators are renewed."""
    current = tmp_path / "current"
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
    files.root.server().write(first, "server")
    fresh = files.root.server()
    fresh.write(second, "server")
    current.symlink_to(first)
    files.certificate, files.key = current / "server.pem", current / "server.key"
    async with running_tls(services, files) as one:
        (tmp_path / "next").symlink_to(second)
        os.replace(tmp_path / "next", current)  # noqa: PTH105  # the call that is meant
        await until_shown(one, der(fresh))


async def test_a_newly_revoked_certificate_loses_its_open_connections(services, files, builder):
    gone, other = files.clients.client(AGENT), files.clients.client(AGENT)
    async with running_tls(services, files, "optional") as one, contextlib.AsyncExitStack() as stack:
        cut = await stack.enter_async_context(agent_socket(one, gone))
        kept = await stack.enter_async_context(agent_socket(one, other))
        client = await stack.enter_async_context(one.client(gone))
        assert (await client.get("/api/v1/whoami")).json()["id"] == builder.id
        files.clients.revoked.append(gone.certificate)
        files.crl.write_bytes(files.clients.crl())
        await asyncio.wait_for(cut.wait_closed(), 2)
        with pytest.raises(httpx.TransportError):
            await client.get("/api/v1/whoami")
        assert await who(one, gone) == "cut"
        await (await kept.ping())
        assert await who(one, other) == builder.id


async def test_a_revoked_intermediate_loses_the_connections_behind_it(services, files, builder):
    middle = Authority("Issuing", files.clients)
    leaf = middle.client(AGENT)
    files.crl.write_bytes(files.clients.crl() + middle.crl())
    async with running_tls(services, files, "optional") as one:
        async with agent_socket(one, leaf, middle.pair) as link:
            files.clients.revoked.append(middle.pair.certificate)
            files.crl.write_bytes(files.clients.crl() + middle.crl())
            await asyncio.wait_for(link.wait_closed(), 2)
        assert await who(one, leaf, middle.pair) == "cut"


async def test_an_authority_that_is_taken_away_loses_its_connections(services, files, builder):
    other = Authority("Other clients")
    files.client_ca.write_bytes(files.clients.pair.pem + other.pair.pem)
    files.crl.write_bytes(files.clients.crl() + other.crl())
    shown = other.client(AGENT)
    async with running_tls(services, files, "optional") as one:
        async with agent_socket(one, shown) as link:
            files.client_ca.write_bytes(files.clients.pair.pem)
            files.crl.write_bytes(files.clients.crl())
            await asyncio.wait_for(link.wait_closed(), 2)
        assert await who(one, shown) == "cut"


async def test_a_client_certificate_that_ends_ends_its_connections(services, files, builder):
    async with running_tls(services, files, "optional") as one:
        short = files.clients.client(AGENT, ends=dt.datetime.now(dt.UTC) + dt.timedelta(seconds=3))
        async with agent_socket(one, short) as link:
            await asyncio.wait_for(link.wait_closed(), 6)


async def test_a_resumed_session_is_no_way_around_a_new_revocation_list(services, files, builder):
    gone = files.clients.client(AGENT)
    context = files.context(gone)
    context.maximum_version = ssl.TLSVersion.TLSv1_2

    def knock(port: int, session: ssl.SSLSession | None) -> tuple[ssl.SSLSession | None, bytes]:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as raw:
            with context.wrap_socket(raw, server_hostname="localhost", session=session) as link:
                link.sendall(b"GET /api/v1/whoami HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                return link.session, link.recv(4096)

    async with running_tls(services, files, "optional") as one:
        session, answer = await asyncio.to_thread(knock, one.port, None)
        assert b"200 OK" in answer
        files.clients.revoked.append(gone.certificate)
        files.crl.write_bytes(files.clients.crl())
        await asyncio.sleep(0.5)
        try:
            _, answer = await asyncio.to_thread(knock, one.port, session)
        except (ssl.SSLError, ConnectionError):
            answer = b""
        assert answer == b""


class Log:
    def __init__(self) -> None:
        self.lines: list[tuple[str, dict]] = []

    def __getattr__(self, _level: str) -> Callable[..., None]:
        return lambda event, **facts: self.lines.append((event, facts))

    def days(self) -> list[int]:
        return [facts["days"] for event, facts in self.lines if event == "tls.expires_soon"]


async def test_the_end_is_announced_at_30_7_and_1_days(files, monkeypatch):
    said = Log()
    monkeypatch.setattr(renewal, "log", said)
    files.root.server(ends=NOW + 40 * DAY).write(files.folder, "server")
    clock = FrozenClock(int(NOW.timestamp()) * 1_000_000)
    held = Renewal(files.section(), None, clock, Metrics(), list)
    for day in range(41):
        held.look()
        assert len(said.days()) == sum(day >= 40 - left for left in (30, 7, 1)), day
        clock.advance(86_400)
    assert said.days() == [30, 7, 1]


async def test_sighup_takes_the_files_at_once(services, files, monkeypatch):
    monkeypatch.setattr(renewal, "LOOK_SECONDS", 60)
    fresh = files.root.server()

    async def renew(one: TlsRunning) -> None:
        fresh.write(files.folder, "server")
        os.kill(os.getpid(), signal.SIGHUP)
        await until_shown(one, der(fresh))

    ready: asyncio.Future[tuple[str, int]] = asyncio.get_running_loop().create_future()
    chosen = with_server(services, tls=files.section())
    listener = listen("127.0.0.1", 0)
    task = asyncio.create_task(serve(chosen, listener, on_listening=lambda host, port: ready.set_result((host, port))))
    try:
        host, port = await asyncio.wait_for(ready, 10)
        await renew(TlsRunning(Running(chosen, host, port, task), files))
    finally:
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(task, 10)
