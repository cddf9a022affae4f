"""Provisioning over a real server and real sockets. # B1"""

import asyncio
import contextlib
import json
import random
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect as open_socket
from websockets.exceptions import ConnectionClosed

from failgate.base.canonical import digest_of
from failgate.base.ids import new_id
from failgate.wire.gate import Submission, Vote
from tests.pace import busy
from tests.web.conftest import OPERATOR, People, cookies_of, session_of
from tests.web.scim.conftest import ENTERPRISE, GROUP, PATCH, SEARCH, USER, Provider, connect

ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
OFF = {"op": "replace", "path": "active", "value": False}
ON = {"op": "replace", "path": "active", "value": True}


async def test_every_check_of_the_public_tester_passes(provider: Provider):
    """`scim2 test`: discovery, creation, reading, replacement, patching of every attribute, deletion."""
    await provider.found("/Users")  # the first request loads the models; the tester waits five seconds for it
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("scim2"), "-u", f"{provider.server.origin}/scim/v2",
        "-h", f"Authorization: Bearer {provider.token}", "test", "-v",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output = (await process.communicate())[0].decode()
    assert process.returncode == 0, "\n".join(line for line in output.splitlines() if "SUCCESS" not in line)[-4000:]
    assert output.count("SUCCESS") > 100


# Requests as Microsoft Entra sends them


async def test_the_sequence_of_entra(provider: Provider):
    """As in "Develop and plan provisioning for a SCIM endpoint", with both of its dialects of PATCH."""
    assert (await provider.found("/Users", filter='userName eq "non-existent user"'))["totalResults"] == 0
    made = await provider.ask("POST", "/Users", json.loads("""{
      "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User",
                  "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],
      "externalId": "0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef",
      "userName": "Test_User_ab6490ee@acme.example", "active": true,
      "emails": [{"primary": true, "type": "work", "value": "Test_User_fd0ea19b@acme.example"}],
      "meta": {"resourceType": "User"},
      "name": {"formatted": "givenName familyName", "familyName": "familyName", "givenName": "givenName"},
      "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": "Payments"},
      "roles": []}"""), wanted=201)  # fmt: skip
    assert made["meta"]["version"] == 'W/"1"'
    found = await provider.found("/Users", filter='externalId eq "0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef"')
    assert [each["id"] for each in found["Resources"]] == [made["id"]]
    account = await provider.server.services.accounts.by_email("test_user_fd0ea19b@acme.example")
    assert account is not None
    changed = await provider.patch("User", made["id"],
        {"op": "Replace", "path": 'emails[type eq "work"].value', "value": "updatedEmail@acme.example"},
        {"op": "Replace", "path": "name.familyName", "value": "updatedFamilyName"},
        {"op": "Add", "path": f"{ENTERPRISE}:manager", "value": made["id"]},
        {"op": "Add", "path": 'phoneNumbers[type eq "mobile"].value', "value": "555"},
        wanted=200)  # fmt: skip
    assert changed["emails"][0]["value"] == "updatedEmail@acme.example"
    assert changed["name"]["familyName"] == "updatedFamilyName"
    assert changed[ENTERPRISE]["manager"]["value"] == made["id"]
    assert changed["phoneNumbers"] == [{"type": "mobile", "value": "555"}]
    changed = await provider.patch("User", made["id"],
        {"op": "Replace", "value": {"displayName": "Bjfe", "name.givenName": "Kaila", 'emails[type eq "work"].value': "k@acme.example",
                                    f"{ENTERPRISE}:department": "Sales"}},
        wanted=200)  # fmt: skip
    assert (changed["displayName"], changed["name"]["givenName"]) == ("Bjfe", "Kaila")
    assert (changed["emails"][0]["value"], changed[ENTERPRISE]["department"]) == ("k@acme.example", "Sales")
    gone = await provider.patch("User", made["id"], {"op": "Replace", "path": "active", "value": "False"}, wanted=200)
    assert gone["active"] is False
    assert (await provider.found("/Users", filter='active eq "False"'))["totalResults"] == 1
    back = await provider.patch("User", made["id"], {"op": "Replace", "path": "active", "value": "True"}, wanted=200)
    assert back["active"] is True
    group = await provider.ask("POST", "/Groups", {
        "schemas": [GROUP, "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"],
        "externalId": "8aa1a0c0-c4c3-4bc0-b4a5-2ef676900159", "displayName": "displayName",
        "meta": {"resourceType": "Group"}}, wanted=201)  # fmt: skip
    listed = await provider.found("/Groups", excludedAttributes="members", filter='displayName eq "displayName"')
    assert "members" not in listed["Resources"][0]
    member = {"$ref": None, "value": made["id"]}
    await provider.patch("Group", group["id"], {"op": "Add", "path": "members", "value": [member]}, wanted=204)
    assert (await provider.found(f"/Groups/{group['id']}"))["members"][0]["value"] == made["id"]
    await provider.patch("Group", group["id"], {"op": "Remove", "path": "members", "value": [member]}, wanted=204)
    assert "members" not in await provider.found(f"/Groups/{group['id']}")
    await provider.patch("Group", group["id"], {"op": "Replace", "path": "displayName", "value": "newName"}, wanted=204)
    await provider.ask("DELETE", f"/Groups/{group['id']}", wanted=204)
    await provider.ask("DELETE", f"/Users/{made['id']}", wanted=204)
    await provider.ask("GET", f"/Users/{made['id']}", wanted=404)


