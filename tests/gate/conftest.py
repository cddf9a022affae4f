"""A whole gate over a real database of either engine, with the first-party policies and real people."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
from failgate_allowlist import Allowlist
from failgate_allowlist import plugin as allowlist_plugin
from failgate_quorum import Quorum, QuorumSettings

from failgate.access.principal import Principal
from failgate.audit.log import AuditLog
from failgate.audit.record import SERVER, Actor
from failgate.base.canonical import digest_of
from failgate.base.clock import FrozenClock
from failgate.base.db import Database
from failgate.base.errors import Conflict
from failgate.base.ids import new_id
from failgate.gate import lifecycle as life
from failgate.gate.gate import Gate
from failgate.gate.journal import record_event
from failgate.gate.known_rules import KnownRules
from failgate.gate.parts import GateLimits
from failgate.gate.rules import Rules
from failgate.plugin import NoSettings
from failgate.testing import host_at, opened
from failgate.wire.gate import CommandView, Consume, Submission, Vote

EXPIRED = "The command is expired. Submit it again if it is still wanted."
"""The words about what came too late."""


def command(*argv: str, **members: Any) -> dict[str, Any]:
    return {
        "v": 1,
        "argv": list(argv) or ["pytest", "-q"],
        "cwd": "/srv/app",
        "env": {},
        "host": "build-1",
        "nonce": new_id(),
    } | members


def submission(raw: dict[str, Any] | None = None, **members: Any) -> Submission:
    raw = raw or command()
    return Submission(command=raw, digest=digest_of(raw), **members)


@dataclass
class House:
    """A gate with its surroundings; `restart` makes a new gate over the same storage."""

    db: Database
    clock: FrozenClock
    folder: Path
    need: int = 1
    limits: GateLimits = field(default_factory=GateLimits)
    workspace: str = field(default_factory=new_id)
    extra: dict[str, Any] = field(default_factory=dict)
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    gate: Gate = None
    audit: AuditLog = None
    rules: Rules = None
    allowlist: Allowlist = None

    async def start(self) -> None:
        self.stack = AsyncExitStack()
        self.audit = AuditLog(self.db, self.clock, self.folder)
        await self.audit.open()
        self.stack.push_async_callback(self.audit.close)
        provides = await self.stack.enter_async_context(
            opened(allowlist_plugin, NoSettings(), host_at(self.folder, "allowlist", self.clock))
        )
        self.allowlist = provides.rulebook
        policies = {"allowlist": self.allowlist, "quorum": Quorum(QuorumSettings(need=self.need)), **self.extra}
        known = KnownRules(self.db)
        self.gate = Gate(
            self.db, self.audit, self.clock, policies, self.allowlist, limits=self.limits, known_rules=known
        )
        self.rules = Rules(self.db, self.audit, self.clock, self.allowlist, known)

    async def stop(self) -> None:
        await self.gate.close()
        await self.stack.aclose()

    async def restart(self, **changes: Any):
        await self.stop()
        for name, value in changes.items():
            setattr(self, name, value)
        await self.start()
        await self.rules.check()
        return await self.gate.rebuild()

    async def person(self, role: str = "reviewer", *, factor: bool = True, disabled: bool = False) -> Principal:
        account = new_id()

        async def make(tx):
            await tx.execute(
                "INSERT INTO account (id, email, created_us, disabled_us) VALUES ($1, $2, 1, $3)",
                account,
                f"{account}@example.org",
                1 if disabled else None,
            )
            if role:
                await tx.execute(
                    "INSERT INTO membership (id, workspace_id, account_id, role, added_us) VALUES ($1, $2, $3, $4, 1)",
                    new_id(),
                    self.workspace,
                    account,
                    role,
                )
            if factor:
                await tx.execute(
                    "INSERT INTO totp_secret (id, account_id, sealed, created_us, confirmed_us)"
                    " VALUES ($1, $2, $3, 1, 1)",
                    new_id(),
                    account,
                    b"sealed",
                )

        await self.db.write(make)
        return Principal(
            kind="user",
            account_id=account,
            session_id="s-" + account,
            second_factor_us=1,
            auth=("pwd", "otp"),
            label=f"{account}@example.org",
            carries_proof=True,
        )

    async def sql(self, statement: str, *args: Any) -> int:
        return await self.db.write(lambda tx: tx.execute(statement, *args))

    async def submit(self, agent: Principal, *argv: str, **members: Any) -> CommandView:
        return await self.gate.submit(agent, self.workspace, submission(command(*argv), **members))

    async def vote(self, person: Principal, view: CommandView, decision: str = "approve", **members: Any):
        vote = Vote(decision=decision, digest=members.pop("digest", view.digest), **members)
        return await self.gate.vote(person, self.workspace, view.id, vote)

    async def consume(self, agent: Principal, view: CommandView, digest: str | None = None) -> CommandView:
        return await self.gate.consume(agent, self.workspace, view.id, Consume(digest=digest or view.digest))

    async def state(self, view: CommandView) -> str:
        return (await self.db.fetch("SELECT state FROM gate_command WHERE id = $1", view.id))[0]["state"]

    async def acts(self, view: CommandView) -> list[str]:
        records = await self.audit.newest(self.workspace, limit=1000, obj_id=view.id)
        return [each.record["act"] for each in reversed(records)]

    async def kept(self, view: CommandView) -> tuple[Any, ...]:
        """Return everything that is stored of a request: to see that a refusal changed nothing."""
        rows = [
            [dict(row) for row in await self.db.fetch(f"SELECT * FROM {table} WHERE {name} = $1 ORDER BY 1", view.id)]
            for table, name in (("gate_command", "id"), ("gate_vote", "command_id"), ("gate_glass", "command_id"))
        ]
        return (*rows, await self.acts(view), self.gate.pending_count())

    @asynccontextmanager
    async def unmoved(self, table: str) -> AsyncIterator[None]:
        """No UPDATE reaches a row of `table`, as when somebody else was first."""
        if self.db.dialect == "sqlite":
            await self.sql(f"CREATE TRIGGER unmoved BEFORE UPDATE ON {table} BEGIN SELECT RAISE(IGNORE); END")
        else:
            await self.sql(
                "CREATE OR REPLACE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"
            )
            await self.sql(f"CREATE TRIGGER unmoved BEFORE UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION nothing()")
        try:
            yield
        finally:
            await self.sql("DROP TRIGGER unmoved" + ("" if self.db.dialect == "sqlite" else f" ON {table}"))

    @contextmanager
    def slow(self, seconds: float) -> Iterator[None]:
        """Reading the records of a request takes so long, as on a disk that hangs."""
        read = self.audit.of_object

        async def slowly(*args: Any) -> Any:
            found = await read(*args)
            self.clock.advance(seconds)
            return found

        self.audit.of_object = slowly
        try:
            yield
        finally:
            self.audit.of_object = read

    async def forge(self, event: life.Event, view: CommandView, by: Actor = SERVER) -> None:
        """Append a record that nothing stands behind, as a server that was broken into could."""
        await self.audit.record(record_event(event, workspace_id=self.workspace, command_id=view.id, actor=by))


async def refused(house: House, view, verb, words: str, kind=Conflict, state: str | None = "pending"):
    """`verb` is refused with `words`, and nothing that is stored of the request has changed."""
    before = await house.kept(view)
    with pytest.raises(kind) as error:
        await verb()
    assert str(error.value) == words
    assert error.value.facts.get("state") == state
    assert await house.kept(view) == before


def agent(owner: str | None = None) -> Principal:
    return Principal(
        kind="agent", agent_id=new_id(), owner_account_id=owner or new_id(), auth=("token",), label="deploy-bot"
    )


@pytest.fixture
async def house(database: Database, clock: FrozenClock, tmp_path: Path) -> AsyncIterator[House]:
    made = House(database, clock, tmp_path)
    await made.sql("INSERT INTO workspace (id, slug, name, created_us) VALUES ($1, 'acme', 'Acme', 1)", made.workspace)
    await made.start()
    await made.gate.rebuild()
    yield made
    await made.stop()


def same(view: CommandView, **members: Any) -> CommandView:
    return msgspec.structs.replace(view, **members)
