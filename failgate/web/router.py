"""Litestar as far as our handlers need it."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any

from litestar import Litestar
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler, WebsocketRouteHandler
from litestar.plugins import PluginProtocol
from litestar.plugins.core import MsgspecDIPlugin
from litestar.routes import HTTPRoute, WebSocketRoute
from litestar.utils.path import normalize_path


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
        route = HTTPRoute(path=path, route_handlers=[*handlers, self._options] if self._options else handlers)
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
