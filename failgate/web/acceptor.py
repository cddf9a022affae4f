"""Takes connections in and speaks TLS with them, with the certificates of that moment.

A connection has `seconds` from being taken in to the end of its handshake. What speaks plain HTTP is told so in plain
HTTP and goes. uvicorn's own listener keeps one SSL context for ever, hence this one.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable

from failgate.base.log import get_logger
from failgate.web.protocol import plain_answer

HANDSHAKE = 0x16  # the first byte of a TLS record that begins a handshake. Source: RFC 8446 section 5.1
AT_ONCE = 64  # connections taken in before anybody else has a turn
PAUSE_SECONDS = 0.2  # when the process has no descriptor left
LINGER_SECONDS = 0.5  # for who spoke plain HTTP to read the answer
SHUTDOWN_SECONDS = 10.0  # for the last bytes and the goodbye of a connection
PLAIN = "This port speaks TLS: say https."
_READ_AWAY = 65_536

log = get_logger(__name__)


class TlsAcceptor:
    """A listener for TLS; looks to uvicorn like one of asyncio's servers."""

    def __init__(
        self,
        listener: socket.socket,
        protocol: Callable[[], asyncio.Protocol],
        context: Callable[[], ssl.SSLContext],
        *,
        seconds: float,
        failed: Callable[[str], None],
    ) -> None:
        """Listen at `listener`; `failed` is told the kind of each handshake that failed."""
        self._listener = listener
        self._protocol = protocol
        self._context = context
        self._seconds = seconds
        self._failed = failed
        self._loop = asyncio.get_running_loop()
        self._opening: set[asyncio.Task[None]] = set()
        self._is_closed = False
        self._loop.add_reader(listener.fileno(), self._accept)

    def close(self) -> None:
        """Take nobody in any more; who has not finished the handshake goes."""
        if self._is_closed:
            return
        self._is_closed = True
        self._loop.remove_reader(self._listener.fileno())
        for task in self._opening:
            task.cancel()

    async def wait_closed(self) -> None:
        """Return when nobody is in a handshake any more."""
        if self._opening:
            await asyncio.wait(self._opening)

    def _accept(self) -> None:
        for _ in range(AT_ONCE):
            try:
                link, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:  # no descriptor or no memory is left: waiting is all that helps
                log.error("accept.failed", error=error.strerror)  # noqa: TRY400  # its place is known
                self._loop.remove_reader(self._listener.fileno())
                self._loop.call_later(PAUSE_SECONDS, self._resume)
                return
            link.setblocking(False)  # noqa: FBT003  # as sockets have it
            task = self._loop.create_task(self._open(link))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    def _resume(self) -> None:
        if not self._is_closed:
            self._loop.add_reader(self._listener.fileno(), self._accept)

    async def _open(self, link: socket.socket) -> None:
        began, is_ours = self._loop.time(), True
        try:
            async with asyncio.timeout(self._seconds):
                first = await self._first_byte(link)
            if first == HANDSHAKE:
                left = max(self._seconds - (self._loop.time() - began), 0.001)
                is_ours = False  # from here on the loop closes it, whatever comes
                await self._loop.connect_accepted_socket(
                    self._protocol, link, ssl=self._context(), ssl_handshake_timeout=left,
                    ssl_shutdown_timeout=SHUTDOWN_SECONDS,
                )  # fmt: skip
            elif first is not None:
                self._failed("plain_http")
                await self._refuse(link)
        except (TimeoutError, ConnectionAbortedError):  # the second is how the loop names a handshake's time-out
            self._failed("timeout")
        except OSError as error:  # that of ssl too
            self._note(error)
        finally:
            if is_ours:
                link.close()

    async def _first_byte(self, link: socket.socket) -> int | None:
        """Return the first byte, which stays to be read; None when there is none."""
        await self._readable(link)
        seen = link.recv(1, socket.MSG_PEEK)
        return seen[0] if seen else None

    async def _readable(self, link: socket.socket) -> None:
        ready: asyncio.Future[None] = self._loop.create_future()

        def wake() -> None:
            if not ready.done():
                ready.set_result(None)

        self._loop.add_reader(link.fileno(), wake)
        try:
            await ready
        finally:
            self._loop.remove_reader(link.fileno())

    async def _refuse(self, link: socket.socket) -> None:
        """Say in plain HTTP that this is TLS, and wait for the other side to have read it."""
        with contextlib.suppress(TimeoutError, OSError):
            async with asyncio.timeout(LINGER_SECONDS):
                await self._loop.sock_recv(link, _READ_AWAY)
                await self._loop.sock_sendall(link, plain_answer(400, PLAIN, is_https=False))
                link.shutdown(socket.SHUT_WR)
                while await self._loop.sock_recv(link, _READ_AWAY):
                    pass

    def _note(self, error: OSError) -> None:
        reason = getattr(error, "reason", None)
        if isinstance(error, ssl.SSLCertVerificationError):
            reason = f"certificate: {error.verify_message}"
        self._failed("certificate" if "CERTIFICATE" in str(reason).upper() else "tls")
        log.info("tls.handshake_failed", reason=str(reason or type(error).__name__))
