"""The agent's socket over a real server: ask, hear, use, tell. # E8 E12"""

import asyncio
import contextlib
import gc
import json

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from failgate.access.role import Role
from failgate.audit.record import Actor
from failgate.base.canonical import digest_of
from failgate.base.db import workspace_scope
from failgate.base.ids import new_id
from failgate.base.log import request_context
from failgate.gate.gate import Gate
from failgate.web.live.agent import _Agent
from failgate.web.request_log import _Answer
from failgate.web.socket_protocol import SocketProtocol
from failgate.wire.gate import Rule
from tests.web.conftest import OPERATOR, cookies_of, jar_of, session_of

ALLOWED = ["/usr/bin/true", "--allowed"]


def command(argv):
    return {"v": 1, "argv": argv, "cwd": "/src", "env": {}, "host": "builder", "nonce": new_id()}


class Agent:
    def __init__(self, socket):
        self.socket = socket

    async def say(self, frame):
        await self.socket.send(json.dumps(frame) if isinstance(frame, dict) else frame)

    async def hear(self):
        async with asyncio.timeout(5):
            return json.loads(await self.socket.recv())

    async def submit(self, argv, ref="r", **more):
        body = command(argv)
        await self.say({"type": "submit", "ref": ref, "command": body, "digest": digest_of(body), **more})
        return await self.hear(), digest_of(body)


@contextlib.asynccontextmanager
async def agent_at(server, token):
    url = f"ws://{server.host}:{server.port}/api/v1/agent"
    async with connect(url, additional_headers={"authorization": f"Bearer {token}"}, proxy=None) as socket:
        yield Agent(socket)


@pytest.fixture
async def agent(server, people):
    rule = Rule(kind="exact", effect="allow", argv=ALLOWED)
    await server.services.rules.create(OPERATOR, people.acme, rule)
    async with agent_at(server, people.agent) as one:
        yield one


async def test_an_allowed_command_is_answered_at_once_and_used_once(agent):
    answer, digest = await agent.submit(ALLOWED, ref=7)
    assert answer["type"] == "submitted"
    assert answer["ref"] == 7
    assert answer["state"] == "approved"
    assert answer["digest"] == answer["verdict"]["digest"] == digest
    assert answer["verdict"]["decision"] == "approve"
    await agent.say({"type": "consume", "ref": 8, "id": answer["id"], "digest": digest})
    assert await agent.hear() == {"type": "consumed", "ref": 8, "id": answer["id"], "state": "executed"}
    await agent.say({"type": "consume", "ref": 9, "id": answer["id"], "digest": digest})
    again = await agent.hear()
    assert again["type"] == "error"
    assert again["ref"] == 9
    assert again["problem"]["status"] == 409
    await agent.say(
        {"type": "outcome", "ref": 10, "id": answer["id"], "digest": digest, "exit_code": 3, "duration_ms": 12}
    )
    assert (await agent.hear())["type"] == "finished"


async def test_a_verdict_comes_when_a_person_decides(agent, server, people):
    answer, digest = await agent.submit(["/usr/bin/rm", "x"])
    assert answer["state"] == "pending"
    assert "verdict" not in answer
    token = await session_of(server.services, people.accounts["reviewer"], is_proven=True)
    await server.services.second_factors.issue(people.accounts["reviewer"], OPERATOR)
    token = await session_of(server.services, people.accounts["reviewer"], is_proven=True)
    async with server.client(cookies=jar_of(token), headers={"sec-fetch-site": "same-origin"}) as client:
        voted = await client.post(
            f"/api/v1/workspaces/acme/commands/{answer['id']}/votes", json={"decision": "deny", "digest": digest}
        )
    assert voted.status_code == 200, voted.text
    verdict = await agent.hear()
    assert verdict["type"] == "verdict"
    assert verdict["id"] == answer["id"]
    assert verdict["ref"] == "r"
    assert verdict["state"] == "denied"
    assert verdict["verdict"]["decision"] == "deny"


