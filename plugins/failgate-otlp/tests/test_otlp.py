"""OpenTelemetry logs: the exporter contract, read by the official messages at a real receiver, and bad input. B11"""

import asyncio
import contextlib
import json
import socket
from pathlib import Path

import pytest
from failgate_otlp import OtlpSettings, plugin
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsPartialSuccess,
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)

from failgate.audit.encoding import leaf_of
from failgate.audit.record import Act, Actor, Event
from failgate.base.clock import SystemClock
from failgate.config.errors import ConfigRefused
from failgate.plugin import Duration, ExportedRecord, ExportFailed, RecordsRefused, Secret
from failgate.testing import (
    PLANTED,
    ExporterContract,
    Receiver,
    Reply,
    exported,
    host_at,
    opened,
    receiving,
    settings_from,
)

TAKEN = Reply(200, {}, b"")
TOKEN = "Bearer hunter2-of-tests"


@pytest.fixture
def receiver():
    with receiving() as one:
        one.replies = [TAKEN] * 1000
        yield one


@contextlib.asynccontextmanager
async def exporter_at(folder: Path, endpoint: str, *, allow_loopback: bool = True, **more):
    settings = OtlpSettings(endpoint=endpoint, **more)
    host = host_at(folder, "otlp", SystemClock(), allow_loopback=allow_loopback)
    async with opened(plugin, settings, host) as provides:
        assert provides.audit_exporter is not None
        yield provides.audit_exporter


def log_records(receiver: Receiver) -> list:
    found = []
    for posted in receiver.posted:
        assert posted.headers["content-type"] == "application/x-protobuf"
        request = ExportLogsServiceRequest.FromString(posted.body)
        found += [record for logs in request.resource_logs for scope in logs.scope_logs for record in scope.log_records]
    return found


def exported_of(record) -> ExportedRecord:
    attributes = {pair.key: pair.value for pair in record.attributes}
    body = record.body.string_value.encode()
    value = json.loads(body)
    assert attributes["failgate.log"].string_value == value["log"]
    assert attributes["failgate.seq"].int_value == value["seq"]
    return ExportedRecord(value["log"], value["seq"], body.split(b'"record":', 1)[1][:-1])


class TestContract(ExporterContract):
    @pytest.fixture
    def open_exporter(self, tmp_path: Path, receiver: Receiver):
        return lambda: exporter_at(tmp_path, receiver.url)

    @pytest.fixture
    def read_delivered(self, receiver: Receiver):
        async def read():
            return [exported_of(record) for record in log_records(receiver)]

        return read


@pytest.mark.parametrize(("out", "number", "word"), [("ok", 9, "INFO"), ("deny", 13, "WARN"), ("error", 17, "ERROR")])
async def test_time_severity_and_name_are_those_of_the_record(tmp_path, receiver, out, number, word) -> None:
    event = Event(Act.COMMAND_DENIED, "system", "command", "c1", Actor("user", "u1"), {}, out)
    record = ExportedRecord("system", 5, leaf_of(event, 5, 1_700_000_000_123_456, "A" * 43))
    async with exporter_at(tmp_path, receiver.url, headers={"Authorization": Secret(TOKEN)}) as exporter:
        await exporter.deliver([record])
    [found] = log_records(receiver)
    assert found.time_unix_nano == 1_700_000_000_123_456_000
    assert found.observed_time_unix_nano > found.time_unix_nano
    assert (found.severity_number, found.severity_text) == (number, word)
    assert {pair.key: pair.value.string_value for pair in found.attributes}["event.name"] == "failgate.command.denied"
    assert receiver.posted[0].headers["authorization"] == TOKEN


async def test_a_collector_that_takes_the_request_and_loses_records_has_not_taken_them(tmp_path, receiver) -> None:
    lost = ExportLogsServiceResponse(
        partial_success=ExportLogsPartialSuccess(rejected_log_records=2, error_message=PLANTED)
    )
    receiver.replies.insert(0, Reply(200, {}, lost.SerializeToString()))
    async with exporter_at(tmp_path, receiver.url) as exporter:
        with pytest.raises(RecordsRefused, match="rejected 2 of its records") as refused:
            await exporter.deliver(exported(0, 5))
    assert PLANTED not in str(refused.value)


