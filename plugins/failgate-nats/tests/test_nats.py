"""The exporter contract on a real nats-server, and what stops it: credentials, TLS, silence, size, a killed peer. B11"""

import asyncio
import contextlib
import json
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import nats
import pytest
from failgate_nats import NatsSettings, plugin

from failgate.config.errors import ConfigRefused
from failgate.plugin import Duration, ExportedRecord, ExportFailed, RecordsRefused, Secret, StartRefused
from failgate.testing import ExporterContract, exported, host_at, opened, settings_from
from tests.peers.certificates import certificate
from tests.peers.starting import halt, listens, wait_until_up

SERVER = shutil.which("nats-server") or ("/usr/sbin/nats-server" if Path("/usr/sbin/nats-server").exists() else None)
PASSWORD = "swordfish-of-tests"


@dataclass
class Peer:
    """A nats-server with JetStream; killed and started again on the same port and folder."""

    folder: Path
    config: str = ""
    scheme: str = "nats"
    port: int = 0
    process: subprocess.Popen[bytes] | None = None
    options: dict[str, object] = field(default_factory=dict)

    def start(self) -> None:
        if not self.port:
            with socket.create_server(("127.0.0.1", 0)) as found:
                self.port = found.getsockname()[1]
        path = self.folder / "nats.conf"
        path.write_text(
            f'listen: "127.0.0.1:{self.port}"\njetstream {{ store_dir: "{self.folder}/js" }}\n{self.config}'
        )
        said = self.folder / "nats.said"
        with said.open("wb") as heard:
            self.process = subprocess.Popen([str(SERVER), "-c", str(path)], stdout=heard, stderr=heard)
        wait_until_up(self.process, said, lambda: listens(self.port))

    def kill(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait(10)
            self.process = None

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def settings(self, **more) -> NatsSettings:
        return NatsSettings(servers=(self.url,), **({"timeout": Duration("2s")} | self.options | more))

    @contextlib.asynccontextmanager
    async def streams(self, **options):
        client = await nats.connect(f"nats://127.0.0.1:{self.port}", allow_reconnect=False, **options)
        try:
            yield client.jetstream()
        finally:
            await client.close()

    async def make(self, subject: str, **more) -> str:
        name = f"S{uuid4().hex}"
        async with self.streams() as streams:
            await streams.add_stream(name=name, subjects=[f"{subject}.>"], **more)
        return name

    async def read(self, name: str) -> list[ExportedRecord]:
        found = []
        async with self.streams() as streams:
            state = (await streams.stream_info(name)).state
            for number in range(state.first_seq or 1, state.last_seq + 1):
                message = await streams.get_msg(name, number)
                value = json.loads(message.data)
                found.append(ExportedRecord(value["log"], value["seq"], message.data.split(b'"record":', 1)[1][:-1]))
        return found


@contextlib.contextmanager
def running(folder: Path, **more) -> Iterator[Peer]:
    if SERVER is None:
        pytest.skip("nats-server is missing: install the package `nats-server`")
    folder.mkdir(exist_ok=True)
    peer = Peer(folder, **more)
    peer.start()
    try:
        yield peer
    finally:
        peer.kill()


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    with running(tmp_path_factory.mktemp("nats")) as one:
        yield one


@contextlib.asynccontextmanager
async def exporter_of(settings: NatsSettings, folder: Path):
    async with opened(plugin, settings, host_at(folder, "nats", allow_loopback=True)) as provides:
        assert provides.audit_exporter is not None
        yield provides.audit_exporter


@pytest.fixture
def subject() -> str:
    return f"failgate.t{uuid4().hex}"


@pytest.fixture
async def stream(peer: Peer, subject: str) -> str:
    return await peer.make(subject)


class TestContract(ExporterContract):
    keeps_one_copy = True

    @pytest.fixture
    def open_exporter(self, peer: Peer, subject: str, stream: str, tmp_path: Path):
        return lambda: exporter_of(peer.settings(subject=subject, stream=stream), tmp_path)

    @pytest.fixture
    def read_delivered(self, peer: Peer, stream: str):
        return lambda: peer.read(stream)


async def test_two_servers_with_one_stream_lose_nothing_to_each_other(peer, subject, stream, tmp_path) -> None:
    """Both have a record 0 of the log `system`: a number alone would make one of them a duplicate."""
    one, other = exported(0, 1), [ExportedRecord("system", 0, b'{"act":"other"}')]
    async with exporter_of(peer.settings(subject=subject), tmp_path) as exporter:
        await exporter.deliver(one)
        await exporter.deliver(other)
    assert await peer.read(stream) == [*one, *other]


async def test_a_peer_that_is_killed_in_the_middle_loses_nothing_that_was_acknowledged(tmp_path) -> None:
    with running(tmp_path / "own") as own:
        name = await own.make("failgate.audit")
        records = exported(0, 400)
        async with exporter_of(own.settings(), tmp_path) as exporter:
            await exporter.deliver(records[:100])
            task = asyncio.create_task(exporter.deliver(records[100:]))
            await asyncio.sleep(0.02)
            own.kill()
            with contextlib.suppress(ExportFailed):
                await task
            with pytest.raises(ExportFailed, match="NATS server"):
                await exporter.deliver(records[100:200])
            own.start()
            await exporter.deliver(records[100:])
        assert list(dict.fromkeys(await own.read(name))) == records


async def test_without_a_stream_nothing_counts_as_delivered(peer, tmp_path) -> None:
    """Plain NATS would take it, and lose it."""
    async with exporter_of(peer.settings(subject=f"failgate.nobody{uuid4().hex}"), tmp_path) as exporter:
        with pytest.raises(ExportFailed, match="No stream"):
            await exporter.deliver(exported(0, 1))


async def test_another_stream_than_the_one_that_is_named_is_a_failure(peer, subject, stream, tmp_path) -> None:
    async with exporter_of(peer.settings(subject=subject, stream="elsewhere"), tmp_path) as exporter:
        with pytest.raises(ExportFailed, match="code"):
            await exporter.deliver(exported(0, 1))
    assert await peer.read(stream) == []


async def test_what_is_larger_than_the_stream_takes_is_refused_for_ever(peer, subject, tmp_path) -> None:
    name = await peer.make(subject, max_msg_size=1000)
    large = ExportedRecord("system", 1, b'{"text":"' + b"x" * 2000 + b'"}')
    async with exporter_of(peer.settings(subject=subject), tmp_path) as exporter:
        with pytest.raises(RecordsRefused, match="Record 1 is larger than the stream"):
            await exporter.deliver([*exported(0, 1), large])
        await exporter.deliver(exported(2, 3))
    assert [one.seq for one in await peer.read(name)] == [0, 2]


async def test_what_is_larger_than_the_server_takes_is_refused_for_ever(tmp_path) -> None:
    with running(tmp_path / "own", config="max_payload: 4096\n") as own:
        await own.make("failgate.audit")
        async with exporter_of(own.settings(), tmp_path) as exporter:
            with pytest.raises(RecordsRefused, match="larger than the NATS server"):
                await exporter.deliver([ExportedRecord("system", 0, b'{"text":"' + b"x" * 8000 + b'"}')])


async def test_a_full_stream_is_waited_for(peer, subject, tmp_path) -> None:
    await peer.make(subject, max_msgs=2, discard="new")
    async with exporter_of(peer.settings(subject=subject), tmp_path) as exporter:
        with pytest.raises(ExportFailed, match="code"):
            await exporter.deliver(exported(0, 3))


async def test_a_peer_that_hangs_is_given_up_in_time(tmp_path) -> None:
    with running(tmp_path / "own") as own:
        await own.make("failgate.audit")
        async with exporter_of(own.settings(timeout=Duration("1s")), tmp_path) as exporter:
            await exporter.deliver(exported(0, 1))
            halt(own.process)
            began = time.monotonic()
            for _ in range(2):
                with pytest.raises(ExportFailed):
                    await exporter.deliver(exported(1, 2))
            assert time.monotonic() - began < 8
            own.process.send_signal(signal.SIGCONT)
            await exporter.deliver(exported(1, 2))


async def test_wrong_credentials_are_a_failure_without_the_secret(tmp_path) -> None:
    users = f'authorization {{ user: "failgate", password: "{PASSWORD}" }}\n'
    with running(tmp_path / "own", config=users) as own:
        async with own.streams(user="failgate", password=PASSWORD) as streams:
            await streams.add_stream(name="AUDIT", subjects=["failgate.audit.>"])
        wrong = own.settings(user="failgate", password=Secret("hunter2hunter2"))
        async with exporter_of(wrong, tmp_path) as exporter:
            with pytest.raises(ExportFailed, match="refuses the credentials") as failed:
                await exporter.deliver(exported(0, 1))
        assert "hunter2" not in str(failed.value)
        async with exporter_of(own.settings(user="failgate", password=Secret(PASSWORD)), tmp_path) as exporter:
            await exporter.deliver(exported(0, 1))


async def test_tls_is_verified(tmp_path) -> None:
    pem = certificate(tmp_path, "nats")
    config = f'tls {{ cert_file: "{pem}", key_file: "{pem.with_suffix(".key")}", timeout: 5 }}\n'
    with running(tmp_path / "own", config=config, scheme="tls") as own:
        async with exporter_of(own.settings(), tmp_path) as exporter:
            with pytest.raises(ExportFailed, match="certificate of the NATS server is not accepted"):
                await exporter.deliver(exported(0, 1))
        async with exporter_of(own.settings(ca_file=pem), tmp_path) as exporter:
            with pytest.raises(ExportFailed, match="No stream"):
                await exporter.deliver(exported(0, 1))


async def test_plain_text_is_for_tests_alone(tmp_path) -> None:
    settings = NatsSettings(servers=("nats://nats.acme.example:4222",))
    with pytest.raises(StartRefused, match="without TLS"):
        async with opened(plugin, settings, host_at(tmp_path)):
            pass


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        ("servers = []", "servers"),
        ('servers = ["http://x"]', "no NATS server"),
        ('servers = ["tls://user:hunter2@x:4222"]', "no NATS server"),
        ('servers = ["tls://x"]\nsubject = "a.>"', "no subject"),
        ('servers = ["tls://x"]\nstream = "a.b"', "no name of a stream"),
        ('servers = ["tls://x"]\nuser = "u"', "user and password are set together"),
        ('servers = ["tls://x"]\nkey = "/k"', "certificate and key are set together"),
        ('servers = ["tls://x"]\ntoken = { env = "T" }\ncredentials = "/c"', "one of them"),
    ],
)
def test_settings_that_cannot_work_are_refused_by_name(toml: str, says: str) -> None:
    with pytest.raises(ConfigRefused, match=says):
        settings_from(plugin, toml, {"T": "x"})


async def test_files_that_cannot_be_read_refuse_the_start(tmp_path) -> None:
    settings = NatsSettings(servers=("tls://x",), ca_file=tmp_path / "absent.pem")
    with pytest.raises(StartRefused, match="cannot be used"):
        async with opened(plugin, settings, host_at(tmp_path)):
            pass