async def test_a_request_that_expires_is_told_too(agent):
    answer, _ = await agent.submit(["/usr/bin/rm", "x"], ttl_seconds=1)
    assert answer["state"] == "pending"
    told = await agent.hear()
    assert told["type"] == "verdict"
    assert told["state"] == "expired"


async def test_a_pending_command_can_be_withdrawn(agent):
    answer, _ = await agent.submit(["/usr/bin/rm", "x"])
    await agent.say({"type": "cancel", "ref": "c", "id": answer["id"]})
    heard = {one["type"]: one for one in (await agent.hear(), await agent.hear())}
    assert heard["cancelled"]["ref"] == "c"
    assert heard["verdict"]["state"] == "cancelled"


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        ("{", "not JSON"),
        ("[]", "JSON object"),
        ('{"type":"submit","type":"cancel","id":"x"}', "'type'"),
        ('{"type":"launch"}', "type"),
        ('{"type":"submit","ref":"a","command":{},"digest":1}', "digest"),
        ('{"type":"cancel","id":"x","stray":1}', "stray"),
        ('{"a":' + "[" * 20_000, "nested"),
    ],
)
async def test_a_malformed_frame_is_answered_and_the_socket_lives_on(agent, frame, words):
    await agent.say(frame)
    answer = await agent.hear()
    assert answer["type"] == "error"
    assert answer["problem"]["type"] == "urn:failgate:error:bad-input"
    assert words in answer["problem"]["detail"]
    assert (await agent.submit(ALLOWED))[0]["state"] == "approved"


async def test_a_foreign_digest_and_somebody_elses_command_change_nothing(agent, server, people):
    body = command(ALLOWED)
    await agent.say({"type": "submit", "ref": 1, "command": body, "digest": digest_of(command(ALLOWED))})
    assert (await agent.hear())["problem"]["status"] == 422
    await agent.say({"type": "consume", "ref": 2, "id": new_id(), "digest": "x"})
    missing = await agent.hear()
    assert missing["problem"]["status"] == 404
    mine, digest = await agent.submit(ALLOWED)
    other = await server.services.agents.create(people.acme, "other", people.accounts["owner"], OPERATOR)
    token = await server.services.tokens.mint("agt", other.id, people.acme, label="o", actor=OPERATOR)
    async with agent_at(server, token) as stranger:
        await stranger.say({"type": "consume", "ref": 2, "id": mine["id"], "digest": digest})
        assert await stranger.hear() == missing


async def test_a_revoked_token_ends_the_socket_at_once_and_nothing_more_is_done(agent, server, people):
    began = asyncio.get_running_loop().time()
    agents = await server.services.agents.list(people.acme)
    [token] = [one for one in await server.services.tokens.list_in(people.acme) if one.owner_id == agents[0].id]
    await server.services.tokens.revoke(token.id, OPERATOR)
    with pytest.raises(ConnectionClosed) as closed:
        await agent.hear()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4401
    assert asyncio.get_running_loop().time() - began < 1


async def test_only_a_bearer_token_opens_it(server, people):
    url = f"ws://{server.host}:{server.port}/api/v1/agent"
    cookie = {"cookie": cookies_of(await session_of(server.services, people.accounts["owner"]))}
    for headers in ({}, {"authorization": "Bearer fg_agt_wrong"}, cookie):
        with pytest.raises(InvalidStatus) as refused:
            await connect(url, additional_headers=headers, proxy=None).__aenter__()
        assert refused.value.response.status_code == 401
        assert json.loads(refused.value.response.body or b"")["type"] == "urn:failgate:error:not-signed-in"


async def test_a_socket_where_none_is_answers_404(server, people):
    with pytest.raises(InvalidStatus) as refused:
        await connect(f"ws://{server.host}:{server.port}/api/v1/nothing", proxy=None).__aenter__()
    assert refused.value.response.status_code in {400, 404}


