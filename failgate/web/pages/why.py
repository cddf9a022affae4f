"""Why?: what the policies would say of a command, without asking for it. Nothing is kept, no use of a rule counted."""

from failgate.access.permission import Permission
from failgate.access.principal import Principal
from failgate.base.errors import BadInput, FailgateError, NotFound, TooLarge, Unprocessable
from failgate.web.context import services_of, visit_of
from failgate.web.pages.showing import Asking, Page, grants, show
from failgate.web.pages.why_view import FIELDS, AgentChoice, AnswerView, WhyView, answer_view, command_of
from failgate.workspaces.agents import Agent


async def form(request: Asking) -> Page:
    """Ask for a command."""
    return await _show(request, dict.fromkeys(FIELDS, "") | {"written": "shell"})


async def explain(request: Asking) -> Page:
    """Show what each policy says of the command of the form."""
    visit = visit_of(request)
    typed = {name: visit.form.get(name, "") for name in FIELDS}
    try:
        command, is_line = command_of(typed)
        asking, by = await _asking(request, typed["agent"])
        said = await services_of(request).gate.explain(asking, visit.here().id, command)
    except (BadInput, NotFound, Unprocessable, TooLarge) as error:
        return await _show(request, typed, error)
    return await _show(request, typed, answer=answer_view(command, said, by, is_line=is_line))


async def _asking(request: Asking, agent_id: str) -> tuple[Principal, str]:
    """Return as whom the policies are asked: the agent of that id, or the visitor when it is empty.

    Raises: NotFound.
    """
    visit = visit_of(request)
    if not agent_id:
        return visit.principal, "you"
    agent = next((one for one in await _agents(request) if one.id == agent_id), None)
    if agent is None:
        raise NotFound("This workspace has no such agent.", hint="Choose one of the list.")
    asking = Principal(
        "agent", agent_id=agent.id, owner_account_id=agent.owner_account_id, workspace_id=agent.workspace_id,
        label=agent.name,
    )  # fmt: skip
    return asking, agent.name


async def _agents(request: Asking) -> list[Agent]:
    visit = visit_of(request)
    if not grants(visit, Permission.WORKSPACE_AGENT_READ):
        return []
    return [one for one in await services_of(request).agents.list(visit.here().id) if one.is_enabled]


async def _show(
    request: Asking, typed: dict[str, str], error: FailgateError | None = None, answer: AnswerView | None = None
) -> Page:
    view = WhyView(
        f"/w/{visit_of(request).here().slug}/settings/rules",
        typed,
        tuple(AgentChoice(one.id, one.name) for one in await _agents(request)),
        None if error is None else error.sentence,
        None if error is None else error.hint,
        answer,
    )
    return await show(request, "why.html", view, title="Why?", room="settings", status=error.status if error else 200)
