"""Which identity providers one may sign in with: for everybody, by mail domain, or as a workspace demands."""

from collections.abc import Sequence

from failgate.sso.connection import Connection
from failgate.sso.domains import domain_of
from failgate.web.context import services_of, visit_of
from failgate.web.pages.showing import Asking, Page, memberships_of, next_of, show
from failgate.web.pages.sso_view import Choice, ChoiceView
from failgate.workspaces.workspaces import Workspace


async def through_provider(request: Asking) -> Page:
    """List the identity providers that one may sign in with; members of a workspace see those that it demands."""
    visit, room, next_path = visit_of(request), services_of(request).sso, next_of(request)
    workspace = await _demanded(request, next_path)
    if workspace is None:
        found = await room.connections.listed()
        return await _show_choices(request, ChoiceView(choices_of(found), next_path))
    own = [kept.connection for kept in await room.connections.of_workspace(workspace.id)]
    installed = [kept.connection for kept in await room.connections.of_installation()]
    enabled = [one for one in (*own, *installed) if one.is_enabled]
    visit_email = visit.session.email if visit.session is not None else ""
    view = ChoiceView(choices_of(enabled), next_path, workspace.name, visit_email)
    return await _show_choices(request, view)


async def find_provider(request: Asking) -> Page:
    """Show the identity providers for the mail domain that was typed; whether there is such an account is not asked."""
    email = visit_of(request).form.get("email", "")[:254].strip()
    domain = domain_of(email)
    found = await services_of(request).sso.connections.of_domain(domain) if domain is not None else []
    view = ChoiceView(choices_of(found), next_of(request), email=email, is_asked=True)
    return await _show_choices(request, view)


async def _demanded(request: Asking, next_path: str) -> Workspace | None:
    """Return the workspace that `next_path` lies in when the visitor is a member of it, else None."""
    parts = next_path.split("/")
    if len(parts) < 3 or parts[1] != "w":
        return None
    slug = parts[2].partition("?")[0]
    return next((one.workspace for one in await memberships_of(request) if one.workspace.slug == slug), None)


def choices_of(connections: Sequence[Connection]) -> tuple[Choice, ...]:
    """Return `connections` as ways in."""
    return tuple(Choice(one.slug, one.title, one.kind) for one in connections)


async def _show_choices(request: Asking, view: ChoiceView) -> Page:
    return await show(request, "signin_sso.html", view, title="Single sign-on")
