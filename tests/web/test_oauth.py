"""The OAuth doors through a real server: RFC 8628, 6749, 7009, 8414."""

import base64
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from failgate.access.principal import Principal
from failgate.audit.record import Actor
from failgate.roster import Services
from failgate.sso.connection import OidcSettings
from failgate.sso.draft import Draft
from tests.web.conftest import OPERATOR, People, Running

CLIENT = "failgate-cli"
DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"


@pytest.fixture
async def client(server: Running) -> AsyncIterator[httpx.AsyncClient]:
    async with server.client() as one:
        yield one


async def begin(client: httpx.AsyncClient, **fields: str) -> dict[str, Any]:
    answer = await client.post("/oauth/device_authorization", data={"client_id": CLIENT, **fields})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def poll(client: httpx.AsyncClient, device_code: str) -> httpx.Response:
    fields = {"client_id": CLIENT, "grant_type": DEVICE_CODE, "device_code": device_code}
    return await client.post("/oauth/token", data=fields)


async def refresh(client: httpx.AsyncClient, token: str, key: str | None = None) -> httpx.Response:
    fields = {"client_id": CLIENT, "grant_type": "refresh_token", "refresh_token": token}
    return await client.post("/oauth/token", data=fields, headers={"idempotency-key": key} if key else {})


async def signed_in(services: Services, client: httpx.AsyncClient, account_id: str) -> dict[str, Any]:
    begun = await begin(client, host="builder")
    person = Principal("user", account_id=account_id, session_id="session")
    await services.device_login.decide(begun["user_code"], "approve", person)
    answer = await poll(client, begun["device_code"])
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_command_line_is_signed_in_renewed_and_signed_out(
    services: Services, people: People, client: httpx.AsyncClient
) -> None:
    # F9 F10
    begun = await begin(client)
    assert set(begun) == {"device_code", "user_code", "verification_uri", "expires_in", "interval"}
    assert begun["verification_uri"] == f"{client.base_url}/device".replace("//device", "/device")
    waiting = await poll(client, begun["device_code"])
    assert (waiting.status_code, waiting.json()["error"]) == (400, "authorization_pending")
    early = await poll(client, begun["device_code"])
    assert (early.status_code, early.json()["error"]) == (400, "slow_down")
    tokens = await signed_in(services, client, people.accounts["developer"])
    assert tokens["token_type"] == "Bearer"
    assert tokens["expires_in"] == 600
    bearer = {"authorization": f"Bearer {tokens['access_token']}"}
    me = (await client.get("/api/v1/whoami", headers=bearer)).json()
    assert (me["kind"], me["email"]) == ("user", "developer@example.org")
    assert me["workspaces"] == [{"workspace": "acme", "role": "developer"}]
    renewed = (await refresh(client, tokens["refresh_token"])).json()
    assert renewed["refresh_token"] != tokens["refresh_token"]
    out = await client.post("/oauth/revoke", data={"client_id": CLIENT, "token": renewed["refresh_token"]})
    assert (out.status_code, out.json()) == (200, {})
    for access in (tokens["access_token"], renewed["access_token"]):
        answer = await client.get("/api/v1/whoami", headers={"authorization": f"Bearer {access}"})
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")
    again = await refresh(client, renewed["refresh_token"])
    assert again.json()["error"] == "invalid_grant"


async def test_revoking_an_access_token_ends_its_login_too(
    services: Services, people: People, client: httpx.AsyncClient
) -> None:
    tokens = await signed_in(services, client, people.accounts["developer"])
    for other in ("eyJ.x.y", "fg_ref_x", "x", tokens["access_token"]):
        answer = await client.post("/oauth/revoke", data={"client_id": CLIENT, "token": other})
        assert (answer.status_code, answer.content) == (200, b"{}")
    assert await services.logins.list(people.accounts["developer"]) == []


