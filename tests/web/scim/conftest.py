"""A server with two provisioning connections: one of the workspace acme, one of the installation."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from failgate.assembly import open_services
from failgate.base.ids import new_id
from failgate.config.load import load_config
from failgate.roster import Services
from failgate.sso.connection import Connection
from tests.trust import TRUST
from tests.web.conftest import OPERATOR, OnDatabase, People, Running, at_free_port, with_optional_factor

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
SEARCH = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"
ROLES = '[["Reviewers", "reviewer"], ["Admins", "admin"], ["00000000-owners", "owner"]]'


async def connect(server: Running, workspace_id: str | None, slug: str, roles: str, domain: str) -> Connection:
    """Keep a connection with a verified domain, as an owner or the config would."""
    connection_id = new_id()
    settings = '{"kind": "saml", "entity_id": "https://idp.example", "sso_url": "https://idp.example/sso"}'

    async def verb(tx: Any) -> None:
        await tx.execute(
            "INSERT INTO sso_connection (id, slug, title, workspace_id, settings, roles, trusted_methods, is_enabled,"
            " is_listed, created_us, changed_us) VALUES ($1, $2, $2, $3, $4, $5, '[]', 1, 1, 1, 1)",
            connection_id, slug, workspace_id, settings, roles,
        )  # fmt: skip
        await tx.execute(
            "INSERT INTO sso_domain (id, connection_id, domain, token, verified_by, verified_us, created_us)"
            " VALUES ($1, $2, $3, 'x', 'operator', 1, 1)",
            new_id(), connection_id, domain,
        )  # fmt: skip

    await server.services.db.write(verb)
    found = await server.services.sso.connections.by_id(connection_id)
    assert found is not None
    return found


@dataclass
class Provider:
    """An identity provider with its token."""

    server: Running
    connection: Connection
    token: str
    client: httpx.AsyncClient = field(init=False)

    def __post_init__(self) -> None:
        self.client = httpx.AsyncClient(
            base_url=f"{self.server.origin}/scim/v2",
            headers={"authorization": f"Bearer {self.token}", "content-type": "application/scim+json"},
            trust_env=False,
            verify=TRUST,
            timeout=120,  # the first request loads the models, which takes its time where all cores are busy
        )

    async def ask(self, method: str, path: str, body: Any = None, *, wanted: int | None = None, **how: Any) -> Any:
        answer = await self.client.request(method, path, json=body, **how)
        if wanted is not None:
            assert answer.status_code == wanted, answer.text
        return answer.json() if answer.content else {}

    async def user(self, name: str = "ann", *, wanted: int = 201, **more: Any) -> dict[str, Any]:
        email = f"{name}@acme.example"
        body = {"schemas": [USER], "userName": email, "emails": [{"value": email, "type": "work", "primary": True}]}
        return await self.ask("POST", "/Users", body | more, wanted=wanted)

    async def group(self, name: str, *members: str, wanted: int = 201, **more: Any) -> dict[str, Any]:
        body = {"schemas": [GROUP], "displayName": name, "members": [{"value": each} for each in members]}
        return await self.ask("POST", "/Groups", body | more, wanted=wanted)

    async def patch(self, kind: str, resource_id: str, *operations: dict[str, Any], wanted: int | None = None) -> Any:
        body = {"schemas": [PATCH], "Operations": list(operations)}
        return await self.ask("PATCH", f"/{kind}s/{resource_id}", body, wanted=wanted)

    async def found(self, path: str, **parameters: Any) -> dict[str, Any]:
        return await self.ask("GET", path, wanted=200, params=parameters)


@pytest.fixture
async def services(tmp_path: Path, migrated_data: Path, on_database: OnDatabase) -> AsyncIterator[Services]:
    """The services of a server where two people have to approve."""
    config_file = tmp_path / "failgate.toml"
    config_file.write_text("[accounts]\nsessions_at_once = 50\n[plugins.quorum]\nneed = 2\n")
    with at_free_port(on_database(with_optional_factor(load_config(config_file, {})))) as config:
        async with open_services(config, migrated_data) as opened:
            yield opened


@pytest.fixture
async def provider(server: Running, people: People):
    connection = await connect(server, people.acme, "okta", ROLES, "acme.example")
    token = await server.services.scim.tokens.mint(connection, OPERATOR)
    one = Provider(server, connection, token)
    yield one
    await one.client.aclose()


@pytest.fixture
async def installation(server: Running, people: People):
    connection = await connect(server, None, "entra", '[["Reviewers", "acme:reviewer"]]', "corp.example")
    token = await server.services.scim.tokens.mint(connection, OPERATOR)
    one = Provider(server, connection, token)
    yield one
    await one.client.aclose()
