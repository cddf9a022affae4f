"""The page on which a person lets a command line speak for them: nothing is approved unseen."""

import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pyotp
import pytest

from failgate.roster import Services
from failgate.web.csrf import form_token
from tests.web.conftest import OPERATOR, People, Running, cookies_of, session_of

WHERE = {"host": "ci-7", "address": "127.0.0.1", "user_agent": "failgate-client"}


@pytest.fixture
async def client(server: Running) -> AsyncIterator[httpx.AsyncClient]:
    async with server.client() as one:
        yield one


@pytest.fixture
async def browser(services: Services, people: People, client: httpx.AsyncClient) -> dict[str, str]:
    """Headers of a developer's browser whose second factor was just shown."""
    developer = people.accounts["developer"]
    await services.second_factors.issue(developer, OPERATOR)
    return {
        "cookie": cookies_of(await session_of(services, developer, is_proven=True)),
        "origin": str(client.base_url).rstrip("/"),
    }


def fields(browser: dict[str, str], **more: str) -> dict[str, str]:
    return {"csrf_token": form_token(token_in(browser))} | more


def token_in(browser: dict[str, str]) -> str:
    return browser["cookie"].partition(";")[0].partition("=")[2]


async def begun(services: Services, **changes: str) -> Any:
    return await services.device_login.begin("failgate-cli", **{**WHERE, **changes})


async def state_of(services: Services) -> str:
    [row] = await services.db.fetch("SELECT state FROM device_request")
    return str(row["state"])


async def test_a_stranger_is_asked_to_sign_in_and_comes_back(client: httpx.AsyncClient) -> None:
    answer = await client.get("/device")
    assert (answer.status_code, answer.headers["location"]) == (303, "/signin?next=/device")


async def test_a_second_factor_that_was_not_just_shown_is_asked_for(
    services: Services, people: People, client: httpx.AsyncClient
) -> None:
    developer = people.accounts["developer"]
    token = await session_of(services, developer)
    browser = {"cookie": cookies_of(token), "origin": str(client.base_url).rstrip("/")}
    codes = await begun(services)
    for method, path in (("GET", "/device"), ("POST", "/device"), ("POST", "/device/decision")):
        sent = fields(browser, user_code=codes.user_code, decision="approve", mine="yes") if method == "POST" else None
        answer = await client.request(method, path, data=sent, headers=browser)
        assert answer.status_code == 403, path
        assert "Set up a second factor" in answer.text
    assert await state_of(services) == "pending"
    secret = await services.second_factors.issue(developer, OPERATOR)
    assert pyotp.TOTP(secret).now()
    for method, path in (("GET", "/device"), ("POST", "/device"), ("POST", "/device/decision")):
        sent = fields(browser, user_code=codes.user_code, decision="approve", mine="yes") if method == "POST" else None
        answer = await client.request(method, path, data=sent, headers=browser)
        assert answer.status_code == 303, path
        assert "step-up" in answer.headers["location"]
    assert await state_of(services) == "pending"


async def test_a_link_neither_approves_nor_fills_in(services: Services, browser, client: httpx.AsyncClient) -> None:
    """RFC 8628 section 5.4: nothing is approved by opening an address."""
    codes = await begun(services)
    shown = f"{codes.user_code[:4]}-{codes.user_code[4:]}"
    for query in (f"user_code={shown}", f"user_code={codes.user_code}&decision=approve&mine=yes"):
        page = await client.get(f"/device?{query}", headers=browser)
        assert page.status_code == 200
        assert shown not in page.text
        assert codes.user_code not in page.text
    assert (await client.get("/device/decision?decision=approve", headers=browser)).status_code == 405
    assert await state_of(services) == "pending"


async def test_the_page_says_who_asks_and_what_nobody_verified(
    services: Services, browser, client: httpx.AsyncClient
) -> None:
    codes = await begun(services, host="<b>prod", address="198.51.100.7")
    page = (await client.post("/device", data=fields(browser, user_code=codes.user_code), headers=browser)).text
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))
    assert "&lt;b&gt;prod its own word, not verified" in text
    assert "198.51.100.7" in text
    assert "not yours" in text
    assert "another network than yours" in text
    assert "failgate-cli" in text
    assert "30 days" in text
    near = await begun(services)
    page = (await client.post("/device", data=fields(browser, user_code=near.user_code), headers=browser)).text
    assert "yours, too" in page


