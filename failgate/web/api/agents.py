"""Agents and their tokens."""

from collections.abc import Sequence
from typing import Annotated, Any

from litestar import Request
from litestar.params import FromPath, JSONBody, QueryParameter

from failgate.accounts.token import Wish
from failgate.audit.record import Actor
from failgate.base.clock import to_rfc3339
from failgate.base.db import Transaction
from failgate.base.errors import NotFound
from failgate.gate.runs import Run
from failgate.roster import Services
from failgate.web.api.idempotency import IdempotencyKey, key_of
from failgate.web.api.keys import minted, view_of, wish_of, without_token
from failgate.web.context import services_of, visit_of
from failgate.wire.gate import RunPage, RunView
from failgate.wire.people import (
    AgentDescription,
    AgentOwner,
    AgentPage,
    AgentView,
    MadeAgent,
    MintedToken,
    NewAgent,
    NewAgentToken,
    TokenPage,
)
from failgate.workspaces.agents import Agent

Asking = Request[Any, Any, Any]
Limit = Annotated[int, QueryParameter(name="limit", ge=1, le=200, description="How many at most.")]
After = Annotated[str | None, QueryParameter(name="after", max_length=20, description="The `next` of the page before.")]


async def listing(request: Asking) -> AgentPage:
    """List the agents of the workspace, the earliest first."""
    services = services_of(request)
    return AgentPage(await _views(services, await services.agents.list(visit_of(request).here().id)), None)


async def one(request: Asking, id: FromPath[str]) -> AgentView:  # noqa: A002 - the path's word
    """Answer one agent."""
    return await _view(request, id)


async def create(request: Asking, data: JSONBody[NewAgent], idempotency_key: IdempotencyKey = None) -> MadeAgent:
    """Make an agent and its first token, which is shown this once."""
    visit, services = visit_of(request), services_of(request)
    actor, workspace = Actor.of(visit.principal), visit.here()
    owner = data.owner or visit.principal.account_id or ""

    async def verb(tx: Transaction) -> MadeAgent:
        agent = await services.agents.create_within(tx, workspace.id, data.name, owner, actor, model=data.model)
        token = await services.tokens.mint_within(tx, "agt", agent.id, workspace.id, Wish(agent.name), actor=actor)
        return MadeAgent(agent.id, agent.name, token)

    key = key_of(request, idempotency_key, data)
    return await services.first_answers.once(key, MadeAgent, verb, lambda made: MadeAgent(made.id, made.name, None))


async def runs(
    request: Asking,
    id: FromPath[str],  # noqa: A002 - the path's word
    limit: Limit = 50,
    after: After = None,
) -> RunPage:
    """List what the agent's sessions asked for, the one that asked last first."""
    agent = await agent_here(request, id)
    before_us = int(after) if after is not None and after.isdecimal() else None
    found = await services_of(request).gate.runs(agent.workspace_id, agent.id, limit + 1, before_us)
    following = str(found[limit - 1].last_us) if len(found) > limit else None
    return RunPage([_run_view(run) for run in found[:limit]], following)


async def describe(
    request: Asking,
    id: FromPath[str],  # noqa: A002 - the path's word
    data: JSONBody[AgentDescription],
    idempotency_key: IdempotencyKey = None,
) -> AgentView:
    """Name the agent and the model that it runs."""
    visit, services = visit_of(request), services_of(request)

    async def act() -> AgentView:
        await services.agents.describe(visit.here().id, id, data.name, data.model, Actor.of(visit.principal))
        return await _view(request, id)

    return await services.first_answers.after(key_of(request, idempotency_key, data), AgentView, act)


async def change_owner(
    request: Asking,
    id: FromPath[str],  # noqa: A002 - the path's word
    data: JSONBody[AgentOwner],
    idempotency_key: IdempotencyKey = None,
) -> AgentView:
    """Have another member answer for the agent. Its tokens end: the new owner makes a new one."""
    visit, services = visit_of(request), services_of(request)

    async def act() -> AgentView:
        await services.agents.change_owner(visit.here().id, id, data.owner, Actor.of(visit.principal))
        return await _view(request, id)

    return await services.first_answers.after(key_of(request, idempotency_key, data), AgentView, act)


async def disable(request: Asking, id: FromPath[str], idempotency_key: IdempotencyKey = None) -> AgentView:  # noqa: A002 - the path's word
    """Let the agent ask no more; its tokens end at once."""
    visit, services = visit_of(request), services_of(request)

    async def act() -> AgentView:
        await services.agents.disable(visit.here().id, id, Actor.of(visit.principal))
        return await _view(request, id)

    return await services.first_answers.after(key_of(request, idempotency_key), AgentView, act)


async def tokens(request: Asking, id: FromPath[str]) -> TokenPage:  # noqa: A002 - the path's word
    """List the tokens of the agent, the newest first."""
    agent = await agent_here(request, id)
    found = await services_of(request).tokens.list(agent.id, agent.workspace_id)
    return TokenPage([view_of(token) for token in found], None)


async def rotate(
    request: Asking,
    id: FromPath[str],  # noqa: A002 - the path's word
    data: JSONBody[NewAgentToken],
    idempotency_key: IdempotencyKey = None,
) -> MintedToken:
    """Make a new token of the agent, shown this once; its others end after `grace_seconds`, at once with 0."""
    visit, services = visit_of(request), services_of(request)
    agent, wish, actor = await agent_here(request, id), wish_of(data, services), Actor.of(visit.principal)

    async def verb(tx: Transaction) -> MintedToken:
        return minted(
            await services.tokens.rotate_within(
                tx, agent.id, agent.workspace_id, wish, grace_seconds=data.grace_seconds, actor=actor
            )
        )

    return await services.first_answers.once(key_of(request, idempotency_key, data), MintedToken, verb, without_token)


async def revoke(request: Asking, id: FromPath[str], token: FromPath[str]) -> None:  # noqa: A002 - the path's word
    """End one token of the agent, at once."""
    agent = await agent_here(request, id)
    await services_of(request).tokens.revoke(
        token, Actor.of(visit_of(request).principal), workspace_id=agent.workspace_id, owner_id=agent.id
    )


async def agent_here(request: Asking, agent_id: str) -> Agent:
    """Return the agent of that id in the workspace of this visit. Raises: NotFound."""
    agent = await services_of(request).agents.in_workspace(visit_of(request).here().id, agent_id)
    if agent is None:
        raise NotFound("There is no such agent.")
    return agent


async def _view(request: Asking, agent_id: str) -> AgentView:
    [view] = await _views(services_of(request), [await agent_here(request, agent_id)])
    return view


async def _views(services: Services, agents: Sequence[Agent]) -> list[AgentView]:
    owners = await services.accounts.by_ids(agent.owner_account_id for agent in agents)
    return [
        AgentView(
            agent.id,
            agent.name,
            agent.model,
            agent.owner_account_id,
            owners[agent.owner_account_id].email if agent.owner_account_id in owners else None,
            to_rfc3339(agent.created_us),
            agent.is_enabled,
        )
        for agent in agents
    ]


def _run_view(run: Run) -> RunView:
    return RunView(
        id=run.id,
        program=run.program,
        model=run.model,
        session=run.session,
        run=run.run,
        began_at=to_rfc3339(run.began_us),
        last_at=to_rfc3339(run.last_us),
        commands=run.commands,
        executed=run.executed,
        denied=run.denied,
        failed=run.failed,
    )
