"""Records into a topic, by an idempotent producer that waits for all replicas; the log is the key.

So each log has one partition, in which its records stand in order. What the producer itself sends again is dropped by
the broker; what comes again after a failure has the same `log` and `seq`, in the headers too.

Source: Apache Kafka documentation, "Producer Configs": acks, enable.idempotence.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    RecordTooLargeError,
    SaslAuthenticationFailed,
    UnknownTopicOrPartitionError,
)

from failgate.plugin import ExportedRecord, ExportFailed, RecordsRefused, client_tls, formatted

if TYPE_CHECKING:
    from failgate_kafka import KafkaSettings

_CLOSE_SECONDS: Final = 2.0
_BATCH_BYTES: Final = 256 * 1024
_TOO_LARGE: Final = (MessageSizeTooLargeError, RecordTooLargeError)


class Topic:
    """An `AuditExporter` over one producer, which starts when a batch comes and is dropped when one fails."""

    def __init__(self, config: "KafkaSettings") -> None:
        self._config = config
        self._tls: ssl.SSLContext | None = None
        self._producer: Any = None
        self._turn = asyncio.Lock()
        self._failure: str | None = None

    def prepare(self) -> None:
        """Read certificates and key. Raises: StartRefused naming the mend."""
        config = self._config
        if config.tls:
            self._tls = client_tls("Kafka", config.ca_file, config.certificate, config.key)

    async def deliver(self, batch: Sequence[ExportedRecord]) -> None:
        """Return when all replicas in step have every record.

        Raises: RecordsRefused (one is larger than a message may be), ExportFailed.
        """
        if not batch:
            return
        contents = [self._content_of(record) for record in batch]
        async with self._turn:
            try:
                async with asyncio.timeout(self._config.timeout.seconds * 2):
                    await self._send(batch, contents)
            except BaseException as error:
                await self._drop()
                if not isinstance(error, Exception):
                    raise
                if isinstance(error, _TOO_LARGE):
                    raise RecordsRefused("A record is larger than the topic takes.") from None
                self._failure = _why(error)
                raise ExportFailed(self._failure) from None
        self._failure = None

    async def health(self) -> str | None:
        """Return None, or why the last batch was not taken."""
        return self._failure

    async def close(self) -> None:
        """End the producer."""
        await self._drop()

    def _content_of(self, record: ExportedRecord) -> bytes:
        content = formatted(record, self._config.format)
        if len(content) + 1024 > self._config.largest.bytes:  # the rest of a message is smaller than that
            raise RecordsRefused(f"Record {record.seq} is larger than `largest`, which a message may have.")
        return content

    async def _send(self, batch: Sequence[ExportedRecord], contents: Sequence[bytes]) -> None:
        producer = await self._started()
        sent = []
        for record, content in zip(batch, contents, strict=True):
            headers = [("failgate-log", record.log.encode()), ("failgate-seq", str(record.seq).encode())]
            key = record.log.encode()
            sent.append(await producer.send(self._config.topic, content, key=key, headers=headers))
        results = await asyncio.gather(*sent, return_exceptions=True)
        for failure in results:
            if isinstance(failure, BaseException):
                raise failure

    async def _started(self) -> Any:
        if self._producer is None:
            config = self._config
            options: dict[str, Any] = {}
            if config.user is not None and config.password is not None:
                options = {
                    "sasl_mechanism": config.mechanism,
                    "sasl_plain_username": config.user,
                    "sasl_plain_password": config.password.reveal(),
                }
            protocol = ("SASL_" if options else "") + ("SSL" if config.tls else "PLAINTEXT")
            self._producer = AIOKafkaProducer(
                bootstrap_servers=",".join(config.servers),
                client_id="failgate",
                acks="all",
                enable_idempotence=True,
                max_batch_size=min(_BATCH_BYTES, config.largest.bytes),
                max_request_size=config.largest.bytes,
                request_timeout_ms=round(config.timeout.seconds * 1000),
                security_protocol=protocol,
                ssl_context=self._tls,
                **options,
            )
            await self._producer.start()
        return self._producer

    async def _drop(self) -> None:
        producer, self._producer = self._producer, None
        if producer is None:
            return
        sender = producer._sender  # noqa: SLF001  # `stop` waits for what cannot be sent any more, and then leaves it running
        for end in (producer.stop, sender.close, producer.client.close):
            with contextlib.suppress(Exception):
                await asyncio.wait_for(end(), _CLOSE_SECONDS)


def _why(error: Exception) -> str:
    """Return why a batch was not taken, in words of ours: errors of the library may hold addresses and answers."""
    if isinstance(error, SaslAuthenticationFailed):
        return "Kafka refuses the credentials."
    if isinstance(error, UnknownTopicOrPartitionError):
        return "Kafka has no such topic: make it."
    if isinstance(error, TimeoutError | KafkaTimeoutError):
        return "Kafka did not answer in time."
    if isinstance(error, KafkaError):
        return f"Kafka does not take records: {type(error).__name__}."
    return f"Kafka cannot be used: {type(error).__name__}."
