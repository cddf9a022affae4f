"""The agents of a workspace: who answers for each, what they run, their tokens."""

from collections.abc import Sequence

from litestar.params import FromPath

from failgate.access.permission import Permission
from failgate.accounts.token import Token, Wish
from failgate.audit.record import Actor
from failgate.base.db import Transaction
from failgate.base.errors import BadInput, Conflict, FailgateError, NotFound
from failgate.reports.search import ReportFilter
from failgate.web.api.agents import agent_here
from failgate.web.context import services_of, visit_of
from failgate.web.pages.people_view import (
    GRACES,
    LIFETIMES,
    AgentLine,
    AgentsView,
    AgentView,
    Choice,
    NewAgentView,
    ShownView,
    certificate_line,
    choices,
    expiry_of,
    grace_of,
    networks_of,
    token_line,
)
from failgate.web.pages.report_view import ReportRow, report_rows
from failgate.web.pages.runs import runs_on
from failgate.web.pages.showing import Asking, Page, grants, show
from failgate.web.pages.text import moment
from failgate.web.render import redirect
from failgate.workspaces.agents import Agent

NEWEST_REPORTS = 5


async def listing(request: Asking) -> Page:
    """List the agents and who answers for each."""
    visit, services = visit_of(request), services_of(request)
    found = await services.agents.list(visit.here().id)
    tokens = await services.tokens.list_in(visit.here().id, "agt")
    rows = await _lines(request, found, tokens)
    view = AgentsView(rows, grants(visit, Permission.WORKSPACE_AGENT_WRITE))
    return await show(request, "agents.html", view, title="Agents", room="agents")


async def form(request: Asking) -> Page:
    """Ask for the name of a new agent."""
    return await _show_form(request)


async def create(request: Asking) -> Page:
    """Make the agent and show its token, this once."""
    visit, services = visit_of(request), services_of(request)
    actor, workspace = Actor.of(visit.principal), visit.here()
    name, model, owner = (visit.form.get(key, "") for key in ("name", "model", "owner"))

    async def verb(tx: Transaction) -> tuple[Agent, str]:
        agent = await services.agents.create_within(tx, workspace.id, name, owner, actor, model=model)
        return agent, await services.tokens.mint_within(
            tx, "agt", agent.id, workspace.id, Wish(agent.name), actor=actor
        )

    try:
        agent, token = await services.db.write(verb)
    except (BadInput, Conflict, NotFound) as error:
        return await _show_form(request, error)
    return await _show_token(request, agent, token)


