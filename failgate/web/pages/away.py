"""Being away from deciding: until when, and who stands in, in each workspace."""

from failgate.access.permission import Permission
from failgate.access.role import GRANTS
from failgate.audit.record import Actor
from failgate.base.errors import BadInput, FailgateError, Forbidden, NotFound, Unprocessable
from failgate.web.context import services_of, visit_of
from failgate.web.pages.absences_view import AwayPlace, AwayView, absence_of, away_place
from failgate.web.pages.showing import Asking, Page, account_of, memberships_of, show
from failgate.workspaces.workspaces import Membership

_REFUSALS = (BadInput, Unprocessable, Forbidden)


async def form(request: Asking) -> Page:
    """Show in which workspaces one is away."""
    return await _show(request)


async def declare(request: Asking) -> Page:
    """Keep an absence in one workspace; with `action` `end` one is back."""
    visit, services = visit_of(request), services_of(request)
    slug = visit.form.get("workspace")
    place = next((one for one in await _places(request) if one.workspace.slug == slug), None)
    if place is None:
        raise NotFound("There is no such workspace.")
    actor, account_id, workspace_id = Actor.of(visit.principal), account_of(visit), place.workspace.id
    try:
        if visit.form.get("action") == "end":
            await services.absences.end(actor, workspace_id, account_id)
        else:
            now_us = services.clock.now_us()
            await services.absences.declare(actor, absence_of(workspace_id, account_id, visit.form, now_us))
    except _REFUSALS as error:
        return await _show(request, refused=(place.workspace.id, error))
    return await _show(request, saved=place.workspace.name)


async def _places(request: Asking) -> list[Membership]:
    found = await memberships_of(request)
    return [one for one in found if Permission.WORKSPACE_COMMAND_VOTE in GRANTS[one.role]]


async def _show(request: Asking, *, saved: str | None = None, refused: tuple[str, FailgateError] | None = None) -> Page:
    visit, services = visit_of(request), services_of(request)
    own = await services.absences.of_account(account_of(visit))
    places: list[AwayPlace] = []
    for one in await _places(request):
        here = one.workspace.id
        error = refused[1] if refused is not None and refused[0] == here else None
        places.append(
            away_place(
                one.workspace.slug, one.workspace.name, one.role.value, own.get(here), await _others(request, here),
                services.clock.now_us(), typed=visit.form if error else None, error=str(error) if error else None,
            )
        )  # fmt: skip
    view, status = AwayView(tuple(places), saved), refused[1].status if refused else 200
    return await show(request, "away.html", view, title="Away", room="account", status=status)


async def _others(request: Asking, workspace_id: str) -> dict[str, str]:
    """Return the addresses of the other members whose role may vote, by account."""
    services, own = services_of(request), account_of(visit_of(request))
    members = await services.workspaces.members(workspace_id)
    voting = [one.account_id for one in members if Permission.WORKSPACE_COMMAND_VOTE in GRANTS[one.role]]
    accounts = await services.accounts.by_ids([one for one in voting if one != own])
    return {account.id: account.email for account in accounts.values() if account.is_enabled}
