"""A server between an agent and its server that changes what the agent is told, as a malicious one could."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

from tests.journeys.harness import Server
from tests.trust import TRUST

Meddle = Callable[[str, str, Any], Any]
"""`(method, path, answer)`: what the agent is answered in place of the JSON `answer`, or of the bytes of a static file."""


class Meddler:
    """Hands everything on; answers of success go through `meddle` first. `seen` are the bodies that agents sent."""

    def __init__(self, server: Server) -> None:
        self.meddle: Meddle = lambda method, path, answer: answer
        self.seen: list[bytes] = []
        self.is_hasty = False  # nobody is made to wait for a decision that is made up anyway
        self._far = far = httpx.Client(base_url=server.url, trust_env=False, timeout=60, verify=TRUST)
        meddler = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _carry(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                meddler.seen.append(body)
                kept = {
                    name: value
                    for name, value in self.headers.items()
                    if name.lower() in {"authorization", "content-type", "idempotency-key", "accept"}
                }
                path = self.path.partition("?wait")[0] if meddler.is_hasty else self.path
                answer = far.request(self.command, path, content=body, headers=kept)
                content = answer.content
                if answer.is_success and self.path.startswith("/static/"):
                    content = meddler.meddle(self.command, self.path, content)
                elif answer.is_success and content:
                    told = meddler.meddle(self.command, self.path, answer.json())
                    content = json.dumps(told).encode()
                self.send_response(answer.status_code)
                self.send_header("content-type", answer.headers.get("content-type", "application/json"))
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        for method in ("GET", "POST", "PUT", "DELETE"):
            setattr(Handler, f"do_{method}", Handler._carry)
        self._listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._listener.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._listener.server_address[1]}"
        threading.Thread(target=self._listener.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown()
        self._listener.server_close()
        self._far.close()
