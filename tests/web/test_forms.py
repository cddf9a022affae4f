"""Bodies over real sockets: too large, too slow, too deep, sent in pieces, or as a form of somebody else."""

import asyncio
import time
from typing import Any

import pytest
from litestar import Request, Response

from failgate.access.permission import Permission
from failgate.web import forms, render
from failgate.web.context import visit_of
from failgate.web.cookies import form_cookie
from failgate.web.csrf import form_token
from failgate.web.door import Door
from failgate.web.routes import DOORS
from tests.pace import busy
from tests.web.conftest import running, session_of

EXPLAIN = "/api/v1/workspaces/acme/policy/explain"


@pytest.fixture
async def client(server, people):
    headers = {"authorization": f"Bearer {people.key}", "content-type": "application/json"}
    async with server.client(headers=headers) as one:
        yield one


def slug(answer):
    return answer.json()["type"].rpartition(":")[2]


async def test_a_body_over_the_limit_is_413_when_announced_and_when_chunked(client, server):
    limit = server.services.config.limits.json_body.bytes

    async def pieces():
        for _ in range(limit // 65_536 + 2):
            yield b"x" * 65_536

    for content in (b"x" * (limit + 1), pieces()):
        answer = await client.post(EXPLAIN, content=content)
        assert answer.status_code == 413
        assert slug(answer) == "too-large"


async def test_an_announced_size_that_is_absurd_is_refused_without_reading(server, people):
    reader, writer = await asyncio.open_connection(server.host, server.port)
    writer.write(
        f"POST {EXPLAIN} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {people.key}\r\n"
        "Content-Type: application/json\r\nContent-Length: 99999999999999\r\n\r\n".encode()
    )
    async with asyncio.timeout(2):
        assert b" 413 " in await reader.readline()
    writer.close()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "empty"),
        (b'{"command":{},"command":{}}', "'command'"),
        (b'{"command":{"a":{"b":1,"b":2}}}', "'b'"),
        (b'{"command":NaN}', "NaN"),
        (b'{"command":{}} x', "not JSON"),
        (b'{"command":"\xff"}', "UTF-8"),
        (b'{"command":1}', "'command'"),
        (b'{"command":{},"stray":1}', "'stray'"),
        (b"{}", "'command'"),
        (b"[]", "array"),
        (b'{"command":' + b"[" * 200_000 + b"]" * 200_000 + b"}", "nested"),
    ],
)
async def test_a_malformed_body_is_400_and_names_the_place(client, body, words):
    began = time.monotonic()
    answer = await client.post(EXPLAIN, content=body)
    assert answer.status_code == 400, answer.text
    assert slug(answer) == "bad-input"
    assert words in answer.json()["detail"]
    assert time.monotonic() - began < busy(1)


async def test_a_compressed_body_is_refused(client):
    answer = await client.post(EXPLAIN, content=b"\x1f\x8b", headers={"content-encoding": "gzip"})
    assert answer.status_code == 415


async def test_a_query_parameter_that_does_not_fit_is_named(client):
    for query in ("limit=0", "limit=x", "limit=9999", "state=cooked"):
        answer = await client.get(f"/api/v1/workspaces/acme/commands?{query}")
        assert answer.status_code == 400, query
        assert answer.json()["member"] in {"limit", "state"}


async def test_a_body_that_comes_too_slowly_is_408(server, people, monkeypatch):
    monkeypatch.setattr(forms, "BODY_SECONDS", 0.3)
    reader, writer = await asyncio.open_connection(server.host, server.port)
    writer.write(
        f"POST {EXPLAIN} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {people.key}\r\n"
        'Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"comm'.encode()
    )
    async with asyncio.timeout(3):
        answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 408 ")
    writer.close()


async def show(request: Request[Any, Any, Any]) -> Response[bytes]:
    return render.html(f"<form>{render.csrf_token(request)}</form>")


async def take(request: Request[Any, Any, Any]) -> Response[bytes]:
    visit = visit_of(request)
    return render.html(f"{visit.form.get('email')} {visit.principal.kind}")


FORMS = (
    *DOORS,
    Door(
        name="tests.form", method="GET", path="/form", handler=show, permission=Permission.PUBLIC_PAGE_READ, kind="page"
    ),
    Door(
        name="tests.send", method="POST", path="/form", handler=take, permission=Permission.PUBLIC_SESSION_OPEN,
        kind="page",
    ),
    Door(
        name="tests.mine", method="POST", path="/mine", handler=take, permission=Permission.ACCOUNT_SELF_WRITE,
        kind="page",
    ),
    Door(
        name="tests.read", method="GET", path="/mine", handler=take, permission=Permission.ACCOUNT_SELF_READ, kind="page"
    ),
    Door(
        name="tests.room", method="GET", path="/w/{workspace}/room", handler=take,
        permission=Permission.WORKSPACE_COMMAND_READ, kind="page",
    ),
)  # fmt: skip
OURS = {"sec-fetch-site": "same-origin"}


