"""Agents, members, invitations and API keys through the API. # E19 E25 B4"""

import contextlib

import pytest

from failgate.access.role import Role
from failgate.base.ids import new_id
from tests.web.conftest import OPERATOR, jar_of, session_of

WHERE = "/api/v1/workspaces/acme"


@contextlib.asynccontextmanager
async def person(server, people, name, *, is_proven=True):
    account = people.accounts[name]
    if is_proven and not await server.services.second_factors.has(account):
        await server.services.second_factors.issue(account, OPERATOR)
    token = await session_of(server.services, account, is_proven=is_proven)
    async with server.client(cookies=jar_of(token), headers={"sec-fetch-site": "same-origin"}) as client:
        yield client


def bearer(server, token):
    return server.client(headers={"authorization": f"Bearer {token}"})


async def test_an_agent_is_made_rotated_described_given_away_and_disabled(server, people):
    async with person(server, people, "admin") as admin:
        made = await admin.post(f"{WHERE}/agents", json={"name": "build-bot", "model": "a model 4"})
        assert made.status_code == 201, made.text
        agent, first = made.json()["id"], made.json()["token"]
        async with bearer(server, first) as bot:
            assert (await bot.get("/api/v1/whoami")).json()["id"] == agent
        listed = (await admin.get(f"{WHERE}/agents/{agent}/tokens")).json()["items"]
        assert [one["last_used_from"] for one in listed] == ["127.0.0.1"]
        body = {"scopes": ["workspace:command:submit"], "networks": ["127.0.0.0/8"], "grace_seconds": 60}
        second = (await admin.post(f"{WHERE}/agents/{agent}/tokens", json=body)).json()["token"]
        for token in (first, second):
            async with bearer(server, token) as bot:
                assert (await bot.get("/api/v1/whoami")).status_code == 200
        third = (await admin.post(f"{WHERE}/agents/{agent}/tokens", json={"networks": ["10.0.0.0/8"]})).json()
        for token in (first, second, third["token"]):
            async with bearer(server, token) as bot:
                assert (await bot.get("/api/v1/whoami")).status_code == 401
        changed = await admin.post(f"{WHERE}/agents/{agent}", json={"name": "bot", "model": None})
        assert (changed.json()["name"], changed.json()["model"]) == ("bot", None)
        given = await admin.post(f"{WHERE}/agents/{agent}/owner", json={"owner": people.accounts["developer"]})
        assert given.json()["owner_email"] == "developer@example.org"
        assert (await admin.get(f"{WHERE}/agents/{agent}/tokens")).json()["items"] == []
        ended = await admin.delete(f"{WHERE}/agents/{agent}/tokens/{third['id']}")
        assert ended.status_code == 404  # it has ended already: it is as missing as one that never was
        assert (await admin.delete(f"{WHERE}/agents/{agent}/tokens/{new_id()}")).status_code == 404
        assert (await admin.post(f"{WHERE}/agents/{agent}/disable")).json()["is_enabled"] is False
        assert (await admin.post(f"{WHERE}/agents/{agent}/tokens", json={})).status_code == 404


async def test_a_scope_narrows_and_a_lost_role_narrows_further(server, people):
    async with person(server, people, "admin") as admin:
        body = {"label": "reader", "scopes": ["workspace:member:read", "workspace:rule:write"]}
        key = (await admin.post(f"{WHERE}/api-keys", json=body)).json()["token"]
    async with bearer(server, key) as script:
        assert (await script.get(f"{WHERE}/members")).status_code == 200
        assert (await script.get(f"{WHERE}/commands")).status_code == 403
        rule = {"kind": "exact", "effect": "allow", "argv": ["/bin/x"]}
        assert (await script.post(f"{WHERE}/rules", json=rule)).status_code == 201
        await server.services.workspaces.change_role(people.acme, people.accounts["admin"], Role.AUDITOR, OPERATOR)
        assert (await script.post(f"{WHERE}/rules", json=rule)).status_code == 403
        assert (await script.get(f"{WHERE}/members")).status_code == 200


