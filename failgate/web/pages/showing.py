"""From a visit to a page: the frame around it, and the answer that carries both."""

from typing import Any
from urllib.parse import quote

from litestar import Request, Response

from failgate.access.permission import Permission
from failgate.access.role import GRANTS, Role
from failgate.accounts.session import Session, SessionToken
from failgate.web.context import Visit, services_of, visit_of
from failgate.web.cookies import session_cookies
from failgate.web.errors import own_path
from failgate.web.pages.frame import Frame, NavItem, Place, navigation
from failgate.web.pages.observing_view import banners_of
from failgate.web.render import csrf_token, page, redirect, static_version
from failgate.workspaces.workspaces import Membership

Asking = Request[Any, Any, Any]
Page = Response[bytes]


async def show(request: Asking, template: str, view: object, *, title: str, room: str = "", status: int = 200) -> Page:
    """Return `template` with `view` inside the frame of this visit; `room` is marked in the navigation."""
    return page(template, status=status, frame=await frame_of(request, title, room), view=view)


async def frame_of(request: Asking, title: str, room: str) -> Frame:
    """Return the frame of a page for this visit."""
    visit, services = visit_of(request), services_of(request)
    session, account_id = visit.session, visit.principal.account_id
    memberships = await memberships_of(request)
    places = tuple(Place(one.workspace.slug, one.workspace.name, one.role.value) for one in memberships)
    place = waiting = None
    observing: tuple[str, ...] = ()
    if visit.workspace is not None and visit.role is not None:
        place = Place(visit.workspace.slug, visit.workspace.name, visit.role.value)
        waiting = len(services.gate.pending(visit.workspace.id))
        observing = await _observing(request, visit.workspace.id)
    account = await services.accounts.by_id(account_id) if account_id and place is None else None
    is_platform_admin = account is not None and account.is_platform_admin and visit.principal.workspace_id is None
    return Frame(
        title=title,
        nonce=visit.nonce,
        csrf_token=csrf_token(request),
        version=static_version(),
        email=session.email if session else None,
        is_demo=services.is_demo,
        workspace=place,
        workspaces=places,
        nav=navigation(
            place,
            room,
            waiting,
            is_platform_admin=is_platform_admin,
            is_relaying=services.relay_room.relay is not None,
            brought=_brought(request),
        ),
        left_seconds=services.sessions.left_seconds(session) if session and not session.awaits_second_factor else None,
        observing=observing,
    )


def _brought(request: Asking) -> tuple[NavItem, ...]:
    """Return the ways to the private pages of plugins."""
    return tuple(
        NavItem(one.provides.pages.label, f"/platform/x/{one.identity.name}", "shield")
        for one in services_of(request).plugins.plugins
        if one.provides.pages is not None and one.provides.pages.label
    )


async def _observing(request: Asking, workspace_id: str) -> tuple[str, ...]:
    services = services_of(request)
    running = services.gate.observing.running(workspace_id)
    of_agents = any(one.agent_id for one in running)
    agents = {one.id: one.name for one in await services.agents.list(workspace_id)} if of_agents else {}
    return banners_of(running, agents)


async def memberships_of(request: Asking) -> list[Membership]:
    """Return the workspaces that this visit reaches: all of the person's, or the one whose provider signed them in."""
    principal = visit_of(request).principal
    if principal.account_id is None:
        return []
    found = await services_of(request).workspaces.memberships(principal.account_id)
    return [one for one in found if principal.workspace_id in {None, one.workspace.id}]


def is_reached(visit: Visit, session: Session) -> bool:
    """Tell whether this visit may read of a session of the same person: one confined to a workspace reads its like."""
    here = visit.principal.workspace_id
    return here is None or (session.origin is not None and session.origin.confined_to == here)


def grants(visit: Visit, permission: Permission) -> bool:
    """Tell whether the visitor's role in this workspace gives `permission`."""
    return visit.role is not None and permission in GRANTS[Role(visit.role)]


def next_of(request: Asking, otherwise: str = "/") -> str:
    """Return where to go next: the field `next` of the form or the query, when it is a path of our own."""
    path = own_path(visit_of(request).form.get("next") or request.query_params.get("next"))
    return otherwise if path == "/" else path


def enter(visit: Visit, token: SessionToken, path: str) -> Page:
    """Return the answer that keeps the session `token` in the browser and goes to `path`."""
    carry_on(visit, token)
    return redirect(path)


async def provider_factor_of(request: Asking) -> str | None:
    """Return the title of the identity provider whose second factor counts in the visitor's session, or None."""
    way = await services_of(request).sso.step_ups.way(visit_of(request).session)
    return way.connection.title if way is not None and way.has_shown else None


def carry_on(visit: Visit, token: SessionToken) -> None:
    """Keep the session's new `token` in the browser; forms of the page that is answered now are bound to it."""
    visit.set_cookies += session_cookies(token, is_https=visit.is_https)
    visit.credential = token


def with_next(path: str, next_path: str) -> str:
    """Return `path` with `next_path` as the page to come back to."""
    return path if next_path == "/" else f"{path}?next={quote(next_path, safe='/')}"


def account_of(visit: Visit) -> str:
    """Return the account of the visitor; a door without one is a mistake of ours."""
    if visit.principal.account_id is None:
        raise LookupError("this door has no account")
    return visit.principal.account_id
