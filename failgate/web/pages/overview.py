"""The first page after signing in: one's workspaces, and what waits in each."""

from failgate.access.permission import Permission
from failgate.access.role import GRANTS
from failgate.web.context import services_of, visit_of
from failgate.web.pages.account import news_of
from failgate.web.pages.account_view import OverviewView, WorkspaceTile
from failgate.web.pages.frame import entry_room
from failgate.web.pages.showing import Asking, Page, account_of, memberships_of, provider_factor_of, show


async def overview(request: Asking) -> Page:
    """Show one's workspaces."""
    visit, services = visit_of(request), services_of(request)
    tiles: list[WorkspaceTile] = []
    for one in await memberships_of(request):
        entry = await services.sso.enforcements.entry(visit.principal, one.workspace.id, one.role)
        may_read = Permission.WORKSPACE_COMMAND_READ in GRANTS[one.role] and entry != "refused"
        waiting = len(services.gate.pending(one.workspace.id)) if may_read else 0
        room = entry_room(one.role.value)
        tiles.append(WorkspaceTile(one.workspace.slug, one.workspace.name, one.role.value, room, waiting))
    has_factor = await services.second_factors.has(account_of(visit)) or await provider_factor_of(request) is not None
    view = OverviewView(tuple(tiles), has_factor, await news_of(request))
    return await show(request, "overview.html", view, title="Workspaces", room="overview")
