"""Who may pass which door: the whole table crossed with every kind of visitor. # F4 F5 F11 F12 E22"""

import dataclasses
import re

import httpx
import pytest

from failgate.access.permission import Permission as P  # noqa: N817  # as the matrix of roles has it
from failgate.access.role import GRANTS, Role
from failgate.accounts.session import Origin
from failgate.base.clock import FrozenClock
from failgate.base.db import workspace_scope
from failgate.base.ids import new_id
from failgate.sso.connection import OidcSettings
from failgate.sso.draft import Draft
from failgate.web.routes import API, DOORS
from tests.web.conftest import OPERATOR, PASSWORD, People, Running, cookies_of, jar_of, session_of

SHA = "a" * 64


def url_of(door, workspace="acme", identifier=None):
    path = door.path.replace("{workspace}", workspace).replace("{id}", identifier or new_id()).replace("{sha256}", SHA)
    for name in ("{token}", "{certificate}", "{trial}", "{link}", "{delivery}"):
        path = path.replace(name, new_id())
    return path.replace("{connection}", "nowhere")


BODIES = {
    "commands.submit": {"command": {}, "digest": "x"},
    "commands.vote": {"decision": "deny", "digest": "x"},
    "commands.mute": {"digest": "x", "what": "same", "minutes": 1},
    "commands.consume": {"digest": "x"},
    "commands.finish": {"digest": "x", "exit_code": 0, "duration_ms": 1},
    "policy.explain": {"command": {}},
    "rules.create": {"kind": "exact", "effect": "allow", "argv": [""]},
    "reports.begin": {"manifest": {}},
}


async def ask(client, door, path, **how):
    if door.name in BODIES:
        how["json"] = BODIES[door.name]
    return await client.request(door.method, path, **how)


IN_WORKSPACE = [door for door in API if door.workspace == "path"]


async def test_without_a_credential_every_private_door_of_the_api_is_401(server, people):
    async with server.client() as client:
        for door in API:
            for workspace in ("acme", "absent"):
                answer = await ask(client, door, url_of(door, workspace))
                assert answer.status_code == 401, door.name
                assert answer.headers["www-authenticate"].startswith("Bearer")
                assert answer.json()["type"] == "urn:failgate:error:not-signed-in"


async def test_a_foreign_workspace_answers_exactly_as_one_that_does_not_exist(server, people):
    token = await session_of(server.services, people.accounts["foreign"], is_proven=True)
    cookies = jar_of(token)
    headers = {"sec-fetch-site": "same-origin"}
    varying = {"x-request-id", "content-security-policy", "date"}
    async with server.client(cookies=cookies, headers=headers) as client:
        for door in IN_WORKSPACE:
            foreign = await ask(client, door, url_of(door, "acme"))
            absent = await ask(client, door, url_of(door, "absent"))
            assert foreign.status_code == absent.status_code == 404, door.name
            assert foreign.content == absent.content
            assert {k: v for k, v in foreign.headers.items() if k not in varying} == {
                k: v for k, v in absent.headers.items() if k not in varying
            }
            assert len(foreign.headers["content-security-policy"]) == len(absent.headers["content-security-policy"])


async def test_a_token_of_one_workspace_opens_no_other(server, people):
    """The foreign owner joins acme too: their key is still for `other` alone."""
    services = server.services
    await services.workspaces.add_member(people.acme, people.accounts["foreign"], Role.OWNER, OPERATOR_OF(people))
    key = await services.tokens.mint("usr", people.accounts["foreign"], people.other, label="k", actor=OPERATOR)
    async with server.client(headers={"authorization": f"Bearer {key}"}) as client:
        for door in IN_WORKSPACE:
            assert (await ask(client, door, url_of(door, "acme"))).status_code == 404, door.name


def OPERATOR_OF(people):
    from failgate.audit.record import Actor

    return Actor(t="user", id=people.accounts["owner"])


@pytest.mark.parametrize("role", ["owner", "admin", "reviewer", "developer", "auditor"])
async def test_each_role_passes_exactly_the_doors_that_its_permissions_name(server, people, role):
    token = await session_of(server.services, people.accounts[role], is_proven=True)
    async with server.client(cookies=jar_of(token), headers={"sec-fetch-site": "same-origin"}) as client:
        for door in IN_WORKSPACE:
            answer = await ask(client, door, url_of(door))
            granted = door.permission in GRANTS[Role(role)]
            denied = answer.status_code == 403 and answer.json()["type"] == "urn:failgate:error:forbidden"
            assert answer.status_code < 500, door.name
            if granted:
                assert not denied or door.name == "reports.begin", f"{door.name}: {answer.text}"  # consent is missing
            else:
                assert denied, f"{door.name}: {answer.status_code} {answer.text}"