async def test_a_key_is_ones_own_alone_and_makes_no_other(server, people):
    async with person(server, people, "developer") as one, person(server, people, "reviewer") as other:
        made = (await one.post(f"{WHERE}/api-keys", json={"label": "mine"})).json()
        assert [key["label"] for key in (await one.get(f"{WHERE}/api-keys")).json()["items"]] == ["mine"]
        assert (await other.get(f"{WHERE}/api-keys")).json()["items"] == []
        foreign, missing = [await other.delete(f"{WHERE}/api-keys/{key}") for key in (made["id"], new_id())]
        assert (
            (foreign.status_code, foreign.content) == (missing.status_code, missing.content) == (404, foreign.content)
        )
        async with bearer(server, made["token"]) as script:
            assert (await script.post(f"{WHERE}/api-keys", json={"label": "child"})).status_code == 403
            assert (await script.delete(f"{WHERE}/api-keys/{made['id']}")).status_code == 403
        assert (await one.delete(f"{WHERE}/api-keys/{made['id']}")).status_code == 204
        async with bearer(server, made["token"]) as script:
            assert (await script.get("/api/v1/whoami")).status_code == 401


async def test_what_makes_credentials_or_changes_roles_needs_a_fresh_second_factor(server, people):
    """B3."""
    member = people.accounts["reviewer"]
    async with person(server, people, "owner", is_proven=False) as owner:
        for method, path, body in (
            ("POST", "/agents", {"name": "x"}),
            ("POST", "/api-keys", {"label": "x"}),
            ("POST", "/invitations", {"role": "developer"}),
            ("POST", f"/members/{member}/role", {"role": "admin"}),
            ("DELETE", f"/members/{member}", None),
        ):
            answer = await owner.request(method, WHERE + path, json=body)
            assert answer.status_code == 403, path
            assert answer.json()["type"] == "urn:failgate:error:step-up-required"


async def test_a_secret_is_not_shown_again_under_the_same_key(server, people):
    async with person(server, people, "admin") as admin:
        for path, body, secret in (
            ("/api-keys", {"label": "x"}, "token"),
            ("/agents", {"name": "twice"}, "token"),
            ("/invitations", {"role": "developer"}, "link"),
        ):
            first, again = [
                (await admin.post(WHERE + path, json=body, headers={"idempotency-key": "k"})).json() for _ in range(2)
            ]
            assert first["id"] == again["id"]
            assert first[secret]
            assert again[secret] is None
        rows = await server.services.db.fetch("SELECT answer FROM idempotency")
        assert len(rows) == 3
        assert "fg_" not in str(rows)


async def test_members_are_changed_and_the_last_owner_stays(server, people):
    owner, developer = people.accounts["owner"], people.accounts["developer"]
    async with person(server, people, "owner") as boss, person(server, people, "admin") as admin:
        changed = await admin.post(f"{WHERE}/members/{developer}/role", json={"role": "reviewer"})
        assert changed.json()["role"] == "reviewer"
        for role in ("owner", "agent", "king"):
            answer = await admin.post(f"{WHERE}/members/{developer}/role", json={"role": role})
            assert answer.status_code == (403 if role == "owner" else 400)
        assert (await admin.delete(f"{WHERE}/members/{owner}")).status_code == 403
        assert (await boss.delete(f"{WHERE}/members/{owner}")).status_code == 409
        assert (await boss.post(f"{WHERE}/members/{owner}/role", json={"role": "admin"})).status_code == 409
        assert (await boss.delete(f"{WHERE}/members/{developer}")).status_code == 204
        assert (await boss.delete(f"{WHERE}/members/{developer}")).status_code == 404
        emails = [one["email"] for one in (await boss.get(f"{WHERE}/members")).json()["items"]]
        assert "developer@example.org" not in emails


async def test_an_invitation_is_made_listed_and_revoked(server, people):
    async with person(server, people, "admin") as admin:
        made = (await admin.post(f"{WHERE}/invitations", json={"role": "auditor", "email": "Z@example.org"})).json()
        assert "/link#fg_inv_" in made["link"]
        assert (made["email"], made["is_mailed"]) == ("z@example.org", False)
        assert [one["id"] for one in (await admin.get(f"{WHERE}/invitations")).json()["items"]] == [made["id"]]
        assert (await admin.post(f"{WHERE}/invitations", json={"role": "owner"})).status_code == 403
        assert (await admin.delete(f"{WHERE}/invitations/{made['id']}")).status_code == 204
        assert (await admin.get(f"{WHERE}/invitations")).json()["items"] == []


@pytest.mark.parametrize(
    "body",
    [{"label": ""}, {"label": "x", "ttl_seconds": 0}, {"label": "x", "networks": ["nowhere"]}, {"label": "x", "scopes": []},
     {"label": "x", "scopes": ["workspace:command:vote"]}, {"label": "x", "owner": "somebody"}],
)  # fmt: skip
async def test_a_wish_that_cannot_be_is_400(server, people, body):
    async with person(server, people, "developer") as one:
        assert (await one.post(f"{WHERE}/api-keys", json=body)).status_code == 400
