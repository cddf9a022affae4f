"""Who belongs to a workspace: its members and its agents."""

from failgate.web.context import services_of, visit_of
from failgate.web.pages.account_view import AgentLine, AgentsView, MemberLine, MembersView
from failgate.web.pages.frame import may
from failgate.web.pages.showing import Asking, Page, show
from failgate.web.pages.text import moment


async def agents(request: Asking) -> Page:
    """List the agents and who answers for each."""
    visit, services = visit_of(request), services_of(request)
    found, now_us = await services.agents.list(visit.here().id), services.clock.now_us()
    owners = await services.accounts.by_ids(agent.owner_account_id for agent in found)
    names = {key: account.email for key, account in owners.items()}
    rows = tuple(
        AgentLine(
            agent.id,
            agent.name,
            names.get(agent.owner_account_id, "not known"),
            moment(agent.created_us, now_us),
            agent.is_enabled,
        )
        for agent in found
    )
    return await show(request, "agents.html", AgentsView(rows), title="Agents", room="agents")


async def members(request: Asking) -> Page:
    """List the members, their roles, and whether they can vote."""
    visit, services = visit_of(request), services_of(request)
    found, now_us = await services.workspaces.members(visit.here().id), services.clock.now_us()
    accounts = await services.accounts.by_ids(member.account_id for member in found)
    rows = [
        MemberLine(
            email=accounts[member.account_id].email,
            role=member.role.value,
            may=may(member.role.value),
            has_second_factor=await services.second_factors.has(member.account_id),
            is_disabled=not accounts[member.account_id].is_enabled,
            is_self=member.account_id == visit.principal.account_id,
            since=moment(member.added_us, now_us),
        )
        for member in found
        if member.account_id in accounts
    ]
    return await show(request, "members.html", MembersView(tuple(rows)), title="Members", room="members")
