"""The outermost room of every request: it gives the visit its id, refuses foreign host names, logs, counts.

A line names the door, never the path or the query: those can hold what signs somebody in. Nothing that goes wrong
further inside leaves here as anything but a problem document.
"""

import time
from collections.abc import Collection
from typing import Any

from failgate.base.db import workspace_scope
from failgate.base.errors import FailgateError
from failgate.base.ids import new_id
from failgate.base.log import FixedLine, RequestContext, get_logger, request_context
from failgate.web.artifact_host import ArtifactHost
from failgate.web.asgi import ASKED_FOR_HEAD, App, Message, Receive, Scope, Send
from failgate.web.context import SCOPE_KEY, Visit
from failgate.web.errors import note_error, problem_body, problem_of, refused_handshake
from failgate.web.headers import check_host, new_nonce, sending_headers
from failgate.web.metrics import Metrics
from failgate.web.protocol import PEER
from failgate.web.proxies import TrustedProxies, is_https_said
from failgate.web.socket_protocol import WIRE

log = get_logger(__name__)


class RequestLog:
    """ASGI middleware around everything else that answers."""

    def __init__(
        self,
        app: App,
        metrics: Metrics,
        hosts: Collection[str],
        artifact_host: ArtifactHost,
        *,
        is_https: bool,
        trusted_proxies: Collection[str] = (),
    ) -> None:
        """Wrap `app`. `is_https`: people reach this server by https whatever the last hop speaks."""
        self._app = app
        self._metrics = metrics
        self._hosts = frozenset(hosts) | artifact_host.names
        self._artifact_host = artifact_host
        self._is_https = is_https
        self._proxies = TrustedProxies(trusted_proxies)
        self._line = FixedLine(__name__, "request.answered")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request or socket; let the lifespan through."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        scope, ip = self._forwarded(scope)
        is_https = self._is_https or scope["scheme"] in {"https", "wss"}
        visit = Visit(request_id=new_id(), ip=ip, nonce=new_nonce(), is_https=is_https, peer=scope.get(PEER))
        scope[SCOPE_KEY] = visit
        if scope["type"] == "websocket":
            visit.wire = scope[WIRE]
        token = request_context.set(RequestContext(visit.request_id, ip))
        room = workspace_scope.set(None)
        answer = _Answer(scope, sending_headers(scope, visit, send))
        try:
            check_host(scope, self._hosts)
            self._artifact_host.check(scope)
            await self._app(scope, receive, answer.send)
        except Exception as error:  # noqa: BLE001 - the last place that can still answer
            await self._answer_late(scope, visit, answer, error)
        finally:
            if visit.held is not None:
                visit.held.close()
            self._note(scope, visit, answer.status, time.perf_counter() - began)
            request_context.reset(token)
            workspace_scope.reset(room)

    async def _answer_late(self, scope: Scope, visit: Visit, answer: "_Answer", error: Exception) -> None:
        """Answer what no door answered: a foreign host name, a failure outside of every handler."""
        if answer.status is not None or answer.is_gone:
            if not isinstance(error, FailgateError):
                log.warning("answer.cut", error=type(error).__name__)
            return
        note_error(error)
        if scope["type"] == "websocket":
            status, headers, body = refused_handshake(error, visit.request_id)
            await answer.send({"type": "websocket.http.response.start", "status": status, "headers": headers})
            await answer.send({"type": "websocket.http.response.body", "body": body})
            return
        status, document, named = problem_of(error, visit.request_id)
        body = problem_body(document)
        headers = [(name.encode(), value.encode()) for name, value in named.items()]
        headers += [(b"content-type", b"application/problem+json"), (b"content-length", str(len(body)).encode())]
        await answer.send({"type": "http.response.start", "status": status, "headers": headers})
        await answer.send({"type": "http.response.body", "body": body, "more_body": False})

    def _note(self, scope: Scope, visit: Visit, status: int | None, seconds: float) -> None:
        door = visit.door.name if visit.door is not None else "none"
        method = "WS" if scope["type"] == "websocket" else str(scope["method"])
        known = method if method in {"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "WS"} else "other"
        self._metrics.request(door, known, status or 0, seconds)
        self._line.write(
            door=door,
            path=visit.door.path if visit.door is not None else None,
            method=known,
            status=status,
            duration_ms=round(seconds * 1000, 2),
            ip=visit.ip,
            principal=visit.principal.id,
        )

    def _forwarded(self, scope: Scope) -> tuple[Scope, str | None]:
        """Return a scope of our own, and the address of who speaks."""
        client: tuple[str, Any] | None = scope.get("client")
        ours: Scope = {**scope, "method": "GET", ASKED_FOR_HEAD: True} if scope.get("method") == "HEAD" else {**scope}
        ip, is_believed = self._proxies.address_of(client[0] if client else None, scope["headers"])
        if is_believed and is_https_said(scope["headers"]):
            ours["scheme"] = {"http": "https", "ws": "wss"}.get(scope["scheme"], scope["scheme"])
        return ours, ip


class _Answer:
    """What has been answered so far. A handshake that is refused before it was accepted is answered like a request."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope = scope
        self._send = send
        self.status: int | None = None
        self.is_gone = False

    async def send(self, message: Message) -> None:
        kind = message["type"]
        if kind in {"http.response.start", "websocket.http.response.start"}:
            self.status = message["status"]
        elif kind == "websocket.accept":
            self.status = 101
        elif kind == "websocket.close" and self.status is None:
            await self._refuse(message)
            return
        elif kind == "websocket.close":
            self.is_gone = True
        await self._send(message)

    async def _refuse(self, message: Message) -> None:
        visit: Visit = self._scope[SCOPE_KEY]
        error = visit.refusal or FailgateError(str(message.get("reason") or "The socket is refused."))
        self.status, headers, body = refused_handshake(error, visit.request_id)
        await self._send({"type": "websocket.http.response.start", "status": self.status, "headers": headers})
        await self._send({"type": "websocket.http.response.body", "body": body})
