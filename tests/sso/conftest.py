"""Single sign-on as assembly builds it, on both engines, with a SAML provider of the tests and a clock of its own."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from failgate.access.role import Role
from failgate.accounts.account import Account
from failgate.accounts.accounts import Accounts
from failgate.accounts.devices import Devices
from failgate.accounts.logins import Logins
from failgate.accounts.password import Passwords
from failgate.accounts.sessions import Sessions
from failgate.accounts.throttle import Throttle
from failgate.accounts.tokens import Tokens
from failgate.audit.log import AuditLog
from failgate.audit.record import Actor
from failgate.base.clock import FrozenClock
from failgate.base.db import Database
from failgate.base.outbound import Outbound
from failgate.base.secretbox import SecretBox
from failgate.config.sso import SsoTable
from failgate.sso.assertion import Assertion
from failgate.sso.connection import Connection, OidcSettings
from failgate.sso.draft import Declared, Draft
from failgate.sso.room import SignOnRoom, build_room
from failgate.workspaces.workspaces import Workspace, Workspaces

OPERATOR = Actor(t="operator", id="host")
PASSWORD = "correct horse battery staple"
OIDC = OidcSettings(issuer="https://id.example", client_id="failgate")


@dataclass
class Place:
    database: Database
    audit: AuditLog
    clock: FrozenClock
    accounts: Accounts
    sessions: Sessions
    devices: Devices
    workspaces: Workspaces
    room: SignOnRoom
    owner: Account
    acme: Workspace
    texts: dict[str, list[str]] = field(default_factory=dict)

    async def account(self, email: str, role: Role | None = None) -> Account:
        made = await self.accounts.create(email, PASSWORD, OPERATOR)
        if role is not None:
            await self.workspaces.add_member(self.acme.id, made.id, role, OPERATOR)
        return made

    async def connection(self, slug: str = "team", **changes: object) -> Connection:
        """A connection of the workspace, with `corp.example` verified."""
        draft = Draft(**{"title": slug.capitalize(), "settings": OIDC, "client_secret": "s3cret", **changes})
        made = await self.room.connections.create(self.acme.id, slug, draft, OPERATOR)
        await self.verify(made, "corp.example")
        found = await self.room.connections.by_slug(slug)
        assert found is not None
        return found

    async def verify(self, connection: Connection, domain: str) -> None:
        claimed = await self.room.domains.claim(self.acme.id, connection.id, domain, OPERATOR)
        self.texts[claimed.record_name] = [claimed.record_text]
        await self.room.domains.verify(
            self.acme.id, connection.id, claimed.id, OPERATOR, lambda tx: self.room.connections.forget(tx, connection)
        )

    async def declared(self, slug: str = "corp", **changes: object) -> Connection:
        """A connection of the installation, for `corp.example`."""
        draft = Draft(**{"title": slug.capitalize(), "settings": OIDC, **changes})
        await self.room.connections.declare([Declared(slug, ("corp.example",), draft)])
        found = await self.room.connections.by_slug(slug)
        assert found is not None
        return found

    async def records(self, log: str = "system") -> list[dict]:
        return [stored.record for stored in await self.audit.records(log, None, 1000)]

    async def acts(self, log: str = "system") -> list[str]:
        return [record["act"] for record in await self.records(log)]


def asserted(subject: str = "ann", **changes: object) -> Assertion:
    """What a good provider says of `subject`."""
    given = {"email": f"{subject}@corp.example", "is_email_verified": True, **changes}
    return Assertion(issuer="https://id.example", subject=subject, **given)


@pytest.fixture
def real_clock() -> FrozenClock:
    """A clock that stands at now, for providers that sign with the time of this machine."""
    return FrozenClock(time.time_ns() // 1000)


@pytest.fixture
async def place(database: Database, real_clock: FrozenClock, tmp_path: Path) -> Iterator[Place]:
    clock = real_clock
    audit = AuditLog(database, clock, tmp_path)
    passwords = Passwords(memory_kib=8, passes=1)
    box = SecretBox.open(tmp_path / "secrets.key")
    sessions, tokens = Sessions(database, audit, clock), Tokens(database, audit, clock)
    devices = Devices(database, audit, clock, sessions=sessions)
    accounts = Accounts(
        database, audit, clock, passwords, throttle=Throttle(clock), sessions=sessions, tokens=tokens, devices=devices
    )
    workspaces = Workspaces(database, audit, clock)
    texts: dict[str, list[str]] = {}

    async def read_texts(name: str) -> list[str]:
        return texts.get(name, [])

    room = build_room(
        database, audit, clock, box, accounts=accounts, sessions=sessions, workspaces=workspaces,
        logins=Logins(database, audit, clock), throttle=Throttle(clock),
        outbound=Outbound(), table=SsoTable(), base_url="https://failgate.example", allow_loopback=False,
        read_texts=read_texts,
    )  # fmt: skip
    owner = await accounts.create("owner@acme.example", PASSWORD, OPERATOR)
    acme = await workspaces.create("acme", "Acme", owner.id, OPERATOR)
    yield Place(database, audit, clock, accounts, sessions, devices, workspaces, room, owner, acme, texts)
    passwords.close()
