"""Syslog over TLS: the exporter contract, what stops it, and a real syslog-ng at the other end. B11 ASVS 16.4.3"""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
import warnings
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from failgate_syslog import SyslogServer, message_of, plugin
from failgate_syslog.message import framed

from failgate.audit.encoding import leaf_of
from failgate.audit.record import SERVER, Act, Event
from failgate.plugin import (
    AuditExporter,
    ExportedRecord,
    RecordFormat,
    RecordsRefused,
    StartRefused,
    StorageUnavailable,
)
from failgate.testing import ExporterContract, exported, host_at, opened, settings_from
from tests.peers.certificates import certificate
from tests.peers.starting import listens, wait_until_up

SYSLOG_NG = shutil.which("syslog-ng", path=f"{os.environ['PATH']}:/usr/sbin")


def read_frames(content: bytes) -> list[bytes]:
    """Return the messages of a stream by their counted octets. Raises: ValueError (not framed so)."""
    found = []
    while content:
        size, _, content = content.partition(b" ")
        message, content = content[: int(size)], content[int(size) :]
        assert len(message) == int(size), "the last message was cut off"
        found.append(message)
    return found


def record_of(message: bytes) -> ExportedRecord:
    """Return the record that a message holds, byte for byte."""
    text = message[message.index(b'{"log":') :]
    document = json.loads(text)
    return ExportedRecord(document["log"], document["seq"], text[text.index(b'"record":') + 9 : -1])


class Sink:
    """A receiver that reads each connection to its end, keeps what it read, and then says so."""

    def __init__(self, folder: Path, *, asks_who_sends: bool = False, behaves: str = "well") -> None:
        self.ca_file = certificate(folder, "sink")
        self.behaves = behaves
        self.messages: list[bytes] = []
        self.senders: list[str] = []
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(self.ca_file, self.ca_file.with_suffix(".key"))
        if asks_who_sends:
            self._context.load_verify_locations(certificate(folder, "sender"))
            self._context.verify_mode = ssl.CERT_REQUIRED
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._leaving = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while not self._leaving.is_set():
            with contextlib.suppress(OSError):
                plain, _ = self._listener.accept()
                with plain:
                    plain.settimeout(10)
                    self._take(plain)

    def _take(self, plain: socket.socket) -> None:
        if self.behaves == "silent":  # as a receiver does that waits for something else: no handshake
            self._leaving.wait(5)
            return
        with self._context.wrap_socket(plain, server_side=True, suppress_ragged_eofs=False) as wire:
            content = b""
            while piece := wire.recv(65536):
                content += piece
                if self.behaves == "cuts":
                    return
            if self.behaves == "reads and cuts":
                plain.shutdown(socket.SHUT_RDWR)
                return
            self.messages += read_frames(content)
            self.senders.append(str(wire.getpeercert() or ""))
            wire.unwrap()

    def close(self) -> None:
        self._leaving.set()
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        self._listener.close()
        self._thread.join(10)

    def exporter(self, **more: object) -> SyslogServer:
        settings = {"ca_file": self.ca_file, "hostname": "gate.acme.example", "timeout_seconds": 1, **more}
        return SyslogServer(("127.0.0.1", self.port), **settings)


@contextlib.contextmanager
def sink_at(folder: Path, **how: object) -> Iterator[Sink]:
    sink = Sink(folder, **how)
    try:
        yield sink
    finally:
        sink.close()


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[Sink]:
    with sink_at(tmp_path) as one:
        yield one


class TestContract(ExporterContract):
    @pytest.fixture
    def open_exporter(self, sink: Sink, tmp_path: Path) -> Callable[[], AbstractAsyncContextManager[AuditExporter]]:
        text = f'server = "127.0.0.1:{sink.port}"\nca_file = "{sink.ca_file}"\n'

        @asynccontextmanager
        async def open_one():
            async with opened(plugin, settings_from(plugin, text), host_at(tmp_path)) as provides:
                assert provides.audit_exporter is not None
                yield provides.audit_exporter

        return open_one

    @pytest.fixture
    def read_delivered(self, sink: Sink) -> Callable[[], Awaitable[Sequence[ExportedRecord]]]:
        async def read() -> Sequence[ExportedRecord]:
            return [record_of(message) for message in sink.messages]

        return read


@pytest.mark.parametrize(("form", "begins"), [("cef", b"CEF:0|Failgate|"), ("ocsf", b'{"activity_id":')])
def test_the_message_has_the_format_of_the_settings(form: RecordFormat, begins: bytes) -> None:
    leaf = leaf_of(Event(Act.SERVER_STOPPED, "system", "server", "s", SERVER), 3, 1_700_000_000_000_000, "A" * 43)
    head, text = message_of(ExportedRecord("system", 3, leaf), "-", form).split(b" server.stopped - ")
    assert head.startswith(b"<110>1 2023-11-14T22:13:20.000000Z - failgate -")
    assert text.startswith(begins)


