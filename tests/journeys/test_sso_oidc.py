"""Signing in through an OpenID provider of its own process, at a real server. E23 B4"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journeys import team
from tests.journeys.harness import Server
from tests.journeys.sso import MockProvider, at_port, mock_provider, start
from tests.journeys.team import Visitor, failures_in, stranger


@pytest.fixture(scope="module")
def provider() -> Iterator[MockProvider]:
    with mock_provider() as provider:
        yield provider


@pytest.fixture(params=["sqlite", "postgres"])
def server(request: pytest.FixtureRequest, provider: MockProvider, tmp_path: Path) -> Iterator[Server]:
    config = f"""
[sso.connections.corp]
protocol = "oidc"
title = "Corp"
issuer = "{provider.url}"
client_id = "failgate"
client_secret = {{ file = "{tmp_path / "secret"}" }}
domains = ["corp.example"]
email_verified = true
[[sso.connections.corp.roles]]
group = "reviewers"
workspace = "acme"
role = "reviewer"
[[sso.connections.corp.roles]]
group = "admins"
workspace = "acme"
role = "admin"
"""
    (tmp_path / "secret").write_text("not-so-secret\n")
    url = team.apart(request.getfixturevalue("postgres_server").migrated()) if request.param == "postgres" else None
    server = at_port(Server(tmp_path / "data", database_url=url, config=config))
    server.start()
    try:
        team.found_acme(server)
        yield server
        server.stop()
        assert failures_in(server) == [], "".join(failures_in(server))[:3000]
    finally:
        server.kill()
        if url is not None:
            team.apart(request.getfixturevalue("postgres_server").drop(url))


def role_of(client: Visitor) -> str | None:
    found = client.get("/api/v1/whoami").json()["workspaces"]
    return next((one["role"] for one in found if one["workspace"] == "acme"), None)


def test_a_person_of_the_domain_gets_an_account_and_the_role_of_their_group(
    server: Server, provider: MockProvider
) -> None:
    provider.person("ann", email="Ann@Corp.example", email_verified=True, groups=["reviewers", "others"])
    with stranger(server) as client:
        assert "Continue with Corp" in client.get("/signin").text
        page = start(client, "corp", "/w/acme/queue", subject="ann")
        assert (page.status_code, page.url.path) == (200, "/w/acme/queue"), page.text
        assert role_of(client) == "reviewer"
        assert 'data-account-email="ann@corp.example"' in client.get("/account").text