@pytest.mark.parametrize(
    ("path", "fields", "status", "error"),
    [
        ("device_authorization", {"host": "h"}, 401, "invalid_client"),
        ("device_authorization", {"client_id": "other"}, 401, "invalid_client"),
        ("token", {"client_id": "other", "grant_type": "refresh_token"}, 401, "invalid_client"),
        ("token", {"client_id": CLIENT}, 400, "invalid_request"),
        ("token", {"client_id": CLIENT, "grant_type": "password"}, 400, "unsupported_grant_type"),
        ("token", {"client_id": CLIENT, "grant_type": "authorization_code", "code": "x"}, 400, "unsupported_grant_type"),
        ("token", {"client_id": CLIENT, "grant_type": DEVICE_CODE}, 400, "invalid_request"),
        ("token", {"client_id": CLIENT, "grant_type": DEVICE_CODE, "device_code": "é"}, 400, "invalid_grant"),
        ("token", {"client_id": CLIENT, "grant_type": DEVICE_CODE, "device_code": "x" * 43}, 400, "invalid_grant"),
        ("token", {"client_id": CLIENT, "grant_type": "refresh_token"}, 400, "invalid_request"),
        ("token", {"client_id": CLIENT, "grant_type": "refresh_token", "refresh_token": "x"}, 400, "invalid_grant"),
        ("revoke", {"client_id": CLIENT}, 400, "invalid_request"),
        ("revoke", {"token": "x"}, 401, "invalid_client"),
    ],
)  # fmt: skip
async def test_errors_are_those_of_oauth(client: httpx.AsyncClient, path, fields, status, error) -> None:
    answer = await client.post(f"/oauth/{path}", data=fields)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert set(answer.json()) == {"error", "error_description"}
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.headers["cache-control"] == "no-store"
    assert '"' not in answer.json()["error_description"]


@pytest.mark.parametrize(
    "how",
    [
        {"json": {"client_id": CLIENT}},
        {"content": b"client_id=a&client_id=b", "headers": {"content-type": "application/x-www-form-urlencoded"}},
        {"content": b"\xff", "headers": {"content-type": "application/x-www-form-urlencoded"}},
        {"content": b"client_id=%00", "headers": {"content-type": "application/x-www-form-urlencoded"}},
        {"content": b"a=" + b"b" * 70_000, "headers": {"content-type": "application/x-www-form-urlencoded"}},
        {"content": b"", "headers": {"content-type": "application/x-www-form-urlencoded"}},
        {"files": {"client_id": b"failgate-cli"}},
    ],
    ids=["json", "twice", "no text", "NUL", "large", "empty", "multipart"],
)
@pytest.mark.parametrize("path", ["device_authorization", "token", "revoke"])
async def test_a_malformed_body_is_an_error_of_oauth(client: httpx.AsyncClient, path: str, how) -> None:
    answer = await client.post(f"/oauth/{path}", **how)
    assert 400 <= answer.status_code < 500
    assert answer.json()["error"] in {"invalid_request", "invalid_client"}
    assert (await client.get(f"/oauth/{path}")).status_code == 405


async def test_the_doors_take_neither_cookie_nor_token_for_a_proof(
    services: Services, people: People, client: httpx.AsyncClient
) -> None:
    headers = {
        "authorization": f"Bearer {people.key}",
        "cookie": "fg_session=" + "x" * 43,
        "origin": "https://evil.example",
    }
    answer = await client.post(
        "/oauth/token", data={"client_id": CLIENT, "grant_type": "refresh_token"}, headers=headers
    )
    assert answer.json()["error"] == "invalid_request"


async def test_the_server_describes_itself_and_publishes_its_keys(
    services: Services, people: People, client: httpx.AsyncClient
) -> None:
    described = (await client.get("/.well-known/oauth-authorization-server")).json()
    issuer = str(client.base_url).rstrip("/")
    assert described["issuer"] == issuer
    assert described["response_types_supported"] == []
    assert described["grant_types_supported"] == [DEVICE_CODE, "refresh_token"]
    assert described["token_endpoint_auth_methods_supported"] == ["none"]
    for name, path in (
        ("token_endpoint", "/oauth/token"),
        ("device_authorization_endpoint", "/oauth/device_authorization"),
        ("revocation_endpoint", "/oauth/revoke"),
        ("jwks_uri", "/.well-known/jwks.json"),
    ):
        assert described[name] == issuer + path
    tokens = await signed_in(services, client, people.accounts["developer"])
    published = await client.get("/.well-known/jwks.json")
    assert published.headers["cache-control"] == "public, max-age=300"
    head = tokens["access_token"].partition(".")[0]
    header = json.loads(base64.urlsafe_b64decode(head + "=="))
    from joserfc import jwk, jws, jwt

    keys = jwk.KeySet.import_key_set(published.json())
    assert all("d" not in key for key in published.json()["keys"])
    registry = jws.JWSRegistry(algorithms=["EdDSA"])
    with pytest.warns(match="EdDSA"):
        verified = jwt.decode(tokens["access_token"], keys.get_by_kid(header["kid"]), registry=registry)
    assert verified.claims["iss"] == verified.claims["aud"] == issuer
    assert verified.claims["sub"] == people.accounts["developer"]


