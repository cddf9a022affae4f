"""The first page after signing in: one's workspaces, and what waits in each."""

from failgate.access.permission import Permission
from failgate.access.role import GRANTS
from failgate.web.context import services_of, visit_of
from failgate.web.pages.account import news_of
from failgate.web.pages.account_view import OverviewView, WorkspaceTile
from failgate.web.pages.frame import entry_room
from failgate.web.pages.showing import Asking, Page, account_of, show


async def overview(request: Asking) -> Page:
    """Show one's workspaces."""
    services, account_id = services_of(request), account_of(visit_of(request))
    tiles: list[WorkspaceTile] = []
    for one in await services.workspaces.memberships(account_id):
        may_read = Permission.WORKSPACE_COMMAND_READ in GRANTS[one.role]
        waiting = len(services.gate.pending(one.workspace.id)) if may_read else 0
        entry = entry_room(one.role.value)
        tiles.append(WorkspaceTile(one.workspace.slug, one.workspace.name, one.role.value, entry, waiting))
    view = OverviewView(tuple(tiles), await services.second_factors.has(account_id), await news_of(request))
    return await show(request, "overview.html", view, title="Workspaces", room="overview")
