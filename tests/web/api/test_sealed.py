"""End-to-end mode through its doors, with the plugin that the config names (E10 E15)."""

import asyncio
import contextlib
import json

import pytest

from failgate.assembly import open_services
from failgate.base.canonical import base64url
from failgate.base.clock import MICROSECONDS
from failgate.base.ids import new_id
from failgate.config.load import load_config
from failgate.sealed.receipt import Receipt, sign_receipt
from failgate.sealed.rules import Run, sign_run
from tests.relay.parties import MARKER, Reviewer, Sealed
from tests.relay.test_rules import signed
from tests.web.api.test_gate import WHERE, as_agent, as_reviewer, submission
from tests.web.api.test_idempotency import ask_twice
from tests.web.conftest import at_free_port, session_of, with_optional_factor
from tests.web.live.test_agent import agent_at


@pytest.fixture
async def services(migrated_data, on_database, tmp_path):
    file = tmp_path / "relay.toml"
    file.write_text('[gate]\nrelay = "e2ee"\n')
    with at_free_port(on_database(with_optional_factor(load_config(file, {})))) as config:
        async with open_services(config, migrated_data) as opened:
            yield opened


@contextlib.asynccontextmanager
async def as_owner(server, people):
    async with server.client(headers={"authorization": f"Bearer {people.key}"}) as client:
        yield client


def device_key(who: Reviewer, purpose: str) -> dict:
    if purpose == "opening":
        return {"purpose": purpose, "jwk": who.opening.public_jwk(), "label": "laptop"}
    return {"purpose": purpose, "jwk": who.signing.public_jwk(), "label": "laptop", "class": "native"}


SOMEBODY = Reviewer("nobody")
PASSKEY = {"class": "webauthn", "rp": "gate.example", "origins": ["https://gate.example"]}


