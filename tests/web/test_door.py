"""A door that is not fully declared stops the start. # F11"""

import pytest

from failgate.access.permission import Permission as P  # noqa: N817  # as the matrix of roles has it
from failgate.base.errors import StartRefused
from failgate.web.door import Door


async def handler() -> None:
    return None


def door(**change):
    given = {
        "name": "tests.one", "method": "GET", "path": "/one", "handler": handler, "permission": P.PUBLIC_PAGE_READ,
        "kind": "page",
    }  # fmt: skip
    return Door(**{**given, **change})


def test_a_complete_door_is_accepted():
    door().check()
    door(method="WS", kind="live").check()
    door(path="/w/{workspace}", permission=P.WORKSPACE_COMMAND_READ).check()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"permission": None}, "no permission"),
        ({"permission": "workspace:command:read"}, "no permission"),
        ({"method": "TRACE"}, "unknown method"),
        ({"method": "WS"}, "WebSocket"),
        ({"kind": "live"}, "WebSocket"),
        ({"permission": P.WORKSPACE_COMMAND_READ}, "names no workspace"),
        ({"method": "POST"}, "permission to read"),
        ({"method": "DELETE", "path": "/w/{workspace}", "permission": P.WORKSPACE_REPORT_READ}, "permission to read"),
    ],
)
def test_an_incomplete_door_is_named(change, words):
    with pytest.raises(StartRefused, match=words) as caught:
        door(**change).check()
    assert "tests.one" in caught.value.sentence


def test_pages_take_the_cookie_alone():
    assert door().accepted == {"cookie"}
    assert door(kind="api").accepted == {"cookie", "bearer"}
