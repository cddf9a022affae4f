"""C7: linearizability. What clients saw of a command fits one order of what they did, which respects real time.

Each history is of a few commands and several clients at once; when each call began and ended is noted, and a checker
looks for an order (Wing and Gong 1993, with the memo of Lowe 2017). Commands are apart, so each is checked by itself.
"""

import asyncio
import random
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from campaign import Campaign, Seen
from postgres import OWNER, cluster

CLIENTS = (3, 8)
MOST_CALLS = 14
OUTCOME = {"approve": "approved", "deny": "denied", "cancel": "cancelled"}


@dataclass(frozen=True)
class Call:
    """What one client did: when it began and ended (counted), what it asked, what it saw."""

    began: int
    ended: int
    asked: str
    saw: str


def after(state: str, call: Call) -> str | None:
    """Return the state after `call` in `state`, or None when it could not have seen what it saw. The whole model."""
    if call.asked == "read":
        return state if call.saw == state else None
    if call.asked == "consume":
        if state == "approved":
            return "executed" if call.saw == "done" else None
        return state if call.saw == "refused" else None
    if state == "pending":
        return OUTCOME[call.asked] if call.saw == "done" else None
    return state if call.saw == "refused" else None


def has_order(calls: list[Call]) -> bool:
    """Tell whether an order of `calls` explains them all."""
    tried: set[tuple[frozenset[int], str]] = set()

    def go(left: frozenset[int], state: str) -> bool:
        if not left:
            return True
        if (left, state) in tried:
            return False
        tried.add((left, state))
        first_end = min(calls[number].ended for number in left)
        for number in left:
            then = after(state, calls[number]) if calls[number].began <= first_end else None
            if then is not None and go(left - {number}, then):
                return True
        return False

    return go(frozenset(range(len(calls))), "pending")


Act = Callable[[str, str], Awaitable[str]]
"""`(command, what is asked)` -> `done`, `refused`, or the state for a read."""