async def sealed(server, people, *, twice: bool = False) -> Sealed:
    """Enrol keys and seal the workspace, all through its doors."""
    ann = Reviewer(people.accounts["reviewer"])
    made = Sealed(people.acme, [ann], server.services.clock.now_us() // MICROSECONDS)
    async with as_agent(server, people) as agent, await as_reviewer(server, people) as reviewer:
        async with as_owner(server, people) as owner:
            asking = {"jwk": made.agent.public_jwk(), "label": "vault-host"}
            keys = [device_key(ann, purpose) for purpose in ("opening", "deciding")]
            manifest = {"manifest": made.next(), "policies": [made.policy]}
            told = (
                (reviewer, "device-keys", keys[0]),
                (reviewer, "device-keys", keys[1]),
                (agent, "agent-keys", asking),
                (owner, "key-manifests", manifest),
            )
            for client, path, body in told:
                if twice and body is not keys[1]:  # the same key at the same door
                    other = {**body, "label": "other"} if "label" in body else {**body, "policies": []}
                    assert (await ask_twice(client, f"{WHERE}/{path}", body, other)).status_code == 201
                else:
                    answer = await client.post(f"{WHERE}/{path}", json=body)
                    assert answer.status_code == 201, answer.text
    return made


async def test_a_sealed_command_goes_from_its_agent_to_a_person_and_back(server, people):
    made = await sealed(server, people, twice=True)
    [ann] = made.people
    body, ctx = made.asked()
    async with as_agent(server, people) as agent, await as_reviewer(server, people) as reviewer:
        other = {"sealed": made.asked()[0]}
        asked = await ask_twice(agent, f"{WHERE}/sealed-commands", {"sealed": body}, other)
        assert (asked.status_code, asked.json()["id"], asked.json()["state"]) == (201, ctx.cid, "pending")
        route = f"{WHERE}/sealed-commands/{ctx.cid}"
        waiting = asyncio.create_task(agent.get(f"{route}?wait=30"))
        [listed] = (await reviewer.get(f"{WHERE}/sealed-commands")).json()["items"]
        assert (listed["id"], listed["sealed"]) == (ctx.cid, None)
        assert (await reviewer.get(route)).json()["sealed"] == body
        decision = {"decision": made.decided(ann, ctx)}
        decided = await ask_twice(reviewer, f"{route}/decisions", decision, {"decision": made.decided(ann, ctx)})
        assert decided.json()["state"] == "approved"
        assert (await waiting).json()["decisions"] == [decision["decision"]]
        late = await reviewer.post(f"{route}/decisions", json={"decision": made.decided(ann, ctx)})
        assert (late.status_code, late.json()["state"]) == (409, "approved")
        receipt = sign_receipt(Receipt(made.now, made.now, 0, base64url(bytes(32))), ctx, made.agent)
        finished = await ask_twice(agent, f"{route}/receipt", {"receipt": receipt}, {"receipt": "x"})
        assert (finished.json()["state"], finished.json()["receipt"]) == ("executed", receipt)


async def test_a_sealed_command_is_withdrawn_by_its_agent_alone_and_once(server, people):
    made = await sealed(server, people)
    [ann] = made.people
    async with as_agent(server, people) as agent, await as_reviewer(server, people) as reviewer:
        (body, ctx), (_, other) = made.asked(), made.asked()
        assert (await agent.post(f"{WHERE}/sealed-commands", json={"sealed": body})).status_code == 201
        route = f"{WHERE}/sealed-commands/{ctx.cid}"
        assert (await reviewer.post(f"{route}/cancel")).status_code in {403, 404}
        assert (await agent.post(f"{WHERE}/sealed-commands/{other.cid}/cancel")).status_code == 404
        first, again = [await agent.post(f"{route}/cancel", headers={"idempotency-key": "one"}) for _ in range(2)]
        assert (first.status_code, first.json()["state"], again.json()) == (200, "cancelled", first.json())
        late = await reviewer.post(f"{route}/decisions", json={"decision": made.decided(ann, ctx)})
        assert (late.status_code, late.json()["state"]) == (409, "cancelled")
        assert "withdrew" in late.json()["detail"]


async def test_signed_rules_go_to_agents_and_what_ran_by_them_comes_back(server, people):
    made = await sealed(server, people)
    async with as_agent(server, people) as agent, as_owner(server, people) as owner:
        assert (await agent.get(f"{WHERE}/key-manifests")).json()["rules"] is None
        head = signed(made)
        assert (await agent.post(f"{WHERE}/sealed-rules", json={"rules": head})).status_code == 403
        answer = await ask_twice(owner, f"{WHERE}/sealed-rules", {"rules": head}, {"rules": signed(made, epoch=2)})
        assert (answer.status_code, answer.json()["epoch"]) == (201, 1)
        assert (await agent.get(f"{WHERE}/key-manifests?after=1")).json()["rules"] == head
        receipt = Receipt(made.now, made.now, 7, base64url(bytes(32)))
        run = Run(new_id(), answer.json()["digest"], base64url(bytes(32)), receipt)
        token = sign_run(run, people.acme, made.agent)
        told = await ask_twice(agent, f"{WHERE}/sealed-runs", {"run": token}, {"run": "x"})
        assert (told.status_code, told.json()["exit_code"]) == (201, 7)
        async with await as_reviewer(server, people) as reviewer:
            assert (await reviewer.get(f"{WHERE}/sealed-runs")).json()["items"] == [told.json()]


async def test_a_sealed_workspace_takes_nothing_in_the_clear_by_any_door(server, people):
    async with as_agent(server, people) as agent:
        assert (await agent.post(f"{WHERE}/commands", json=submission())).status_code == 201
        early = Sealed(people.acme, [Reviewer(people.accounts["reviewer"])], 0)
        early.epoch = 1
        refused = await agent.post(f"{WHERE}/sealed-commands", json={"sealed": early.asked()[0]})
        assert (refused.status_code, refused.json()["detail"]) == (409, "This workspace is not sealed.")
        await sealed(server, people)
        clear = submission((MARKER, "x"))
        for path, body in (("commands", clear), ("policy/explain", {"command": clear["command"]})):
            refused = await agent.post(f"{WHERE}/{path}", json=body)
            assert (refused.status_code, "sealed" in refused.json()["detail"]) == (409, True)
    async with agent_at(server, people.agent) as socket:
        answer, _ = await socket.submit([MARKER])
        assert "sealed" in json.dumps(answer)
        assert answer["type"] != "verdict"
    rows = await server.services.db.fetch("SELECT * FROM gate_command")
    assert MARKER not in repr([dict(row) for row in rows])


async def test_agents_are_given_the_chain_the_keys_and_the_policies(server, people):
    made = await sealed(server, people)
    [ann] = made.people
    async with as_agent(server, people) as agent, as_owner(server, people) as owner:
        first = (await agent.get(f"{WHERE}/key-manifests")).json()
        assert (len(first["items"]), first["policies"], first["next"]) == (1, [made.policy], None)
        named = [ann.opening.public_jwk(), ann.signing.public_jwk(), made.agent.public_jwk()]
        assert sorted(map(str, first["keys"])) == sorted(map(str, named))
        second = made.next()
        body = {"manifest": second, "policies": [made.policy]}
        assert (await owner.post(f"{WHERE}/key-manifests", json=body)).status_code == 201
        assert (await agent.get(f"{WHERE}/key-manifests?after=1")).json()["items"] == [second]


async def test_keys_are_listed_and_revoked_by_their_person_or_by_who_manages_members(server, people):
    made = await sealed(server, people)
    async with as_owner(server, people) as owner, await as_reviewer(server, people) as reviewer:
        async with as_agent(server, people) as agent:
            listed = (await reviewer.get(f"{WHERE}/device-keys")).json()["items"]
            by_purpose = {one["purpose"]: one for one in listed}
            assert by_purpose["asking"]["jkt"] == made.agent.jkt
            assert by_purpose["deciding"]["account"] == people.accounts["reviewer"]
            assert (await agent.get(f"{WHERE}/device-keys")).status_code == 403
            asking, own = by_purpose["asking"]["id"], by_purpose["opening"]["id"]
            assert (await reviewer.delete(f"{WHERE}/device-keys/{asking}")).status_code == 404
            assert (await reviewer.delete(f"{WHERE}/agent-keys/{asking}")).status_code == 403
            assert (await owner.delete(f"{WHERE}/agent-keys/{asking}")).status_code == 204
            assert (await reviewer.delete(f"{WHERE}/device-keys/{own}")).status_code == 204
            assert (await owner.post(f"{WHERE}/device-keys", json=device_key(made.people[0], "opening"))).is_error
            refused = await owner.post(f"{WHERE}/agent-keys", json={"jwk": {}, "label": "x"})
            assert (refused.status_code, "itself" in refused.json()["detail"]) == (403, True)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("device-keys", {"purpose": "opening", "jwk": {}, "label": "x"}),
        ("device-keys", {"purpose": "deciding", "jwk": {"kty": "EC"}, "label": "x", "class": "native"}),
        ("device-keys", {"purpose": "deciding", "jwk": {}, "label": "x"}),
        ("device-keys", device_key(SOMEBODY, "deciding") | {"label": "x\0y"}),
        ("device-keys", device_key(SOMEBODY, "deciding") | PASSKEY | {"rp": "x\0y"}),
        ("device-keys", device_key(SOMEBODY, "deciding") | PASSKEY | {"origins": ["https://x\0y"]}),
        ("device-keys", device_key(SOMEBODY, "deciding") | PASSKEY | {"origins": ["x" * 301]}),
        (
            "device-keys",
            device_key(SOMEBODY, "deciding") | {"jwk": {"kty": "EC", "crv": "P-256", "x": "\0", "y": "\0"}},
        ),
        ("device-keys", {"purpose": "asking", "jwk": {}, "label": "x"}),
        ("device-keys", {"purpose": "opening", "jwk": {"n": 1}, "label": "x"}),
        ("key-manifests", {"manifest": {"payload": 1, "signatures": [[[]]]}, "policies": []}),
        ("key-manifests", {"manifest": {}, "policies": [[]]}),
        ("sealed-rules", {"rules": {}}),
        ("sealed-rules", {"rules": {"payload": "e30", "signatures": []}}),
        ("sealed-runs", {"run": "x.y.z"}),
        ("sealed-runs", {"run": 7}),
        ("sealed-commands", {"sealed": {"aad": "x"}}),
        ("sealed-commands", {"sealed": []}),
        ("sealed-commands/{id}/decisions", {"decision": 7}),
        ("sealed-commands/{id}/decisions", {"decision": "x.y.z"}),
    ],
)
async def test_what_does_not_fit_is_refused_and_nothing_is_kept(server, people, path, body):
    async with as_agent(server, people) as agent, await as_reviewer(server, people) as reviewer:
        async with as_owner(server, people) as owner:
            client = {
                "key-manifests": owner,
                "sealed-rules": owner,
                "sealed-runs": agent,
                "sealed-commands": agent,
            }.get(path, reviewer)
            answer = await client.post(f"{WHERE}/{path.format(id=new_id())}", json=body)
            assert answer.status_code in {400, 404, 409, 422}, answer.text
    for table in ("device_key", "key_manifest", "sealed_command", "sealed_decision"):
        assert await server.services.db.fetch(f"SELECT * FROM {table}") == []


async def test_the_doors_show_nothing_to_another_workspace(server, people):
    made = await sealed(server, people)
    body, ctx = made.asked()
    token = await session_of(server.services, people.accounts["foreign"], is_proven=True)
    async with as_agent(server, people) as agent:
        assert (await agent.post(f"{WHERE}/sealed-commands", json={"sealed": body})).status_code == 201
    async with server.client(cookies={"fg_session": token}, headers={"sec-fetch-site": "same-origin"}) as foreign:
        elsewhere = WHERE.replace("acme", "other")
        assert (await foreign.get(f"{elsewhere}/sealed-commands/{ctx.cid}")).status_code == 404
        assert (await foreign.get(f"{elsewhere}/sealed-commands")).json()["items"] == []
        assert (await foreign.get(f"{elsewhere}/key-manifests")).json()["items"] == []
        assert (await foreign.get(f"{elsewhere}/device-keys")).json()["items"] == []
