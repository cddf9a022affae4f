"""A real HTTP server that speaks the wire of the gate and of reports, with faults that a test chooses.

It exists until a journey drives the real server; it decides nothing by itself.
"""

import base64
import hashlib
import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

TOKEN = "fg_agt_test_0123456789abcdefghijklmnopqrstuv_c0ffee"
ID = "01890000-0000-7000-8000-000000000001"


def at(seconds: float) -> str:
    return datetime.fromtimestamp(time.time() + seconds, UTC).isoformat().replace("+00:00", "Z")


class Wire:
    """The state of one workspace `demo`. Tests set `decide` and look at `seen`."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, Any]] = []
        self.keys: list[tuple[str, str | None]] = []
        self.report_state = "sealed"
        self.report_state_at = "seal"
        self.begin_lost = 0
        self.view: dict[str, Any] = {}
        self.state = "approved"
        self.note: str | None = None
        self.tamper: Callable[[dict[str, Any]], dict[str, Any]] = lambda view: view
        self.consume_problem: tuple[int, dict[str, Any]] | None = None
        self.submit_problem: tuple[int, dict[str, Any]] | None = None
        self.before_verdict: Callable[[], object] | None = None
        self.polls_lost = 0
        self.consume_lost = 0
        self.redirect = False
        self.html = False
        self.expires_in = 60.0
        self.use_within = 60.0
        self.changed = threading.Condition()
        self.artifacts: dict[str, bytes] = {}
        self.sealed = False
        self.manifest_digest_fits = False
        self.begun: dict[str, Any] = {}
        self.wire_has_request = threading.Event()
        self._is_decided_next = False

    def approve_after(self, swap: Callable[[], object]) -> None:
        """Answer that the request waits, call `swap`, then approve."""
        self.state = "pending"
        self.before_verdict = swap
        self._is_decided_next = True

    def become(self, state: str) -> None:
        with self.changed:
            self.state = state
            self.changed.notify_all()

    def of(self, suffix: str) -> list[Any]:
        return [body for method, path, body in self.seen if path.split("?")[0].endswith(suffix) and method == "POST"]

    def current(self) -> dict[str, Any]:
        view = dict(self.view, state=self.state)
        if self._is_decided_next:
            self.state, self._is_decided_next = "approved", False
            return self.tamper(view)
        if self.state in ("approved", "denied", "executed"):
            view["verdict"] = {
                "id": ID,
                "digest": view["digest"],
                "decision": "deny" if self.state == "denied" else "approve",
                "decided_at": at(0),
                "use_by": None if self.state == "denied" else at(self.use_within),
                "by": ["rita@example.org"],
                "policy": "quorum",
                "note": self.note,
            }
        return self.tamper(view)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    wire: Wire

    def log_message(self, *_: object) -> None:
        pass

    def _read(self) -> bytes:
        return self.rfile.read(int(self.headers.get("content-length", 0)))

    def _answer(self, status: int, content: Any, media: str = "application/json") -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-type", media)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _problem(self, status: int, members: dict[str, Any]) -> None:
        self._answer(
            status, {"type": "urn:failgate:error:conflict", "status": status, **members}, "application/problem+json"
        )

    def _drop(self) -> None:
        self.close_connection = True
        self.connection.close()

    def _guarded(self) -> bool:
        if self.wire.redirect:
            self.send_response(307)
            self.send_header("location", "http://127.0.0.1:1/elsewhere")
            self.send_header("content-length", "0")
            self.end_headers()
            return False
        if self.wire.html:
            self._answer(200, b"<html>please sign in to the hotel</html>", "text/html")
            return False
        if self.headers.get("authorization") != f"Bearer {TOKEN}":
            self._answer(401, {"type": "urn:failgate:error:not-signed-in", "detail": "The token is not valid."})
            return False
        return True

    def do_GET(self) -> None:
        wire = self.wire
        wire.seen.append(("GET", self.path, None))
        if not self._guarded():
            return
        if self.path == "/api/v1/whoami":
            self._answer(
                200,
                {"kind": "agent", "id": ID, "label": "builder", "workspaces": [{"workspace": "demo", "role": "agent"}]},
            )
            return
        if wire.polls_lost > 0:
            wire.polls_lost -= 1
            self._drop()
            return
        wire.wire_has_request.set()
        with wire.changed:
            wire.changed.wait_for(lambda: wire.state != "pending", timeout=20)
        if wire.before_verdict is not None:
            wire.before_verdict()
        self._answer(200, wire.current())

    def do_POST(self) -> None:
        wire = self.wire
        body = json.loads(self._read() or b"null")
        wire.seen.append(("POST", self.path, body))
        wire.keys.append((self.path, self.headers.get("idempotency-key")))
        if not self._guarded():
            return
        path = self.path.split("?")[0]
        if path == "/api/v1/workspaces/demo/commands":
            if wire.submit_problem:
                self._problem(*wire.submit_problem)
                return
            wire.view = {
                "id": ID,
                "digest": body["digest"],
                "created_at": at(0),
                "expires_at": at(wire.expires_in),
                "waiting_for": "1 of \u202ereviewers",
                "need": 1,
                "risk": {"score": None, "reasons": []},
                "rendering": [],
                "agent": "a",
                "host": "h",
                "votes": [],
                "findings": [],
            }
            self._answer(201, wire.current())
        elif path.endswith("/consume"):
            if wire.consume_lost > 0:
                wire.consume_lost -= 1
                self._drop()
                return
            if wire.consume_problem:
                self._problem(*wire.consume_problem)
                return
            wire.state = "executed"
            self._answer(200, wire.current())
        elif path.endswith("/reports"):
            if wire.begin_lost > 0:
                wire.begin_lost -= 1
                self._drop()
                return
            wire.begun = body
            missing = [one["sha256"] for one in body["manifest"]["artifacts"]]
            if wire.report_state_at == "begin":
                self._answer(201, {"id": ID, "state": wire.report_state, "missing": []})
                return
            self._answer(201, {"id": ID, "state": "begun", "missing": missing})
        elif path.endswith("/seal"):
            wire.sealed = True
            self._answer(200, {"id": ID, "state": wire.report_state})
        elif path.endswith("/policy/explain"):
            self._answer(
                200,
                {"decision": "ask", "findings": [{"policy": "quorum", "says": "ask", "reason": "always", "need": 1}]},
            )
        else:
            if path.endswith("/cancel"):
                wire.become("cancelled")
            self._answer(200, wire.current())

    def do_PUT(self) -> None:
        body = self._read()
        self.wire.seen.append(("PUT", self.path, None))
        if not self._guarded():
            return
        digest = self.path.rpartition("/")[2]
        assert hashlib.sha256(body).hexdigest() == digest
        self.wire.artifacts[digest] = body
        state = self.wire.report_state if self.wire.report_state_at == "put" else "begun"
        self._answer(200, {"id": ID, "state": state, "missing": []})


class WireServer:
    """The server on a loopback port, in a thread; a context manager."""

    def __init__(self, wire: Wire, port: int = 0) -> None:
        handler = type("Handler", (_Handler,), {"wire": wire})
        self._server = ThreadingHTTPServer(("127.0.0.1", port), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.port: int = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def digest_of(command: dict[str, Any]) -> str:
    """An independent RFC 8785 for these plain values: sorted keys, no spaces."""
    text = json.dumps(command, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(hashlib.sha256(text).digest()).rstrip(b"=").decode()
