"""How many sockets and held answers one has: through real sockets, by whatever credentials. # B3"""

import asyncio
import contextlib
import re
from dataclasses import replace

import msgspec
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from failgate.access.principal import Principal
from failgate.audit.record import Actor
from failgate.base.errors import TooManyRequests
from failgate.config.model import LimitsSection
from failgate.web.live.shares import Shares
from tests.pace import busy
from tests.web.api.test_gate import WHERE, submission
from tests.web.conftest import Running, running, session_of
from tests.web.live.test_reviewer import submit, watching


@pytest.fixture
async def narrow(services):
    limits = msgspec.structs.replace(services.config.limits, sockets_per_person=3, sockets_per_agent=3)
    async with running(replace(services, config=replace(services.config, limits=limits))) as one:
        yield one


@contextlib.asynccontextmanager
async def speaking(server: Running, token: str):
    url = f"ws://{server.host}:{server.port}/api/v1/agent"
    async with connect(url, additional_headers={"authorization": f"Bearer {token}"}, proxy=None) as socket:
        yield socket


async def refused_total(server: Running, whose: str) -> float:
    async with server.client() as client:
        text = (await client.get("/metrics")).text
    found = re.search(rf'^failgate_sockets_refused_total{{whose="{whose}"}} (\S+)$', text, re.MULTILINE)
    return float(found[1]) if found else 0.0


async def test_a_person_has_so_many_sockets_by_all_their_sessions_and_keys(narrow, people):
    """SECURITY 2: at most so many for one user, not for one session."""
    account = people.accounts["reviewer"]
    key = await narrow.services.tokens.mint("usr", account, people.acme, "page", actor=Actor(t="user", id=account))
    tokens = [await session_of(narrow.services, account) for _ in range(4)]
    other = await session_of(narrow.services, people.accounts["owner"])
    async with contextlib.AsyncExitStack() as stack:
        for token in tokens[:2]:
            await stack.enter_async_context(watching(narrow, token))
        last = await stack.enter_async_context(contextlib.AsyncExitStack())
        await last.enter_async_context(watching(narrow, tokens[2]))
        with pytest.raises(InvalidStatus) as refused:
            await stack.enter_async_context(watching(narrow, tokens[3]))
        answer = refused.value.response
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "5")
        problem = msgspec.json.decode(answer.body)
        assert problem["type"] == "urn:failgate:error:too-many-requests"
        assert "This person has 3 sockets" in problem["detail"]
        async with narrow.client(headers={"authorization": f"Bearer {key}"}) as client:
            view = await submit(narrow, people)
            held = await client.get(f"{WHERE}/commands/{view.id}?wait=55")
        assert held.status_code == 429
        assert await refused_total(narrow, "person") == 2
        await stack.enter_async_context(watching(narrow, other))  # somebody else's are not counted
        await last.aclose()
        async with asyncio.timeout(busy(5)):  # who leaves makes room, as soon as the server has heard of it
            while True:
                try:
                    await stack.enter_async_context(watching(narrow, tokens[3]))
                except InvalidStatus:
                    continue
                break


async def test_an_agent_has_so_many_sockets_and_held_answers_by_all_its_tokens(narrow, people, monkeypatch):
    """SECURITY 2: at most so many for one principal; a refusal is 429, and what was asked is kept."""
    services, by = narrow.services, Actor(t="user", id=people.accounts["owner"])
    [agent] = await services.agents.list(people.acme)
    second = await services.tokens.mint("agt", agent.id, people.acme, "second", actor=by)
    wait, waits = services.gate.wait, asyncio.Event()

    async def noted(*asked):
        waits.set()
        return await wait(*asked)

    monkeypatch.setattr(services.gate, "wait", noted)
    async with contextlib.AsyncExitStack() as stack:
        client = await stack.enter_async_context(narrow.client(headers={"authorization": f"Bearer {second}"}))
        view = (await client.post(f"{WHERE}/commands", json=submission())).json()
        where = f"{WHERE}/commands/{view['id']}"
        for token in (people.agent, second):
            await stack.enter_async_context(speaking(narrow, token))
        waiting = asyncio.create_task(client.get(f"{where}?wait=55"))
        await waits.wait()
        refused = await client.get(f"{where}?wait=1")
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "5")
        assert refused.json()["type"] == "urn:failgate:error:too-many-requests"
        for token in (people.agent, second):
            with pytest.raises(InvalidStatus) as knocked:
                await stack.enter_async_context(speaking(narrow, token))
            assert knocked.value.response.status_code == 429
        assert (await client.get(where)).json()["state"] == "pending"  # nothing is held for that
        asked = await client.post(f"{WHERE}/commands?wait=55", json=submission())
        assert (asked.status_code, asked.json()["state"]) == (201, "pending")  # kept, and answered at once
        assert await refused_total(narrow, "agent") == 4
        assert (await client.post(f"{where}/cancel")).json()["state"] == "cancelled"
        assert (await waiting).json()["state"] == "cancelled"
        await stack.enter_async_context(speaking(narrow, second))  # the answer that was held has made room


async def test_a_socket_that_is_refused_counts_nothing(narrow, people):
    token = await session_of(narrow.services, people.accounts["reviewer"])
    for _ in range(8):
        with pytest.raises(InvalidStatus) as refused:
            async with watching(narrow, token, "absent"):
                pass
        assert refused.value.response.status_code == 404
    async with watching(narrow, token), watching(narrow, token), watching(narrow, token):
        pass


def test_each_is_counted_under_their_own_name():
    told: list[str] = []
    shares = Shares(LimitsSection(sockets_per_person=1, sockets_per_agent=2), told.append)
    person, agent = Principal("user", account_id="p"), Principal("agent", agent_id="a", owner_account_id="p")
    assert shares.take(person) == "p"
    assert [shares.take(agent), shares.take(agent)] == ["a", "a"]
    for one in (person, agent):
        with pytest.raises(TooManyRequests):
            shares.take(one)
    assert told == ["person", "agent"]
    shares.give_back("p")
    assert shares.take(person) == "p"
    assert shares.take(Principal("anonymous")) is None
