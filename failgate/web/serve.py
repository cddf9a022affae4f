"""The server itself: one process, one loop, uvicorn below and our application above.

It stops within a second: long polls and streams are woken, sockets closed with 1001, and what is still running then is
cancelled and waited for. Nothing is printed; everything is logged to stderr.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING, Any, cast

import uvicorn

from failgate.base.log import get_logger
from failgate.web.app import Application
from failgate.web.door import Door
from failgate.web.listening import BACKLOG
from failgate.web.pages.brought import doors_of
from failgate.web.protocol import HttpProtocol
from failgate.web.routes import DOORS
from failgate.web.socket_protocol import SocketProtocol

if TYPE_CHECKING:
    from failgate.config.tls import TlsSection
    from failgate.roster import Services
    from failgate.web.renewal import Renewal

FRAME_BYTES = 65_536
PING_SECONDS = 30.0
KEEP_ALIVE_SECONDS = 15
STOP_SECONDS = 0.4  # for answers that are on their way
CANCEL_SECONDS = 0.3  # for what was cancelled to clean up
LOOK_SECONDS = 0.02

log = get_logger(__name__)
OnListening = Callable[[str, int], None]


async def serve(
    services: Services,
    listener: socket.socket,
    *,
    on_listening: OnListening | None = None,
    doors: Sequence[Door] = DOORS,
    has_signals: bool = True,
) -> None:
    """Serve at `listener` until SIGTERM or SIGINT, then return; with `has_signals` off, until the task is cancelled.

    `on_listening` is called once with the address and the port, when requests are answered. The listener is closed.

    Raises: StartRefused (a door is not fully declared, the certificates cannot be used).
    """
    try:
        application = Application(services, (*doors, *doors_of(services.plugins, doors)))
    except BaseException:
        listener.close()
        raise
    config = services.config.server
    try:
        server = _Server(application, listener, config.header_timeout.seconds, on_listening)
        if config.tls is not None:
            server.speak_tls(config.tls)
        await server.run_until_stopped(has_signals=has_signals)
    finally:
        listener.close()
        await application.close()


class _Server(uvicorn.Server):
    """uvicorn, told when to stop and what to wake first."""

    def __init__(
        self, application: Application, listener: socket.socket, header_seconds: float, on_listening: OnListening | None
    ) -> None:
        protocol = type("HttpProtocolOfServer", (HttpProtocol,), {"header_seconds": header_seconds})
        super().__init__(
            uvicorn.Config(
                cast("Any", application),  # uvicorn's word for an application is private
                http=protocol,
                ws=SocketProtocol,
                ws_max_size=FRAME_BYTES,
                ws_ping_interval=PING_SECONDS,
                ws_ping_timeout=PING_SECONDS,
                ws_per_message_deflate=False,
                lifespan="on",
                log_config=None,
                log_level="warning",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                interface="asgi3",
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                backlog=BACKLOG,
            )
        )
        self._application = application
        self._listener = listener
        self._header_seconds = header_seconds
        self._on_listening = on_listening
        self._renewal: Renewal | None = None

    def speak_tls(self, tls: TlsSection) -> None:
        """Speak TLS by the files of `tls`, and nothing else.

        Raises: TlsRefused.
        """
        from failgate.web.renewal import Renewal

        services, metrics = self._application.services, self._application.metrics
        server = services.config.server
        self._renewal = Renewal(
            tls, server.public_host, services.clock, metrics, self._held, artifact_host=server.artifact_host
        )

    async def run_until_stopped(self, *, has_signals: bool) -> None:
        """Serve; return when the server has stopped."""
        with self._stopping_signals() if has_signals else contextlib.nullcontext():
            try:
                await self._serve([self._listener])
            except asyncio.CancelledError:
                if self.started:
                    await self.shutdown([self._listener])
                raise

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer, and say where."""
        await super().startup(sockets if self._renewal is None else [])
        if self._renewal is not None:
            self._accept_tls(self._renewal)
        host, port = self._listener.getsockname()[:2]
        log.info("server.listening", host=host, port=port, scheme="http" if self._renewal is None else "https")
        if self._on_listening is not None:
            self._on_listening(host, port)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Wake everybody who waits, let answers finish, cut and cancel the rest and wait for it.

        In the place of uvicorn's own, which calls a peer that does not answer the goodbye of TLS an error, and each
        answer that it cancels another one.
        """
        self._application.stop.set()
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        for connection in list(self.server_state.connections):
            _forget_idle(connection)
            connection.shutdown()
        await self._quiet(STOP_SECONDS)
        late, unfinished = self._held(), list(self.server_state.tasks)
        for one in late:  # a stream without an end, or who does not answer the goodbye of TLS
            one.cut()
        await asyncio.sleep(0)  # the answers learn that nobody reads them
        for task in unfinished:
            task.cancel()
        await self._quiet(CANCEL_SECONDS)
        if self._renewal is not None:
            await self._renewal.close()
        await self.lifespan.shutdown()
        log.info("server.stopped", cut=len(late), cancelled=len(unfinished))

    async def _quiet(self, seconds: float) -> None:
        """Return when no connection is open and no answer on its way, or when `seconds` are over."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self.server_state.connections or self.server_state.tasks:  # noqa: ASYNC110  # uvicorn tells nobody
                    await asyncio.sleep(LOOK_SECONDS)
                for server in self.servers:
                    await server.wait_closed()

    def _accept_tls(self, renewal: Renewal) -> None:
        from failgate.web.acceptor import TlsAcceptor

        acceptor = TlsAcceptor(
            self._listener, self._new_protocol, renewal.context, seconds=self._header_seconds,
            failed=self._application.metrics.handshake_failed,
        )  # fmt: skip
        self.servers.append(cast("Any", acceptor))  # closed as the server's own would be
        renewal.start()

    def _new_protocol(self) -> asyncio.Protocol:
        made = cast("type[HttpProtocol]", self.config.http_protocol_class)
        return made(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)

    def _held(self) -> list[HttpProtocol | SocketProtocol]:
        return [one for one in self.server_state.connections if isinstance(one, HttpProtocol | SocketProtocol)]

    @contextlib.contextmanager
    def _stopping_signals(self) -> Generator[None]:
        loop = asyncio.get_running_loop()
        heard: dict[signal.Signals, Callable[[], None]] = {signal.SIGTERM: self._stop, signal.SIGINT: self._stop}
        if self._renewal is not None:
            heard[signal.SIGHUP] = self._renewal.take
        for number, call in heard.items():
            loop.add_signal_handler(number, call)
        try:
            yield
        finally:
            for number in heard:
                loop.remove_signal_handler(number)

    def _stop(self) -> None:
        self.should_exit = True


def _forget_idle(connection: object) -> None:
    """Let go of a connection on which no complete request has arrived: there is nothing to answer."""
    if isinstance(connection, HttpProtocol):
        connection.close_if_unused()
