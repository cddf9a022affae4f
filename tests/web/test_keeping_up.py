"""While a required exporter is behind, over real HTTP and on both databases: nothing changes, denying goes on. B11"""

import asyncio
import contextlib
import json
import logging
import re
from pathlib import Path

import pytest
from failgate_jsonl import LinesFile

from failgate.assembly import open_services
from failgate.base.canonical import digest_of
from failgate.config.load import load_config
from failgate.web.keeping_up import must_keep_up
from failgate.web.routes import DOORS
from tests.web.api.test_gate import as_reviewer
from tests.web.conftest import (
    OPERATOR,
    at_free_port,
    cookies_of,
    jar_of,
    populate,
    running,
    session_of,
    with_optional_factor,
)
from tests.web.live.test_agent import agent_at, command

OPEN = """
commands.cancel commands.edit_trial commands.finish commands.vote policy.explain
oauth.device_authorization oauth.revoke oauth.token
operation.policy_report
page.login_close page.platform_exporter_resend page.platform_exporter_test page.platform_witnesses_try
page.session_close page.sessions_close
page.signin_find page.signin_options page.signin_passkey page.signin_password page.signin_prove page.signin_redeem
page.signout page.sso_acs page.sso_backchannel page.sso_go page.sso_logout_post page.step_up_options
page.step_up_passkey page.step_up_prove page.step_up_provider page.vote page.why_explain
recordings.end recordings.extend recordings.hear
scim.group_search scim.search scim.user_search
"""


def test_what_stays_open_is_pinned():
    """A new door that changes something is held, unless it stands here."""

    class Held:
        exporting = required = property(lambda self: self)

        def must_keep_up(self):
            raise LookupError

    found = set()
    for door in DOORS:
        with contextlib.suppress(LookupError):
            must_keep_up(door, Held())
            found.add(door.name)
    unsafe = {door.name for door in DOORS if not door.is_safe and door.method != "WS"}
    assert found & unsafe == set(OPEN.split())
    assert len(unsafe - found) > 80


