"""Links carry their token behind a `#`, which no browser sends: what `/link` does with it. ASVS 5.0 14.2.1."""

import contextlib
import re
from collections.abc import AsyncIterator

import httpx
import pytest

from failgate.access.role import Role
from failgate.accounts.letters import invitation_link, reset_link
from failgate.audit.record import Actor
from failgate.roster import Services
from tests.web.conftest import People, Running, running, with_server

OPERATOR = Actor(t="operator", id="host")
BASE = "https://gate.example"
NEW = "quite another long passphrase"


@pytest.fixture
async def strict(services: Services) -> AsyncIterator[Running]:
    """A server as it is without a word in its config."""
    async with running(with_server(services, tokens_in_addresses=False)) as one:
        yield one


def stranger(server: Running) -> httpx.AsyncClient:
    return server.client(headers={"accept": "text/html", "origin": server.origin})


async def opened(client: httpx.AsyncClient, given: str) -> httpx.Response:
    """Post what the page's script posts, or what a person pastes."""
    shown = await client.get("/link")
    csrf = re.search(r'name="csrf_token" value="([^"]+)"', shown.text)
    assert csrf is not None
    return await client.post("/link", data={"csrf_token": csrf[1], "token": given})


async def sent(client: httpx.AsyncClient, path: str, **fields: str) -> httpx.Response:
    """Fill in the form of the page `path` as it is shown, with its hidden fields."""
    shown = await client.get(path)
    action = re.findall(r'<form method="post" action="([^"]+)"', shown.text)[-1]
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', shown.text))
    return await client.post(action, data=hidden | fields)


async def test_a_link_for_another_password_works_and_stands_in_no_address(
    strict: Running, services: Services, people: People, capfd: pytest.CaptureFixture[str]
) -> None:
    _, token = await services.password_reset.mint(people.accounts["developer"], OPERATOR)
    assert reset_link(BASE, token) == f"{BASE}/link#{token}"
    async with stranger(strict) as client:
        answer = await opened(client, token)
        assert (answer.status_code, answer.headers["location"]) == (303, "/reset/new")
        [cookie] = answer.headers.get_list("set-cookie")
        assert re.fullmatch(rf"fg_link={token}; HttpOnly; Path=/; SameSite=Lax; Max-Age=1800", cookie), cookie
        assert "developer@" in (await client.get("/reset/new")).text
        done = await sent(client, "/reset/new", password=NEW)
        assert "Your password is changed" in done.text
        assert "fg_link" not in client.cookies
    assert token not in "".join(capfd.readouterr())


async def test_a_link_that_invites_works_for_a_new_account(strict: Running, services: Services, people: People) -> None:
    _, token = await services.invitations.create(people.acme, Role.DEVELOPER, OPERATOR)
    assert invitation_link(BASE, token) == f"{BASE}/link#{token}"
    async with stranger(strict) as client:
        assert (await opened(client, f"{BASE}/link#{token}")).headers["location"] == "/invite"
        page = await client.get("/invite")
        assert "Join Acme" in page.text
        assert 'href="/signin?next=/invite"' in page.text
        joined = await sent(client, "/invite", email="new@example.org", password=NEW)
        assert joined.status_code == 303, joined.text
        assert "fg_link" not in client.cookies


async def test_the_first_starts_link_sets_up(strict: Running, services: Services) -> None:
    token = await services.setup_links.mint()
    async with stranger(strict) as client:
        assert (await opened(client, f"setup.{token}")).headers["location"] == "/setup"
        done = await sent(
            client, "/setup", email="o@example.org", password=NEW, workspace="acme", workspace_name="Acme"
        )
        assert (done.status_code, done.headers["location"]) == (303, "/account/second-factor?next=/w/acme/queue")
        assert "fg_link" not in client.cookies


@pytest.mark.parametrize(
    "given",
    [
        "",
        "x",
        "no link at all",
        "fg_usr_" + "0" * 70,
        f"{BASE}/w/acme/queue",
        "javascript:alert(1)",
        "fg_inv_ü" * 8,
        "a" * 3000,
    ],
)
async def test_what_is_no_link_is_refused_with_the_mend_and_leaves_no_cookie(strict: Running, given: str) -> None:
    async with stranger(strict) as client:
        answer = await opened(client, given)
        assert answer.status_code == 400
        assert "Paste it whole" in answer.text
        assert "fg_link" not in client.cookies


async def test_a_token_that_opens_nothing_is_said_by_its_page(strict: Running) -> None:
    async with stranger(strict) as client:
        for given, place in (
            ("fg_inv_" + "0" * 70, "/invite"),
            ("fg_rst_" + "0" * 70, "/reset/new"),
            ("setup." + "0" * 43, "/setup"),
        ):
            assert (await opened(client, given)).headers["location"] == place
            assert (await client.get(place)).status_code == 404


async def test_a_token_in_an_address_opens_nothing_and_leads_to_where_the_link_is_pasted(
    strict: Running, services: Services, people: People
) -> None:
    _, token = await services.password_reset.mint(people.accounts["developer"], OPERATOR)
    async with stranger(strict) as client:
        for path in (
            f"/reset/new?token={token}",
            f"/invite?token={token}",
            f"/setup?token={token}",
            f"/signin/link?token={token}",
        ):
            answer = await client.get(path)
            assert (answer.status_code, answer.headers["location"]) == (303, "/link"), path
        old = await opened(client, f"{BASE}/reset/new?token={token}")
        assert old.headers["location"] == "/reset/new"
        assert "developer@" in (await client.get("/reset/new")).text


async def test_until_the_last_old_link_has_ended_the_config_takes_tokens_in_addresses(
    services: Services, people: People
) -> None:
    _, token = await services.password_reset.mint(people.accounts["developer"], OPERATOR)
    async with running(with_server(services, tokens_in_addresses=True)) as server, stranger(server) as client:
        assert "developer@" in (await client.get(f"/reset/new?token={token}")).text


async def test_a_preview_of_a_link_sees_no_token_and_uses_nothing_up(strict: Running) -> None:
    async with stranger(strict) as client:
        page = await client.get("/link")
        assert page.status_code == 200
        assert "link.js" in page.text
        with contextlib.suppress(KeyError):
            assert client.cookies["fg_link"] is None
