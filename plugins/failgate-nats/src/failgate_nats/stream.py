"""Records into a stream, one after the other, each acknowledged before the next: in order, at least once.

`Nats-Msg-Id` names a record for good, so that the stream drops what comes again within its window of duplicates: log,
number, and the beginning of the leaf hash, which tells two servers apart that write to one stream.

Source: docs.nats.io, "JetStream Model Deep Dive", "Message Deduplication"; error codes of nats-server 2.9.
"""

import asyncio
import contextlib
import hashlib
import ssl
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.errors import MaxPayloadError
from nats.js.errors import APIError, NoStreamResponseError

from failgate.plugin import ExportedRecord, ExportFailed, RecordsRefused, Secret, StartRefused, client_tls, formatted

if TYPE_CHECKING:
    from nats.js.client import JetStreamContext

    from failgate_nats import NatsSettings

_TOO_LARGE: Final = 10054  # JSStreamMessageExceedsMaximumErr: it is about the message, not about the stream
_CLOSE_SECONDS: Final = 1.0


class Stream:
    """An `AuditExporter` over one connection, which is opened when a batch comes and dropped when one fails."""

    def __init__(self, config: "NatsSettings") -> None:
        self._config = config
        self._tls: ssl.SSLContext | None = None
        self._client: Client | None = None
        self._turn = asyncio.Lock()
        self._failure: str | None = None

    def prepare(self) -> None:
        """Read certificates, key and credentials. Raises: StartRefused naming the mend."""
        config = self._config
        self._tls = client_tls("NATS", config.ca_file, config.certificate, config.key)
        try:
            if config.credentials is not None:
                config.credentials.read_bytes()
        except OSError as error:
            raise StartRefused(
                f"The credentials for NATS cannot be read: {error.strerror or type(error).__name__}.",
                hint="The account of Failgate has to be able to read the file.",
            ) from None

    async def deliver(self, batch: Sequence[ExportedRecord]) -> None:
        """Return when the stream has acknowledged every record.

        Raises: RecordsRefused (one is larger than server or stream take), ExportFailed.
        """
        if not batch:
            return
        async with self._turn:
            try:
                stream = await self._stream()
                for record in batch:
                    await self._publish(stream, record)
            except RecordsRefused:
                raise
            except BaseException as error:
                await self._drop()
                if not isinstance(error, Exception):
                    raise
                self._failure = error.sentence if isinstance(error, ExportFailed) else _why(error)
                raise ExportFailed(self._failure) from None
        self._failure = None

    async def health(self) -> str | None:
        """Return None, or why the last batch was not taken."""
        return self._failure

    async def close(self) -> None:
        """End the connection."""
        await self._drop()

    async def _publish(self, stream: "JetStreamContext", record: ExportedRecord) -> None:
        content = formatted(record, self._config.format)
        mark = hashlib.sha256(b"\0" + record.leaf).hexdigest()[:16]
        headers = {"Nats-Msg-Id": f"{record.log}:{record.seq}:{mark}"}
        subject = f"{self._config.subject}.{record.log}"
        try:
            await stream.publish(
                subject, content, timeout=self._config.timeout.seconds, stream=self._config.stream, headers=headers
            )
        except MaxPayloadError:
            raise RecordsRefused(f"Record {record.seq} is larger than the NATS server takes.") from None
        except APIError as error:
            if error.err_code == _TOO_LARGE:
                raise RecordsRefused(f"Record {record.seq} is larger than the stream takes.") from None
            raise

    async def _stream(self) -> "JetStreamContext":
        if self._client is None or not self._client.is_connected:
            await self._drop()
            self._client = Client()  # kept before it is connected: what failed has to be closed too
            await asyncio.wait_for(self._connect(self._client), self._config.timeout.seconds)
        return self._client.jetstream()

    async def _connect(self, client: Client) -> None:
        config = self._config
        options: dict[str, Any] = {
            "allow_reconnect": False,
            "connect_timeout": max(1, round(config.timeout.seconds)),
            "error_cb": _pass_over,
            "name": "failgate",
            "user": config.user,
            "password": _revealed(config.password),
            "token": _revealed(config.token),
        }
        if config.credentials is not None:
            options["user_credentials"] = str(config.credentials)
        if any(url.startswith("tls:") for url in config.servers):
            options["tls"] = self._tls
        await client.connect(list(config.servers), **options)

    async def _drop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(Exception):
                await asyncio.wait_for(client.close(), _CLOSE_SECONDS)


async def _pass_over(_error: Exception) -> None:
    """Say nothing: what fails is raised where it is asked for, without what the server wrote."""


def _revealed(secret: Secret | None) -> str | None:
    return secret.reveal() if secret is not None else None


def _why(error: Exception) -> str:
    """Return why a batch was not taken, in words of ours: errors of the library may hold addresses and answers."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"The certificate of the NATS server is not accepted ({error.verify_message})."
    if isinstance(error, ssl.SSLError):
        return f"TLS to the NATS server failed ({error.reason or 'the connection was cut'})."
    if isinstance(error, NoStreamResponseError):
        return "No stream of NATS takes the subject: make one that does."
    if isinstance(error, APIError):
        return f"JetStream refuses with the code {error.err_code or error.code}."
    if isinstance(error, TimeoutError | asyncio.TimeoutError):
        return "The NATS server did not answer in time."
    if "authorization" in str(error).lower() or type(error).__name__ == "AuthorizationError":
        return "The NATS server refuses the credentials."
    if isinstance(error, OSError) and error.strerror:
        return f"The NATS server cannot be reached: {error.strerror}."
    if isinstance(error, NatsError | OSError):
        return f"The NATS server cannot be reached: {type(error).__name__}."
    return f"The NATS server cannot be used: {type(error).__name__}."
