"""Every POST of the API that changes something honours the Idempotency-Key."""

import pytest

from failgate.base.ids import new_id
from failgate.web.routes import API
from tests.reports.conftest import consented, entry, manifest
from tests.web.api.test_gate import WHERE, as_agent, as_reviewer, submission

KEY = {"idempotency-key": "k"}


async def ask_twice(client, path, body, other):
    """Ask twice with one key, then with another body; return the first answer."""
    first, again = [await client.post(path, json=body, headers=KEY) for _ in range(2)]
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    assert first.is_success, first.text
    foreign = await client.post(path, json=other, headers=KEY)
    assert foreign.status_code == 422
    assert "Idempotency-Key" in foreign.json()["detail"]
    return first


async def test_vote_consume_and_outcome_answer_again_what_they_answered(server, people):
    async with as_agent(server, people) as agent, await as_reviewer(server, people) as reviewer:
        view = (await agent.post(f"{WHERE}/commands", json=submission())).json()
        route, digest = f"{WHERE}/commands/{view['id']}", {"digest": view["digest"]}
        await ask_twice(reviewer, f"{route}/votes", {"decision": "approve", **digest}, {"decision": "deny", **digest})
        used = await ask_twice(agent, f"{route}/consume", digest, {"digest": "another"})
        assert used.json()["state"] == "executed"
        told = {**digest, "exit_code": 1, "duration_ms": 20}
        await ask_twice(agent, f"{route}/outcome", told, {**told, "exit_code": 2})
        assert (await agent.post(f"{route}/consume", json=digest)).status_code == 409
        stale = await agent.post(f"{route}/consume", json=digest, headers=KEY)
        assert stale.json() == used.json()


async def test_an_edit_answers_again_what_it_answered(server, people):
    async with as_agent(server, people) as agent, await as_reviewer(server, people) as reviewer:
        view = (await agent.post(f"{WHERE}/commands", json=submission())).json()
        route, wish = f"{WHERE}/commands/{view['id']}", {"digest": view["digest"], "argv": ["/usr/bin/rm", "y"]}
        trial = (await reviewer.post(f"{route}/edits/trial", json=wish)).json()
        assert (trial["decision"], trial["rendering"]) == ("ask", ["/usr/bin/rm", "y"])
        edit = {**wish, "edited_digest": trial["digest"]}
        made = await ask_twice(reviewer, f"{route}/edits", edit, {**edit, "note": "other"})
        assert (made.status_code, made.json()["edits"], made.json()["state"]) == (201, view["id"], "approved")
        told = (await agent.get(route)).json()["verdict"]
        assert told["edited"] == {"id": made.json()["id"], "digest": trial["digest"], "argv": ["/usr/bin/rm", "y"]}
        found = (await agent.get(f"{WHERE}/commands/{made.json()['id']}")).json()
        assert (found["digest"], found["command"]["argv"]) == (trial["digest"], ["/usr/bin/rm", "y"])


async def test_a_mute_answers_again_what_it_answered_and_is_listed_and_ended(server, people):
    async with as_agent(server, people) as agent, await as_reviewer(server, people) as reviewer:
        view = (await agent.post(f"{WHERE}/commands", json=submission())).json()
        body = {"digest": view["digest"], "what": "program", "minutes": 60, "note": "no"}
        made = await ask_twice(reviewer, f"{WHERE}/commands/{view['id']}/mute", body, {**body, "minutes": 61})
        assert (made.status_code, made.json()["program"], made.json()["is_running"]) == (201, "rm", True)
        again = (await agent.post(f"{WHERE}/commands", json=submission(("/usr/bin/rm", "y")))).json()
        assert (again["state"], again["verdict"]["by"]) == ("denied", ["mute"])
        listed = (await reviewer.get(f"{WHERE}/mutes")).json()["items"]
        assert listed == [{**made.json(), "denied": 1}]
        assert (await agent.get(f"{WHERE}/mutes")).status_code == 403
        for status in (204, 404):
            assert (await reviewer.delete(f"{WHERE}/mutes/{made.json()['id']}")).status_code == status
        [ended] = (await reviewer.get(f"{WHERE}/mutes")).json()["items"]
        assert (ended["is_running"], ended["ended_by"]) == (False, made.json()["by"])
        assert (await agent.post(f"{WHERE}/commands", json=submission())).json()["state"] == "pending"


