"""A hundred pages of one person: whatever ends their sessions or their role reaches all of them. # B3"""

import asyncio
import contextlib

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from failgate.access.role import Role
from failgate.audit.record import Actor
from tests.web.conftest import session_of
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
            headers = {"cookie": f"fg_session={await session_of(services, account, is_proven=True)}"}
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
                await services.second_factors.reset(account, by)
        since = asyncio.get_running_loop().time()
        await submit(server, people)
        async with asyncio.timeout(5):
            closed = await asyncio.gather(*reading)
    assert len(closed) == 100
    assert max(closed) - since < 1
    assert len(frames) == 100
