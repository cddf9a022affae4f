"""How often one address may knock at the doors of single sign-on (E23 E24): behind a proxy, the address of the browser."""

import asyncio
import re

import httpx
import pytest

from failgate.accounts import throttle
from failgate.accounts.throttle import Limits
from tests.journeys.team import CLICKED
from tests.web.conftest import Running, running, with_server
from tests.web.scim.conftest import connect

FLOOD, OTHER = {"x-forwarded-for": "198.51.100.7"}, {"x-forwarded-for": "198.51.100.8"}


@pytest.fixture
async def behind_proxy(services, people, monkeypatch):
    for name in ("DEPARTURE_FROM_ADDRESS", "WRONG_ANSWER_FROM_ADDRESS"):
        monkeypatch.setattr(throttle, name, Limits(most=3, window_seconds=60))
    async with running(with_server(services, trusted_proxies=("127.0.0.1",))) as one:
        await connect(one, people.acme, "okta", "[]", "acme.example")
        yield one


async def statuses(one: Running, times: int, ask) -> list[int]:
    async with one.client(headers={"accept": "text/html"}) as client:
        return [(await ask(client)).status_code for _ in range(times)]


def post(path: str, headers: dict[str, str], fields: dict[str, str]):
    async def ask(client: httpx.AsyncClient) -> httpx.Response:
        return await client.post(path, data=fields, headers=headers)

    return ask


def get(path: str, headers: dict[str, str]):
    async def ask(client: httpx.AsyncClient) -> httpx.Response:
        return await client.get(path, headers=headers)

    return ask


ANSWERS = [
    lambda headers: post("/sso/okta/acs", headers, {"SAMLResponse": "PGEvPg==", "RelayState": "x"}),
    lambda headers: post("/sso/okta/logout", headers, {"SAMLRequest": "PGEvPg=="}),
    lambda headers: get("/sso/okta/logout?SAMLRequest=x", headers),
]


@pytest.mark.parametrize("answer", ANSWERS)
async def test_wrong_answers_of_one_address_are_bounded_and_lock_nobody_else_out(behind_proxy, answer):
    assert await statuses(behind_proxy, 5, answer(FLOOD)) == [403, 403, 403, 429, 429]
    assert await statuses(behind_proxy, 1, answer(OTHER)) == [403]


async def test_departures_of_one_address_are_bounded_and_lock_nobody_else_out(behind_proxy):
    """This provider has no certificate, so that none of them gets further than being counted."""
    assert await statuses(behind_proxy, 4, get("/sso/okta/start", FLOOD | CLICKED)) == [403, 403, 403, 429]
    assert await statuses(behind_proxy, 1, get("/sso/okta/start", OTHER | CLICKED)) == [403]


async def test_who_is_refused_reads_when_to_come_back_and_the_log_says_why(behind_proxy):
    async with behind_proxy.client(headers={"accept": "text/html"} | FLOOD) as client:
        answers = await asyncio.gather(*(client.post("/sso/okta/acs", data={"SAMLResponse": "x"}) for _ in range(6)))
    refused = [each for each in answers if each.status_code == 429]
    assert len(refused) == 3
    for each in refused:
        assert 1 <= int(each.headers["retry-after"]) <= 61
        assert "too many" in each.text.lower()
        assert each.headers["content-type"].startswith("text/html")
    [workspace] = [one.id for one in [await behind_proxy.services.workspaces.by_slug("acme")] if one]
    records = await behind_proxy.services.audit.newest(workspace, limit=50)
    reasons = [each.record["data"]["reason"] for each in records if each.record["act"] == "sso.refused"]
    assert reasons.count("throttled") == 3


ELSEWHERE = [
    {},
    {"sec-fetch-site": "cross-site", "sec-fetch-user": "?1"},
    {"sec-fetch-site": "same-site", "sec-fetch-user": "?1"},
    {"sec-fetch-site": "none", "sec-fetch-user": "?1"},  # a bookmark, or a link in a letter
    {"sec-fetch-site": "same-origin"},  # a redirect, a picture, a script
]


async def departures(one: Running) -> int:
    """How often it was tried to leave for a provider that has no certificate."""
    workspace = await one.services.workspaces.by_slug("acme")
    assert workspace is not None
    records = [each.record for each in await one.services.audit.newest(workspace.id, limit=50)]
    return sum(each["act"] == "sso.refused" and each["data"]["reason"] == "no_certificate" for each in records)


@pytest.mark.parametrize("headers", ELSEWHERE)
async def test_nobody_leaves_for_a_provider_without_a_word_of_theirs(behind_proxy, headers):
    """A provider that remembers the person signs them in at once: whoever links here would sign them in. ASVS 7.6.2."""
    async with behind_proxy.client(headers={"accept": "text/html"} | headers) as client:
        for _ in range(5):  # which is nothing that counts as a departure
            asked = await client.get("/sso/okta/start?next=/w/acme/queue")
        assert asked.status_code == 200
        assert "location" not in asked.headers
        assert "okta.example" not in asked.text
        assert 'action="/sso/okta/start"' in asked.text
        assert 'name="next" value="/w/acme/queue"' in asked.text
        token = re.search(r'name="csrf_token" value="([^"]+)"', asked.text)
        assert token is not None
        form = {"next": "/w/acme/queue", "csrf_token": token[1]}
        same = {"origin": behind_proxy.origin, "sec-fetch-site": "same-origin"}
        # That provider has no certificate: the departure is refused, and it was one.
        assert (await client.post("/sso/okta/start", data=form, headers=same)).status_code == 403
        assert await departures(behind_proxy) == 1
        for forged in ({"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example", "sec-fetch-site": ""}):
            refused = await client.post("/sso/okta/start", data=form, headers=same | forged)
            assert refused.status_code == 403
        assert (await client.post("/sso/okta/start", data={"next": "/"}, headers=same)).status_code == 403
        assert await departures(behind_proxy) == 1
        assert (await client.get("/sso/nothing/start")).status_code == 404
        assert (await client.get("/sso/okta/start?next=//evil.example")).text.count("evil.example") == 0
