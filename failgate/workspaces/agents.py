"""Agents: programs that ask in a workspace, and the account that answers for each.

Their tokens live in `accounts`; what disabling an agent ends there comes as a callable.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from failgate.audit.log import AuditLog
from failgate.audit.record import Act, Actor, Event
from failgate.base.canonical import JSON
from failgate.base.clock import Clock
from failgate.base.db import Database, Row, Transaction
from failgate.base.errors import BadInput, Conflict, NotFound
from failgate.base.ids import new_id
from failgate.workspaces.tables import AgentRow

Disabling = Callable[[Transaction, str, Actor], Awaitable[None]]
"""What else ends when the agent of this id is disabled or gets another owner, inside that transaction."""

MAX_MODEL: Final = 100

_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._ -]{0,62}[A-Za-z0-9])?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent. Times are microseconds since 1970."""

    id: str
    workspace_id: str
    name: str
    owner_account_id: str
    created_us: int
    disabled_us: int | None = None
    model: str | None = None

    @property
    def is_enabled(self) -> bool:
        """Tell whether it may ask."""
        return self.disabled_us is None


class Agents:
    """Makes, finds and disables agents."""

    def __init__(
        self,
        database: Database,
        audit: AuditLog,
        clock: Clock,
        *,
        disablings: Sequence[Disabling] = (),
        owner_changes: Sequence[Disabling] = (),
    ) -> None:
        """Work on `database`.

        `disablings` are what other rooms end when an agent is disabled, `owner_changes` when it gets another owner.
        """
        self._database = database
        self._audit = audit
        self._clock = clock
        self._disablings = tuple(disablings)
        self._owner_changes = tuple(owner_changes)

    async def create(
        self, workspace_id: str, name: str, owner_account_id: str, actor: Actor, *, model: str | None = None
    ) -> Agent:
        """Make an agent for which `owner_account_id`, a member of the workspace, answers; `model` is what it runs.

        Raises: BadInput (the name, the model); NotFound (the owner is no member); Conflict (the name is taken there).
        """

        async def verb(tx: Transaction) -> Agent:
            return await self.create_within(tx, workspace_id, name, owner_account_id, actor, model=model)

        return await self._database.write(verb)

    async def create_within(
        self,
        tx: Transaction,
        workspace_id: str,
        name: str,
        owner_account_id: str,
        actor: Actor,
        *,
        model: str | None = None,
    ) -> Agent:
        """Do what `create` does inside an open transaction."""
        agent = Agent(
            new_id(), workspace_id, check_agent_name(name), owner_account_id, self._clock.now_us(),
            model=check_model(model),
        )  # fmt: skip
        await _must_be_member(tx, workspace_id, owner_account_id)
        inserted = await tx.execute(
            "INSERT INTO agent (id, workspace_id, name, owner_account_id, created_us, model)"
            " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (workspace_id, name) DO NOTHING",
            agent.id, workspace_id, agent.name, owner_account_id, agent.created_us, agent.model,
        )  # fmt: skip
        if inserted != 1:
            raise _name_taken(agent.name)
        await self._record(tx, Act.AGENT_CREATED, (workspace_id, agent.id), actor, {"owner": owner_account_id})
        return agent

    async def in_workspace(self, workspace_id: str, agent_id: str) -> Agent | None:
        """Return the agent of that id when it is of this workspace, disabled or not, or None.

        It asks the database each time: from memory, one of another workspace would be denied sooner than one that
        never was.
        """
        here = (AgentRow.id == agent_id) & (AgentRow.workspace_id == workspace_id)
        rows = await self._database.fetch(AgentRow.select().where(here))
        return _agent(rows[0]) if rows else None

    async def list(self, workspace_id: str) -> Sequence[Agent]:
        """Return the agents of the workspace, the earliest first."""
        query = AgentRow.select().where(AgentRow.workspace_id == workspace_id).order_by(AgentRow.id)
        return [_agent(row) for row in await self._database.fetch(query)]

    async def describe(self, workspace_id: str, agent_id: str, name: str, model: str | None, actor: Actor) -> None:
        """Give the agent another name and say what model it runs.

        Raises: BadInput (the name, the model); NotFound (there is none in this workspace); Conflict (the name is
        taken there).
        """
        text, runs = check_agent_name(name), check_model(model)

        async def verb(tx: Transaction) -> None:
            before = await _must_exist(tx, workspace_id, agent_id)
            query = "SELECT id FROM agent WHERE workspace_id = $1 AND name = $2 AND id <> $3"
            if await tx.fetch_one(query, workspace_id, text, agent_id) is not None:
                raise _name_taken(text)
            changed = [key for key, value in (("name", text), ("model", runs)) if before[key] != value]
            if not changed:
                return
            await tx.execute("UPDATE agent SET name = $1, model = $2 WHERE id = $3", text, runs, agent_id)
            await self._record(tx, Act.AGENT_CHANGED, (workspace_id, agent_id), actor, {"fields": " ".join(changed)})

        await self._database.write(verb)

    async def change_owner(self, workspace_id: str, agent_id: str, owner_account_id: str, actor: Actor) -> None:
        """Have another member answer for the agent; its tokens have ended when this returns, unless it is the same.

        Raises: NotFound (no such agent or member in this workspace).
        """

        async def verb(tx: Transaction) -> None:
            before = await _must_exist(tx, workspace_id, agent_id)
            await _must_be_member(tx, workspace_id, owner_account_id)
            if before["owner_account_id"] == owner_account_id:
                return
            await tx.execute("UPDATE agent SET owner_account_id = $1 WHERE id = $2", owner_account_id, agent_id)
            facts: dict[str, JSON] = {
                "owner": owner_account_id,
                "owner_before": before["owner_account_id"],
                "fields": "owner",
            }
            await self._record(tx, Act.AGENT_CHANGED, (workspace_id, agent_id), actor, facts)
            for change in self._owner_changes:
                await change(tx, agent_id, actor)

        await self._database.write(verb)

    async def disable(self, workspace_id: str, agent_id: str, actor: Actor) -> None:
        """Let the agent ask no more; its tokens have ended when this returns. Twice is as once.

        Raises: NotFound (there is none in this workspace).
        """

        async def verb(tx: Transaction) -> None:
            row = await _must_exist(tx, workspace_id, agent_id)
            if row["disabled_us"] is not None:
                return
            await tx.execute("UPDATE agent SET disabled_us = $1 WHERE id = $2", self._clock.now_us(), agent_id)
            await self._record(tx, Act.AGENT_DISABLED, (workspace_id, agent_id), actor, {})
            for disabling in self._disablings:
                await disabling(tx, agent_id, actor)

        await self._database.write(verb)

    async def _record(
        self, tx: Transaction, act: Act, pair: tuple[str, str], actor: Actor, facts: dict[str, JSON]
    ) -> None:
        workspace_id, agent_id = pair
        event = Event(act=act, ws=workspace_id, obj_t="agent", obj_id=agent_id, actor=actor, data=facts)
        await self._audit.append(tx, event)


