"""One's own account: the second factor and the open sessions."""

import segno
from litestar.params import FromPath

from failgate.audit.record import Actor
from failgate.base.errors import Conflict, FailgateError, NotSignedIn, TooManyRequests
from failgate.web.context import services_of, visit_of
from failgate.web.cookies import ended_session_cookie, session_cookie
from failgate.web.pages.account_view import (
    AccountView,
    SecondFactorView,
    SessionLine,
    SessionsView,
    browser_of,
    groups_of_four,
)
from failgate.web.pages.showing import Asking, Page, account_of, next_of, show
from failgate.web.pages.text import moment
from failgate.web.render import redirect


async def overview(request: Asking) -> Page:
    """Show who one is."""
    visit, services = visit_of(request), services_of(request)
    account_id = account_of(visit)
    has_factor = await services.second_factors.has(account_id)
    count = len(await services.sessions.list(account_id))
    email = visit.session.email if visit.session else visit.principal.label
    view = AccountView(account_id, email, has_factor, count)
    return await show(request, "account.html", view, title="Your account", room="account")


async def second_factor(request: Asking) -> Page:
    """Show whether there is a second factor, and how to set one up."""
    has_factor = await services_of(request).second_factors.has(account_of(visit_of(request)))
    return await _show_factor(request, SecondFactorView(is_enrolled=has_factor, next_path=next_of(request)))


async def begin_enrolment(request: Asking) -> Page:
    """Make a secret and show it, this once."""
    account_id = account_of(visit_of(request))
    try:
        enrolment = await services_of(request).second_factors.begin_enrolment(account_id)
    except Conflict as error:
        return await _show_factor(request, SecondFactorView(is_enrolled=True, error=str(error)), status=error.status)
    picture = segno.make(enrolment.uri, error="m").svg_data_uri(scale=4, border=0)
    groups = groups_of_four(enrolment.secret)
    view = SecondFactorView(secret_groups=groups, qr_uri=picture, next_path=next_of(request))
    return await _show_factor(request, view)


async def confirm_enrolment(request: Asking) -> Page:
    """Put the secret in use; show the backup codes, this once. The code proves the factor for this session too."""
    visit, services = visit_of(request), services_of(request)
    try:
        code = visit.form.get("code", "").replace(" ", "")
        codes = await services.second_factors.confirm(account_of(visit), code, Actor.of(visit.principal))
    except (NotSignedIn, TooManyRequests, Conflict) as error:
        return await _refuse_code(request, error)
    if visit.session is not None:
        token = await services.sessions.prove_second_factor(visit.session, "otp")
        visit.set_cookies.append(session_cookie(token, is_https=visit.is_https))
    view = SecondFactorView(is_enrolled=True, backup_codes=tuple(codes), next_path=next_of(request))
    return await _show_factor(request, view)


async def sessions(request: Asking) -> Page:
    """List the browsers that are signed in."""
    visit, services = visit_of(request), services_of(request)
    now_us = services.clock.now_us()
    rows = tuple(
        SessionLine(
            one.id,
            browser_of(one.user_agent),
            one.address,
            moment(one.opened_us, now_us),
            moment(one.seen_us, now_us),
            one.id == visit.principal.session_id,
            one.second_factor_us is not None,
        )
        for one in await services.sessions.list(account_of(visit))
    )
    return await show(request, "sessions.html", SessionsView(rows), title="Sessions", room="account")


async def close_session(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """Close one of one's own sessions; closing this one signs out."""
    visit = visit_of(request)
    await services_of(request).sessions.close_own(account_of(visit), id, Actor.of(visit.principal))
    if id != visit.principal.session_id:
        return redirect("/account/sessions")
    visit.set_cookies.append(ended_session_cookie(is_https=visit.is_https))
    return redirect("/signin")


async def _refuse_code(request: Asking, error: FailgateError) -> Page:
    is_gone = isinstance(error, Conflict)
    view = SecondFactorView(is_confirming=not is_gone, next_path=next_of(request), error=str(error))
    return await _show_factor(request, view, status=error.status)


async def _show_factor(request: Asking, view: SecondFactorView, *, status: int = 200) -> Page:
    return await show(request, "second_factor.html", view, title="Second factor", room="account", status=status)
