"""A server whose log has to be cosigned: held while no witness answers, over real HTTP and on both databases. B10 P2"""

import asyncio
import logging
from pathlib import Path

import pytest

from failgate.administration.doctor import Doctor
from failgate.assembly import open_services
from failgate.audit.checkpoint import read_unverified
from failgate.base.canonical import digest_of
from failgate.config.load import load_config
from tests.handmade import verify
from tests.web.api.test_agents import person
from tests.web.api.test_gate import as_reviewer
from tests.web.conftest import OPERATOR, at_free_port, populate, running, with_optional_factor
from tests.web.live.test_agent import command
from tests.witnesses import Program

HERE = "/api/v1/workspaces/acme"


@pytest.fixture
def witness(tmp_path: Path):
    one = Program(tmp_path / "witness").start()
    yield one
    one.kill()


@pytest.fixture
async def server(tmp_path: Path, database_url: str, witness: Program, caplog):
    caplog.set_level(logging.CRITICAL)
    path = tmp_path / "failgate.toml"
    path.write_text(
        f'[server]\nallow_loopback = true\n[database]\nurl = "{database_url}"\n[gate]\nmax_ttl = "1h"\n'
        '[audit]\nrequire_witness_within = "1s"\n'
        f'[audit.witnesses.w1]\nurl = "{witness.url}"\nvkey = "{witness.vkey}"\n'
    )
    with at_free_port(with_optional_factor(load_config(path, {}))) as config:
        async with open_services(config, tmp_path / "data") as services:
            services.exporting.required._witness_within_seconds = 3600.0  # until everything is in place
            services.witnessing._longest_pause_seconds = 0.1
            witness.trust(await services.audit.vkey("system"))
            async with running(services) as one:
                yield one


async def until(condition):
    async with asyncio.timeout(30):
        while not await condition():
            await asyncio.sleep(0.02)


async def doctor_says(services):
    answer = await Doctor(services)._examine(Doctor(services).table()["doctor.examine"][0]())
    return [one for one in answer["checks"] if one["name"] == "audit witness"]


async def test_nothing_changes_without_a_cosigned_head_but_denials_and_it_recovers(server, witness, tmp_path):
    people, services = await populate(server.services), server.services
    agent, key = ({"authorization": f"Bearer {one}"} for one in (people.agent, people.key))
    await services.accounts.grant_platform_role(people.accounts["nobody"], OPERATOR)
    async with (
        server.client() as client,
        await as_reviewer(server, people) as reviewer,
        person(server, people, "nobody") as operator,
    ):

        async def submit(body):
            asked = {"command": body, "digest": digest_of(body), "ttl_seconds": 600}
            return await client.post(f"{HERE}/commands", json=asked, headers=agent)

        async def vote(number, body, decision):
            said = {"decision": decision, "digest": digest_of(body)}
            return await reviewer.post(f"{HERE}/commands/{number}/votes", json=said)

        async def cosigned():
            answer = await client.get(f"{HERE}/audit/checkpoint?cosigned=true", headers=key)
            size = read_unverified(answer.text).size if answer.status_code == 200 else -1
            return size == await services.audit.size(people.acme)

        first, second = command(["/bin/ls"]), command(["/bin/rm", "x"])
        ids = [(await submit(body)).json()["id"] for body in (first, second)]
        await until(cosigned)
        path = tmp_path / "note"
        path.write_text((await client.get(f"{HERE}/audit/checkpoint", headers=key)).text)
        wanted = ("policy", path, "--vkey", await services.audit.vkey(people.acme), "--witness", "1/1", witness.vkey)
        assert verify(*wanted)["exit_code"] == 0

        async def is_well():
            return [one["verdict"] for one in await doctor_says(services)] == ["ok"]

        await until(is_well)
        assert "up to date" in (await operator.get("/platform/exporters")).text

        witness.kill()
        services.exporting.required._witness_within_seconds = 1.0
        late = (await submit(command(["/bin/true"]))).status_code
        assert late == 201, "a second is not over yet"

        async def is_held():
            return services.exporting.required.is_unwitnessed

        await until(is_held)
        before = await services.audit.size(people.acme)
        refused = await submit(command(["/bin/cat"]))
        assert (refused.status_code, refused.json()["type"]) == (503, "urn:failgate:error:witnesses-behind")
        assert "nothing is changed until one does" in refused.json()["detail"]
        assert (await vote(ids[0], first, "approve")).status_code == 503
        assert await services.audit.size(people.acme) == before
        assert (await client.get(f"{HERE}/commands", headers=key)).status_code == 200
        denied = await vote(ids[1], second, "deny")
        assert (denied.status_code, denied.json()["state"]) == (200, "denied")
        ready = (await client.get("/readyz")).json()
        assert (ready["failing"], ready["warnings"]) == (["witnesses"], ["witness w1"])
        page = (await operator.get("/platform/exporters")).text
        assert "Nothing is changed until enough witnesses" in page
        assert "does not answer" in page
        said = await doctor_says(services)
        assert [one["verdict"] for one in said] == ["fail", "fail"]
        text = (await client.get("/metrics")).text
        assert 'failgate_audit_witness_failing{witness="w1"} 1.0' in text
        assert 'failgate_audit_witness_conflict{witness="w1"} 0.0' in text
        assert "failgate_audit_unwitnessed_seconds" in text

        witness.start()

        async def is_free():
            return not await is_held()

        await until(is_free)
        services.exporting.required._witness_within_seconds = 3600.0
        assert (await submit(command(["/bin/cat"]))).status_code == 201
        assert (await vote(ids[0], first, "approve")).json()["state"] == "approved"


async def test_without_a_witness_there_is_no_cosigned_checkpoint(server, witness):
    people = await populate(server.services)
    witness.kill()
    await server.services.witnessing.close()
    async with server.client() as client:
        key = {"authorization": f"Bearer {people.key}"}
        answer = await client.get(f"{HERE}/audit/checkpoint?cosigned=true", headers=key)
        assert answer.status_code in {200, 404}
        server.services.witnessing._book._of.clear()
        answer = await client.get(f"{HERE}/audit/checkpoint?cosigned=true", headers=key)
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
        assert (await client.get(f"{HERE}/audit/checkpoint?cosigned=x", headers=key)).status_code == 400
        assert (await client.get(f"{HERE}/audit/checkpoint", headers=key)).status_code == 200
