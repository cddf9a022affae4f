"""Batches to a syslog server: each over a TLS connection of its own, which ends when the server says that it read it.

Syslog acknowledges nothing. What a sender can know is that the other side read to the end: each batch ends with a
close_notify, and counts when the server's own close_notify has come back, inside of TLS, where nobody in between can
put one. Everything else (no answer in time, a cut, another certificate) is a failure, and the batch comes again: at
least once, in order, each record under the number that it always has.

Source: RFC 5425 sections 4.2 to 4.4 and 5.1; RFC 8446 section 6.1.
"""

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from failgate.plugin import ExportedRecord, RecordFormat, StorageUnavailable, client_tls
from failgate_syslog.message import HOST_NAME, framed, message_of

_PIECE_BYTES: Final = 65_536


class SyslogServer:
    """An `AuditExporter` that sends to the server at `address` (host, port). Making one opens nothing."""

    def __init__(
        self,
        address: tuple[str, int],
        *,
        ca_file: Path | None = None,
        certificate: Path | None = None,
        key: Path | None = None,
        hostname: str | None = None,
        timeout_seconds: float = 10,
        as_format: RecordFormat = "json",
    ) -> None:
        self._format: RecordFormat = as_format
        self._address = address
        self._files = (ca_file, certificate, key)
        own = socket.gethostname()
        self._hostname = hostname or (own if HOST_NAME.fullmatch(own) else "-")
        self._timeout_seconds = timeout_seconds
        self._context: ssl.SSLContext | None = None
        self._turn = asyncio.Lock()
        self._failure: str | None = None

    def prepare(self) -> None:
        """Read certificates and key.

        Raises: StartRefused (a file is missing, or is none), naming the mend.
        """
        self._context = self._tls()

    async def deliver(self, batch: Sequence[ExportedRecord]) -> None:
        """Return when the server has read every record of `batch` to the end.

        Raises: StorageUnavailable; then it comes again. RecordsRefused (what is no record of this version).
        """
        if not batch:
            return
        frames = b"".join(framed(message_of(record, self._hostname, self._format)) for record in batch)
        async with self._turn:
            task = asyncio.ensure_future(asyncio.to_thread(self._send, frames))
            try:
                await asyncio.shield(task)
            except asyncio.CancelledError:
                await asyncio.wait([task])
                if not task.cancelled():
                    task.exception()  # looked at, so that it is not reported as never retrieved
                raise
            except (OSError, ValueError) as error:
                self._failure = f"The syslog server {self._name} did not take records: {_why(error)}."
                raise StorageUnavailable(self._failure, hint="They are delivered again.") from error
        self._failure = None

    async def health(self) -> str | None:
        """Return None, or why the last batch was not taken."""
        return self._failure

    @property
    def _name(self) -> str:
        return f"{self._address[0]}:{self._address[1]}"

    def _tls(self) -> ssl.SSLContext:
        return client_tls(f"the syslog server {self._name}", *self._files)

    def _send(self, frames: bytes) -> None:
        context = self._context or self._tls()
        with socket.create_connection(self._address, timeout=self._timeout_seconds) as plain:
            _Wire(context, plain, self._address[0]).deliver(frames)


class _Wire:
    """TLS over a connected socket. Not `SSLSocket.unwrap`: that takes the alert of a server that refuses for its word.

    OpenSSL counts a fatal alert as the end, too, and `SSL_shutdown` says then that both sides have ended in order. Only
    `SSL_read` tells the two apart.
    """

    def __init__(self, context: ssl.SSLContext, plain: socket.socket, host: str) -> None:
        self._plain = plain
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)

    def deliver(self, frames: bytes) -> None:
        """Return when the server has read `frames` to the end and said so. Raises: OSError."""
        while not self._is_done(self._tls.do_handshake):
            self._hear()
        rest = memoryview(frames)
        while rest:
            rest = rest[self._tls.write(rest[:_PIECE_BYTES]) :]
            self._say()
        self._is_done(self._tls.unwrap)  # our close_notify; the server's is read below
        while not self._has_ended():
            self._hear()

    def _has_ended(self) -> bool:
        """Tell whether the server's close_notify has come. Raises: SSLError (another alert)."""
        try:
            while self._tls.read(_PIECE_BYTES):
                pass  # a receiver has nothing to say, and what it does say is no word for it
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLZeroReturnError:
            pass
        return True

    def _is_done(self, step: Callable[[], object]) -> bool:
        try:
            step()
        except ssl.SSLWantReadError:
            return False
        finally:
            self._say()
        return True

    def _say(self) -> None:
        if piece := self._outgoing.read():
            self._plain.sendall(piece)

    def _hear(self) -> None:
        piece = self._plain.recv(_PIECE_BYTES)
        if not piece:
            raise ConnectionResetError(errno.ECONNRESET, "the connection was cut")
        self._incoming.write(piece)


def _why(error: OSError | ValueError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted ({error.verify_message})"
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed ({error.reason or 'the connection was cut'})"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or "the connection was cut"