@pytest.mark.parametrize(("out", "priority"), [("ok", 110), ("deny", 109), ("error", 107), (None, 110)])
def test_a_record_is_a_message_of_rfc_5424(out: str | None, priority: int) -> None:
    leaf = b'{"act":"session.opened","out":"%b","ts":"2026-11-23T02:19:21.000123Z"}' % (out or "else").encode()
    message = message_of(ExportedRecord("acme", 12, leaf), "gate.acme.example")
    head = f"<{priority}>1 2026-11-23T02:19:21.000123Z gate.acme.example failgate - session.opened - ".encode()
    assert message == head + b'{"log":"acme","seq":12,"record":' + leaf + b"}"
    assert framed(message) == str(len(message)).encode() + b" " + message


@pytest.mark.parametrize("value", ["a b", "x" * 33, "one\ntwo", "\u00e9", "", '"]'])
def test_what_does_not_fit_into_a_header_is_left_out_of_it(value: str) -> None:
    leaf = json.dumps({"act": value, "ts": value}, separators=(",", ":")).encode()
    message = message_of(ExportedRecord("system", 1, leaf), "-")
    head, _, text = message.partition(b' - {"log"')
    assert head in {b"<110>1 - - failgate - -", b'<110>1 - - failgate - "]'}
    assert text.endswith(leaf + b"}")


@pytest.mark.parametrize("leaf", [b'{"a":\n1}', b"no json", b"[1]"])
async def test_what_is_no_record_is_not_sent(sink: Sink, leaf: bytes) -> None:
    with pytest.raises(RecordsRefused, match="not canonical"):
        await sink.exporter().deliver([ExportedRecord("system", 0, leaf)])
    assert sink.messages == []


async def test_a_record_of_the_largest_size_arrives(sink: Sink) -> None:
    leaf = b'{"a":"' + b"x" * 65_000 + b'"}'
    await sink.exporter().deliver([ExportedRecord("system", 0, leaf)] * 3)
    assert [record_of(message).leaf for message in sink.messages] == [leaf] * 3


@pytest.mark.parametrize("behaves", ["silent", "cuts", "reads and cuts"])
async def test_without_the_word_that_all_was_read_a_batch_comes_again(tmp_path: Path, behaves: str) -> None:
    """A connection that is only closed could be closed by anybody in between."""
    with sink_at(tmp_path, behaves=behaves) as sink:
        exporter = sink.exporter()
        with pytest.raises(StorageUnavailable, match="did not take records"):
            await exporter.deliver(exported(0, 3))
        assert "did not take records" in (await exporter.health() or "")
        sink.behaves = "well"
        while True:  # what the sink still does with the connection before
            with contextlib.suppress(StorageUnavailable):
                await exporter.deliver(exported(0, 3))
                break
        assert await exporter.health() is None
        assert [record_of(message) for message in sink.messages] == exported(0, 3)


async def test_a_server_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    exporter = SyslogServer(("127.0.0.1", port), ca_file=certificate(tmp_path, "other"))
    with pytest.raises(StorageUnavailable, match="Connection refused"):
        await exporter.deliver(exported(0, 1))


@pytest.mark.parametrize("wrong", ["another authority", "another name", "expired", "the machine's authorities"])
async def test_a_certificate_that_is_not_the_servers_gets_no_record(tmp_path: Path, wrong: str) -> None:
    (tmp_path / "other").mkdir()
    with sink_at(tmp_path) as sink:
        ca_file: Path | None = sink.ca_file
        if wrong == "another authority":
            ca_file = certificate(tmp_path / "other", "sink")
        elif wrong == "the machine's authorities":
            ca_file = None
        else:
            how = {"address": "127.0.0.9"} if wrong == "another name" else {"days": -1}
            spoiled = certificate(tmp_path, "sink", **how)
            sink._context.load_cert_chain(spoiled, spoiled.with_suffix(".key"))
        exporter = sink.exporter(ca_file=ca_file)
        with pytest.raises(StorageUnavailable, match="certificate is not accepted"):
            await exporter.deliver(exported(0, 1))
        assert sink.messages == []


async def test_a_server_that_asks_who_sends_is_shown_the_certificate(tmp_path: Path) -> None:
    with sink_at(tmp_path, asks_who_sends=True) as sink:
        for _ in range(50):  # its alert comes before, while or after what is sent is read; none of that is an answer
            with pytest.raises(StorageUnavailable):
                await sink.exporter().deliver(exported(0, 1))
        assert sink.messages == []
        own = tmp_path / "sender.pem"
        await sink.exporter(certificate=own, key=own.with_suffix(".key")).deliver(exported(0, 1))
        assert "sender" in sink.senders[-1]


