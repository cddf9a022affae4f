"""A directory of people and groups over a real database of either engine."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from failgate.accounts.accounts import Accounts
from failgate.accounts.devices import Devices
from failgate.accounts.password import Passwords
from failgate.accounts.sessions import Sessions
from failgate.accounts.throttle import Throttle
from failgate.accounts.tokens import Tokens
from failgate.audit.log import AuditLog
from failgate.audit.record import Actor
from failgate.base.clock import FrozenClock
from failgate.base.db import Database
from failgate.base.ids import new_id
from failgate.sso.connection import Connection, SamlSettings
from failgate.sso.linking import Linking
from failgate.sso.scim.directory import Directory
from failgate.sso.scim.governing import Governing
from failgate.sso.scim.query import Query, query_of
from failgate.sso.scim.tokens import ScimTokens
from failgate.workspaces.workspaces import Workspaces

OPERATOR = Actor(t="operator", id="host")
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
BASE = "https://failgate.example/scim/v2"
SETTINGS = SamlSettings(entity_id="https://idp.example", sso_url="https://idp.example/sso")


@dataclass
class Room:
    """The directory with its surroundings, and a connection of the workspace acme."""

    database: Database
    audit: AuditLog
    clock: FrozenClock
    accounts: Accounts
    sessions: Sessions
    tokens: Tokens
    devices: Devices
    workspaces: Workspaces
    linking: Linking
    directory: Directory
    scim_tokens: ScimTokens
    acme: str
    owner: str
    connection: Connection

    async def account(self, email: str) -> str:
        async def verb(tx: Any) -> str:
            return (await self.accounts.create_within(tx, email, "not a hash", OPERATOR)).id

        return await self.database.write(verb)

    async def connect(self, slug: str, workspace_id: str | None, *, domain: str, **more: Any) -> Connection:
        connection = Connection(new_id(), slug, slug, SETTINGS, workspace_id, (domain,), **more)

        async def verb(tx: Any) -> None:
            await tx.execute(
                "INSERT INTO sso_connection (id, slug, title, workspace_id, settings, roles, trusted_methods, is_enabled,"
                " is_listed, created_us, changed_us) VALUES ($1, $2, $2, $3, '{}', '[]', '[]', 1, 1, 1, 1)",
                connection.id, slug, workspace_id,
            )  # fmt: skip

        await self.database.write(verb)
        return connection

    async def user(self, name: str, *, at: str = "acme.example", connection: Connection | None = None, **more: Any):
        email = f"{name}@{at}"
        body = {"schemas": [USER], "userName": email, "emails": [{"value": email, "primary": True}]}
        shown = await self.directory.create(connection or self.connection, "User", body | more, BASE)
        return shown.document

    async def group(self, name: str, *members: str, connection: Connection | None = None, **more: Any):
        body = {"schemas": [GROUP], "displayName": name, "members": [{"value": each} for each in members]}
        shown = await self.directory.create(connection or self.connection, "Group", body | more, BASE)
        return shown.document

    async def patch(self, kind: Any, resource_id: str, *operations: Any, connection: Connection | None = None):
        body = {"schemas": [PATCH], "Operations": list(operations)}
        shown = await self.directory.patch(connection or self.connection, kind, resource_id, body, BASE, None)
        return shown.document

    async def names(self, kinds: Any = ("User",), **parameters: str) -> list[str]:
        found = await self.search(kinds, **parameters)
        return [each.get("userName") or each["displayName"] for each in found["Resources"]]

    async def search(self, kinds: Any = ("User",), **parameters: str) -> dict[str, Any]:
        query: Query = query_of(parameters)
        return await self.directory.search(self.connection, kinds, query, BASE)

    async def row(self, resource_id: str) -> dict[str, Any]:
        found = await self.database.fetch_one("SELECT * FROM scim_resource WHERE id = $1", resource_id)
        assert found is not None
        return found

    async def role(self, account_id: str) -> str | None:
        query = "SELECT role FROM membership WHERE workspace_id = $1 AND account_id = $2"
        row = await self.database.fetch_one(query, self.acme, account_id)
        return row["role"] if row else None

    async def records(self, log: str) -> list[dict[str, Any]]:
        return [stored.record for stored in await self.audit.records(log, None, 1000)]


@pytest.fixture
async def room(database: Database, clock: FrozenClock, tmp_path: Path):
    audit = AuditLog(database, clock, tmp_path)
    passwords = Passwords(memory_kib=8, passes=1)
    sessions, tokens = Sessions(database, audit, clock), Tokens(database, audit, clock)
    throttle, devices = Throttle(clock), Devices(database, audit, clock, sessions=sessions)
    accounts = Accounts(
        database, audit, clock, passwords, throttle=throttle, sessions=sessions, tokens=tokens, devices=devices
    )
    workspaces = Workspaces(database, audit, clock, leavings=(tokens.end_in_workspace, Linking.forget_membership))
    linking = Linking(database, audit, clock, accounts=accounts, sessions=sessions, workspaces=workspaces)
    governing = Governing(
        clock, accounts=accounts, sessions=sessions, devices=devices, workspaces=workspaces, linking=linking
    )
    directory = Directory(database, audit, clock, governing)
    made = Room(
        database, audit, clock, accounts, sessions, tokens, devices, workspaces, linking, directory,
        ScimTokens(database, audit, clock), "", "", Connection("", "", "", SETTINGS),
    )  # fmt: skip
    made.owner = await made.account("owner@acme.example")
    made.acme = (await workspaces.create("acme", "Acme", made.owner, OPERATOR)).id
    roles = (("Reviewers", "reviewer"), ("Admins", "admin"), ("0000-owners", "owner"))
    made.connection = await made.connect("okta", made.acme, domain="acme.example", roles=roles)
    yield made
    passwords.close()