@pytest.fixture
async def blocked(tmp_path: Path):
    """The exporter's file, held by another process as it were; released when the test says so."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    lines = LinesFile(folder / "audit.jsonl")
    await lines.prepare()
    yield lines
    await lines.close()


@pytest.fixture
async def server(tmp_path: Path, database_url: str, blocked: LinesFile, caplog):
    caplog.set_level(logging.CRITICAL)
    path = tmp_path / "failgate.toml"
    path.write_text(
        f'[database]\nurl = "{database_url}"\n[gate]\nmax_ttl = "1h"\n'
        '[audit]\nexporters = ["jsonl"]\nrequire = ["jsonl"]\nrequire_within = "1s"\n'
        f'[plugins.jsonl]\npath = "{blocked.path}"\n'
    )
    with at_free_port(with_optional_factor(load_config(path, {}))) as config:
        async with open_services(config, tmp_path / "data") as services:
            services.exporting.required._within_seconds = 3600.0  # until everything is in place
            async with running(services) as one:
                yield one


async def hold(server):
    server.services.exporting.required._within_seconds = 1.0
    await until(lambda: server.services.exporting.required.behind is not None)


async def until(condition):
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.02)


async def test_nothing_changes_but_denials_and_it_recovers_by_itself(server, blocked):
    people, services = await populate(server.services), server.services
    agent = {"authorization": f"Bearer {people.agent}"}
    key = {"authorization": f"Bearer {people.key}"}
    here, first, second = "/api/v1/workspaces/acme", command(["/bin/ls"]), command(["/bin/rm", "x"])
    async with server.client() as client, await as_reviewer(server, people) as reviewer:

        async def submit(body):
            asked = {"command": body, "digest": digest_of(body), "ttl_seconds": 600}
            return await client.post(f"{here}/commands", json=asked, headers=agent)

        async def vote(number, body, decision):
            said = {"decision": decision, "digest": digest_of(body)}
            return await reviewer.post(f"{here}/commands/{number}/votes", json=said)

        ids = [(await submit(body)).json()["id"] for body in (first, second)]
        await hold(server)
        before = await services.audit.size(people.acme)

        refused = await submit(command(["/bin/cat"]))
        assert refused.status_code == 503
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.headers["retry-after"] == "1"
        problem = refused.json()
        assert problem["type"].endswith("exporter-behind")
        assert problem["exporter"] == "jsonl"
        assert "does not reach jsonl" in problem["detail"]
        assert (await vote(ids[0], first, "approve")).status_code == 503
        await services.second_factors.issue(people.accounts["owner"], OPERATOR)
        owner = await session_of(services, people.accounts["owner"], is_proven=True)
        by = {"cookie": cookies_of(owner), "sec-fetch-site": "same-origin"}
        made = await client.post(f"{here}/agents", json={"name": "another"}, headers=by)
        assert (made.status_code, made.json().get("exporter")) == (503, "jsonl")
        assert (await client.post(f"{here}/commands", json={})).status_code == 401, "a stranger is told nothing"
        async with agent_at(server, people.agent) as socket:
            answer, _ = await socket.submit(["/bin/cat"])
            assert answer["type"] == "error"
            assert answer["problem"]["exporter"] == "jsonl"
            await socket.say({"type": "consume", "id": ids[0], "digest": digest_of(first), "ref": 1})
            assert (await socket.hear())["problem"]["exporter"] == "jsonl"
        assert await services.audit.size(people.acme) == before

        for path in (f"{here}/commands", f"{here}/commands/{ids[0]}", f"{here}/reports", "/healthz"):
            assert (await client.get(path, headers=key)).status_code == 200, path
        ready = await client.get("/readyz")
        assert (ready.status_code, ready.json()["failing"]) == (503, ["plugin jsonl", "exporter jsonl"])

        denied = await vote(ids[1], second, "deny")
        assert (denied.status_code, denied.json()["state"]) == (200, "denied")

        await blocked.close()
        await until(lambda: services.exporting.required.behind is None)
        assert (await submit(command(["/bin/cat"]))).status_code == 201
        assert (await vote(ids[0], first, "approve")).json()["state"] == "approved"
        assert (await client.get("/readyz")).json()["failing"] == []
    await until(lambda: b'"command.approved"' in blocked.path.read_bytes())
    lines = [json.loads(line) for line in blocked.path.read_text().splitlines()]
    assert lines[0]["log"] == "test", "and what it was required for is there"


async def test_a_page_denies_and_signs_in_and_says_why_it_does_nothing_else(server, people_of, blocked):
    people, services = people_of, server.services
    await services.second_factors.issue(people.accounts["reviewer"], OPERATOR)
    token = await session_of(services, people.accounts["reviewer"], is_proven=True)
    body = command(["/bin/ls"])
    async with server.client(cookies=jar_of(token)) as client:
        asked = {"command": body, "digest": digest_of(body), "ttl_seconds": 600}
        answer = await client.post(
            "/api/v1/workspaces/acme/commands", json=asked, headers={"authorization": f"Bearer {people.agent}"}
        )
        number = answer.json()["id"]
        await hold(server)
        page = await client.get("/w/acme/queue")
        form = {
            "csrf_token": re.search(r'name="csrf_token" value="([^"]+)"', page.text)[1],
            "digest": digest_of(body),
            "confirm": "ls",
        }
        origin = {"origin": server.origin}
        path = f"/w/acme/commands/{number}/votes"
        refused = await client.post(path, data={**form, "decision": "approve"}, headers=origin)
        assert refused.status_code == 503
        assert "does not reach jsonl" in refused.text
        denied = await client.post(path, data={**form, "decision": "deny"}, headers=origin)
        assert denied.status_code == 303
        assert (await client.get(f"/api/v1/workspaces/acme/commands/{number}")).json()["state"] == "denied"
        out = await client.post("/signout", data=form, headers=origin)
        assert out.status_code == 303


@pytest.fixture
async def people_of(server):
    return await populate(server.services)
