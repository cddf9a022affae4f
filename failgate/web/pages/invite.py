"""Accepting an invitation: by the account that is signed in, or by a new one."""

from failgate.audit.record import Actor
from failgate.base.errors import BadInput, Conflict, FailgateError, Forbidden, NotFound, TooLarge, TooManyRequests
from failgate.web.context import services_of, visit_of
from failgate.web.pages import link
from failgate.web.pages.frame import may
from failgate.web.pages.people_view import AcceptView
from failgate.web.pages.showing import Asking, Page, account_of, enter, show
from failgate.web.render import redirect


async def form(request: Asking) -> Page:
    """Show who is invited where; only the buttons use the link, so that previews of it do not."""
    return link.to_paste() if link.is_from_before(request) else await _show(request, link.token_of(request))


async def accept(request: Asking) -> Page:
    """Join with the account that is signed in."""
    visit, services = visit_of(request), services_of(request)
    token = visit.form.get("token", "")
    try:
        found = await services.invitations.accept(token, account_of(visit), Actor.of(visit.principal))
    except (NotFound, Conflict, Forbidden) as error:
        return await _show(request, token, error)
    link.forget(request)
    return redirect(await _entry(request, found.workspace_id))


async def join(request: Asking) -> Page:
    """Make an account, join with it, sign in; a mistake is shown and the link stays good."""
    visit, services = visit_of(request), services_of(request)
    token, email, password = (visit.form.get(name, "") for name in ("token", "email", "password"))
    try:
        account, found = await services.invitations.accept_as_new(token, email, password, visit.ip or "")
    except (NotFound, BadInput, Conflict, Forbidden, TooLarge, TooManyRequests) as error:
        return await _show(request, token, error)
    link.forget(request)
    if visit.session is not None:
        await services.sessions.close(visit.session)
    user_agent = request.headers.get("user-agent", "")
    session_token, _ = await services.sessions.open(account.id, visit.ip or "", user_agent, ("pwd",))
    entry = await _entry(request, found.workspace_id)
    return enter(visit, session_token, f"/account/second-factor?next={entry}")


async def _entry(request: Asking, workspace_id: str) -> str:
    workspace = await services_of(request).workspaces.by_id(workspace_id)
    return f"/w/{workspace.slug}/members" if workspace is not None else "/"


async def _show(request: Asking, token: str, error: FailgateError | None = None) -> Page:
    visit, services = visit_of(request), services_of(request)
    try:
        found = await services.invitations.check(token)
        workspace = await services.workspaces.by_id(found.workspace_id)
    except NotFound as gone:
        view = {
            "title": "This invitation does not work any more",
            "status": gone.status,
            "sentence": "It was used, revoked, or is older than seven days.",
            "hint": gone.hint,
            "request_id": None,
            "label": "I am a member: sign in",
        }
        return await show(request, "error.html", view, title="Invitation", status=gone.status)
    signed_in = visit.session.email if visit.session is not None and visit.principal.kind == "user" else None
    shown = AcceptView(
        token,
        workspace.name if workspace is not None else "",
        found.role.value,
        may(found.role.value),
        found.email,
        signed_in,
        await services.invitations.takes_password(found.workspace_id),
        visit.form.get("email", "")[:254],
        str(error) if error else None,
    )
    return await show(request, "accept.html", shown, title="Invitation", status=error.status if error else 200)
