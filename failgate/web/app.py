"""The application, built from the table of doors. It does not start with a door that is not fully declared.

From outside to inside: `request_log` (id, host, headers, log, last resort), Litestar's router, `guard`, the handler. A
route that stands in the application but not in the table, whoever added it, stops the start.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import msgspec
from litestar import Litestar
from litestar.connection import ASGIConnection, Request
from litestar.datastructures import State
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler, WebsocketRouteHandler
from litestar.routes import ASGIRoute, HTTPRoute, WebSocketRoute
from litestar.serialization import encode_json
from litestar.types import ExceptionHandlersMap

from failgate.access.permission import Permission
from failgate.base.errors import FailgateError, StartRefused
from failgate.web.api.openapi import answers_of, openapi_config, operation_of, security_of
from failgate.web.api.policy_reports import PolicyReports
from failgate.web.artifact_host import ArtifactHost
from failgate.web.asgi import App, Receive, Scope, Send
from failgate.web.context import visit_in
from failgate.web.denials import Denials
from failgate.web.door import Door
from failgate.web.errors import answer_error
from failgate.web.forms import StrictRequest
from failgate.web.guard import guard
from failgate.web.headers import allowed_hosts
from failgate.web.held import HeldBodies
from failgate.web.live.shares import Shares
from failgate.web.live.sockets import OpenSockets
from failgate.web.metrics import Metrics
from failgate.web.request_log import RequestLog
from failgate.web.router import Router
from failgate.web.stop import Stop
from failgate.web.unread import UnreadBody
from failgate.web.uploads import MOST_UPLOADED_BYTES, MOST_UPLOADED_BYTES_EACH

if TYPE_CHECKING:
    from failgate.roster import Services

_PARAMETER = re.compile(r"\{(\w+)\}")


class Application:
    """The ASGI application of one server, and what its server needs to know of it."""

    def __init__(self, services: Services, doors: Sequence[Door]) -> None:
        """Build it from `doors`.

        Raises: StartRefused, naming the door and the mend.
        """
        check_doors(doors)
        self.services = services
        self.stop = Stop()
        self.metrics = Metrics()
        self.denials = Denials(services.audit, services.clock)
        self.sockets = OpenSockets(
            services.sessions,
            services.tokens,
            services.workspaces,
            services.logins,
            services.certificates,
            services.sso.enforcements,
            Shares(services.config.limits, self.metrics.socket_refused),
        )
        artifact_host = ArtifactHost(services.config.server.artifact_url, services.clock)
        self.litestar: Litestar = Router(
            route_handlers=[_handler(door) for door in doors],
            options=_HttpHandler("/", http_method="OPTIONS", include_in_schema=False)(_nothing),
            guards=[guard],
            request_class=StrictRequest,
            exception_handlers={FailgateError: answer_error, Exception: answer_error},
            after_exception=[_remember_refusal],
            openapi_config=openapi_config(),
            logging_config=None,
            debug=False,
            state=State(
                {
                    "services": services,
                    "stop": self.stop,
                    "metrics": self.metrics,
                    "denials": self.denials,
                    "sockets": self.sockets,
                    "artifact_host": artifact_host,
                    "held_bodies": HeldBodies(),
                    "held_uploads": HeldBodies(MOST_UPLOADED_BYTES, MOST_UPLOADED_BYTES_EACH),
                    "policy_reports": PolicyReports(self.metrics, services.clock),
                    "doors": tuple(doors),
                }
            ),
        )
        check_routes(self.litestar)
        self.metrics.watch(
            "failgate_pending_commands",
            "Commands that wait for people.",
            (),
            lambda: {(): services.gate.pending_count()},
        )
        self.metrics.watch(
            "failgate_clock_went_back",
            "1 while nothing is approved because the clock of the machine went back.",
            (),
            lambda: {(): int(services.gate.is_frozen())},
        )
        self.metrics.watch(
            "failgate_ingest_passed_over",
            "Items of documents that are no failure, by kind.",
            ("kind",),
            lambda: {(kind,): count for kind, count in services.report_room.ingestion.passed_over.items()},
        )
        server = services.config.server
        self._app: App = UnreadBody(
            RequestLog(
                cast("App", self.litestar),
                self.metrics,
                allowed_hosts(server.host, server.public_url),
                artifact_host,
                is_https=(server.public_url or "").startswith("https://"),
                trusted_proxies=server.trusted_proxies,
            )
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request or socket; what the stopping server cancels ends without an answer."""
        try:
            await self._app(scope, receive, send)
        except asyncio.CancelledError:
            if not self.stop.is_set:
                raise

    async def close(self) -> None:
        """Return when what was begun beside the answers is done."""
        self.sockets.close()
        await self.denials.close()


