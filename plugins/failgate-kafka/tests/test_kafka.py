"""The exporter contract over the Kafka protocol at librdkafka's mock cluster, read by confluent-kafka; bad input. B11"""

import asyncio
import contextlib
import json
import logging
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
from confluent_kafka import Consumer, TopicPartition
from failgate_kafka import KafkaSettings, plugin

from failgate.config.errors import ConfigRefused
from failgate.plugin import Duration, ExportedRecord, ExportFailed, RecordsRefused, Secret, Size, StartRefused
from failgate.testing import ExporterContract, exported, host_at, opened, settings_from
from tests.peers.certificates import certificate
from tests.peers.starting import halt

CLUSTER = Path(__file__).with_name("mock_cluster.py")


@dataclass
class Cluster:
    process: subprocess.Popen[bytes]
    servers: tuple[str, ...]

    def settings(self, topic: str, **more) -> KafkaSettings:
        return KafkaSettings(servers=self.servers, topic=topic, tls=False, **({"timeout": Duration("5s")} | more))

    def messages(self, topic: str) -> list:
        """Every message of the topic, in the order of each partition."""
        reader = Consumer(
            {"bootstrap.servers": ",".join(self.servers), "group.id": uuid4().hex, "log_level": 0,
             "enable.auto.commit": False, "allow.auto.create.topics": True}
        )  # fmt: skip
        found = []
        try:
            partitions = reader.list_topics(topic, timeout=10).topics[topic].partitions
            for number in partitions:
                low, high = reader.get_watermark_offsets(TopicPartition(topic, number), timeout=10)
                reader.assign([TopicPartition(topic, number, low)])
                while high > low:
                    message = reader.poll(10)
                    assert message is not None
                    assert message.error() is None
                    found.append(message)
                    if message.offset() + 1 >= high:
                        break
        finally:
            reader.close()
        return found

    def read(self, topic: str) -> list[ExportedRecord]:
        found = []
        for message in self.messages(topic):
            value = json.loads(message.value())
            assert message.key() == value["log"].encode()
            assert dict(message.headers())["failgate-seq"] == str(value["seq"]).encode()
            leaf = message.value().split(b'"record":', 1)[1][:-1]
            found.append(ExportedRecord(value["log"], value["seq"], leaf))
        return found


