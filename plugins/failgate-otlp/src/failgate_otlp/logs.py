"""Records as log records of OpenTelemetry, in requests of protobuf over HTTP.

A record's log, number and act are attributes, so that a collector routes by them and tells what comes twice. A
collector that answers 200 may still say that it rejected some: those are not delivered.

Source: OTLP specification 1.5, "OTLP/HTTP"; opentelemetry-proto, logs/v1; semantic conventions, "Events".
"""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs

from failgate.plugin import Clock, ExportedRecord, ExportFailed, Outbound, RecordsRefused, formatted, post_records

if TYPE_CHECKING:
    from failgate_otlp import OtlpSettings

LARGEST_REQUEST: Final = 1024 * 1024  # bytes of bodies; collectors take 4 MiB and more
_SEVERITIES: Final = {"ok": (9, "INFO"), "deny": (13, "WARN"), "error": (17, "ERROR")}


class Collector:
    """An `AuditExporter` that posts to one collector."""

    def __init__(self, outbound: Outbound, clock: Clock, config: "OtlpSettings") -> None:
        self._outbound = outbound
        self._clock = clock
        self._config = config

    async def deliver(self, batch: Sequence[ExportedRecord]) -> None:
        """Return when the collector has taken every record.

        Raises: RecordsRefused (400, 413, 415, 422, or records that it says it rejected), ExportFailed.
        """
        held: list[LogRecord] = []
        size = 0
        for record in batch:
            made = self._record_of(record)
            if held and size + made.ByteSize() > LARGEST_REQUEST:
                await self._send(held)
                held, size = [], 0
            held.append(made)
            size += made.ByteSize()
        if held:
            await self._send(held)

    async def _send(self, records: Sequence[LogRecord]) -> None:
        scope = ScopeLogs(log_records=records)
        scope.scope.name = "failgate.audit"
        logs = ResourceLogs(scope_logs=[scope])
        logs.resource.attributes.append(_pair("service.name", self._config.service))
        body = ExportLogsServiceRequest(resource_logs=[logs]).SerializeToString()
        headers = {name: value.reveal() for name, value in self._config.headers.items()}
        headers |= {"Content-Type": "application/x-protobuf", "Accept": "application/x-protobuf"}
        seconds = self._config.timeout.seconds
        answer = await post_records(self._outbound, self._config.endpoint, body, headers, seconds=seconds)
        _check_all_taken(answer.body)

    def _record_of(self, record: ExportedRecord) -> LogRecord:
        body = formatted(record, self._config.format).decode()
        leaf = _leaf_of(record)
        act, (number, word) = str(leaf.get("act")), _SEVERITIES.get(str(leaf.get("out")), (9, "INFO"))
        made = LogRecord(
            time_unix_nano=_nanoseconds(leaf.get("ts")),
            observed_time_unix_nano=self._clock.now_us() * 1000,
            severity_text=word,
            body=AnyValue(string_value=body),
            attributes=[
                _pair("failgate.log", record.log),
                KeyValue(key="failgate.seq", value=AnyValue(int_value=record.seq)),
                _pair("failgate.act", act),
                _pair("event.name", f"failgate.{act}"),
            ],
        )
        made.severity_number = cast("Any", number)  # the enumeration of the messages has these numbers
        return made


def _check_all_taken(body: bytes) -> None:
    """Return when the answer names no rejected record. Raises: RecordsRefused, ExportFailed (it is no answer)."""
    answer = ExportLogsServiceResponse()
    try:
        answer.ParseFromString(body)
    except DecodeError:
        raise ExportFailed("The collector's answer is no answer of OTLP: is the address one for logs?") from None
    if (rejected := answer.partial_success.rejected_log_records) > 0:
        raise RecordsRefused(f"The collector took the request and rejected {rejected} of its records.")


def _leaf_of(record: ExportedRecord) -> dict[str, Any]:
    try:
        leaf: object = msgspec.json.decode(record.leaf)
    except msgspec.DecodeError:
        leaf = None
    if not isinstance(leaf, dict):
        raise RecordsRefused(f"Record {record.seq} of {record.log} is not canonical.")
    return cast("dict[str, Any]", leaf)


def _nanoseconds(text: object) -> int:
    """Return the time of a record; 0, which means unknown, for what has none."""
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return 0
    return (int(moment.timestamp()) * 1_000_000 + moment.microsecond) * 1000 if moment.tzinfo is not None else 0


def _pair(key: str, value: str) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(string_value=value))