async def test_approving_takes_the_code_and_the_word_that_it_is_ones_own(
    services: Services, browser, client: httpx.AsyncClient
) -> None:
    codes = await begun(services)
    for sent in ({"mine": ""}, {"mine": "no"}, {}):
        data = fields(browser, user_code=codes.user_code, decision="approve", **sent)
        answer = await client.post("/device/decision", data=data, headers=browser)
        assert answer.status_code == 400
        assert await state_of(services) == "pending"
    data = fields(browser, user_code=codes.user_code, decision="maybe", mine="yes")
    assert (await client.post("/device/decision", data=data, headers=browser)).status_code == 400
    data = fields(browser, decision="approve", mine="yes")
    assert (await client.post("/device/decision", data=data, headers=browser)).status_code == 404
    assert await state_of(services) == "pending"
    data = fields(browser, user_code=codes.user_code, decision="approve", mine="yes")
    answer = await client.post("/device/decision", data=data, headers=browser)
    assert "The command line is signed in" in answer.text
    assert await state_of(services) == "approved"
    again = await client.post("/device/decision", data=data, headers=browser)
    assert again.status_code == 404


@pytest.mark.parametrize(
    "forged",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"csrf_token": "x"},
        {"csrf_token": ""},
    ],
    ids=str,
)
async def test_another_site_cannot_approve_in_ones_name(
    services: Services, browser, client: httpx.AsyncClient, forged: dict[str, str]
) -> None:
    """Login CSRF: the attacker's code, the victim's browser."""
    codes = await begun(services)
    token = {name: value for name, value in forged.items() if name == "csrf_token"}
    headers = browser | {name: value for name, value in forged.items() if name != "csrf_token"}
    for path in ("/device", "/device/decision"):
        data = fields(browser, user_code=codes.user_code, decision="approve", mine="yes") | token
        assert (await client.post(path, data=data, headers=headers)).status_code == 403
    assert await state_of(services) == "pending"


async def test_the_page_cannot_be_framed(browser, client: httpx.AsyncClient) -> None:
    page = await client.get("/device", headers=browser)
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert page.headers["x-frame-options"] == "DENY"


async def test_five_wrong_codes_end_the_guessing_of_a_session(
    services: Services, browser, client: httpx.AsyncClient
) -> None:
    codes = await begun(services)
    wrong = "BBBBBBBB" if codes.user_code != "BBBBBBBB" else "CCCCCCCC"
    statuses = [
        (await client.post("/device", data=fields(browser, user_code=wrong), headers=browser)).status_code
        for _ in range(6)
    ]
    assert statuses == [404] * 5 + [429]
    data = fields(browser, user_code=codes.user_code, decision="approve", mine="yes")
    assert (await client.post("/device/decision", data=data, headers=browser)).status_code == 429
    assert await state_of(services) == "pending"


async def test_a_login_is_listed_and_ended_by_its_person_alone(
    services: Services, people: People, browser, client: httpx.AsyncClient
) -> None:
    codes = await begun(services, host="build-host")
    data = fields(browser, user_code=codes.user_code, decision="approve", mine="yes")
    await client.post("/device/decision", data=data, headers=browser)
    await services.device_login.poll(codes.device_code, "failgate-cli", "127.0.0.1")
    page = await client.get("/account/logins", headers=browser)
    assert "build-host" in page.text
    found = re.search(r'action="(/account/logins/[^"]+/close)"', page.text)
    assert found is not None
    other = {
        "cookie": cookies_of(await session_of(services, people.accounts["owner"])),
        "origin": browser["origin"],
    }
    assert "build-host" not in (await client.get("/account/logins", headers=other)).text
    assert (await client.post(found[1], data=fields(other), headers=other)).status_code == 404
    assert (await client.post(found[1], data=fields(browser), headers=browser)).status_code == 303
    assert "build-host" not in (await client.get("/account/logins", headers=browser)).text


async def test_sessions_devices_and_logins_stand_on_one_page_and_end_from_there(
    services: Services, people: People, browser, client: httpx.AsyncClient
) -> None:
    codes = await begun(services, host="build-host", user_agent="failgate/1.2 (Linux)")
    data = fields(browser, user_code=codes.user_code, decision="approve", mine="yes")
    await client.post("/device/decision", data=data, headers=browser)
    await services.device_login.poll(codes.device_code, "failgate-cli", "127.0.0.1")
    session = await services.sessions.resolve(token_in(browser))
    assert session is not None
    await services.devices.trust(session, "The browser at home")
    page = (await client.get("/account/sessions", headers=browser)).text
    for text in ("build-host", "failgate-cli (failgate/1.2)", "127.0.0.1", "The browser at home", "this one"):
        assert text in page, text
    for kind, end in (("logins", "close"), ("devices", "revoke")):
        found = re.search(rf'action="(/account/{kind}/[^"]+/{end})"', page)
        assert found is not None
        ended = await client.post(found[1], data=fields(browser, next="/account/sessions"), headers=browser)
        assert (ended.status_code, ended.headers["location"]) == (303, "/account/sessions")
    page = (await client.get("/account/sessions", headers=browser)).text
    assert "build-host" not in page
    assert "The browser at home" not in page
