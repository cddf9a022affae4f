"""Pages that plugins bring, at a real server: who passes their doors, and that the frame, form and headers are ours."""

import re
from dataclasses import replace

import httpx
import msgspec
import pytest

from failgate.base.errors import BadInput, StartRefused
from failgate.loader.finding import PluginIdentity
from failgate.loader.slots import OpenedPlugin
from failgate.plugin import Download, PageDoor, Pages, PlainText, Provides, SentOn, Shown
from failgate.web.pages.brought import doors_of
from failgate.web.routes import DOORS
from tests.web.api.test_agents import person
from tests.web.conftest import OPERATOR, jar_of, running, session_of

IDENTITY = PluginIdentity("guest-book", "guest-book", "1.0", "failgate-guest-book", "sha256:0", "/nowhere")
PUBLIC, PRIVATE = "/guests", "/platform/x/guest-book"
FORM = '{% extends "plugin_public.html" %}{% from "parts/bits.html" import csrf %}{% block page %}<h1>Guests</h1>{{ view.said }}<form method="post">{{ csrf(frame) }}</form>{% endblock %}'
LIST = '{% extends "plugin_private.html" %}{% from "parts/bits.html" import csrf %}{% block page %}<h1>All of {{ here }}</h1>{{ view.said }}<form method="post">{{ csrf(frame) }}</form>{% endblock %}'


class View(msgspec.Struct, frozen=True):
    said: str


class GuestBook:
    def __init__(self):
        self.asked = []

    async def show(self, asked):
        return Shown("Guests", "form.html", View("<script>alert(1)</script>"))

    async def sign(self, asked):
        self.asked.append(asked)
        if not asked.form.get("name"):
            raise BadInput("There is no name.", hint="Say who you are.")
        return SentOn(asked.form.get("next", PUBLIC))

    async def text(self, asked):
        return PlainText("guests\n")

    async def file(self, asked):
        return Download("guests.json", b"<script>1</script>", "application/json")

    async def list(self, asked):
        self.asked.append(asked)
        return Shown("All guests", "list.html", View(asked.path.get("id", "")))

    def pages(self, folder):
        doors = (
            PageDoor(name="show", path=PUBLIC, handler=self.show, audience="anybody"),
            PageDoor(name="sign", path=PUBLIC, handler=self.sign, audience="anybody", method="POST", form_bytes=200),
            PageDoor(name="text", path="/.well-known/guests.txt", handler=self.text, audience="anybody"),
            PageDoor(name="file", path="/guests/{name}", handler=self.file, audience="anybody"),
            PageDoor(name="list", path="", handler=self.list, audience="platform"),
            PageDoor(name="one", path="/{id}", handler=self.list, audience="platform"),
            PageDoor(name="remove", path="/{id}/remove", handler=self.sign, audience="platform", method="POST"),
        )
        return Pages(doors=doors, templates=folder, label="Guest book")


def with_pages(services, pages, identity=IDENTITY):
    opened = OpenedPlugin(identity, Provides(pages=pages, advice=lambda: ["The book is nearly full."]))
    return replace(services, plugins=replace(services.plugins, plugins=(*services.plugins.plugins, opened)))


@pytest.fixture
def book(tmp_path):
    (tmp_path / "form.html").write_text(FORM)
    (tmp_path / "list.html").write_text(LIST)
    return GuestBook()


@pytest.fixture
async def server(services, book, tmp_path):
    async with running(with_pages(services, book.pages(tmp_path))) as one:
        yield one


def token_in(page):
    return re.search(r'name="csrf_token" value="([^"]+)"', page.text)[1]


ID = "01890a5d-ac96-774b-bcce-b302099a8057"
PRIVATE_GETS = (PRIVATE, f"{PRIVATE}/{ID}")


async def test_anybody_reads_what_is_for_anybody_in_our_frame_and_with_our_headers(server):
    async with server.client() as client:
        page = await client.get(PUBLIC)
        assert page.status_code == 200
        assert "<script>alert(1)</script>" not in page.text
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page.text
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        nonce = re.search(r"nonce-([^']+)", policy)[1]
        assert f'nonce="{nonce}"' in page.text
        text = await client.get("/.well-known/guests.txt")
        assert (text.text, text.headers["content-type"]) == ("guests\n", "text/plain; charset=utf-8")


async def test_a_file_is_kept_by_the_browser_and_never_shown(server):
    async with server.client() as client:
        file = await client.get(f"{PUBLIC}/any")
    assert (file.content, file.headers["content-type"]) == (b"<script>1</script>", "application/json")
    assert file.headers["content-disposition"].startswith('attachment; filename="guests.json"; ')
    assert file.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in file.headers["content-security-policy"]


@pytest.mark.parametrize("kind", ["text/csv\r\nx: y", "html", ""])
def test_a_file_whose_type_could_not_be_a_header_is_none(kind):
    with pytest.raises(ValueError, match="Download"):
        Download("a", b"", kind)


