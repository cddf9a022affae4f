"""Approving for longer: the request, and by a rule what is like it, for this session or for a time."""

from litestar.params import FromPath

from failgate.audit.record import Actor
from failgate.base.errors import BadInput, Conflict, FailgateError, Forbidden, TooLarge, Unprocessable
from failgate.gate.answering import Answered
from failgate.web.context import Visit, services_of, visit_of
from failgate.web.pages.further_view import further_view, suggestions_view, wish_of
from failgate.web.pages.showing import Asking, Page, show
from failgate.web.render import redirect
from failgate.wire.gate import CommandView, Rule, Vote

_REFUSALS = (BadInput, Unprocessable, TooLarge, Conflict, Forbidden)


async def form(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """Show what could be allowed further."""
    return await _show(request, id)


async def suggestions(request: Asking) -> Page:
    """Show the few rules that would have answered most of the last week."""
    visit, gate = visit_of(request), services_of(request).gate
    found = await gate.suggestions(visit.here().id)
    rules = [
        (one, *await gate.further(visit.here().id, one.command_id, visit.principal, one.wish)) for one in found.items
    ]
    view = suggestions_view(found, rules, f"/w/{visit.here().slug}")
    return await show(request, "suggestions.html", view, title="Suggestions", room="settings")


async def make(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """Approve the request when it waits, then make the rule; with `action` `try` only say what the rule would do."""
    visit, services = visit_of(request), services_of(request)
    command = await services.gate.view(visit.here().id, id, visit.principal)
    try:
        wish = wish_of(visit.form, len(command.rendering) - 1)
        trial = await services.gate.further(visit.here().id, id, visit.principal, wish)
        if visit.form.get("action") != "make":
            return await _show(request, id, trial=trial)
        await _approve(request, visit, command)
        await _make(request, visit, trial[0])
    except _REFUSALS as error:
        return await _show(request, id, error)
    return redirect(f"/w/{visit.here().slug}/queue?c={id}")


async def _approve(request: Asking, visit: Visit, command: CommandView) -> None:
    """Vote for a request that waits. Raises: Conflict (others still decide, another digest), Forbidden."""
    if command.state != "pending":
        return
    vote = Vote(decision="approve", digest=visit.form.get("digest", ""))
    voted = await services_of(request).gate.vote(visit.principal, visit.here().id, command.id, vote)
    if voted.state != "approved":
        raise Conflict("Your approval counted, others still decide: no rule was made.", hint="Wait for them.")


async def _make(request: Asking, visit: Visit, rule: Rule) -> None:
    services, here = services_of(request), visit.here().id
    if await services.rule_proposals.approvers(here):
        await services.rule_proposals.propose(visit.principal, here, [rule])
    else:
        await services.rules.create(Actor.of(visit.principal), here, rule)


async def _show(
    request: Asking, command_id: str, error: FailgateError | None = None, trial: tuple[Rule, Answered] | None = None
) -> Page:
    visit, services = visit_of(request), services_of(request)
    command = await services.gate.view(visit.here().id, command_id, visit.principal)
    view = further_view(
        command,
        f"/w/{visit.here().slug}/commands/{command.id}",
        visit.form or request.query_params,
        approvers=await services.rule_proposals.approvers(visit.here().id),
        error=str(error) if error else None,
        trial=trial,
    )
    status = error.status if error else 200
    return await show(request, "further.html", view, title="Approve for longer", room="queue", status=status)