# Requests as Okta sends them


async def test_the_sequence_of_okta(provider: Provider):
    """As in "SCIM 2.0 protocol reference": paging from the first, PUT of people, PATCH without a path."""
    await provider.found("/Users", startIndex=1, count=100)
    assert (await provider.found("/Users", filter='userName eq "test.user@acme.example"', startIndex=1, count=100))[
        "totalResults"
    ] == 0
    made = await provider.ask("POST", "/Users", json.loads("""{
      "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "test.user@acme.example",
      "name": {"givenName": "Test", "familyName": "User"},
      "emails": [{"primary": true, "value": "test.user@acme.example", "type": "work"}],
      "displayName": "Test User", "locale": "en-US", "externalId": "00ujl29u0le5T6Aj10h7", "groups": [],
      "password": "1mz050nq", "active": true}"""), wanted=201)  # fmt: skip
    assert "password" not in made
    await provider.ask("POST", "/Users", {"schemas": [USER], "userName": "TEST.user@acme.example"}, wanted=409)
    replaced = await provider.ask("PUT", f"/Users/{made['id']}", {
        "schemas": [USER], "id": made["id"], "userName": "test.user@acme.example",
        "name": {"givenName": "Another", "middleName": "", "familyName": "User"},
        "emails": [{"primary": True, "value": "test.user@acme.example", "type": "work", "display": "x"}],
        "active": True, "groups": [], "meta": {"resourceType": "User"}}, wanted=200)  # fmt: skip
    assert replaced["name"]["givenName"] == "Another"
    assert "displayName" not in replaced
    off = await provider.patch("User", made["id"], {"op": "replace", "value": {"active": False}}, wanted=200)
    assert off["active"] is False
    await provider.patch("User", made["id"], {"op": "replace", "value": {"active": True}}, wanted=200)
    group = await provider.group("Test SCIMv2")
    body = {"id": group["id"], "displayName": "Reviewers"}
    await provider.patch("Group", group["id"], {"op": "replace", "value": body}, wanted=204)
    await provider.patch("Group", group["id"],
        {"op": "add", "path": "members", "value": [{"value": made["id"], "display": "test.user@acme.example"}]},
        wanted=204)  # fmt: skip
    account = await provider.server.services.accounts.by_email("test.user@acme.example")
    assert account is not None
    role_of = provider.server.services.workspaces.role_of
    assert await role_of(provider.connection.workspace_id, account.id) == "reviewer"
    await provider.patch("Group", group["id"], {"op": "replace", "path": "members", "value": []}, wanted=204)
    assert await role_of(provider.connection.workspace_id, account.id) is None
    await provider.ask("DELETE", f"/Groups/{group['id']}", wanted=204)


# Deactivation