@pytest.fixture
async def pages(services):
    async with running(services, FORMS) as one, one.client(headers={"accept": "text/html"}) as client:
        yield one, client


async def test_a_form_before_sign_in_is_bound_to_a_random_cookie(pages):
    _, client = pages
    shown = await client.get("/form")
    token = shown.text.removeprefix("<form>").removesuffix("</form>")
    assert "HttpOnly" in shown.headers["set-cookie"]
    good = await client.post("/form", data={"email": "a@b", "csrf_token": token}, headers=OURS)
    assert (good.status_code, good.text) == (200, "a@b anonymous")
    again = await client.get("/form")
    assert "set-cookie" not in again.headers
    for data in ({"email": "a@b"}, {"email": "a@b", "csrf_token": "x"}, {"csrf_token": form_token("another")}):
        answer = await client.post("/form", data=data, headers=OURS)
        assert answer.status_code == 403
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
    client.cookies.clear()
    assert (await client.post("/form", data={"csrf_token": token}, headers=OURS)).status_code == 403


async def test_a_form_from_elsewhere_is_refused_even_with_its_token(pages, people):
    one, client = pages
    session = await session_of(one.services, people.accounts["owner"])
    client.cookies.set("fg_session", session)
    data = {"email": "e", "csrf_token": form_token(session)}
    assert (await client.post("/mine", data=data, headers=OURS)).text == "e user"
    assert (await client.post("/mine", data=data, headers={"origin": one.origin})).text == "e user"
    for headers in ({}, {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}, {"origin": "null"}):
        assert (await client.post("/mine", data=data, headers=headers)).status_code == 403


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"email=a&email=b&csrf_token={t}", "application/x-www-form-urlencoded", 400),
        (b"email=%00&csrf_token={t}", "application/x-www-form-urlencoded", 400),
        (b"email=%ff&csrf_token={t}", "application/x-www-form-urlencoded", 400),
        (b"&".join(b"a%d=1" % n for n in range(300)), "application/x-www-form-urlencoded", 400),
        (b"a=" + b"x" * 70_000, "application/x-www-form-urlencoded", 413),
        (b'{"email":"a"}', "application/json", 415),
        (b"--x--", "multipart/form-data; boundary=x", 415),
        (b"email=a&csrf_token={t}", "text/plain", 415),
    ],
)
async def test_a_form_in_another_shape_is_refused(pages, content, kind, status):
    _, client = pages
    client.cookies.set("fg_form", "k")
    body = content.replace(b"{t}", form_token("k").encode())
    answer = await client.post("/form", content=body, headers={**OURS, "content-type": kind})
    assert answer.status_code == status


async def test_a_page_without_a_session_leads_to_sign_in_and_back(pages):
    _, client = pages
    answer = await client.get("/w/acme/room?x=1")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/signin?next=/w/acme/room%3Fx%3D1"
    absent = await client.get("/w/absent/room?x=1")
    assert absent.status_code == 303


async def test_a_page_waiting_for_the_second_factor_leads_to_the_code(pages, people):
    one, client = pages
    token, _ = await one.services.sessions.open(
        people.accounts["owner"], "127.0.0.1", "t", ("pwd",), awaits_second_factor=True
    )
    client.cookies.set("fg_session", token)
    assert (await client.get("/mine")).headers["location"] == "/signin/code?next=/mine"


async def test_a_foreign_page_is_the_same_page_as_an_absent_one(pages, people):
    one, client = pages
    client.cookies.set("fg_session", await session_of(one.services, people.accounts["foreign"]))
    foreign, absent = await client.get("/w/acme/room"), await client.get("/w/absent/room")
    assert foreign.status_code == absent.status_code == 404
    strip = {"nonce": ""}

    def plain(answer):
        nonce = answer.headers["content-security-policy"].partition("'nonce-")[2].partition("'")[0]
        return answer.text.replace(nonce, strip["nonce"])

    assert plain(foreign) == plain(absent)


async def test_a_page_does_not_take_a_bearer_token(pages, people):
    _, client = pages
    answer = await client.get("/mine", headers={"authorization": f"Bearer {people.key}"})
    assert answer.status_code == 303


def test_the_form_cookie_is_short_lived_and_hidden_from_scripts():
    assert "HttpOnly" in form_cookie("k", is_https=True)
    assert "Expires" not in form_cookie("k", is_https=True)
