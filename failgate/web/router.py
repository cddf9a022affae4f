"""Litestar as far as our handlers need it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from typing import Any, TypeAlias, cast

import msgspec
from litestar import Litestar, Request
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler, WebsocketRouteHandler
from litestar.params import HeaderParameter, PathParameter
from litestar.plugins import PluginProtocol
from litestar.plugins.core import MsgspecDIPlugin
from litestar.routes import HTTPRoute, WebSocketRoute
from litestar.types import Receive, Send
from litestar.types.asgi_types import HTTPScope
from litestar.typing import FieldDefinition
from litestar.utils.path import normalize_path

from failgate.web import asgi
from failgate.web.headers import header

_Read: TypeAlias = Callable[[Request[Any, Any, Any]], Any]


class Router(Litestar):
    """Without its default plugins, which would load pydantic, an eighth of the start, and with its routes made at once.

    Litestar takes one handler after the other: it makes the route of a path anew for each method, and goes through all
    routes for each handler, which for three hundred doors is half a start.
    """

    def __init__(
        self, route_handlers: Sequence[BaseRouteHandler], *, options: HTTPRouteHandler | None = None, **settings: Any
    ) -> None:
        """Make the routes of `route_handlers`; `options` answers OPTIONS everywhere, else each path has its own."""
        super().__init__(**settings)
        self._options = options
        if options is not None:
            options.owner = self
            options.on_registration(self)
        by_path: dict[str, list[BaseRouteHandler]] = {}
        for handler in route_handlers:
            handler.owner = self
            for path in handler.paths:
                by_path.setdefault(normalize_path(path), []).append(copy(handler))
        for path, handlers in by_path.items():
            self._add_http(path, [one for one in handlers if isinstance(one, HTTPRouteHandler)])
            self._add_sockets(path, [one for one in handlers if isinstance(one, WebsocketRouteHandler)])
        for route in self.routes:
            for plugin in self.plugins.receive_route:  # that of the OpenAPI document
                plugin.receive_route(route)
        self.asgi_router.construct_routing_trie()

    def _add_http(self, path: str, handlers: list[HTTPRouteHandler]) -> None:
        if not handlers:
            return
        route = _Route(path=path, route_handlers=[*handlers, self._options] if self._options else handlers)
        for handler in route.route_handlers:
            if handler is not self._options:
                handler.on_registration(self)
        route.create_handler_map()
        self.routes.append(route)

    def _add_sockets(self, path: str, handlers: list[WebsocketRouteHandler]) -> None:
        for handler in handlers:
            route = WebSocketRoute(path=path, route_handler=handler)
            handler.on_registration(self)
            route.handler_parameter_model = handler.create_kwargs_model(path_parameters=route.path_parameters)
            self.routes.append(route)

    @staticmethod
    def _get_default_plugins(plugins: list[PluginProtocol]) -> list[PluginProtocol]:
        return [*plugins, MsgspecDIPlugin()]


class _Route(HTTPRoute):
    """A route whose handlers are given at once what lies at hand, when that is all they ask for.

    That is the request, a body of JSON as `StrictRequest` reads it, what the path names and a header that may be
    missing. Litestar would read all headers into a dictionary first, and convert each argument to the type that it has.
    A handler that asks for anything else is called Litestar's way.
    """

    __slots__ = ("_at_hand",)

    def create_handler_map(self) -> None:
        """Make the map, and learn what each handler asks for."""
        super().create_handler_map()
        self._at_hand = {method: _arguments_of(handler) for method, (handler, _) in self.route_handler_map.items()}

    async def handle(self, scope: HTTPScope, receive: Receive, send: Send) -> None:  # type: ignore[override] # as Litestar declares it
        """Let the guard see the request, call the handler, send its answer."""
        at_hand = self._at_hand[scope["method"]]
        if at_hand is None:
            await super().handle(scope, receive, send)
            return
        handler, _ = self.route_handler_map[scope["method"]]
        request: Request[Any, Any, Any] = handler.resolve_request_class()(scope=scope, receive=receive, send=send)
        await handler.authorize_connection(connection=request)
        named: dict[str, Any] = {name: read(request) for name, read in at_hand.read.items()}
        if at_hand.has_body:
            named["data"] = await request.json()
        answer = await handler.to_response(app=request.app, data=await handler.fn(**named), request=request)
        await answer(scope, receive, send)


class _AtHand(msgspec.Struct, frozen=True):
    """What a handler asks for: whether for the body, and how each other argument is read."""

    has_body: bool
    read: dict[str, _Read]


def _arguments_of(handler: HTTPRouteHandler) -> _AtHand | None:
    """Return what `handler` asks for; None when not all of it lies at hand."""
    asked = dict(handler.parsed_fn_signature.parameters)
    body = asked.pop("data", None)
    read = {name: _reading(name, field) for name, field in asked.items()}
    is_struct = body is None or (isinstance(body.annotation, type) and issubclass(body.annotation, msgspec.Struct))
    hooks = handler.resolve_before_request(), handler.resolve_after_response()
    if not is_struct or None in read.values() or any(hooks) or handler.cache or handler.has_sync_callable:
        return None
    return _AtHand(body is not None, cast("dict[str, _Read]", read))


def _reading(name: str, field: FieldDefinition) -> _Read | None:
    """Return how the argument `name` of a handler is read; None when it does not lie at hand."""
    said = field.kwarg_definition
    if name == "request":
        return lambda request: request
    if isinstance(said, PathParameter) and field.annotation is str and said.name in {None, name}:
        return lambda request: request.path_params[name]
    if isinstance(said, HeaderParameter) and said.name and field.annotation == str | None and field.default is None:
        key = said.name.lower().encode()
        return lambda request: header(cast("asgi.Scope", request.scope), key)
    return None