async def test_a_token_in_the_place_of_a_session_is_nobody(server, people):
    """A cookie is sent by a browser without anybody's intention: what stands in a header alone is no session."""
    async with server.client(cookies={"fg_session": people.agent}) as client:
        answer = await client.get("/api/v1/whoami")
    assert answer.status_code == 401


async def test_an_agent_passes_only_the_agents_doors(server, people):
    async with server.client(headers={"authorization": f"Bearer {people.agent}"}) as client:
        for door in IN_WORKSPACE:
            answer = await ask(client, door, url_of(door))
            granted = door.permission in GRANTS[Role.AGENT] or door.own_permission in GRANTS[Role.AGENT]
            denied = answer.status_code == 403 and answer.json()["title"] == "This is not allowed"
            assert answer.status_code < 500, door.name
            assert denied != granted or (door.name == "reports.begin" and denied), f"{door.name}: {answer.text}"


async def test_malformed_identifiers_and_slugs_answer_like_absent_ones(server, people):
    async with server.client(headers={"authorization": f"Bearer {people.key}"}) as client:
        known = await client.get(f"/api/v1/workspaces/acme/commands/{new_id()}")
        assert known.status_code == 404
        for path in (
            "acme/commands/1", "acme/commands/%00", "acme/commands/'--", "acme/reports/../..", "ACME/commands",
            "acme%00/commands", "acme/reports/" + new_id() + "/artifacts/xyz", "acme/commands/" + new_id().upper(),
            "a" * 5000 + "/commands",
        ):  # fmt: skip
            answer = await client.get("/api/v1/workspaces/" + path)
            assert answer.status_code == 404, path
            assert answer.content == known.content, path


BAD_AUTHORIZATION = (
    "Bearer",
    "Bearer fg_usr_x",
    "Basic Zm9vOmJhcg==",
    "Bearer eyJhbGciOiJub25lIn0.e30.",
    "fg_usr_x",
    "Bearer fg_" + "a" * 9000,
)


@pytest.mark.parametrize("authorization", BAD_AUTHORIZATION, ids=range(len(BAD_AUTHORIZATION)))
async def test_a_bearer_token_that_is_not_valid_is_401_even_beside_a_valid_cookie(server, people, authorization):
    token = await session_of(server.services, people.accounts["owner"])
    async with server.client(cookies=jar_of(token)) as client:
        answer = await client.get("/api/v1/whoami", headers={"authorization": authorization})
    assert answer.status_code == 401


async def test_two_authorization_headers_are_refused(server, people):
    async with server.client() as client:
        headers = [("authorization", f"Bearer {people.key}"), ("authorization", f"Bearer {people.agent}")]
        assert (await client.get("/api/v1/whoami", headers=headers)).status_code == 400


async def test_a_session_that_awaits_its_second_factor_opens_nothing(server, people):
    services = server.services
    token, _ = await services.sessions.open(
        people.accounts["owner"], "127.0.0.1", "t", ("pwd",), awaits_second_factor=True
    )
    async with server.client(cookies=jar_of(token)) as client:
        assert (await client.get("/api/v1/whoami")).status_code == 401


async def test_a_disabled_account_is_out_by_cookie_and_by_key_at_once(server, people):
    services = server.services
    token = await session_of(services, people.accounts["owner"])
    async with server.client() as client:
        by_key, by_cookie = {"authorization": f"Bearer {people.key}"}, {"cookie": cookies_of(token)}
        for headers in (by_key, by_cookie):
            assert (await client.get("/api/v1/whoami", headers=headers)).status_code == 200
        await services.accounts.disable(people.accounts["owner"], OPERATOR)
        for headers in (by_key, by_cookie):
            assert (await client.get("/api/v1/whoami", headers=headers)).status_code == 401