async def test_fifty_sessions_tokens_and_sockets_are_gone_within_a_second(provider: Provider, people: People):
    """B1: measured from the request to the last socket that closes."""
    services = provider.server.services
    ann = await provider.user("ann")
    await provider.group("Reviewers", ann["id"])
    account = await services.accounts.by_email("ann@acme.example")
    assert account is not None
    sessions = [await session_of(services, account.id) for _ in range(50)]
    agent = await services.agents.create(people.acme, "of ann", account.id, OPERATOR)
    keys = [await services.tokens.mint("usr", account.id, people.acme, f"k{n}", actor=OPERATOR) for n in range(25)]
    keys += [await services.tokens.mint("agt", agent.id, people.acme, f"a{n}", actor=OPERATOR) for n in range(25)]
    ws = provider.server.origin.replace("http", "ws", 1)
    async with contextlib.AsyncExitStack() as stack:
        sockets = [
            await stack.enter_async_context(
                open_socket(
                    f"{ws}/api/v1/live?workspace=acme", origin=provider.server.origin, proxy=None,
                    additional_headers={"cookie": cookies_of(token)},
                )
            )
            for token in sessions
        ]  # fmt: skip
        sockets += [
            await stack.enter_async_context(
                open_socket(f"{ws}/api/v1/agent", proxy=None, additional_headers={"authorization": f"Bearer {key}"})
            )
            for key in keys
        ]
        loop = asyncio.get_running_loop()
        began = loop.time()
        await provider.patch("User", ann["id"], OFF, wanted=200)
        codes = await asyncio.gather(*(_closed(socket) for socket in sockets))
        seconds = loop.time() - began
    assert set(codes) <= {4401, 4403}
    assert len(codes) == 100
    assert seconds < busy(1), seconds
    async with provider.server.client() as client:
        for token in sessions:
            assert (await client.get("/api/v1/whoami", headers={"cookie": cookies_of(token)})).status_code == 401
        for key in keys:
            answer = await client.get("/api/v1/whoami", headers={"authorization": f"Bearer {key}"})
            assert answer.status_code == 401
        await provider.patch("User", ann["id"], ON, wanted=200)
        for token in sessions[:3]:
            assert (await client.get("/api/v1/whoami", headers={"cookie": cookies_of(token)})).status_code == 401


async def _closed(socket: Any) -> int:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(5):
            while True:
                try:
                    await socket.recv()
                except ConnectionClosed as closed:
                    return closed.rcvd.code if closed.rcvd is not None else 0
    return -1


@pytest.mark.parametrize("how", ["workspace", "installation", "delete"])
async def test_a_vote_of_who_is_deactivated_does_not_count_nor_when_they_come_back(
    provider: Provider, installation: Provider, people: People, how: str
):
    """B1 E5: two approvals are needed; one of them is of somebody who left meanwhile."""
    idp, at = (installation, "corp") if how == "installation" else (provider, "acme")
    services = idp.server.services
    name = f"ann@{at}.example"
    ann = await idp.ask("POST", "/Users", {"schemas": [USER], "userName": name}, wanted=201)
    group = await idp.group("Reviewers", ann["id"])
    account = await services.accounts.by_email(name)
    assert account is not None
    for voter in (account.id, people.accounts["reviewer"]):
        await _factor(services, voter)
    asking = await services.tokens.resolve(people.agent)
    body = {"v": 1, "argv": ["/usr/bin/rm", "x"], "cwd": "/", "env": {}, "host": "h"}
    view = await services.gate.submit(asking, people.acme, Submission(command=body, digest=digest_of(body)))
    assert view.need == 2
    await _vote(services, people.acme, account.id, view)
    if how == "delete":
        await idp.ask("DELETE", f"/Users/{ann['id']}", wanted=204)
        ann = await idp.ask("POST", "/Users", {"schemas": [USER], "userName": name}, wanted=201)
        await idp.patch("Group", group["id"], {"op": "add", "path": "members", "value": [{"value": ann["id"]}]})
    else:
        await idp.patch("User", ann["id"], OFF, wanted=200)
        await idp.patch("User", ann["id"], ON, wanted=200)
    after = await _vote(services, people.acme, people.accounts["reviewer"], view)
    assert (after.state, len(after.votes)) == ("pending", 1)


async def _factor(services: Any, account_id: str) -> None:
    query = "INSERT INTO totp_secret (id, account_id, sealed, created_us, confirmed_us) VALUES ($1, $2, $3, 1, 1)"
    await services.db.write(lambda tx: tx.execute(query, new_id(), account_id, b"x"))


async def _vote(services: Any, workspace_id: str, account_id: str, view: Any) -> Any:
    from failgate.access.principal import Principal

    who = Principal(kind="user", account_id=account_id, session_id="s", second_factor_us=1, auth=("pwd", "otp"))
    return await services.gate.vote(who, workspace_id, view.id, Vote(decision="approve", digest=view.digest))


# Tokens


