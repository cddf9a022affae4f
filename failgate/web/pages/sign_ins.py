"""One's own sign-ins at identity providers: which there are, one more, one less."""

from litestar.params import FromPath

from failgate.audit.record import Actor
from failgate.base.errors import Conflict, FailgateError, NotFound
from failgate.sso.connection import Connection
from failgate.sso.linking import Identity
from failgate.sso.requests import Errand
from failgate.web.context import services_of, visit_of
from failgate.web.pages.departing import depart
from failgate.web.pages.showing import Asking, Page, account_of, memberships_of, show
from failgate.web.pages.signin_sso import choices_of
from failgate.web.pages.sso_view import SignInLine, SignInsView
from failgate.web.pages.text import moment
from failgate.web.render import redirect

_HERE = "/account/sign-ins"


async def listing(request: Asking) -> Page:
    """List the sign-ins of the account, and the providers that could be linked."""
    return await _show(request)


async def link(request: Asking) -> Page:
    """Go to a provider to link what it says to this account, whose session this is."""
    visit = visit_of(request)
    slug = visit.form.get("connection", "")
    if slug not in {one.slug for one in await _linkable(request)}:
        raise NotFound("There is no such connection.")
    session_id = visit.session.id if visit.session is not None else None
    return await depart(request, slug, Errand("link", _HERE, account_of(visit), session_id))


async def unlink(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """Take a sign-in off the account."""
    visit, room = visit_of(request), services_of(request).sso
    try:
        await room.linking.unlink(account_of(visit), id, Actor.of(visit.principal))
    except Conflict as error:
        return await _show(request, error)
    return redirect(_HERE)


async def _linkable(request: Asking) -> list[Connection]:
    """Return the enabled connections of the installation and of the person's workspaces."""
    services = services_of(request)
    found = [kept.connection for kept in await services.sso.connections.of_installation()]
    for one in await memberships_of(request):
        found += [kept.connection for kept in await services.sso.connections.of_workspace(one.workspace.id)]
    return [one for one in found if one.is_enabled]


async def _identities(request: Asking) -> list[Identity]:
    """Return the person's sign-ins; a session that is confined to a workspace reads of those at its providers."""
    visit, services = visit_of(request), services_of(request)
    found = await services.sso.linking.identities(account_of(visit))
    if visit.principal.workspace_id is None:
        return found
    own = {kept.connection.id for kept in await services.sso.connections.of_workspace(visit.principal.workspace_id)}
    return [one for one in found if one.connection_id in own]


async def _show(request: Asking, error: FailgateError | None = None) -> Page:
    visit, services = visit_of(request), services_of(request)
    now_us = services.clock.now_us()
    rows = tuple(
        SignInLine(
            one.id, one.connection_title, one.email or one.subject, one.issuer, moment(one.linked_us, now_us),
            moment(one.seen_us, now_us) if one.seen_us is not None else None,
        )
        for one in await _identities(request)
    )  # fmt: skip
    may_change = visit.principal.may_change_account
    view = SignInsView(rows, choices_of(await _linkable(request)), may_change, str(error) if error else None)
    status = error.status if error else 200
    return await show(request, "sign_ins.html", view, title="Sign-ins", room="account", status=status)