async def test_a_form_for_anybody_is_taken_from_a_page_of_ours_alone(server, book):
    async with server.client(headers={"sec-fetch-site": "same-origin"}) as client:
        token = token_in(await client.get(PUBLIC))
        for fields, headers in (
            ({"name": "Ann"}, {}),
            ({"name": "Ann", "csrf_token": "x"}, {}),
            ({"name": "Ann", "csrf_token": token}, {"sec-fetch-site": "cross-site"}),
        ):
            assert (await client.post(PUBLIC, data=fields, headers=headers)).status_code == 403
        assert book.asked == []
        taken = await client.post(PUBLIC, data={"name": "Ann", "csrf_token": token})
        assert (taken.status_code, taken.headers["location"]) == (303, PUBLIC)
        [asked] = book.asked
        assert (asked.actor.t, asked.account_id, asked.email, asked.ip) == ("anonymous", "", "", "127.0.0.1")
        large = await client.post(PUBLIC, data={"name": "A" * 300, "csrf_token": token})
        assert large.status_code == 413
        refused = await client.post(PUBLIC, data={"csrf_token": token}, headers={"accept": "text/html"})
        assert (refused.status_code, "There is no name." in refused.text) == (400, True)
        for away in ("https://evil.example", "//evil.example", "/\\evil.example"):
            sent = await client.post(PUBLIC, data={"name": "A", "next": away, "csrf_token": token})
            assert sent.headers["location"] == "/"


async def test_private_pages_are_for_the_platform_role_with_a_second_factor_alone(server, people, book):
    """The matrix of a plugin's doors: every kind of visitor at each."""
    gets = PRIVATE_GETS
    async with server.client() as stranger:
        for path in gets:
            answer = await stranger.get(path)
            assert (answer.status_code, answer.headers["location"].split("?")[0]) == (303, "/signin"), path
        assert (await stranger.post(f"{PRIVATE}/{ID}/remove", data={})).status_code in {401, 403}
    for key in (people.key, people.agent):
        async with server.client(headers={"authorization": f"Bearer {key}"}) as program:
            for path in gets:
                assert (await program.get(path)).status_code != 200, path
    for name in ("owner", "admin", "auditor", "nobody"):
        async with person(server, people, name) as member:
            for path in gets:
                assert (await member.get(path, headers={"accept": "text/html"})).status_code == 404, (name, path)
            token = token_in(await member.get("/account"))
            sent = await member.post(f"{PRIVATE}/{ID}/remove", data={"name": "x", "csrf_token": token})
            assert sent.status_code == 404
    await server.services.accounts.grant_platform_role(people.accounts["nobody"], OPERATOR)
    async with person(server, people, "nobody", is_proven=False) as admin:
        for path in gets:
            answer = await admin.get(path)
            assert answer.status_code == 303, path
            assert answer.headers["location"] == f"/signin/code?next={path}"
        token = token_in(await admin.get(PUBLIC))
        sent = await admin.post(f"{PRIVATE}/{ID}/remove", data={"name": "x", "csrf_token": token})
        assert sent.status_code != 200
        assert "guest" not in sent.headers.get("location", "")
    await server.services.accounts.grant_platform_role(people.accounts["developer"], OPERATOR)
    token = await session_of(server.services, people.accounts["developer"])
    async with server.client(cookies=jar_of(token)) as bare:  # who has none is led to where one is enrolled
        answer = await bare.get(PRIVATE, follow_redirects=True)
        assert answer.url.path == "/account/second-factor"
    assert book.asked == []
    async with person(server, people, "nobody") as admin:
        for path in gets:
            page = await admin.get(path)
            assert page.status_code == 200
        assert "Guest book" in page.text
        assert f"All of {PRIVATE}" in page.text
        assert (await admin.get(f"{PRIVATE}/no-id")).status_code == 404
        sent = await admin.post(f"{PRIVATE}/{ID}/remove", data={"name": "x", "csrf_token": token_in(page)})
        assert sent.status_code == 303
        assert (await admin.post(f"{PRIVATE}/{ID}/remove", data={"name": "x"})).status_code == 403
    assert {(asked.email, asked.actor.t) for asked in book.asked} == {("nobody@example.org", "user")}
    assert {asked.account_id for asked in book.asked} == {people.accounts["nobody"]}


async def test_what_a_plugin_advises_keeps_nobody_out(server):
    async with server.client() as client:
        ready = await client.get("/readyz")
        assert ready.status_code == 200
        assert ready.json()["warnings"] == ["advice of guest-book"]


@pytest.mark.parametrize(
    "path", ["/account/guests", "/api/guests", "/healthz", "/w/{workspace}/x", "/.well-known/jwks.json", "/{anything}"]
)
async def test_no_public_door_stands_where_one_of_ours_does(services, book, tmp_path, path):
    door = PageDoor(name="show", path=path, handler=book.show, audience="anybody")
    with pytest.raises(StartRefused, match=r"plugins\.guest-book: its door 'show'"):
        doors_of(with_pages(services, Pages(doors=(door,), templates=tmp_path)).plugins, DOORS)


async def test_no_two_plugins_have_one_door(services, book, tmp_path):
    twice = with_pages(with_pages(services, book.pages(tmp_path)), book.pages(tmp_path))
    with pytest.raises(StartRefused, match="stands where another one does"):
        doors_of(twice.plugins, DOORS)


async def test_a_failure_in_a_plugins_page_says_nothing_of_it(services, tmp_path):
    async def fail(asked):
        raise RuntimeError("the secret is 1234")

    pages = Pages(doors=(PageDoor(name="a", path=PUBLIC, handler=fail, audience="anybody"),), templates=tmp_path)
    async with running(with_pages(services, pages)) as one, one.client() as client:
        answer: httpx.Response = await client.get(PUBLIC)
        assert answer.status_code == 500
        assert "1234" not in answer.text
