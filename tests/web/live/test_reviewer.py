"""The reviewers' socket over a real server. # B3"""

import asyncio
import contextlib
import json

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from failgate.access.role import Role
from failgate.accounts.session import SessionToken
from failgate.audit.record import Actor
from failgate.base.canonical import digest_of
from failgate.sso.connection import OidcSettings
from failgate.sso.draft import Draft
from failgate.wire.gate import Submission
from tests.pace import busy
from tests.web.conftest import OPERATOR, cookies_of, session_of


@contextlib.asynccontextmanager
async def watching(server, token, workspace="acme"):
    url = f"ws://{server.host}:{server.port}/api/v1/live?workspace={workspace}"
    headers = {"cookie": cookies_of(token)}
    async with connect(url, origin=server.origin, additional_headers=headers, proxy=None) as socket:
        yield socket


async def submit(server, people, workspace="acme"):
    services = server.services
    principal = await services.tokens.resolve(people.agent)
    body = {"v": 1, "argv": ["/usr/bin/rm", "x"], "cwd": "/", "env": {}, "host": "h"}
    return await services.gate.submit(principal, people.acme, Submission(command=body, digest=digest_of(body)))


async def hear(socket):
    async with asyncio.timeout(5):
        return json.loads(await socket.recv())


async def test_a_new_request_arrives_by_itself(server, people):
    token = await session_of(server.services, people.accounts["reviewer"])
    async with watching(server, token) as socket:
        view = await submit(server, people)
        event = await hear(socket)
    assert event["type"] == "command"
    assert event["event"] == "created"
    assert event["command"]["id"] == view.id


@pytest.mark.parametrize("workspace", ["other", "absent", "", "ACME", "acme&workspace=other"])
async def test_no_other_workspace_can_be_watched(server, people, workspace):
    token = await session_of(server.services, people.accounts["reviewer"])
    with pytest.raises(InvalidStatus) as refused:
        async with watching(server, token, workspace):
            pass
    assert refused.value.response.status_code == 404


async def test_without_a_session_it_is_401(server, people):
    with pytest.raises(InvalidStatus) as refused:
        async with watching(server, SessionToken.mint()):
            pass
    assert refused.value.response.status_code == 401


@pytest.mark.parametrize("how", ["signed out", "disabled", "password changed"])
async def test_it_closes_within_a_second_when_the_session_ends_and_nothing_comes_after(server, people, how):
    services, account = server.services, people.accounts["reviewer"]
    token, session = await services.sessions.open(account, "127.0.0.1", "t", ("pwd",))
    by = Actor(t="user", id=account)
    async with watching(server, token) as socket:
        began = asyncio.get_running_loop().time()
        if how == "signed out":
            await services.sessions.close(session)
        elif how == "disabled":
            await services.accounts.disable(account, by)
        else:
            await services.accounts.set_password(account, "another long phrase 99", by)
        await submit(server, people)
        with pytest.raises(ConnectionClosed) as closed:
            await hear(socket)
        assert asyncio.get_running_loop().time() - began < busy(1)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4401


async def test_a_lost_membership_ends_it_before_the_next_event(server, people):
    services, account = server.services, people.accounts["reviewer"]
    async with watching(server, await session_of(services, account)) as socket:
        await services.workspaces.remove_member(people.acme, account, Actor(t="user", id=people.accounts["owner"]))
        await submit(server, people)
        with pytest.raises(ConnectionClosed) as closed:
            await hear(socket)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4403


@pytest.mark.parametrize("how", ["removed", "demoted"])
async def test_a_lost_role_closes_it_at_once_though_nothing_happens(server, people, how):
    services, account = server.services, people.accounts["reviewer"]
    by = Actor(t="user", id=people.accounts["owner"])
    async with watching(server, await session_of(services, account)) as socket:
        if how == "removed":
            await services.workspaces.remove_member(people.acme, account, by)
        else:
            await services.workspaces.change_role(people.acme, account, Role.AGENT, by)
        with pytest.raises(ConnectionClosed) as closed:
            await hear(socket)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4403


async def test_it_closes_at_once_when_the_workspace_demands_its_provider(server, people):
    services, account, owner = server.services, people.accounts["reviewer"], people.accounts["owner"]
    draft = Draft("Ours", OidcSettings(issuer="https://id.example", client_id="failgate"))
    made = await services.sso.connections.create(people.acme, "ours", draft, OPERATOR)
    await services.db.write(
        lambda tx: services.sso.connections.note_test(tx, made, "passed", OPERATOR, has_passed=True)
    )
    await services.second_factors.issue(owner, OPERATOR)
    async with watching(server, await session_of(services, account)) as socket:
        await services.sso.enforcements.enforce(people.acme, owner, OPERATOR)
        async with asyncio.timeout(1):
            with pytest.raises(ConnectionClosed) as closed:
                await socket.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1013
    with pytest.raises(InvalidStatus) as refused:
        async with watching(server, await session_of(services, account)):
            pass
    assert refused.value.response.status_code == 403


async def test_another_role_that_may_watch_leaves_it_open(server, people):
    services, account = server.services, people.accounts["reviewer"]
    async with watching(server, await session_of(services, account)) as socket:
        by = Actor(t="user", id=people.accounts["owner"])
        await services.workspaces.change_role(people.acme, account, Role.DEVELOPER, by)
        view = await submit(server, people)
        assert (await hear(socket))["command"]["id"] == view.id


async def test_what_a_page_says_is_not_heard_and_too_much_of_it_ends_the_socket(server, people):
    token = await session_of(server.services, people.accounts["reviewer"])
    async with watching(server, token) as socket:
        await socket.send("{}")
        view = await submit(server, people)
        assert (await hear(socket))["command"]["id"] == view.id
        with pytest.raises(ConnectionClosed):
            for _ in range(200):
                await socket.send("x")
                await asyncio.sleep(0)
            await hear(socket)


async def test_one_session_holds_only_so_many_sockets(server, people):
    token = await session_of(server.services, people.accounts["reviewer"])
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(32):
            await stack.enter_async_context(watching(server, token))
        with pytest.raises(InvalidStatus) as refused:
            await stack.enter_async_context(watching(server, token))
    assert refused.value.response.status_code == 429