async def test_nothing_older_than_tls_12_is_spoken(tmp_path: Path) -> None:
    with sink_at(tmp_path) as sink:
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
            sink._context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
            sink._context.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises(StorageUnavailable, match="TLS failed"):
            await sink.exporter().deliver(exported(0, 1))


@pytest.mark.parametrize("server", ["", "logs:0", "logs:70000", "tcp://logs", "a b", "logs:6514/x", "[::1"])
def test_what_is_no_server_is_refused(server: str) -> None:
    with pytest.raises(Exception, match=r"no syslog server: say"):
        settings_from(plugin, f'server = "{server}"')


def test_the_port_is_that_of_the_standard_unless_told() -> None:
    for text, address in (
        ("logs.acme.example", ("logs.acme.example", 6514)), ("10.0.0.9:601", ("10.0.0.9", 601)), ("[::1]:9", ("::1", 9)),
    ):  # fmt: skip
        assert settings_from(plugin, f'server = "{text}"').address == address


@pytest.mark.parametrize("missing", ["ca_file", "certificate"])
async def test_files_that_cannot_be_used_stop_the_start(tmp_path: Path, missing: str) -> None:
    (tmp_path / "empty.pem").write_text("nothing")
    text = f'server = "logs.acme.example"\n{missing} = "{tmp_path}/empty.pem"\n'
    text += f'key = "{tmp_path}/absent.key"\n' if missing == "certificate" else ""
    with pytest.raises(StartRefused, match=r"logs\.acme\.example:6514"):
        async with opened(plugin, settings_from(plugin, text), host_at(tmp_path)):
            pass


# A real receiver


@contextlib.contextmanager
def syslog_ng(folder: Path, port: int) -> Iterator[Path]:
    """Run syslog-ng with a source of RFC 5425; give the file that it writes the messages to."""
    ca_file, out = certificate(folder, "syslog"), folder / "received.log"
    (folder / "syslog-ng.conf").write_text(
        f"""@version: 3.35
options {{ keep-hostname(yes); stats-freq(0); log-msg-size(131072); }};
source tls {{ syslog(ip("127.0.0.1") port({port}) transport("tls") tls(
    cert-file("{ca_file}") key-file("{ca_file.with_suffix(".key")}") peer-verify(optional-untrusted))); }};
destination out {{ file("{out}" template("$PRI $ISODATE $HOST $PROGRAM $MSGID $MESSAGE\\n")); }};
log {{ source(tls); destination(out); }};
"""
    )
    places = [f"--{kind}={folder}/syslog-ng.{kind}" for kind in ("persist-file", "pidfile", "control")]
    said = folder / "syslog-ng.said"
    with said.open("wb") as heard:
        running = subprocess.Popen(
            [str(SYSLOG_NG), "-F", "--no-caps", "-f", str(folder / "syslog-ng.conf"), *places],
            stdout=heard, stderr=heard, start_new_session=True,
        )  # fmt: skip
    try:
        wait_until_up(running, said, lambda: listens(port))
        yield out
    finally:
        os.killpg(running.pid, signal.SIGTERM)
        running.wait(60)


def until(is_so: Callable[[], bool]) -> None:
    ends = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < ends, "it did not come to pass"
        time.sleep(0.05)


@pytest.mark.skipif(SYSLOG_NG is None, reason="syslog-ng is not installed: install the package `syslog-ng-core`")
async def test_syslog_ng_receives_the_log_also_over_its_own_restart(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    records, out = exported(0, 300), tmp_path / "received.log"
    with syslog_ng(tmp_path, port):
        exporter = SyslogServer(
            ("127.0.0.1", port), ca_file=tmp_path / "syslog.pem", hostname="gate.acme.example", timeout_seconds=5
        )
        await exporter.deliver(records[:1])
        await exporter.deliver(records[1:200])
        await asyncio.to_thread(until, lambda: out.exists() and out.read_bytes().count(b"\n") == 200)
    with pytest.raises(StorageUnavailable, match="Connection refused"):
        await exporter.deliver(records[200:])
    with syslog_ng(tmp_path, port):  # with another certificate, which is in the same file
        again = SyslogServer(("127.0.0.1", port), ca_file=tmp_path / "syslog.pem", hostname="gate.acme.example")
        await again.deliver(records[200:])
        await asyncio.to_thread(until, lambda: out.read_bytes().count(b"\n") == 300)
    lines = out.read_bytes().splitlines()
    assert [record_of(line) for line in lines] == records
    assert {tuple(line.split(b" ")[2:4]) for line in lines} == {(b"gate.acme.example", b"failgate")}
