"""The room of workspaces as assembly builds it, on both engines."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from failgate.audit.log import AuditLog
from failgate.audit.record import Actor
from failgate.base.clock import FrozenClock
from failgate.base.db import Database
from failgate.workspaces.agents import Agents
from failgate.workspaces.workspaces import Workspaces

OPERATOR = Actor(t="operator", id="host")


@dataclass
class Rooms:
    database: Database
    audit: AuditLog
    clock: FrozenClock
    operator: Actor = OPERATOR
    left: list[tuple[str, str]] = field(default_factory=list)
    disabled: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.workspaces = Workspaces(self.database, self.audit, self.clock, leavings=(self._leaving,))
        self.agents = Agents(self.database, self.audit, self.clock, disablings=(self._disabling,))

    async def _leaving(self, tx, workspace_id: str, account_id: str, actor: Actor) -> None:
        self.left.append((workspace_id, account_id))

    async def _disabling(self, tx, agent_id: str, actor: Actor) -> None:
        self.disabled.append(agent_id)

    def as_user(self, account_id: str) -> Actor:
        return Actor(t="user", id=account_id)

    async def acts(self, log: str) -> list[str]:
        return [stored.record["act"] for stored in await self.audit.records(log, None, 1000)]


@pytest.fixture
async def rooms(database: Database, clock: FrozenClock, tmp_path: Path) -> Rooms:
    return Rooms(database, AuditLog(database, clock, tmp_path), clock)