async def test_a_token_is_rotated_and_revoked_at_once(provider: Provider):
    tokens = provider.server.services.scim.tokens
    await provider.found("/Users")
    fresh = await tokens.mint(provider.connection, OPERATOR)
    await provider.ask("GET", "/Users", wanted=401)
    provider.client.headers["authorization"] = f"Bearer {fresh}"
    await provider.found("/Users")
    await tokens.sweep()
    current = await tokens.current(provider.connection.id)
    assert current is not None
    assert current.last_used_us is not None
    await tokens.revoke(provider.connection, OPERATOR)
    answer = await provider.client.get("/Users")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.json()["schemas"] == [ERROR]
    assert await tokens.current(provider.connection.id) is None


async def test_a_token_stands_nowhere_in_the_clear(provider: Provider):
    services = provider.server.services
    rows = await services.db.fetch("SELECT * FROM scim_token")
    records = await services.audit.records(provider.connection.workspace_id, None, 1000)
    secret = provider.token.split("_")[3]
    assert secret not in str(rows) + str([stored.record for stored in records])
    minted = [stored.record for stored in records if stored.record["act"] == "token.minted"]
    assert {"kind": "scim", "owner": provider.connection.id}.items() <= minted[-1]["data"].items()


async def test_it_opens_no_other_door_and_no_other_key_opens_this_one(provider: Provider, people: People):
    async with provider.server.client() as client:
        bearer = {"authorization": f"Bearer {provider.token}"}
        for path in ("/api/v1/whoami", "/metrics"):
            answer = await client.get(path, headers={**bearer, "x-forwarded-for": "198.51.100.7"})
            assert answer.status_code in {403, 404}, path
        assert (await client.get("/api/v1/workspaces/acme/commands", headers=bearer)).status_code == 404
        for token in (people.key, people.agent):
            answer = await client.get("/scim/v2/Users", headers={"authorization": f"Bearer {token}"})
            assert (answer.status_code, answer.json()["schemas"]) == (403, [ERROR])
        cookie = await session_of(provider.server.services, people.accounts["owner"])
        assert (await client.get("/scim/v2/Users", headers={"cookie": cookies_of(cookie)})).status_code == 401


async def test_a_connection_that_is_switched_off_or_removed_provisions_nothing(provider: Provider):
    services = provider.server.services
    connection = provider.connection
    await services.sso.connections.disable(connection.workspace_id, connection.id, OPERATOR)
    await provider.user("ann", wanted=403)
    await services.sso.connections.enable(connection.workspace_id, connection.id, OPERATOR)
    await provider.user("ann")
    await services.sso.connections.remove(connection.workspace_id, connection.id, OPERATOR)
    await provider.ask("GET", "/Users", wanted=401)


async def test_what_another_connection_provisioned_answers_like_what_is_not_there(
    provider: Provider, installation: Provider
):
    ann = await provider.user("ann")
    group = await provider.group("One", ann["id"])
    for kind, resource_id in (("Users", ann["id"]), ("Groups", group["id"])):
        for method, body in (
            ("GET", None), ("DELETE", None), ("PUT", {"schemas": [USER], "userName": "x"}),
            ("PATCH", {"schemas": [PATCH], "Operations": [OFF]}),
        ):  # fmt: skip
            shapes = []
            for asked in (resource_id, new_id()):
                answer = await installation.client.request(method, f"/{kind}/{asked}", json=body)
                headers = {
                    k: v
                    for k, v in answer.headers.items()
                    if k not in {"date", "x-request-id", "content-security-policy"}
                }
                shapes.append((answer.status_code, answer.content, headers))
            assert shapes[0] == shapes[1]
            assert shapes[0][0] == 404
    assert (await installation.found("/Users"))["totalResults"] == 0
    assert (await installation.found("/Users", filter=f'id eq "{ann["id"]}"'))["totalResults"] == 0
    assert (await installation.found("/Groups", filter=f'members.value eq "{ann["id"]}"'))["totalResults"] == 0
    await provider.found(f"/Users/{ann['id']}")


# The protocol


async def test_versions_guard_against_lost_changes(provider: Provider):
    ann = await provider.user("ann")
    path, tag = f"/Users/{ann['id']}", ann["meta"]["version"]
    answer = await provider.client.get(path)
    assert answer.headers["etag"] == tag
    assert (await provider.client.get(path, headers={"if-none-match": tag})).status_code == 304
    body = {"schemas": [PATCH], "Operations": [{"op": "add", "path": "title", "value": "x"}]}
    await provider.ask("PATCH", path, body, wanted=200, headers={"if-match": tag})
    for method, sent in (("PATCH", body), ("PUT", {"schemas": [USER], "userName": "x"}), ("DELETE", None)):
        await provider.ask(method, path, sent, wanted=412, headers={"if-match": tag})
    await provider.ask("DELETE", path, wanted=204, headers={"if-match": "*"})