async def test_a_key_is_401_from_the_moment_of_its_expiry(server, people, monkeypatch):
    # E19 E25
    services, clock = server.services, FrozenClock(server.services.clock.now_us())
    monkeypatch.setattr(services.tokens, "_clock", clock)
    owner, until_us = people.accounts["owner"], clock.now_us() + 60_000_000
    key = await services.tokens.mint("usr", owner, people.acme, "short", until_us, actor=OPERATOR)
    async with server.client(headers={"authorization": f"Bearer {key}"}) as client:
        for seconds, status in ((0, 200), (59.999999, 200), (0.000001, 401)):
            clock.advance(seconds)
            assert (await client.get("/api/v1/whoami")).status_code == status


async def test_a_vote_needs_a_second_factor_in_the_session(server, people):
    token = await session_of(server.services, people.accounts["reviewer"])
    async with server.client(cookies=jar_of(token), headers={"sec-fetch-site": "same-origin"}) as client:
        door = next(door for door in API if door.name == "commands.vote")
        answer = await ask(client, door, url_of(door))
    assert answer.status_code == 403
    assert answer.json()["type"] == "urn:failgate:error:step-up-required"


async def test_a_sensitive_door_needs_a_factor_of_the_last_five_minutes(services, people, tmp_path):
    from failgate.base.clock import FrozenClock, SystemClock
    from tests.web.conftest import running

    token = await session_of(services, people.accounts["owner"], is_proven=True)
    clock = FrozenClock(SystemClock().now_us())
    stale = dataclasses.replace(services, clock=clock)
    door = next(door for door in API if door.name == "rules.revoke")
    async with running(stale) as one:
        async with one.client(cookies=jar_of(token), headers={"sec-fetch-site": "same-origin"}) as client:
            assert (await ask(client, door, url_of(door))).status_code == 404
            clock.advance(301)
            answer = await ask(client, door, url_of(door))
            assert answer.status_code == 403
            assert answer.json()["type"] == "urn:failgate:error:step-up-required"


async def test_a_cookie_request_that_changes_something_must_come_from_a_page_of_ours(server, people):
    token = await session_of(server.services, people.accounts["owner"], is_proven=True)
    unsafe = [door for door in IN_WORKSPACE if not door.is_safe]
    assert len(unsafe) >= 10
    async with server.client(cookies=jar_of(token)) as client:
        for door in unsafe:
            for headers in (
                {},
                {"origin": "null"},
                {"origin": "https://evil.example"},
                {"sec-fetch-site": "cross-site"},
                {"sec-fetch-site": "same-site"},
                {"sec-fetch-site": "none"},
                {"sec-fetch-site": "cross-site", "origin": server.origin},
            ):
                answer = await ask(client, door, url_of(door), headers=headers)
                assert answer.status_code == 403, (door.name, headers)
                assert answer.json()["type"] == "urn:failgate:error:cross-site"


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "",
        "application/json; charset=utf-16",
    ],
)
async def test_a_body_of_another_type_is_415(server, people, kind):
    async with server.client(headers={"authorization": f"Bearer {people.key}"}) as client:
        answer = await client.post(
            "/api/v1/workspaces/acme/policy/explain", content=b'{"command":{}}', headers={"content-type": kind}
        )
    assert answer.status_code == 415


async def test_a_method_is_not_overridden_by_a_header_or_the_query(server, people):
    token = await session_of(server.services, people.accounts["owner"], is_proven=True)
    async with server.client(cookies=jar_of(token)) as client:
        answer = await client.get(
            "/api/v1/workspaces/acme/rules?_method=POST", headers={"x-http-method-override": "POST"}
        )
    assert answer.status_code == 200
    assert "items" in answer.json()


async def test_other_methods_are_405_with_a_problem_document(server):
    async with server.client() as client:
        for method in ("OPTIONS", "PATCH", "TRACE", "PUT"):
            answer = await client.request(method, "/healthz")
            assert answer.status_code == 405
            assert answer.headers["content-type"] == "application/problem+json"


async def test_metrics_are_for_this_machine_and_not_for_whoever_a_proxy_brings(server):
    async with server.client() as client:
        assert (await client.get("/metrics")).status_code == 200
        assert (await client.get("/metrics", headers={"x-forwarded-for": "198.51.100.7"})).status_code == 401