async def history(act: Act, commands: list[str], chance: random.Random) -> dict[str, list[Call]]:
    """Let clients work on the commands at once; return what each command was asked and answered."""
    found: dict[str, list[Call]] = {command: [] for command in commands}
    time = [0]

    def tick() -> int:
        time[0] += 1
        return time[0]

    async def client(plan: list[tuple[str, str]]) -> None:
        for command, asked in plan:
            began = tick()
            saw = await act(command, asked)
            found[command].append(Call(began, tick(), asked, saw))

    clients = chance.randint(*CLIENTS)
    each = max(1, MOST_CALLS * len(commands) // clients)
    asks = ["approve", "approve", "deny", "cancel", "consume", "read", "read"]
    plans = [[(chance.choice(commands), chance.choice(asks)) for _ in range(each)] for _ in range(clients)]
    await asyncio.gather(*(client(plan) for plan in plans))
    return found


async def on_postgres() -> str:
    """Return the part of a config that names a new database of a PostgreSQL of our own, with its tables."""
    from failgate.base.migrate import core_migrations, migrate
    from failgate.base.postgres import open_postgres

    found, name = cluster(), f"order_{uuid.uuid4().hex[:8]}"
    await found.own()
    await found.sql(f"CREATE DATABASE {name} OWNER {OWNER}")
    url = found.url(name, OWNER)
    database = await open_postgres(url)
    try:
        await migrate(database, core_migrations())
    finally:
        await database.close()
    return f'[database]\nurl = "{url}"\n'


async def gate_histories(folder: Path, count: int, chance: random.Random, *, is_file: bool) -> Seen:
    """Histories of the real gate over a real database."""
    from failgate.access.principal import Principal
    from failgate.access.role import Role
    from failgate.assembly import open_services
    from failgate.audit.record import Actor
    from failgate.base.canonical import digest_of
    from failgate.base.errors import FailgateError
    from failgate.base.ids import new_id
    from failgate.config.load import parse_config
    from failgate.wire.gate import Consume, Submission, Vote

    seen, calls = Seen(), 0
    limits = 'waiting_per_agent = 20000\nasked_per_agent = 0\nread_for = "0s"\n'
    config = parse_config(f'{"" if is_file else await on_postgres()}[gate]\npolicies = ["quorum"]\n{limits}')
    operator = Actor("operator", "host")
    async with open_services(config, folder / "data", is_serving=False) as services:
        people: list[Principal] = []
        for name in ("owner", "ann", "bob", "dev"):
            account = await services.db.write(
                lambda tx, name=name: services.accounts.create_within(tx, f"{name}@acme.example", "none", operator)
            )
            people.append(
                Principal(kind="user", account_id=account.id, auth=("pwd", "otp"), label=name, second_factor_us=1)
            )

            async def enrol(tx: Any, account_id: str = account.id) -> None:
                await tx.execute(
                    "INSERT INTO totp_secret (id, account_id, sealed, created_us, confirmed_us) "
                    "VALUES ($1, $2, $3, 1, 1)",
                    new_id(), account_id, b"sealed",
                )  # fmt: skip

            await services.db.write(enrol)
        owner, ann, bob, dev = people
        workspace = (await services.workspaces.create("acme", "Acme", str(owner.account_id), operator)).id
        for person, role in ((ann, Role.REVIEWER), (bob, Role.REVIEWER), (dev, Role.DEVELOPER)):
            await services.workspaces.add_member(workspace, str(person.account_id), role, operator)
        digests: dict[str, str] = {}

        async def act(command: str, asked: str) -> str:
            gate = services.gate
            try:
                if asked == "read":
                    return (await gate.view(workspace, command, ann)).state
                if asked == "cancel":
                    await gate.cancel(dev, workspace, command)
                elif asked == "consume":
                    await gate.consume(dev, workspace, command, Consume(digest=digests[command]))
                else:
                    voter = chance.choice((ann, bob))
                    await gate.vote(voter, workspace, command, Vote(decision=asked, digest=digests[command]))
            except FailgateError as error:
                if error.status != 409:
                    raise
                return "refused"
            return "done"

        for number in range(count):
            commands = []
            for _ in range(chance.randint(1, 3)):
                body = {"v": 1, "argv": ["make"], "cwd": "/src", "env": {}, "host": "builder", "nonce": new_id()}
                view = await services.gate.submit(dev, workspace, Submission(command=body, digest=digest_of(body)))
                commands.append(view.id)
                digests[view.id] = view.digest
            for command, told in (await history(act, commands, chance)).items():
                calls += len(told)
                seen.expect(has_order(told), f"history {number}: no order explains {command}: {told}")
            seen.count += 1
    seen.figures = {"calls": calls}
    return seen


def run(folder: Path, count: int, chance: random.Random) -> Seen:
    """Two of three histories on SQLite, the others on PostgreSQL."""
    seen, on_server = Seen(), count // 3
    for name, number in (("sqlite", count - on_server), ("postgres", on_server)):
        found = asyncio.run(gate_histories(folder / name, number, chance, is_file=name == "sqlite"))
        seen.count += found.count
        seen.broken += [f"{name}: {one}" for one in found.broken]
        seen.figures[f"calls_{name}"] = found.figures["calls"]
    return seen


def control(_folder: Path, chance: random.Random) -> Seen:
    """A gate that reads, checks and then writes, with the loop given away in between: at most 50 histories for it."""
    seen = Seen()
    for number in range(50):
        states: dict[str, str] = {}

        async def act(command: str, asked: str, states: dict[str, str] = states) -> str:
            state = states.get(command, "pending")
            await asyncio.sleep(0)
            if asked == "read":
                return state
            if asked == "consume":
                if state != "approved":
                    return "refused"
            elif state != "pending":
                return "refused"
            await asyncio.sleep(0)
            states[command] = "executed" if asked == "consume" else OUTCOME[asked]
            return "done"

        for told in asyncio.run(history(act, ["a", "b"], chance)).values():
            seen.expect(has_order(told), f"history {number}")
        if seen.broken:
            break
    return seen


CAMPAIGN = Campaign(
    "C7", "what clients see of a command fits one order", "histories", "read, check, then write",
    {"ci": 300, "nightly": 20_000, "release": 200_000}, run, control,
)  # fmt: skip