async def test_of_many_who_change_one_resource_together_every_change_is_kept(provider: Provider):
    ann = await provider.user("ann")
    numbers = [
        provider.patch(
            "User", ann["id"], {"op": "add", "path": "phoneNumbers", "value": [{"value": str(n)}]}, wanted=200
        )
        for n in range(4)
    ]
    await asyncio.gather(*numbers)
    kept = (await provider.found(f"/Users/{ann['id']}"))["phoneNumbers"]
    assert sorted(each["value"] for each in kept) == ["0", "1", "2", "3"]


async def test_attributes_are_shown_and_hidden(provider: Provider):
    ann = await provider.ask("POST", "/Users", {
        "schemas": [USER, ENTERPRISE], "userName": "ann@acme.example", "emails": [{"value": "ann@acme.example"}],
        "name": {"givenName": "A", "familyName": "B"}, ENTERPRISE: {"department": "d", "division": "v"},
    }, wanted=201)  # fmt: skip
    path = f"/Users/{ann['id']}"
    shown = await provider.found(path, attributes="name.givenName,emails.value")
    assert shown == {
        "schemas": ann["schemas"],
        "id": ann["id"],
        "name": {"givenName": "A"},
        "emails": [{"value": "ann@acme.example"}],
    }
    hidden = await provider.found(path, excludedAttributes=f"id,emails,{ENTERPRISE}:department,name.givenName")
    assert "emails" not in hidden
    assert hidden["id"] == ann["id"]
    assert (hidden[ENTERPRISE], hidden["name"]) == ({"division": "v"}, {"familyName": "B"})
    assert ENTERPRISE not in await provider.found(path, excludedAttributes=ENTERPRISE)
    listed = await provider.found("/Users", attributes="USERNAME")
    assert set(listed["Resources"][0]) == {"schemas", "id", "userName"}
    await provider.ask("GET", path, wanted=400, params={"attributes": "title", "excludedAttributes": "name"})


async def test_a_search_may_stand_in_the_body(provider: Provider):
    ann = await provider.user("ann")
    await provider.group("One", ann["id"])
    body = {"schemas": [SEARCH], "filter": "displayName pr or userName pr", "sortBy": "meta.created", "count": 10}
    found = await provider.ask("POST", "/.search", body, wanted=200)
    assert [each["meta"]["resourceType"] for each in found["Resources"]] == ["User", "Group"]
    only = await provider.ask(
        "POST", "/Groups/.search", {"schemas": [SEARCH], "attributes": ["displayName"]}, wanted=200
    )
    assert [each["displayName"] for each in only["Resources"]] == ["One"]
    await provider.ask("POST", "/Users/.search", {"filter": "userName pr"}, wanted=400)


async def test_bulk_is_refused_as_the_config_says(provider: Provider):
    assert (await provider.found("/ServiceProviderConfig"))["bulk"]["supported"] is False
    answer = await provider.ask("POST", "/Bulk", {"Operations": []}, wanted=501)
    assert answer == {"schemas": [ERROR], "status": "501", "detail": answer["detail"]}
    await provider.ask("GET", "/Me", wanted=404)


@pytest.mark.parametrize(
    "media_type", ["application/scim+json", "application/json", "application/scim+json; charset=utf-8"]
)
async def test_both_media_types_are_read_and_one_is_answered(provider: Provider, media_type: str):
    body = json.dumps({"schemas": [USER], "userName": "x"})
    answer = await provider.client.post("/Users", content=body, headers={"content-type": media_type})
    assert (answer.status_code, answer.headers["content-type"]) == (201, "application/scim+json")


# Bad input