async def test_a_warning_without_a_loss_is_no_failure(tmp_path, receiver) -> None:
    said = ExportLogsServiceResponse(partial_success=ExportLogsPartialSuccess(error_message="slow"))
    receiver.replies.insert(0, Reply(200, {}, said.SerializeToString()))
    async with exporter_at(tmp_path, receiver.url) as exporter:
        await exporter.deliver(exported(0, 1))


async def test_what_is_no_collector_is_told_from_one(tmp_path, receiver) -> None:
    receiver.replies.insert(0, Reply(200, {}, b"<html>welcome</html>"))
    async with exporter_at(tmp_path, receiver.url) as exporter:
        with pytest.raises(ExportFailed, match="no answer of OTLP"):
            await exporter.deliver(exported(0, 1))


@pytest.mark.parametrize(
    ("status", "error"),
    [(400, RecordsRefused), (413, RecordsRefused), (401, ExportFailed), (403, ExportFailed), (404, ExportFailed),
     (429, ExportFailed), (500, ExportFailed), (503, ExportFailed)],
)  # fmt: skip
async def test_what_the_other_side_answers_says_what_comes_next(tmp_path, receiver, status, error) -> None:
    receiver.replies.insert(0, Reply(status, {}, PLANTED.encode()))
    async with exporter_at(tmp_path, receiver.url, headers={"Authorization": Secret(TOKEN)}) as exporter:
        with pytest.raises(error, match=str(status)) as failed:
            await exporter.deliver(exported(0, 1))
    assert PLANTED not in str(failed.value)
    assert "hunter2" not in str(failed.value)


async def test_a_large_batch_leaves_in_several_requests(tmp_path, receiver) -> None:
    batch = [ExportedRecord("system", seq, b'{"text":"' + b"x" * 60_000 + b'"}') for seq in range(40)]
    async with exporter_at(tmp_path, receiver.url) as exporter:
        await exporter.deliver(batch)
    assert len(receiver.posted) == 3
    assert [exported_of(record) for record in log_records(receiver)] == batch


async def test_a_peer_that_hangs_is_given_up_and_one_that_is_gone_is_named(tmp_path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/v1/logs"
        async with asyncio.timeout(10), exporter_at(tmp_path, url, timeout=Duration("1s")) as exporter:
            with pytest.raises(ExportFailed, match="did not answer within 1 seconds"):
                await exporter.deliver(exported(0, 1))
    async with exporter_at(tmp_path, url) as exporter:
        with pytest.raises(ExportFailed, match="cannot be reached"):
            await exporter.deliver(exported(0, 1))


@pytest.mark.parametrize("leaf", [b"", b"[1]", b"no json"])
async def test_what_is_no_record_is_refused(tmp_path, receiver, leaf: bytes) -> None:
    async with exporter_at(tmp_path, receiver.url) as exporter:
        with pytest.raises(RecordsRefused, match="Record 3 of system"):
            await exporter.deliver([ExportedRecord("system", 3, leaf)])


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        ('endpoint = "otel.acme.example:4317"', "no collector"),
        ('endpoint = "http://otel.acme.example/v1/logs"', "no collector"),
        ('endpoint = "https://x/v1/logs"\nheaders = { "Content-Type" = { env = "T" } }', "no header of yours"),
        ('endpoint = "https://x/v1/logs"\nheaders = { "a b" = { env = "T" } }', "no header of yours"),
        ('endpoint = "https://x/v1/logs"\nheaders = { Authorization = { env = "BAD" } }', "holds what no header can"),
        ('endpoint = "https://x/v1/logs"\nheaders = { Authorization = "hunter2" }', "headers"),
    ],
)
def test_settings_that_cannot_work_are_refused_by_name(toml: str, says: str) -> None:
    with pytest.raises(ConfigRefused, match=says) as caught:
        settings_from(plugin, toml, {"T": "x", "BAD": "hunter2\r\nx: y"})
    assert "hunter2\r" not in str(caught.value)