async def test_a_retry_key_must_be_hard_to_guess(services: Services, people: People, client: httpx.AsyncClient) -> None:
    tokens = await signed_in(services, client, people.accounts["developer"])
    assert (await refresh(client, tokens["refresh_token"], "short")).json()["error"] == "invalid_request"
    first = await refresh(client, tokens["refresh_token"], "k" * 32)
    second = await refresh(client, tokens["refresh_token"], "k" * 32)
    assert (first.status_code, second.status_code) == (200, 200)
    assert (await refresh(client, second.json()["refresh_token"])).status_code == 200


async def test_a_command_line_does_what_its_person_may_without_a_second_factor(
    services: Services, people: People, client: httpx.AsyncClient
) -> None:
    tokens = await signed_in(services, client, people.accounts["owner"])
    headers = {"authorization": f"Bearer {tokens['access_token']}"}
    where = "/api/v1/workspaces/acme"
    assert (await client.get(f"{where}/commands", headers=headers)).status_code == 200
    assert (await client.get("/api/v1/workspaces/other/commands", headers=headers)).status_code == 404
    vote = {"decision": "approve", "digest": "x"}
    refused = await client.post(f"{where}/commands/{people.acme}/votes", json=vote, headers=headers)
    assert (refused.status_code, refused.json()["type"]) == (403, "urn:failgate:error:step-up-required")
    rule = {"kind": "exact", "effect": "allow", "argv": ["/bin/true"]}
    refused = await client.post(f"{where}/rules", json=rule, headers=headers)
    assert (refused.status_code, refused.json()["type"]) == (403, "urn:failgate:error:step-up-required")
    assert (await client.get("/account", headers=headers, follow_redirects=False)).status_code == 303
    cookie = {"cookie": f"fg_session={tokens['access_token']}"}
    assert (await client.get("/api/v1/whoami", headers=cookie)).status_code == 401


@pytest.mark.parametrize("token", ["eyJ", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", "x" * 9000, "fg_", "é", "_"])
async def test_what_is_no_token_is_no_server_error(client: httpx.AsyncClient, token: str) -> None:
    with contextlib.suppress(UnicodeEncodeError):
        answer = await client.get("/api/v1/whoami", headers={"authorization": f"Bearer {token}"})
        assert answer.status_code == 401


async def test_a_lost_role_is_seen_at_once(services: Services, people: People, client: httpx.AsyncClient) -> None:
    tokens = await signed_in(services, client, people.accounts["developer"])
    headers = {"authorization": f"Bearer {tokens['access_token']}"}
    assert (await client.get("/api/v1/workspaces/acme/commands", headers=headers)).status_code == 200
    by = Actor("user", people.accounts["owner"])
    await services.workspaces.remove_member(people.acme, people.accounts["developer"], by)
    assert (await client.get("/api/v1/workspaces/acme/commands", headers=headers)).status_code == 404


async def test_a_connection_that_is_switched_off_ends_what_was_approved_through_it(
    services: Services, people: People, client: httpx.AsyncClient
) -> None:
    draft = Draft("Acme", OidcSettings(issuer="https://idp.example", client_id="failgate"), client_secret="x" * 20)
    connection = await services.sso.connections.create(people.acme, "acme-idp", draft, OPERATOR)
    account_id = people.accounts["developer"]
    begun = await begin(client)
    person = Principal(
        "user", account_id=account_id, session_id="s", connection_id=connection.id, workspace_id=people.acme
    )
    await services.device_login.decide(begun["user_code"], "approve", person)
    tokens = (await poll(client, begun["device_code"])).json()
    plain = await signed_in(services, client, account_id)
    headers = {"authorization": f"Bearer {tokens['access_token']}"}
    assert (await client.get("/api/v1/workspaces/acme/commands", headers=headers)).status_code == 200
    await services.sso.connections.disable(people.acme, connection.id, OPERATOR)
    assert (await client.get("/api/v1/workspaces/acme/commands", headers=headers)).status_code == 401
    assert (await refresh(client, plain["refresh_token"])).status_code == 200
