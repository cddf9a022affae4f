"""A command through the API, from asking to the outcome. # E8 E12"""

import asyncio

import pytest

from failgate.accounts.token_text import token_id_of
from failgate.audit.record import Actor
from failgate.base.canonical import digest_of
from failgate.base.ids import new_id
from failgate.web.routes import API
from tests.pace import busy
from tests.web.conftest import OPERATOR, jar_of, running, session_of

WHERE = "/api/v1/workspaces/acme"


def submission(argv=("/usr/bin/rm", "x"), **more):
    body = {"v": 1, "argv": list(argv), "cwd": "/src", "env": {}, "host": "builder", "nonce": new_id()}
    return {"command": body, "digest": digest_of(body), **more}


def as_agent(server, people):
    return server.client(headers={"authorization": f"Bearer {people.agent}"})


async def as_reviewer(server, people):
    account = people.accounts["reviewer"]
    if not await server.services.second_factors.has(account):
        await server.services.second_factors.issue(account, OPERATOR)
    token = await session_of(server.services, account, is_proven=True)
    return server.client(cookies=jar_of(token), headers={"sec-fetch-site": "same-origin"})


async def test_a_command_goes_from_its_agent_to_a_person_and_back(server, people):
    async with as_agent(server, people) as agent, await as_reviewer(server, people) as reviewer:
        asked = await agent.post(f"{WHERE}/commands", json=submission(reason="clean up"))
        assert asked.status_code == 201
        view = asked.json()
        assert view["state"] == "pending"
        assert view["rendering"]
        waiting = asyncio.create_task(agent.get(f"{WHERE}/commands/{view['id']}?wait=30"))
        [listed] = (await reviewer.get(f"{WHERE}/commands?state=pending")).json()["items"]
        assert listed["id"] == view["id"]
        vote = {"decision": "approve", "digest": view["digest"]}
        assert (await reviewer.post(f"{WHERE}/commands/{view['id']}/votes", json=vote)).status_code == 200
        decided = (await waiting).json()
        assert decided["state"] == "approved"
        assert decided["verdict"]["digest"] == view["digest"]
        late = await reviewer.post(f"{WHERE}/commands/{view['id']}/votes", json=vote)
        assert late.status_code == 409
        assert late.json()["state"] == "approved"
        used = {"digest": view["digest"]}
        assert (await agent.post(f"{WHERE}/commands/{view['id']}/consume", json=used)).status_code == 200
        assert (await agent.post(f"{WHERE}/commands/{view['id']}/consume", json=used)).status_code == 409
        told = {"digest": view["digest"], "exit_code": 1, "duration_ms": 20}
        assert (await agent.post(f"{WHERE}/commands/{view['id']}/outcome", json=told)).json()["outcome"][
            "exit_code"
        ] == 1


async def test_a_vote_with_a_foreign_digest_changes_nothing(server, people):
    async with as_agent(server, people) as agent, await as_reviewer(server, people) as reviewer:
        view = (await agent.post(f"{WHERE}/commands", json=submission())).json()
        vote = {"decision": "approve", "digest": digest_of({})}
        assert (await reviewer.post(f"{WHERE}/commands/{view['id']}/votes", json=vote)).status_code in {409, 422}
        assert (await agent.get(f"{WHERE}/commands/{view['id']}")).json()["state"] == "pending"


async def test_the_same_idempotency_key_answers_the_first_command(server, people):
    async with as_agent(server, people) as agent:
        body = submission()
        first = await agent.post(f"{WHERE}/commands", json=body, headers={"idempotency-key": "k-1"})
        again = await agent.post(f"{WHERE}/commands", json=body, headers={"idempotency-key": "k-1"})
        other = await agent.post(f"{WHERE}/commands", json=submission(), headers={"idempotency-key": "k-1"})
    assert first.json()["id"] == again.json()["id"]
    assert other.status_code == 422


async def test_an_agent_sees_its_own_commands_only(server, people):
    services = server.services
    other = await services.agents.create(people.acme, "other", people.accounts["owner"], OPERATOR)
    token = await services.tokens.mint("agt", other.id, people.acme, label="o", actor=OPERATOR)
    async with (
        as_agent(server, people) as agent,
        server.client(headers={"authorization": f"Bearer {token}"}) as stranger,
    ):
        view = (await agent.post(f"{WHERE}/commands", json=submission())).json()
        seen = await stranger.get(f"{WHERE}/commands/{view['id']}")
        absent = await stranger.get(f"{WHERE}/commands/{new_id()}")
    assert seen.status_code == absent.status_code == 404
    assert seen.content == absent.content


async def test_a_command_of_another_workspace_is_absent(server, people):
    services = server.services
    key = await services.tokens.mint("usr", people.accounts["foreign"], people.other, label="k", actor=OPERATOR)
    async with as_agent(server, people) as agent, server.client(headers={"authorization": f"Bearer {key}"}) as stranger:
        view = (await agent.post(f"{WHERE}/commands", json=submission())).json()
        for door in API:
            if door.path.endswith("/commands/{id}"):
                path = door.path.replace("{workspace}", "other")
                foreign = await stranger.get(path.replace("{id}", view["id"]))
                absent = await stranger.get(path.replace("{id}", new_id()))
                assert foreign.status_code == absent.status_code == 404
                assert foreign.content == absent.content


