"""The room of accounts as assembly builds it, on both engines, with cheap hashes and a clock that stands still."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from failgate.access.principal import Principal
from failgate.access.role import Role
from failgate.accounts.access_tokens import AccessTokens
from failgate.accounts.account import Account
from failgate.accounts.accounts import Accounts
from failgate.accounts.device_login import Collected, DeviceLogin
from failgate.accounts.devices import Devices
from failgate.accounts.invitations import Invitations
from failgate.accounts.logins import Logins
from failgate.accounts.mail import Mail, Relay
from failgate.accounts.passkeys import Passkeys
from failgate.accounts.password import Passwords
from failgate.accounts.password_reset import PasswordReset
from failgate.accounts.refresh_tokens import RefreshTokens
from failgate.accounts.room import build_accounts
from failgate.accounts.second_factors import SecondFactors
from failgate.accounts.sessions import Sessions
from failgate.accounts.setup_links import SetupLinks
from failgate.accounts.signing_keys import SigningKeys
from failgate.accounts.throttle import Throttle
from failgate.accounts.tokens import Tokens
from failgate.audit.log import AuditLog
from failgate.audit.record import Actor
from failgate.base.clock import FrozenClock
from failgate.base.db import Database
from failgate.base.secretbox import SecretBox
from failgate.config.model import AccountsSection
from failgate.workspaces.agents import Agents
from failgate.workspaces.workspaces import Workspaces

OPERATOR = Actor(t="operator", id="host")
BASE_URL = "https://failgate.example"
PASSWORD = "correct horse battery staple"
CLIENT = "failgate-cli"
ISSUER = "https://failgate.example"


def browser(account_id: str, session_id: str = "session", **reach: str) -> Principal:
    """A person in a browser."""
    return Principal("user", account_id=account_id, session_id=session_id, auth=("pwd", "otp"), **reach)


@dataclass
class Room:
    database: Database
    audit: AuditLog
    clock: FrozenClock
    passwords: Passwords
    throttle: Throttle
    box: SecretBox
    sessions: Sessions
    tokens: Tokens
    accounts: Accounts
    second_factors: SecondFactors
    workspaces: Workspaces
    agents: Agents
    setup_links: SetupLinks
    devices: Devices
    passkeys: Passkeys
    logins: Logins
    signing_keys: SigningKeys
    access_tokens: AccessTokens
    refresh_tokens: RefreshTokens
    device_login: DeviceLogin
    invitations: Invitations
    password_reset: PasswordReset
    mail: Mail
    operator: Actor = OPERATOR
    password: str = PASSWORD
    workspaces_owner: Role = Role.OWNER

    async def account(self, email: str = "ann@example.com") -> Account:
        return await self.accounts.create(email, PASSWORD, OPERATOR)

    async def signed_in(self, email: str = "ann@example.com") -> tuple[Account, Collected]:
        """Sign a command line of a fresh account in."""
        account = await self.account(email)
        return account, await self.signed_in_as(account)

    async def signed_in_as(self, account: Account, **reach: str) -> Collected:
        begun = await self.device_login.begin(CLIENT, host="builder", address="192.0.2.7", user_agent="cli")
        await self.device_login.decide(begun.user_code, "approve", browser(account.id, **reach))
        return await self.device_login.poll(begun.device_code, CLIENT, "192.0.2.7")

    async def acts(self, log: str = "system") -> list[str]:
        return [record["act"] for record in await self.records(log)]

    async def records(self, log: str = "system") -> list[dict]:
        return [stored.record for stored in await self.audit.records(log, None, 1000)]

    async def everything(self) -> str:
        """Every cell of every table of ours, as text: for searching it for secrets."""
        tables = (
            "account", "totp_secret", "totp_use", "backup_code", "session", "token", "setup_link", "audit_record",
            "passkey", "answered_challenge", "trusted_device", "sign_in_place", "device_request", "login", "refresh_token",
            "signing_key", "invitation", "password_reset",
        )  # fmt: skip
        rows = [await self.database.fetch(f"SELECT * FROM {table}") for table in tables]
        return json.dumps(rows, default=lambda cell: bytes(cell).decode("latin-1"))


@pytest.fixture
async def room(database: Database, clock: FrozenClock, tmp_path: Path):
    audit = AuditLog(database, clock, tmp_path)
    box = SecretBox.open(tmp_path / "secrets.key")
    people = build_accounts(
        database, audit, clock, box,
        section=AccountsSection(), base_url=BASE_URL, passwords=Passwords(memory_kib=8, passes=1),
        mail=Mail(Relay("127.0.0.1", 9, "failgate@acme.example", "none"), clock, retry_seconds=()),
    )  # fmt: skip
    accounts, passwords, throttle, tokens = people.accounts, people.passwords, people.throttle, people.tokens
    workspaces = Workspaces(database, audit, clock, leavings=(tokens.end_in_workspace,))
    agents = Agents(
        database, audit, clock, disablings=(tokens.end_of_agent,), owner_changes=(tokens.end_at_owner_change,)
    )
    invitations = Invitations(
        database, audit, clock, accounts=accounts, passwords=passwords, throttle=throttle, joining=workspaces
    )
    setup_links = SetupLinks(
        database, audit, clock, accounts=accounts, passwords=passwords, found_workspace=workspaces.create_within
    )
    yield Room(
        database, audit, clock, passwords, throttle, box, people.sessions, tokens, accounts, people.second_factors,
        workspaces, agents, setup_links, people.devices, people.passkeys, people.logins, people.signing_keys,
        people.access_tokens, people.refresh_tokens, people.device_login, invitations, people.password_reset, people.mail,
    )  # fmt: skip
    await people.close()