async def test_an_owner_gets_nothing_of_the_platform_and_the_platform_role_no_private_content(server, people):
    services = server.services
    proxied = {"x-forwarded-for": "198.51.100.7"}
    owner = await session_of(services, people.accounts["owner"], is_proven=True)
    platform = await session_of(services, people.accounts["nobody"], is_proven=True)
    await services.accounts.grant_platform_role(people.accounts["nobody"], OPERATOR)
    async with server.client() as client:
        as_owner, as_platform = {"cookie": cookies_of(owner)}, {"cookie": cookies_of(platform)}
        assert (await client.get("/metrics", headers=proxied | as_owner)).status_code == 404
        assert (await client.get("/metrics", headers=proxied | as_platform)).status_code == 200
        for path in ("commands", "reports", "audit/records", "rules"):
            assert (await client.get(f"/api/v1/workspaces/acme/{path}", headers=as_platform)).status_code == 404


async def test_denials_stand_in_the_log_of_the_workspace_and_only_so_many(server, people):
    token = await session_of(server.services, people.accounts["developer"])
    async with server.client(cookies=jar_of(token)) as client:
        for _ in range(30):
            assert (await client.get("/api/v1/workspaces/acme/audit/records")).status_code == 403
    await server.stop()
    records = [one.record for one in await server.services.audit.newest(people.acme, limit=100)]
    denied = [one for one in records if one["act"] == "access.denied"]
    assert len(denied) == 20
    assert denied[0]["data"] == {"permission": "workspace:audit:read", "reason": "role_lacks_it"}
    assert denied[0]["actor"]["id"] == people.accounts["developer"]
    assert denied[0]["req"]


def test_every_door_is_pinned_by_a_permission_of_its_kind():
    for door in DOORS:
        door.check()
        if not door.is_safe and door.method != "WS":
            assert not door.permission.endswith(":read"), door.name
        if door.permission is P.PUBLIC_PAGE_READ:
            assert door.is_safe


async def test_the_password_of_a_person_is_no_token(server, people):
    async with server.client() as client:
        answer = await client.get("/api/v1/whoami", headers={"authorization": f"Bearer {PASSWORD}"})
    assert answer.status_code == 401


# What a session reaches that one workspace's own provider opened: that workspace, and nothing else of its person. The
# owner of a workspace chooses its provider and may have it say that anybody of its people signs in. E24 F4 F12
SETTINGS = OidcSettings(issuer="https://id.example", client_id="failgate")


class Confined:
    """Sessions that a connection of `acme` opened, its provider saying that a second factor was shown just now."""

    def __init__(self, server: Running, connection_id: str, workspace_id: str) -> None:
        self.server = server
        self.connection_id = connection_id
        self.workspace_id = workspace_id

    async def browser(self, account_id: str, *, may_change_account: bool = True) -> httpx.AsyncClient:
        services = self.server.services
        origin = Origin(self.connection_id, self.workspace_id, may_change_account, services.clock.now_us())
        token, _ = await services.db.write(
            lambda tx: services.sessions.open_within(tx, account_id, "10.9.8.7", "seen", ("oidc",), origin=origin)
        )
        return self.server.client(cookies=jar_of(token), headers={"origin": self.server.origin})


@pytest.fixture
async def confined(server: Running, people: People) -> Confined:
    services = server.services
    made = await services.sso.connections.create(people.acme, "ours", Draft("Ours", SETTINGS), OPERATOR)
    return Confined(server, made.id, people.acme)


async def post(client: httpx.AsyncClient, path: str, **fields: str) -> httpx.Response:
    page = await client.get("/account")
    token = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
    assert token is not None, page.text
    return await client.post(path, data={**fields, "csrf_token": token[1]})


async def test_the_platform_role_does_not_come_with_it(server: Running, people: People, confined: Confined) -> None:
    who, another = people.accounts["developer"], people.accounts["reviewer"]
    await server.services.accounts.grant_platform_role(who, OPERATOR)
    async with await confined.browser(who) as client:
        assert (await client.get("/w/acme/queue")).status_code == 200
        for path in ("/platform", "/platform/users", f"/platform/users/{another}"):
            assert (await client.get(path)).status_code == 404, path
        changed = await post(client, f"/platform/users/{another}/platform-role", role="grant")
        assert changed.status_code == 404
        assert "/platform" not in (await client.get("/")).text
        assert (await client.get("/metrics", headers={"x-forwarded-for": "10.0.0.9"})).status_code == 404
    assert not (await server.services.accounts.by_id(another)).is_platform_admin


