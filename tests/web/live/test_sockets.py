"""A hundred pages of one person: whatever ends their sessions or their role reaches all of them, and nothing slips by. # B3"""

import asyncio
import contextlib

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from failgate.access.role import Role
from failgate.accounts.token_text import token_id_of
from failgate.audit.record import Actor
from tests.web.conftest import cookies_of, session_of
from tests.web.live.test_reviewer import submit


async def until_closed(socket, frames: list[float]) -> float:
    loop = asyncio.get_running_loop()
    with contextlib.suppress(ConnectionClosed):
        async for _ in socket:
            frames.append(loop.time())
    return loop.time()


@pytest.mark.parametrize("change", ["password", "disabled", "demoted", "removed", "factor reset"])
async def test_a_hundred_sockets_are_closed_within_a_second_and_hear_nothing_more(server, people, change):
    services, account = server.services, people.accounts["reviewer"]
    by = Actor(t="user", id=people.accounts["owner"])
    await services.second_factors.issue(account, by)
    url = f"ws://{server.host}:{server.port}/api/v1/live?workspace=acme"
    frames: list[float] = []
    async with contextlib.AsyncExitStack() as stack:
        reading = []
        for _ in range(4):
            headers = {"cookie": cookies_of(await session_of(services, account, is_proven=True))}
            for _ in range(25):
                how = connect(url, origin=server.origin, additional_headers=headers, proxy=None)
                socket = await stack.enter_async_context(how)
                reading.append(asyncio.create_task(until_closed(socket, frames)))
        await submit(server, people)
        async with asyncio.timeout(10):
            while len(frames) < 100:
                await asyncio.sleep(0)
        match change:
            case "password":
                await services.accounts.set_password(account, "quite another long passphrase", by)
            case "disabled":
                await services.accounts.disable(account, by)
            case "demoted":
                await services.workspaces.change_role(people.acme, account, Role.AGENT, by)
            case "removed":
                await services.workspaces.remove_member(people.acme, account, by)
            case _:
                await services.second_factors.reset(account, by, "met")
        since = asyncio.get_running_loop().time()
        await submit(server, people)
        async with asyncio.timeout(5):
            closed = await asyncio.gather(*reading)
    assert len(closed) == 100
    assert max(closed) - since < 1
    assert len(frames) == 100


def during_the_handshake(services, monkeypatch, end):
    """Have `end` done once, after it was looked at who knocks and before the socket stands."""
    entry, done = services.sso.enforcements.entry, []

    async def slow(*asked):
        found = await entry(*asked)
        if not done:
            done.append(True)
            await end()
        return found

    monkeypatch.setattr(services.sso.enforcements, "entry", slow)


@pytest.mark.parametrize("how", ["account disabled", "signed out", "token revoked", "agent disabled"])
async def test_what_ends_while_a_socket_is_opened_opens_none(server, people, monkeypatch, how):
    """Who is let in and ends in the next moment would be heard by nobody any more."""
    services, account = server.services, people.accounts["reviewer"]
    by = Actor(t="user", id=people.accounts["owner"])
    [agent] = await services.agents.list(people.acme)
    token, session = await services.sessions.open(account, "127.0.0.1", "t", ("pwd",))
    url = f"ws://{server.host}:{server.port}/api/v1/"
    if how in {"account disabled", "signed out"}:
        knock = {"uri": f"{url}live?workspace=acme", "additional_headers": {"cookie": cookies_of(token)}}
    else:
        knock = {"uri": f"{url}agent", "additional_headers": {"authorization": f"Bearer {people.agent}"}}

    async def end():
        match how:
            case "account disabled":
                await services.accounts.disable(account, by)
            case "signed out":
                await services.sessions.close(session)
            case "token revoked":
                await services.tokens.revoke(token_id_of(people.agent), by)
            case _:
                await services.agents.disable(people.acme, agent.id, by)

    during_the_handshake(services, monkeypatch, end)
    with pytest.raises(InvalidStatus) as refused:
        async with connect(**knock, origin=server.origin, proxy=None):
            pass
    assert refused.value.response.status_code == 401