@contextlib.contextmanager
def running() -> Iterator[Cluster]:
    with tempfile.TemporaryFile() as heard:
        process = subprocess.Popen(
            [sys.executable, str(CLUSTER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=heard
        )
        try:
            servers = process.stdout.readline().decode().strip().split(",")
            if not servers[0]:
                ended = process.wait(60)
                heard.seek(0)
                said = heard.read().decode(errors="replace")
                raise AssertionError(f"the mock cluster did not start: it ended with {ended} and said:\n{said}")
            yield Cluster(process, tuple(servers))
        finally:
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.communicate()


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with running() as one:
        yield one


@pytest.fixture
def topic() -> str:
    return f"audit-{uuid4().hex}"


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "aiokafka")


@contextlib.asynccontextmanager
async def exporter_of(settings: KafkaSettings, folder: Path):
    async with opened(plugin, settings, host_at(folder, "kafka", allow_loopback=True)) as provides:
        assert provides.audit_exporter is not None
        yield provides.audit_exporter


class TestContract(ExporterContract):
    @pytest.fixture
    def open_exporter(self, cluster: Cluster, topic: str, tmp_path: Path):
        return lambda: exporter_of(cluster.settings(topic), tmp_path)

    @pytest.fixture
    def read_delivered(self, cluster: Cluster, topic: str):
        return lambda: asyncio.to_thread(cluster.read, topic)


async def test_a_log_has_one_partition_and_several_logs_have_several(cluster, topic, tmp_path) -> None:
    logs = [f"log-{number}" for number in range(12)]
    async with exporter_of(cluster.settings(topic), tmp_path) as exporter:
        for log in logs:
            await exporter.deliver(exported(0, 5, log=log))
    of_log: dict[bytes, set[int]] = {}
    for message in await asyncio.to_thread(cluster.messages, topic):
        of_log.setdefault(message.key(), set()).add(message.partition())
    assert all(len(partitions) == 1 for partitions in of_log.values())
    assert len(set.union(*of_log.values())) > 1


async def test_a_record_that_is_too_large_is_refused_before_any_of_the_batch_is_sent(cluster, topic, tmp_path) -> None:
    large = ExportedRecord("system", 1, b'{"text":"' + b"x" * 8000 + b'"}')
    async with exporter_of(cluster.settings(topic, largest=Size("8KiB")), tmp_path) as exporter:
        with pytest.raises(RecordsRefused, match="Record 1 is larger"):
            await exporter.deliver([*exported(0, 1), large])
        await exporter.deliver(exported(0, 1))
    assert [one.seq for one in await asyncio.to_thread(cluster.read, topic)] == [0]


async def test_a_record_of_the_largest_size_is_taken(cluster, topic, tmp_path) -> None:
    large = ExportedRecord("system", 0, b'{"text":"' + b"x" * 65_000 + b'"}')
    async with exporter_of(cluster.settings(topic), tmp_path) as exporter:
        await exporter.deliver([large, *exported(1, 3)])
    assert (await asyncio.to_thread(cluster.read, topic))[0] == large


async def test_a_cluster_that_hangs_is_given_up_and_found_again(topic, tmp_path) -> None:
    with running() as own:
        async with exporter_of(own.settings(topic, timeout=Duration("1s")), tmp_path) as exporter:
            await exporter.deliver(exported(0, 3))
            halt(own.process)
            began = time.monotonic()
            with pytest.raises(ExportFailed):
                await exporter.deliver(exported(3, 6))
            assert time.monotonic() - began < 15
            own.process.send_signal(signal.SIGCONT)
            async with asyncio.timeout(30):
                while True:
                    with contextlib.suppress(ExportFailed):
                        await exporter.deliver(exported(3, 6))
                        break
            assert list(dict.fromkeys(await asyncio.to_thread(own.read, topic))) == exported(0, 6)


async def test_a_cluster_that_is_killed_is_a_failure_that_health_tells(topic, tmp_path) -> None:
    with running() as own:
        settings = own.settings(topic, timeout=Duration("1s"))
        async with opened(plugin, settings, host_at(tmp_path, allow_loopback=True)) as provides:
            await provides.audit_exporter.deliver(exported(0, 3))
            own.process.kill()
            with pytest.raises(ExportFailed, match="Kafka") as failed:
                await provides.audit_exporter.deliver(exported(3, 600))
            assert await provides.health() == str(failed.value)


async def test_a_broker_with_another_certificate_gets_no_credential(tmp_path) -> None:
    """TLS is refused before SASL begins."""
    pem = certificate(tmp_path, "kafka")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, pem.with_suffix(".key"))
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)

        def serve() -> None:
            with contextlib.suppress(OSError):
                plain, _ = listener.accept()
                with plain, contextlib.suppress(OSError), context.wrap_socket(plain, server_side=True) as wire:
                    heard.append(wire.recv(100))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        settings = KafkaSettings(
            servers=(f"127.0.0.1:{listener.getsockname()[1]}",), topic="t", user="failgate",
            password=Secret("hunter2hunter2"), timeout=Duration("2s"),
        )  # fmt: skip
        async with exporter_of(settings, tmp_path) as exporter:
            with pytest.raises(ExportFailed, match="Kafka") as failed:
                await exporter.deliver(exported(0, 1))
        thread.join(10)
    assert "hunter2" not in str(failed.value)
    assert heard in ([], [b""])


async def test_plain_text_is_for_tests_alone(tmp_path) -> None:
    settings = KafkaSettings(servers=("kafka.acme.example:9092",), topic="t", tls=False)
    with pytest.raises(StartRefused, match="without TLS"):
        async with opened(plugin, settings, host_at(tmp_path)):
            pass


async def test_files_that_cannot_be_read_refuse_the_start(tmp_path) -> None:
    settings = KafkaSettings(servers=("x:1",), topic="t", ca_file=tmp_path / "absent.pem")
    with pytest.raises(StartRefused, match="cannot be used"):
        async with opened(plugin, settings, host_at(tmp_path)):
            pass


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        ('servers = []\ntopic = "t"', "servers"),
        ('servers = ["kafka"]\ntopic = "t"', "no broker"),
        ('servers = ["x:1"]\ntopic = "a/b"', "no topic"),
        ('servers = ["x:1"]\ntopic = "t"\nuser = "u"', "user and password are set together"),
        ('servers = ["x:1"]\ntopic = "t"\ncertificate = "/c"', "certificate and key are set together"),
        ('servers = ["x:1"]\ntopic = "t"\nmechanism = "GSSAPI"', "mechanism"),
    ],
)
def test_settings_that_cannot_work_are_refused_by_name(toml: str, says: str) -> None:
    with pytest.raises(ConfigRefused, match=says):
        settings_from(plugin, toml)