def check_doors(doors: Sequence[Door]) -> None:
    """Check every door, and that no two share a name or a place.

    Raises: StartRefused.
    """
    names: set[str] = set()
    places: set[tuple[str, str]] = set()
    for door in doors:
        door.check()
        place = (door.method, _PARAMETER.sub("{}", door.path))
        if door.name in names or place in places:
            raise StartRefused(
                f"The door {door.name!r} ({door.method} {door.path}) stands twice in the table.",
                hint="Keep one of them in failgate/web/routes.py.",
            )
        names.add(door.name)
        places.add(place)


def check_routes(app: Litestar) -> None:
    """Check that every route of `app` is a door of ours with a permission.

    Raises: StartRefused, naming the route.
    """
    for route in app.routes:
        for handler in _handlers(route):
            door: object = handler.opt.get("door")
            permission: object = getattr(door, "permission", None)
            if not isinstance(door, Door) or not isinstance(permission, Permission):
                raise StartRefused(
                    f"The route {route.path} ({handler.handler_name}) declares no permission.",
                    hint="Add it to the table in failgate/web/routes.py.",
                )


def _handlers(route: Any) -> list[BaseRouteHandler]:
    if isinstance(route, HTTPRoute):
        # The guard lets nobody reach what answers OPTIONS, for it stands at no door.
        return [handler for handler in route.route_handlers if set(handler.http_methods) != {"OPTIONS"} or handler.opt]
    assert isinstance(route, WebSocketRoute | ASGIRoute)
    return [route.route_handler]


class _HttpHandler(HTTPRouteHandler):
    """A handler that shows itself to the guard: Litestar shows a copy, which costs more than the guard.

    What it returns as a struct is answered at once: two responses on the way to it cost more than its JSON.
    """

    def __init__(self, *args: Any, **settings: Any) -> None:
        """Take what Litestar's own handler takes."""
        super().__init__(*args, **settings)
        self._own_exception_handlers: ExceptionHandlersMap | None = None

    def resolve_exception_handlers(self) -> ExceptionHandlersMap:
        """Return what Litestar works out anew for each request, worked out once."""
        if self._own_exception_handlers is None:
            self._own_exception_handlers = super().resolve_exception_handlers()
        return self._own_exception_handlers

    async def to_response(self, app: Litestar, data: Any, request: Request[Any, Any, Any]) -> Any:
        """Return the answer that says `data`."""
        if isinstance(data, msgspec.Struct):
            return _StructAnswer(encode_json(data), self.status_code)
        return await super().to_response(app, data, request)

    async def authorize_connection(self, connection: ASGIConnection[Any, Any, Any, Any]) -> None:
        """Let the connection pass, or raise what the guard raises."""
        for each in self.resolve_guards():
            await cast("Awaitable[None]", each(connection, self))


class _StructAnswer:
    """A whole answer of JSON."""

    __slots__ = ("_body", "_status")

    def __init__(self, body: bytes, status: int) -> None:
        self._body = body
        self._status = status

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(self._body))]
        await send({"type": "http.response.start", "status": self._status, "headers": headers})
        await send({"type": "http.response.body", "body": self._body, "more_body": False})


def _handler(door: Door) -> BaseRouteHandler:
    path = _PARAMETER.sub(r"{\1:str}", door.path)
    options: Mapping[str, Any] = {"door": door}
    if door.method == "WS":
        return WebsocketRouteHandler(path, name=door.name, opt=dict(options))(door.handler)
    return _HttpHandler(
        path,
        http_method=cast("Any", door.method),
        name=door.name,
        opt=dict(options),
        status_code=door.status,
        include_in_schema=door.is_documented,
        operation_id=door.name.replace(".", "_").replace("-", "_"),
        operation_class=operation_of(door),
        responses=answers_of(door),
        security=security_of(door),
        tags=[door.tag],
    )(door.handler)


async def _nothing() -> None:
    """Answer OPTIONS, if the guard let anybody ask."""


async def _remember_refusal(error: Exception, scope: Any) -> None:
    """Keep why a socket is refused, so that the handshake is answered with it."""
    if scope["type"] == "websocket":
        visit_in(scope).refusal = error