async def test_an_account_with_the_platform_role_is_not_changed_by_it(
    server: Running, people: People, confined: Confined
) -> None:
    """Else the provider gives it a password, and whoever knows that one is the administrator."""
    who = people.accounts["developer"]
    fields = {"current": "", "password": "a long and plain passphrase"}
    async with await confined.browser(who) as client:
        await server.services.accounts.grant_platform_role(who, OPERATOR)
        answers = [
            await post(client, "/account/password", **fields),
            await post(client, "/account/second-factor/begin"),
            await post(client, "/account/sign-ins", connection="ours"),
        ]
    assert [answer.status_code for answer in answers] == [403] * 3
    assert not await server.services.second_factors.has(who)


async def test_it_reads_nothing_of_what_its_person_does_elsewhere(
    server: Running, people: People, confined: Confined
) -> None:
    services, who = server.services, people.accounts["foreign"]  # the owner of `other`
    await services.workspaces.add_member(people.acme, who, Role.DEVELOPER, OPERATOR)
    await services.sessions.open(who, "203.0.113.77", "Elsewhere/1.0", ("pwd",))
    await services.tokens.mint("usr", who, people.other, label="key of elsewhere", actor=OPERATOR)
    _, session = await services.sessions.open(who, "203.0.113.78", "Elsewhere/1.0", ("pwd",))
    proven = await services.sessions.prove_second_factor(session, "otp")
    found = await services.sessions.resolve(proven)
    assert found is not None
    await services.devices.trust(found, "a device of elsewhere")
    await services.workspaces.rename(people.other, "Vault 77", OPERATOR)
    corp = await services.sso.connections.create(people.other, "theirs", Draft("Theirs", SETTINGS), OPERATOR)
    await services.db.write(
        lambda tx: tx.execute(
            "INSERT INTO sso_identity (id, connection_id, issuer, subject, account_id, email, is_origin, linked_us)"
            " VALUES ('i', $1, 'https://id.example', 's', $2, 'private@elsewhere.example', 0, 1)",
            corp.id, who,
        )
    )  # fmt: skip
    private = re.compile(
        r'href="/w/other|Vault 77|203\.0\.113|Elsewhere|key of elsewhere|device of elsewhere|private@elsewhere|theirs'
    )
    paths = ["/", "/account", "/w/acme/queue", "/signin/sso?next=/w/other/queue", "/api/v1/whoami"]
    paths += [f"/account/{name}" for name in ("sessions", "devices", "api-keys", "sign-ins", "logins", "second-factor")]
    plain = server.client(cookies=jar_of(proven))
    for client, is_confined in ((await confined.browser(who), True), (plain, False)):
        async with client:
            seen = {path: private.findall((await client.get(path)).text) for path in paths}
        if is_confined:
            assert not any(seen.values()), seen
        else:
            assert all(seen[path] for path in ("/", "/account/sessions", "/account/devices", "/account/sign-ins")), seen


async def test_an_owner_whom_it_brought_resets_nobody_who_reaches_further(
    server: Running, people: People, confined: Confined
) -> None:
    """An owner of both workspaces may; the provider of one of them may not, in that owner's name."""
    services, owner, member = server.services, people.accounts["owner"], people.accounts["developer"]
    await services.workspaces.add_member(people.other, owner, Role.OWNER, OPERATOR)
    await services.workspaces.add_member(people.other, member, Role.DEVELOPER, OPERATOR)
    async with await confined.browser(owner) as client:
        refused = await post(client, f"/w/acme/members/{member}/reset-link")
        alone = await post(client, f"/w/acme/members/{people.accounts['reviewer']}/reset-link")
    assert (refused.status_code, "fg_rst_" in refused.text) == (403, False)
    assert (alone.status_code, "fg_rst_" in alone.text) == (200, True)


async def test_a_request_reads_in_the_scope_of_its_workspace(server, people, monkeypatch):
    """What the wall of PostgreSQL goes by: each request says its workspace, and nothing stays of the one before."""
    seen: list[str | None] = []
    fetch = server.services.db.fetch

    async def noted(query, *args):
        seen.append(workspace_scope.get())
        return await fetch(query, *args)

    monkeypatch.setattr(server.services.db, "fetch", noted)
    async with server.client(headers={"Authorization": f"Bearer {people.key}"}) as client:
        assert (await client.get("/api/v1/workspaces/acme/commands")).status_code == 200
        assert seen[-1] == people.acme
        seen.clear()
        assert (await client.get("/api/v1/workspaces/other/commands")).status_code == 404
        assert (await client.get("/api/v1/whoami")).status_code == 200
        assert set(seen) <= {None}