def _malformed() -> list[bytes]:
    deep = b'{"schemas":["%s"],"userName":"x","name":' % USER.encode() + b"[" * 40 + b"]" * 40 + b"}"
    user = b'"schemas":["%s"],"userName":' % USER.encode()
    return [
        b"", b" ", b"{", b"nul", b"[]", b'"x"', b"1", b"null", b"\xff\xfe", b"\xef\xbb\xbf{}", b"{} {}", b"NaN", deep,
        b'{%s"a","userName":"b"}' % user, b"{%s1}" % user, b"{%snull}" % user, b'{%s""}' % user, b'{%s" "}' % user,
        b'{%s"\\u0000"}' % user, b'{%s"\\ud800"}' % user, b'{%s"x","emails":3}' % user, b'{%s"x","emails":[3]}' % user,
        b'{%s"x","emails":{"value":"a"}}' % user, b'{%s"x","active":"perhaps"}' % user, b'{%s"x","active":[]}' % user,
        b'{%s"x","name":"y"}' % user, b'{%s"x","name":{"givenName":{}}}' % user, b"{%s{}}" % user, b"{%s[]}" % user,
        b'{"schemas":"x","userName":"a"}', b'{"schemas":[],"userName":"a"}', b'{"schemas":[1],"userName":"a"}',
        b'{%s"x","emails":[{"value":"a","primary":true},{"value":"b","primary":true}]}' % user,
        b'{%s"x","x509Certificates":[{"value":5}]}' % user, b'{%s"%s"}' % (user, b"x" * 20_000),
        b'{%s"x","emails":[%s]}' % (user, b",".join(b'{"value":"a%d"}' % n for n in range(200))),
        b"{%s1e999}" % user, b'{%s"x","name":{"familyName":1e400}}' % user,
    ]  # fmt: skip


async def test_no_malformed_body_is_anything_but_refused(provider: Provider):
    """Every kind at every door that reads a body: a SCIM error of 400, nothing kept."""
    ann = await provider.user("ann")
    group = await provider.group("One", ann["id"])
    doors = [("POST", "/Users"), ("PUT", f"/Users/{ann['id']}"), ("PATCH", f"/Users/{ann['id']}"), ("POST", "/Groups"),
             ("PUT", f"/Groups/{group['id']}"), ("PATCH", f"/Groups/{group['id']}"), ("POST", "/.search")]  # fmt: skip
    for body in _malformed():
        for method, path in doors:
            answer = await provider.client.request(method, path, content=body)
            assert answer.status_code == 400, (method, path, body[:200], answer.text)
            assert answer.headers["content-type"] == "application/scim+json"
            assert answer.json()["schemas"] == [ERROR]
            assert "Traceback" not in answer.text
    assert (await provider.found("/Users"))["totalResults"] == 1


@pytest.mark.parametrize(
    ("operation", "scim_type"),
    [
        ({"op": "jump", "path": "title", "value": "x"}, "invalidValue"),
        ({"op": 3, "path": "title", "value": "x"}, "invalidValue"),
        ({"path": "title", "value": "x"}, "invalidValue"),
        ({"op": "add", "path": "title"}, "invalidValue"),
        ({"op": "remove"}, "noTarget"),
        ({"op": "remove", "path": "userName"}, "mutability"),
        ({"op": "replace", "path": "userName", "value": None}, "mutability"),
        ({"op": "replace", "path": "userName", "value": ""}, "invalidValue"),
        ({"op": "replace", "path": "id", "value": "x"}, "mutability"),
        ({"op": "replace", "path": "groups", "value": []}, "mutability"),
        ({"op": "replace", "path": "meta.created", "value": "x"}, "mutability"),
        ({"op": "add", "path": "emails[", "value": "x"}, "invalidPath"),
        ({"op": "add", "path": 7, "value": "x"}, None),
        ({"op": "add", "path": 'emails[type sw "h" or value co "zz"].value', "value": "x"}, "noTarget"),
        ({"op": "add", "path": "active", "value": "perhaps"}, "invalidValue"),
        ({"op": "add", "value": "x"}, "invalidValue"),
        ({"op": "add", "value": []}, None),
        ({"op": "add", "path": "emails", "value": [[]]}, "invalidValue"),
        ([], "invalidSyntax"),
        ("x", "invalidSyntax"),
    ],
)
async def test_an_operation_that_cannot_be_done_is_refused_by_the_keyword(
    provider: Provider, operation: Any, scim_type: str | None
):
    ann = await provider.user("ann", title="t")
    good = {"op": "add", "path": "title", "value": "changed"}
    answer = await provider.patch("User", ann["id"], good, operation)
    assert answer["schemas"] == [ERROR], answer
    assert answer["status"] == "400"
    assert scim_type is None or answer["scimType"] == scim_type, answer
    assert (await provider.found(f"/Users/{ann['id']}"))["title"] == "t"  # none of them, or all


