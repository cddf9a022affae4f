"""A real HTTP server on the loopback address that keeps what is posted to it, for tests of what goes out."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, slots=True)
class Posted:
    """One request; header names in lower case."""

    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class Reply:
    """What is answered next."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes = b"ok"


class Receiver:
    """What came, oldest first; `replies` are answered first, one each, then 200. `came` is set at each request."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/hook"
        self.posted: list[Posted] = []
        self.replies: list[Reply] = []
        self.came = threading.Event()

    def take(self, posted: Posted) -> Reply:
        """Keep a request; return its answer."""
        self.posted.append(posted)
        self.came.set()
        return self.replies.pop(0) if self.replies else Reply()


class _Server(ThreadingHTTPServer):
    request_queue_size = 64  # so many connect at once and none is turned away


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Yield a receiver on a free port; it ends with the block."""
    kept: list[Receiver] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            length = int(self.headers.get("content-length", "0"))
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = kept[0].take(Posted(self.path, headers, self.rfile.read(length)))
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the base class
            """Write nothing."""

    server = _Server(("127.0.0.1", 0), Handler)
    kept.append(Receiver(server.server_port))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield kept[0]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