async def _must_exist(tx: Transaction, workspace_id: str, agent_id: str) -> Row:
    row = await tx.fetch_one("SELECT * FROM agent WHERE id = $1 AND workspace_id = $2", agent_id, workspace_id)
    if row is None:
        raise NotFound("There is no such agent.")
    return row


async def _must_be_member(tx: Transaction, workspace_id: str, account_id: str) -> None:
    query = "SELECT id FROM membership WHERE workspace_id = $1 AND account_id = $2"
    if await tx.fetch_one(query, workspace_id, account_id) is None:
        raise NotFound("There is no such member.", hint="An agent belongs to a member of its workspace.")


def _name_taken(name: str) -> Conflict:
    return Conflict(f"The workspace has an agent named {name}.", hint="Choose another name.")


def check_model(text: str | None) -> str | None:
    """Return `text` without outer spaces; an empty one as None.

    Raises: BadInput (over 100 characters, or with a character that does not print).
    """
    model = (text or "").strip()
    if len(model) > MAX_MODEL or not model.isprintable():
        raise BadInput(f"The model has up to {MAX_MODEL} printable characters.", hint="Name it as its maker does.")
    return model or None


def check_agent_name(text: str) -> str:
    """Return `text`.

    Raises: BadInput (not 1 to 64 ASCII letters, digits and, between them, `.`, `_`, `-` and spaces).
    """
    if _NAME.fullmatch(text) is None:
        raise BadInput(
            "The name of an agent has 1 to 64 of A-Z, a-z, 0-9, and between them . _ - and spaces.",
            hint="Write it like build-bot.",
        )
    return text


def _agent(row: Row) -> Agent:
    return Agent(
        id=row["id"],
        workspace_id=row["workspace_id"],
        name=row["name"],
        owner_account_id=row["owner_account_id"],
        created_us=row["created_us"],
        disabled_us=row["disabled_us"],
        model=row["model"],
    )