async def test_binary_frames_end_the_socket(agent):
    await agent.socket.send(b"\x00")
    with pytest.raises(ConnectionClosed) as closed:
        await agent.hear()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1003


async def test_a_role_that_was_lost_refuses_the_next_frame(server, people):
    """MISSION B3: authorization is asked for again at each message, not at the handshake alone."""
    services, developer = server.services, people.accounts["developer"]
    key = await services.tokens.mint("usr", developer, people.acme, label="k", actor=OPERATOR)
    async with agent_at(server, key) as one:
        assert (await one.submit(["/usr/bin/rm", "x"]))[0]["state"] == "pending"
        by = Actor(t="user", id=people.accounts["owner"])
        await services.workspaces.change_role(people.acme, developer, Role.AUDITOR, by)
        body = command(["/usr/bin/rm", "y"])
        await one.say({"type": "submit", "ref": "late", "command": body, "digest": digest_of(body)})
        with pytest.raises(ConnectionClosed) as closed:
            await one.hear()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4401
    assert len(services.gate.pending(people.acme)) == 1


async def test_frames_that_come_at_once_are_answered_in_their_order(agent):
    frames = []
    for ref in range(40):
        body = command(ALLOWED if ref % 3 else ["/usr/bin/rm", str(ref)])
        frames.append(json.dumps({"type": "submit", "ref": ref, "command": body, "digest": digest_of(body)}))
        if ref % 5 == 0:
            frames.append(json.dumps({"type": "cancel", "ref": f"c{ref}", "id": "nothing"}))
    for frame in frames:
        await agent.say(frame)
    answers = [await agent.hear() for _ in frames]
    assert [answer["ref"] for answer in answers] == [json.loads(frame)["ref"] for frame in frames]
    assert {answer["type"] for answer in answers if isinstance(answer["ref"], int)} == {"submitted"}
    assert {answer["type"] for answer in answers if isinstance(answer["ref"], str)} == {"error"}


async def test_what_an_agent_asked_before_it_left_is_kept(agent, server, people):
    body = command(["/usr/bin/rm", "left"])
    await agent.say({"type": "submit", "ref": 1, "command": body, "digest": digest_of(body)})
    await agent.socket.close()
    async with asyncio.timeout(5):
        while not server.services.gate.pending(people.acme):
            await asyncio.sleep(0.01)
    (waiting,) = server.services.gate.pending(people.acme)
    assert waiting.digest == digest_of(body)


def alive(kind: type) -> list:
    gc.collect()
    return [one for one in gc.get_objects() if type(one) is kind]


async def test_a_socket_that_waits_holds_none_of_the_layers_that_it_came_through(agent):
    """Ten thousand may wait: see row 8 of the benchmarks."""
    answer, _ = await agent.submit(["/usr/bin/rm", "x"])
    assert answer["state"] == "pending"
    assert alive(_Answer) == []
    [protocol] = alive(SocketProtocol)
    assert protocol.scope == {}
    assert not hasattr(protocol, "request")


async def test_nothing_is_left_of_agents_that_went_while_they_waited(server, people):
    for _ in range(5):
        async with agent_at(server, people.agent) as agent:
            answer, _ = await agent.submit(["/usr/bin/rm", "x"])
            assert answer["state"] == "pending"
    async with asyncio.timeout(5):
        while len(alive(_Agent)) > 1 or len(alive(SocketProtocol)) > 1:  # the newest is held until the next commit
            await asyncio.sleep(0.01)


async def test_what_a_frame_leads_to_belongs_to_the_request_and_the_workspace_of_the_socket(agent, people, monkeypatch):
    seen = []
    ask = Gate.ask

    async def asked(gate, *given):
        seen.append((request_context.get(), workspace_scope.get()))
        await ask(gate, *given)

    monkeypatch.setattr(Gate, "ask", asked)
    for _ in range(2):
        await agent.submit(ALLOWED)
    first, second = seen
    assert first == second
    assert first[0].request_id
    assert first[1] == people.acme
