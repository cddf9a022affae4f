"""How often one address may knock at the doors of single sign-on (E23 E24): behind a proxy, the address of the browser."""

import asyncio

import httpx
import pytest

from failgate.accounts import throttle
from failgate.accounts.throttle import Limits
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
    assert await statuses(behind_proxy, 4, get("/sso/okta/start", FLOOD)) == [403, 403, 403, 429]
    assert await statuses(behind_proxy, 1, get("/sso/okta/start", OTHER)) == [403]


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