async def test_one_key_cancels_each_command_by_itself(server, people):
    """The id in the path belongs to the route."""
    async with as_agent(server, people) as agent:
        for _ in range(2):
            view = (await agent.post(f"{WHERE}/commands", json=submission())).json()
            route = f"{WHERE}/commands/{view['id']}/cancel"
            answers = [await agent.post(route, json={}, headers=KEY) for _ in range(2)]
            assert [(one.status_code, one.json()["id"]) for one in answers] == [(200, view["id"])] * 2


async def test_a_report_begins_and_is_sealed_once(server, people):
    def body(content):
        document = manifest(entry(content))
        consent = {"manifest_sha256": consented(document).consent.manifest_sha256, "by": "person"}
        return {"manifest": document, "consent": {**consent, "at": "2026-01-02T03:04:06Z"}}

    content = b"one line of output\n"
    async with as_agent(server, people) as agent:
        begun = await ask_twice(agent, f"{WHERE}/reports", body(content), body(b"other"))
        assert begun.status_code == 201
        route = f"{WHERE}/reports/{begun.json()['id']}"
        [digest] = begun.json()["missing"]
        sent = await agent.put(
            f"{route}/artifacts/{digest}", content=content, headers={"content-type": "application/octet-stream"}
        )
        assert sent.status_code == 200
        sealed = [await agent.post(f"{route}/seal", json={}, headers=KEY) for _ in range(2)]
    assert [one.json() for one in sealed] == [sealed[0].json()] * 2
    assert sealed[0].json()["state"] == "sealed"


async def test_a_rule_is_made_once(server, people):
    rule = {"kind": "exact", "effect": "allow", "argv": ["ls"]}
    async with server.client(headers={"authorization": f"Bearer {people.key}"}) as client:
        made = await ask_twice(client, f"{WHERE}/rules", rule, {**rule, "argv": ["rm"]})
        listed = (await client.get(f"{WHERE}/rules")).json()["items"]
    assert made.status_code == 201
    assert [one["id"] for one in listed] == [made.json()["id"]]


async def test_a_key_of_one_principal_opens_nothing_for_another(server, people):
    async with (
        as_agent(server, people) as agent,
        server.client(headers={"authorization": f"Bearer {people.key}"}) as other,
    ):
        body = submission()
        first = await agent.post(f"{WHERE}/commands", json=body, headers=KEY)
        foreign = await other.post(f"{WHERE}/commands", json=body, headers=KEY)
    assert foreign.json()["id"] != first.json()["id"]


@pytest.mark.parametrize("key", ["a b", "x" * 256])
async def test_a_key_that_is_not_usable_is_400(server, people, key):
    async with as_agent(server, people) as agent:
        answer = await agent.post(f"{WHERE}/commands/{new_id()}/cancel", json={}, headers={"idempotency-key": key})
    assert answer.status_code == 400


async def test_the_document_names_the_key_at_every_post_that_keeps_something(server):
    async with server.client() as client:
        paths = (await client.get("/api/openapi.json")).json()["paths"]
    silent = [
        door.name
        for door in API
        if door.method == "POST"
        and "Idempotency-Key" not in {one["name"] for one in paths[door.path]["post"]["parameters"]}
    ]
    # A document is known by its own digest, the end of a recording by its last link, and a heartbeat only counts time.
    assert sorted(silent) == [
        "commands.edit_trial",
        "policy.explain",
        "recordings.end",
        "recordings.hear",
        "reports.document",
    ]
