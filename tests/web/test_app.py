"""The application does not start with a door that nobody declared. # F11"""

import dataclasses

import pytest
from litestar import Litestar, WebSocket, asgi, get, websocket
from litestar.config.app import AppConfig
from litestar.plugins import InitPlugin
from litestar.types import Receive, Scope, Send

from failgate.access.permission import Permission
from failgate.base.errors import StartRefused
from failgate.web.app import Application, check_doors, check_routes
from failgate.web.door import Door
from failgate.web.routes import DOORS


@get("/stray")
async def stray() -> str:
    return "x"


@websocket("/stray")
async def stray_socket(socket: WebSocket) -> None:
    return None


@asgi("/stray", is_mount=True, copy_scope=True)
async def stray_app(scope: Scope, receive: Receive, send: Send) -> None:
    return None


@pytest.mark.parametrize("handler", [stray, stray_socket, stray_app])
def test_a_route_that_a_decorator_added_stops_the_start(handler):
    with pytest.raises(StartRefused, match="declares no permission") as caught:
        check_routes(Litestar([handler], openapi_config=None, logging_config=None))
    assert "/stray" in caught.value.sentence
    assert "routes.py" in (caught.value.hint or "")


def test_a_route_that_a_plugin_added_stops_the_start():
    class Smuggler(InitPlugin):
        def on_app_init(self, app_config: AppConfig) -> AppConfig:
            app_config.route_handlers.append(stray)
            return app_config

    with pytest.raises(StartRefused):
        check_routes(Litestar([], plugins=[Smuggler()], openapi_config=None, logging_config=None))


def test_a_permission_by_its_text_alone_is_none():
    @get("/other", opt={"permission": "public:page:read"})
    async def other() -> str:
        return "x"

    with pytest.raises(StartRefused):
        check_routes(Litestar([other], openapi_config=None, logging_config=None))


async def test_a_route_added_after_the_start_lets_nobody_through(services):
    from litestar.testing import AsyncTestClient

    application = Application(services, DOORS)
    application.litestar.register(stray)
    async with AsyncTestClient(application, base_url="http://127.0.0.1") as client:
        answer = await client.get("/stray")
        assert answer.status_code == 404
        assert (await client.get("/healthz")).status_code == 200
    await application.close()


def test_two_doors_at_one_place_stop_the_start():
    [first, *_] = DOORS
    with pytest.raises(StartRefused, match="twice"):
        check_doors([first, first])
    again = dataclasses.replace(first, name="tests.again")
    with pytest.raises(StartRefused, match="twice"):
        check_doors([first, again])


def test_every_door_of_the_table_is_complete_and_has_a_name_of_its_own():
    check_doors(DOORS)
    assert all(isinstance(door, Door) and isinstance(door.permission, Permission) for door in DOORS)


async def test_the_whole_table_makes_an_application(services):
    application = Application(services, DOORS)
    assert len(application.litestar.routes) > 20
    await application.close()
