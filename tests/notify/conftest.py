"""A whole server without doors over a real database of either engine, real people, a real receiver and a real mailbox."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP

from failgate.access.principal import Principal
from failgate.access.role import Role
from failgate.accounts import room
from failgate.accounts.password import Passwords
from failgate.assembly import open_services
from failgate.audit.record import SERVER
from failgate.base.canonical import digest_of
from failgate.base.clock import FrozenClock
from failgate.base.ids import new_id
from failgate.config.load import parse_config
from failgate.notify import events
from failgate.roster import Services
from failgate.testing import Receiver, receiving
from failgate.wire.gate import CommandView, Submission, Vote
from failgate.wire.notify import NewWebhook

# What rests on no statement that others do not run on both engines already.
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
SECONDS = 10.0  # for what happens in the background


class Mailbox:
    def __init__(self) -> None:
        self.letters: list[Any] = []
        self.port = 0

    async def handle_DATA(self, server, session, envelope):
        self.letters.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 OK"

    def subjects(self, to: str) -> list[str]:
        return [str(each["subject"]) for each in self.letters if each["to"] == to]


@dataclass
class House:
    services: Services
    clock: FrozenClock
    receiver: Receiver
    mailbox: Mailbox
    opening: Callable[[], AbstractAsyncContextManager[Services]]
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    workspace: str = ""
    owner: Principal = field(default_factory=lambda: Principal(kind="anonymous"))

    @property
    def room(self):
        return self.services.notifications

    async def close(self) -> None:
        await self.room.close()
        await self.services.gate.close()
        await self.stack.aclose()

    async def restart(self) -> None:
        """Begin anew over the same database: what was in memory is gone."""
        await self.close()
        self.stack = AsyncExitStack()
        self.services = await self.stack.enter_async_context(self.opening())
        await self.services.gate.rebuild()

    async def person(self, name: str, role: Role | None = Role.REVIEWER) -> Principal:
        account = await self.services.accounts.create(f"{name}@acme.example", "a long and plain passphrase", SERVER)
        if role is not None and self.workspace:
            await self.services.workspaces.add_member(self.workspace, account.id, role, SERVER)

        async def factor(tx):
            await tx.execute(
                "INSERT INTO totp_secret (id, account_id, sealed, created_us, confirmed_us) VALUES ($1, $2, $3, 1, 1)",
                new_id(), account.id, b"sealed",
            )  # fmt: skip

        await self.services.db.write(factor)
        return Principal(
            kind="user", account_id=account.id, label=account.email, auth=("password", "totp"), session_id=new_id(),
            second_factor_us=self.clock.now_us(),
        )  # fmt: skip

    def agent(self, owner: Principal, name: str = "ci") -> Principal:
        return Principal(
            kind="agent", agent_id=new_id(), owner_account_id=owner.account_id, label=name, auth=("token",),
            workspace_id=self.workspace,
        )  # fmt: skip

    async def ask(self, agent: Principal, *argv: str, host: str = "build-1") -> CommandView:
        raw = {
            "v": 1, "argv": list(argv or ("/usr/bin/rm", "-r", "build")), "cwd": "/src", "env": {}, "host": host,
            "nonce": new_id(),
        }  # fmt: skip
        return await self.services.gate.submit(agent, self.workspace, Submission(command=raw, digest=digest_of(raw)))

    async def vote(self, who: Principal, view: CommandView, decision: str = "approve") -> CommandView:
        return await self.services.gate.vote(who, self.workspace, view.id, Vote(decision, view.digest))

    async def hook(self, *names: str, details: bool = False, url: str = "") -> str:
        wanted = NewWebhook(url=url or self.receiver.url, events=list(names or events.NAMES), details=details)
        made = await self.room.destinations.create(SERVER, "ann", self.workspace, wanted)
        return made.id

    async def route(self) -> int:
        return await self.room.routing.run_once()

    async def until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(SECONDS):
            while not is_so():
                await asyncio.sleep(0.005)

    async def states(self, target: str) -> list[str]:
        return [entry.state for entry in await self.room.outbox.page(self.workspace, target, 100)]

    async def until_states(self, target: str, *states: str) -> None:
        async with asyncio.timeout(SECONDS):
            while await self.states(target) != list(states):
                await asyncio.sleep(0.005)

    async def until_tried(self, target: str, attempts: int) -> None:
        """Wait until one of the target's notifications was tried so often."""
        async with asyncio.timeout(SECONDS):
            while attempts not in [entry.attempts for entry in await self.room.outbox.page(self.workspace, target, 9)]:
                await asyncio.sleep(0.005)

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.room.outbox.filled.set()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    one, loop = Mailbox(), asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(one, hostname="localhost", loop=loop), "127.0.0.1", 0)
    one.port = server.sockets[0].getsockname()[1]
    yield one
    server.close()
    await server.wait_closed()


@pytest.fixture
def settings() -> str:
    """More of the configuration, for a file of tests that wants it."""
    return ""


@pytest.fixture
async def house(
    database_url: str, tmp_path: Path, clock: FrozenClock, receiver: Receiver, mailbox: Mailbox,
    monkeypatch: pytest.MonkeyPatch, settings: str,
) -> AsyncIterator[House]:  # fmt: skip
    monkeypatch.setattr(room, "Passwords", lambda: Passwords(memory_kib=8, passes=1))  # nobody signs in here
    config = parse_config(f"""
[server]
allow_loopback = true
public_url = "http://127.0.0.1:8440"
[database]
url = "{database_url}"
[notify]
notifiers = ["webhook", "mail"]
[notify.smtp]
host = "127.0.0.1"
port = {mailbox.port}
sender = "Failgate <f@acme.example>"
tls = "none"
[gate]
read_for = "0s"
{settings}
""")

    def opening() -> AbstractAsyncContextManager[Services]:
        return open_services(config, tmp_path / "data", is_serving=False, clock=clock)

    async with AsyncExitStack() as stack:
        services = await stack.enter_async_context(opening())
        await services.gate.rebuild()
        one = House(services, clock, receiver, mailbox, opening, stack.pop_all())
    try:
        one.owner = await one.person("owner", None)
        made = await one.services.workspaces.create("acme", "Acme", one.owner.account_id or "", SERVER)
        one.workspace = made.id
        yield one
    finally:
        await one.close()
