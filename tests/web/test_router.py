"""What a handler asks for is read at once where it can be, and is the same as Litestar would give it."""

from typing import Annotated, Any

import msgspec
import pytest
from litestar import Request
from litestar.params import FromPath, JSONBody, QueryParameter

from failgate.access.permission import Permission
from failgate.web import router
from failgate.web.api.idempotency import IdempotencyKey
from failgate.web.door import Door
from failgate.web.routes import DOORS
from tests.web.conftest import running


class Wish(msgspec.Struct, forbid_unknown_fields=True):
    text: str
    number: int = 0


class Given(msgspec.Struct):
    given: str


async def echo(
    request: Request[Any, Any, Any],
    data: JSONBody[Wish],
    id: FromPath[str],  # noqa: A002 - the path's word
    idempotency_key: IdempotencyKey = None,
) -> Given:
    return Given(repr((request.scope["path"], type(data).__name__, data.text, data.number, id, idempotency_key)))


async def other(id: FromPath[str], q: Annotated[int, QueryParameter()] = 7) -> Given:  # noqa: A002 - the path's word
    return Given(repr((id, q)))


def door(name: str, method: str, path: str, handler: Any, status: int = 200) -> Door:
    return Door(
        name=name, method=method, path=path, handler=handler, permission=Permission.PUBLIC_PAGE_READ
        if method == "GET"
        else Permission.PUBLIC_REPORT_INGEST, kind="api", status=status,
    )  # fmt: skip


TRIED = (door("tests.echo", "POST", "/echo/{id}", echo, 201), door("tests.other", "GET", "/other/{id}", other))
ID = "0192aaaa-0000-7000-8000-000000000001"
JSON = {"content-type": "application/json"}
REQUESTS: list[dict[str, Any]] = [
    {"content": b'{"text":"a"}', "headers": JSON},
    {"content": b'{"text":"a","number":3}', "headers": JSON | {"idempotency-key": "k \xe4".encode("latin-1")}},
    {"content": b'{"text":"a"}', "headers": JSON | {"Idempotency-Key": ""}},
    {"content": b'{"text":"a","number":"3"}', "headers": JSON},
    {"content": b'{"text":"a","more":1}', "headers": JSON},
    {"content": b"{}", "headers": JSON},
    {"content": b"", "headers": JSON},
    {"content": b"[", "headers": JSON},
    {"content": b'{"text":"a"}', "headers": {"content-type": "text/plain"}},
]


async def answers(services) -> list[tuple[int, dict[str, str], Any]]:
    found = []
    async with running(services, [*DOORS, *TRIED]) as server, server.client() as client:
        asked = [await client.post(f"/echo/{ID}", **request) for request in REQUESTS]
        asked += [await client.post("/echo/no-id", content=b'{"text":"a"}', headers=JSON)]
        asked += [await client.get(f"/other/{ID}", params=params) for params in ({}, {"q": "1"}, {"q": "x"})]
        for answer in asked:
            changing = {"date", "x-request-id", "content-security-policy"}
            headers = {name: value for name, value in answer.headers.items() if name not in changing}
            document = answer.json()
            document.pop("request_id", None)
            found.append((answer.status_code, headers, document))
    return found


async def test_what_lies_at_hand_is_what_litestar_gives(services, monkeypatch: pytest.MonkeyPatch):
    at_hand = await answers(services)
    assert [status for status, _, _ in at_hand[:3]] == [201] * 3
    assert {status for status, _, _ in at_hand} >= {200, 201, 400, 404, 415}
    monkeypatch.setattr(router, "_arguments_of", lambda _handler: None)
    assert await answers(services) == at_hand


@pytest.mark.parametrize(("tried", "is_at_hand"), [(TRIED[0], True), (TRIED[1], False)])
async def test_a_query_is_read_litestars_way(services, tried: Door, is_at_hand: bool):
    from failgate.web.app import Application

    application = Application(services, [tried])
    [route] = [route for route in application.litestar.routes if route.path == tried.path.replace("{id}", "{id:str}")]
    assert (route._at_hand[tried.method] is not None) == is_at_hand
    await application.close()


async def test_a_header_that_stands_twice_is_refused(services):
    async with running(services, [*DOORS, *TRIED]) as server, server.client() as client:
        headers = [*JSON.items(), ("idempotency-key", "one"), ("idempotency-key", "two")]
        answer = await client.post(f"/echo/{ID}", content=b'{"text":"a"}', headers=headers)
        assert answer.status_code == 400
        assert "idempotency-key" in answer.json()["detail"]
