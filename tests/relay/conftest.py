"""The room of end-to-end mode over a real database of either engine, with the real relay and real keys."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from failgate_e2ee import E2ee, E2eeSettings

from failgate.access.principal import Principal
from failgate.audit.log import AuditLog
from failgate.audit.record import Actor
from failgate.base.clock import MICROSECONDS, FrozenClock
from failgate.base.db import Database
from failgate.base.ids import new_id
from failgate.relay.relay import Relay
from failgate.relay.room import RelayRoom, build_relay
from failgate.wire.sealed import NewDeviceKey, SealedCommandView
from tests.relay.parties import Reviewer, Sealed


@dataclass
class Place:
    """A workspace with its room."""

    db: Database
    audit: AuditLog
    clock: FrozenClock
    settings: E2eeSettings = field(default_factory=E2eeSettings)
    ws: str = field(default_factory=new_id)
    bot: Principal = None

    def __post_init__(self) -> None:
        self.relay: Relay = E2ee(self.settings)
        self.room: RelayRoom = build_relay(self.db, self.audit, self.clock, self.relay)
        self.bot = Principal(kind="agent", agent_id=new_id(), owner_account_id=new_id(), workspace_id=self.ws)
        self.admin = Principal(kind="user", account_id=new_id())

    @property
    def now(self) -> int:
        return self.clock.now_us() // MICROSECONDS

    def reviewer(self, number: int) -> Reviewer:
        return Reviewer(new_id(), number)

    async def enrol(self, who: Reviewer, purpose: str, jwk: dict[str, str], **members: Any):
        wish = NewDeviceKey(purpose=purpose, jwk=jwk, label="laptop", **members)
        actor = Actor("user", who.account)
        return await self.db.write(lambda tx: self.room.directory.enrol(tx, self.relay, self.ws, wish, actor))

    async def enrol_both(self, who: Reviewer) -> None:
        await self.enrol(who, "opening", who.opening.public_jwk())
        await self.enrol(who, "deciding", who.signing.public_jwk(), key_class="native")

    async def enrol_agent(self, sealed: Sealed, bot: Principal | None = None):
        actor, jwk = Actor.of(bot or self.bot), sealed.agent.public_jwk()
        return await self.db.write(
            lambda tx: self.room.directory.enrol_agent(tx, self.relay, self.ws, jwk, "vault-host", actor)
        )

    async def accept(self, signed: dict[str, Any], policies: list[dict[str, Any]]):
        actor = Actor.of(self.admin)
        return await self.db.write(
            lambda tx: self.room.manifests.accept(tx, self.relay, self.ws, signed, policies, actor)
        )

    async def sealed(self, people: int = 1, need: int = 1, **changes: Any) -> Sealed:
        """Return the workspace with enrolled keys and its first manifest accepted."""
        made = Sealed(self.ws, [self.reviewer(number) for number in range(people)], self.now, need, **changes)
        for one in made.people:
            await self.enrol_both(one)
        await self.enrol_agent(made)
        await self.accept(made.next(), [made.policy])
        return made

    async def submit(self, body: dict[str, Any], bot: Principal | None = None) -> SealedCommandView:
        return await self.db.write(lambda tx: self.room.commands.submit(tx, self.relay, self.ws, bot or self.bot, body))

    async def decide(self, who: Reviewer, cid: str, sent: object) -> SealedCommandView:
        person = Principal(kind="user", account_id=who.account)
        return await self.db.write(lambda tx: self.room.commands.decide(tx, self.relay, self.ws, person, cid, sent))

    async def finish(self, cid: str, receipt: str, bot: Principal | None = None) -> SealedCommandView:
        return await self.db.write(
            lambda tx: self.room.commands.finish(tx, self.relay, self.ws, bot or self.bot, cid, receipt)
        )

    async def withdraw(self, cid: str, bot: Principal | None = None) -> SealedCommandView:
        return await self.db.write(lambda tx: self.room.commands.withdraw(tx, self.ws, bot or self.bot, cid))

    async def records(self) -> list[dict[str, Any]]:
        return [one.record for one in await self.audit.records(self.ws, None, 1000)]

    async def acts(self) -> list[str]:
        return [one["act"] for one in await self.records()]


@pytest.fixture
async def place(database: Database, clock: FrozenClock, tmp_path: Path) -> Place:
    return Place(database, AuditLog(database, clock, tmp_path), clock)