async def test_random_bodies_never_end_in_an_error_of_the_server(provider: Provider):
    """A seeded storm of JSON shaped like SCIM, and of bytes."""
    chance = random.Random(7)
    ann = await provider.user("ann")
    group = await provider.group("One")
    words = ["userName", "emails", "value", "members", "Operations", "op", "path", "add", "remove", "replace", "active", USER,
             GROUP, PATCH, ENTERPRISE, "schemas", "manager", 'emails[type eq "work"].value', ann["id"], "", "x", "$ref", "name"]  # fmt: skip

    def value(depth: int = 0) -> Any:
        pick = chance.random()
        if depth > 4 or pick < 0.5:
            return chance.choice([*words, None, True, False, 0, -1, 2**70, 1.5, {}, []])
        if pick < 0.75:
            return [value(depth + 1) for _ in range(chance.randint(0, 3))]
        return {chance.choice(words): value(depth + 1) for _ in range(chance.randint(0, 4))}

    doors = [("POST", "/Users", USER), ("PUT", f"/Users/{ann['id']}", USER), ("PATCH", f"/Users/{ann['id']}", PATCH),
             ("POST", "/Groups", GROUP), ("PATCH", f"/Groups/{group['id']}", PATCH), ("POST", "/.search", SEARCH)]  # fmt: skip
    for _ in range(150):
        method, path, schema = chance.choice(doors)
        body = value()
        if isinstance(body, dict) and chance.random() < 0.8:
            body["schemas"] = [schema]
            if schema == PATCH:
                operation = {
                    "op": chance.choice(["add", "replace", "Remove"]),
                    "path": chance.choice(words),
                    "value": value(),
                }
                body["Operations"] = [operation if chance.random() < 0.8 else value()]
        answer = await provider.client.request(method, path, json=body)
        assert answer.status_code < 500, (method, path, body, answer.text)


async def test_too_large_and_of_another_kind(provider: Provider):
    big = b'{"schemas":["%s"],"userName":"x","title":"%s"}' % (USER.encode(), b"x" * 1_100_000)
    answer = await provider.client.post("/Users", content=big)
    assert (answer.status_code, answer.json()["status"]) == (413, "413")
    for media_type in ("text/plain", "application/xml", "", "application/json; charset=latin-1"):
        answer = await provider.client.post("/Users", content=b"{}", headers={"content-type": media_type})
        assert (answer.status_code, answer.json()["schemas"]) == (415, [ERROR])
    for query in (
        "?startIndex=x",
        "?count=1e3",
        "?sortOrder=up",
        "?sortBy=nothing",
        "?filter=userName",
        "?count=1&count=2",
    ):
        answer = await provider.client.get(f"/Users{query}")
        assert (answer.status_code, answer.json()["schemas"]) == (400, [ERROR]), query
    assert (await provider.client.get("/Nothing")).json()["status"] == "404"
    assert (await provider.client.put("/Users")).status_code == 405


async def test_a_name_is_unique_within_the_connection_and_not_beyond(provider: Provider, people: People):
    ann, bob = await provider.user("ann"), await provider.user("bob")
    taken = await provider.ask(
        "PUT", f"/Users/{bob['id']}", {"schemas": [USER], "userName": "ANN@acme.example"}, wanted=409
    )
    assert taken["scimType"] == "uniqueness"
    assert (await provider.group("One"))["displayName"] == "One"
    assert (await provider.group("one", wanted=409))["scimType"] == "uniqueness"
    other = await connect(provider.server, people.acme, "second", "[]", "else.example")
    one = Provider(provider.server, other, await provider.server.services.scim.tokens.mint(other, OPERATOR))
    await one.group("One")
    await one.ask("POST", "/Users", {"schemas": [USER], "userName": ann["userName"], "active": False}, wanted=201)
    await one.client.aclose()


async def test_locations_lead_back_here(provider: Provider):
    ann = await provider.user("ann")
    group = await provider.group("One", ann["id"])
    async with httpx.AsyncClient(headers=provider.client.headers, trust_env=False) as client:
        for url in (
            ann["meta"]["location"], group["members"][0]["$ref"],
            (await provider.found(f"/Users/{ann['id']}"))["groups"][0]["$ref"],
        ):  # fmt: skip
            assert (await client.get(url)).status_code == 200, url