async def test_hostile_commands_are_refused_with_a_clear_error(server, people):
    async with as_agent(server, people) as agent:
        for argv, status in ((["a\0b"], 422), (["x" * 100_000], 413), ([], 422), (["\ud800"], 422)):
            body = {"v": 1, "argv": argv, "cwd": "/", "env": {}, "host": "h"}
            import json

            content = json.dumps({"command": body, "digest": "A" * 43})
            answer = await agent.post(
                f"{WHERE}/commands", content=content, headers={"content-type": "application/json"}
            )
            assert answer.status_code == status, (argv[:1], answer.text[:300])
            assert answer.json()["detail"]


async def test_a_long_poll_is_woken_when_the_server_stops(services, people):
    async with running(services) as one, as_agent(one, people) as agent:
        view = (await agent.post(f"{WHERE}/commands", json=submission())).json()
        waiting = asyncio.create_task(agent.get(f"{WHERE}/commands/{view['id']}?wait=55"))
        await asyncio.sleep(0.2)
        assert await one.stop() < 1.0
        assert (await waiting).json()["state"] == "pending"


@pytest.mark.parametrize("how", ["token revoked", "key revoked", "removed"])
async def test_a_long_poll_ends_with_what_it_was_opened_by_and_tells_nothing_more(server, people, monkeypatch, how):
    """B3: it answers what stood, within the second; the verdict that comes then is not for who has left."""
    services, by = server.services, Actor(t="user", id=people.accounts["owner"])
    developer = people.accounts["developer"]
    key = await services.tokens.mint("usr", developer, people.acme, "poll", actor=by)
    token = people.agent if how == "token revoked" else key
    wait, waits = services.gate.wait, asyncio.Event()

    async def noted(*asked):
        waits.set()
        return await wait(*asked)

    monkeypatch.setattr(services.gate, "wait", noted)
    async with as_agent(server, people) as agent, await as_reviewer(server, people) as reviewer:
        view = (await agent.post(f"{WHERE}/commands", json=submission())).json()
        async with server.client(headers={"authorization": f"Bearer {token}"}) as leaver:
            waiting = asyncio.create_task(leaver.get(f"{WHERE}/commands/{view['id']}?wait=55", timeout=60))
            await waits.wait()
            began = asyncio.get_running_loop().time()
            if how == "removed":
                await services.workspaces.remove_member(people.acme, developer, by)
            else:
                await services.tokens.revoke(token_id_of(token), by)
            answer = await waiting
            assert asyncio.get_running_loop().time() - began < busy(1)
            assert (answer.status_code, answer.json()["state"]) == (200, "pending")
            vote = {"decision": "deny", "digest": view["digest"]}
            assert (await reviewer.post(f"{WHERE}/commands/{view['id']}/votes", json=vote)).status_code == 200
            again = await leaver.get(f"{WHERE}/commands/{view['id']}?wait=1")
            assert again.status_code == 401


async def test_owners_and_auditors_see_how_reviewers_decide_and_nobody_else(server, people):
    async with as_agent(server, people) as agent, await as_reviewer(server, people) as reviewer:
        for decision in ("approve", "deny"):
            view = (await agent.post(f"{WHERE}/commands", json=submission())).json()
            vote = {"decision": decision, "digest": view["digest"]}
            assert (await reviewer.post(f"{WHERE}/commands/{view['id']}/votes", json=vote)).status_code == 200
        assert (await reviewer.get(f"{WHERE}/reviewers")).status_code == 403
        assert "How they decide" not in (await reviewer.get("/w/acme/members")).text
    for role in ("owner", "auditor"):
        token = await session_of(server.services, people.accounts[role], is_proven=True)
        async with server.client(cookies=jar_of(token), headers={"sec-fetch-site": "same-origin"}) as client:
            said = (await client.get(f"{WHERE}/reviewers")).json()
            [one] = said["items"]
            shown = (one["account"], one["decided"], one["approved"], one["approved_percent"], one["is_stamp"])
            assert (said["days"], shown) == (30, (people.accounts["reviewer"], 2, 1, 50, False))
            page = (await client.get("/w/acme/members")).text
            assert "How they decide" in page
            assert "50 %" in page


async def test_explaining_submits_nothing(server, people):
    async with as_agent(server, people) as agent, await as_reviewer(server, people) as reviewer:
        body = submission()["command"]
        answer = await agent.post(f"{WHERE}/policy/explain", json={"command": body})
        assert answer.json()["decision"] in {"ask", "deny"}
        assert answer.json()["findings"]
        assert (await reviewer.get(f"{WHERE}/commands")).json()["items"] == []
