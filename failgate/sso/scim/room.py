"""The room of provisioning, built once: what its doors need, by name."""

from dataclasses import dataclass

from failgate.accounts.accounts import Accounts
from failgate.accounts.devices import Devices
from failgate.accounts.sessions import Sessions
from failgate.audit.log import AuditLog
from failgate.base.clock import Clock
from failgate.base.db import Database
from failgate.sso.room import SignOnRoom
from failgate.sso.scim.directory import Directory
from failgate.sso.scim.governing import Governing
from failgate.sso.scim.tokens import ScimTokens
from failgate.workspaces.workspaces import Workspaces


@dataclass(frozen=True, slots=True)
class ScimRoom:
    """Provisioning as the doors meet it."""

    tokens: ScimTokens
    directory: Directory

    async def prepare(self) -> None:
        """Load what the first request would wait for, when a request is to be expected."""
        if await self.tokens.exist():
            await self.directory.prepare()


def build_scim(
    database: Database,
    audit: AuditLog,
    clock: Clock,
    *,
    accounts: Accounts,
    sessions: Sessions,
    devices: Devices,
    workspaces: Workspaces,
    sso: SignOnRoom,
) -> ScimRoom:
    """Build the room over what stands below it."""
    governing = Governing(
        clock, accounts=accounts, sessions=sessions, devices=devices, workspaces=workspaces, linking=sso.linking
    )
    tokens = ScimTokens(database, audit, clock)
    sso.connections.also_end(tokens.end_of_connection)
    return ScimRoom(tokens, Directory(database, audit, clock, governing))