async def one(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """Show one agent."""
    return await _show_agent(request, await agent_here(request, id))


async def describe(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """Name the agent and the model that it runs."""
    visit, agent = visit_of(request), await agent_here(request, id)
    name, model = visit.form.get("name", ""), visit.form.get("model", "")
    try:
        actor = Actor.of(visit.principal)
        await services_of(request).agents.describe(visit.here().id, agent.id, name, model, actor)
    except (BadInput, Conflict) as error:
        return await _show_agent(request, agent, error)
    return redirect(_href(request, agent))


async def change_owner(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """Have another member answer for the agent; its tokens and the names of its certificates end."""
    visit, agent = visit_of(request), await agent_here(request, id)
    owner, actor = visit.form.get("owner", ""), Actor.of(visit.principal)
    try:
        await services_of(request).agents.change_owner(visit.here().id, agent.id, owner, actor)
    except NotFound as error:
        return await _show_agent(request, agent, error)
    return redirect(_href(request, agent))


async def rotate(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """Make a new token and show it, this once; the others end as was chosen."""
    visit, services, agent = visit_of(request), services_of(request), await agent_here(request, id)
    try:
        expires_us = expiry_of(visit.form.get("days", ""), services.clock.now_us())
        grace = grace_of(visit.form.get("grace", "0"))
        wish = Wish(agent.name, expires_us, None, networks_of(visit.form.get("networks", "")))
        token = await services.tokens.rotate(
            agent.id, agent.workspace_id, wish, grace_seconds=grace, actor=Actor.of(visit.principal)
        )
    except (BadInput, NotFound) as error:
        return await _show_agent(request, agent, error)
    return await _show_token(request, agent, token)


async def revoke(request: Asking, id: FromPath[str], token: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """End one token of the agent, at once."""
    agent = await agent_here(request, id)
    await services_of(request).tokens.revoke(
        token, Actor.of(visit_of(request).principal), workspace_id=agent.workspace_id, owner_id=agent.id
    )
    return redirect(_href(request, agent))


async def certify(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """Let client certificates with a subject alternative name be the agent."""
    visit, agent = visit_of(request), await agent_here(request, id)
    san, actor = visit.form.get("san", "").strip(), Actor.of(visit.principal)
    try:
        await services_of(request).certificates.register(agent.workspace_id, agent.id, san, actor)
    except (BadInput, Conflict, NotFound) as error:
        return await _show_agent(request, agent, error)
    return redirect(_href(request, agent))


async def decertify(
    request: Asking,
    id: FromPath[str],  # noqa: A002 - the path's word
    certificate: FromPath[str],
) -> Page:
    """Let a name stand for the agent no more; its open sockets end at once."""
    agent, actor = await agent_here(request, id), Actor.of(visit_of(request).principal)
    await services_of(request).certificates.revoke(agent.workspace_id, certificate, actor, agent.id)
    return redirect(_href(request, agent))


async def disable(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """Let the agent ask no more; its tokens and the names of its certificates end at once."""
    visit, agent = visit_of(request), await agent_here(request, id)
    await services_of(request).agents.disable(visit.here().id, agent.id, Actor.of(visit.principal))
    return redirect(_href(request, agent))


def _href(request: Asking, agent: Agent) -> str:
    return f"/w/{visit_of(request).here().slug}/agents/{agent.id}"


async def _show_form(request: Asking, error: FailgateError | None = None) -> Page:
    visit = visit_of(request)
    owner = visit.form.get("owner") or visit.principal.account_id or ""
    view = NewAgentView(
        await _owners(request, owner),
        visit.form.get("name", "")[:200],
        visit.form.get("model", "")[:200],
        str(error) if error else None,
    )
    status = error.status if error else 200
    return await show(request, "agent_new.html", view, title="New agent", room="agents", status=status)


async def _show_agent(request: Asking, agent: Agent, error: FailgateError | None = None) -> Page:
    visit, services = visit_of(request), services_of(request)
    tokens, now_us = await services.tokens.list(agent.id, agent.workspace_id), services.clock.now_us()
    names = await services.certificates.list(agent.workspace_id, agent.id)
    tls = services.config.server.tls
    [line] = await _lines(request, [agent], tokens)
    view = AgentView(
        line,
        tuple(token_line(token, "", now_us) for token in tokens),
        tuple(certificate_line(name, now_us) for name in names),
        tls is not None and tls.client_certificates != "off",
        await _owners(request, agent.owner_account_id),
        choices(LIFETIMES, ""),
        choices(GRACES, "0"),
        grants(visit, Permission.WORKSPACE_AGENT_WRITE) and agent.is_enabled,
        visit.form.get("san", "")[:200],
        str(error) if error else None,
        await _reports(request, agent),
        await runs_on(request, agent),
    )
    status = error.status if error else 200
    return await show(request, "agent.html", view, title=agent.name, room="agents", status=status)


async def _reports(request: Asking, agent: Agent) -> tuple[ReportRow, ...] | None:
    """Return the newest reports that the agent uploaded, or None where the visitor reads none."""
    visit, services = visit_of(request), services_of(request)
    if not grants(visit, Permission.WORKSPACE_REPORT_READ):
        return None
    found = await services.reports.page(
        visit.principal, agent.workspace_id, NEWEST_REPORTS, None, ReportFilter(agent=agent.id)
    )
    return report_rows(found.items, services.clock.now_us())


async def _show_token(request: Asking, agent: Agent, token: str) -> Page:
    visit, services = visit_of(request), services_of(request)
    view = ShownView(
        f"A token for {agent.name}",
        token,
        "Give it to the agent by its environment or a file that only it reads.",
        f"export FAILGATE_URL={services.config.server.base_url} FAILGATE_WORKSPACE={visit.here().slug}\n"
        "export FAILGATE_TOKEN=…\nfailgate run --reason 'why' -- make deploy",
        _href(request, agent),
        "I have kept it",
    )
    return await show(request, "shown.html", view, title=agent.name, room="agents")


async def _owners(request: Asking, chosen: str) -> tuple[Choice, ...]:
    services = services_of(request)
    members = await services.workspaces.members(visit_of(request).here().id)
    accounts = await services.accounts.by_ids(member.account_id for member in members)
    return tuple(
        Choice(member.account_id, accounts[member.account_id].email, member.role.value, member.account_id == chosen)
        for member in members
        if member.account_id in accounts and accounts[member.account_id].is_enabled
    )


async def _lines(request: Asking, agents: Sequence[Agent], tokens: Sequence[Token]) -> tuple[AgentLine, ...]:
    services = services_of(request)
    now_us = services.clock.now_us()
    owners = await services.accounts.by_ids(agent.owner_account_id for agent in agents)
    used: dict[str, int] = {}
    for token in tokens:
        used[token.owner_id] = max(used.get(token.owner_id, 0), token.last_used_us or 0)
    return tuple(
        AgentLine(
            agent.id,
            agent.name,
            agent.model,
            owners[agent.owner_account_id].email if agent.owner_account_id in owners else "not known",
            moment(agent.created_us, now_us),
            agent.is_enabled,
            moment(used[agent.id], now_us) if used.get(agent.id) else None,
        )
        for agent in agents
    )
