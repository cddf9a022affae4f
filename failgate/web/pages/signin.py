"""Signing in and out: the password, then the second factor; or a one-click link of the demo."""

from urllib.parse import quote

from failgate.accounts.accounts import Account
from failgate.accounts.sessions import Session
from failgate.base.errors import FailgateError, Forbidden, NotSignedIn, TooManyRequests
from failgate.web.context import services_of, visit_of
from failgate.web.cookies import ended_session_cookie
from failgate.web.pages.account_view import CodeView, LinkView, SignInView
from failgate.web.pages.showing import Asking, Page, enter, next_of, show
from failgate.web.render import redirect


async def form(request: Asking) -> Page:
    """Ask for e-mail and password; whoever is signed in goes on."""
    visit = visit_of(request)
    if visit.principal.kind == "user":
        return redirect(next_of(request))
    view = SignInView(next_of(request), takes_password=services_of(request).accounts.is_password_enabled)
    return await show(request, "signin.html", view, title="Sign in")


async def sign_in(request: Asking) -> Page:
    """Check e-mail and password; open a session, which may wait for its second factor."""
    visit, services = visit_of(request), services_of(request)
    email, password = visit.form.get("email", ""), visit.form.get("password", "")
    try:
        account = await services.accounts.sign_in(email, password, visit.ip or "")
        return await _open(request, account.id, "pwd", next_of(request), account)
    except (NotSignedIn, TooManyRequests, Forbidden) as error:
        takes_password = services.accounts.is_password_enabled
        view = SignInView(next_of(request), email[:254], str(error), takes_password=takes_password)
        return await show(request, "signin.html", view, title="Sign in", status=error.status)


async def code_form(request: Asking) -> Page:
    """Ask for the second factor of the session; without one, or without a session, go where it is got."""
    session = visit_of(request).session
    if session is None:
        return redirect(_with_next("/signin", next_of(request)))
    if not await services_of(request).second_factors.has(session.account_id):
        return redirect(_with_next("/account/second-factor", next_of(request)))
    return await _ask_code(request, session, None)


async def prove(request: Asking) -> Page:
    """Check the code; the session gets a new token and goes on."""
    visit = visit_of(request)
    if visit.session is None:
        return redirect(_with_next("/signin", next_of(request)))
    code = visit.form.get("code", "").strip()
    compact = code.replace(" ", "") if len(code) <= 8 else code
    try:
        token = await services_of(request).second_factors.prove_in_session(visit.session, compact)
    except (NotSignedIn, TooManyRequests) as error:
        return await _ask_code(request, visit.session, error)
    return enter(visit, token, next_of(request))


async def link_form(request: Asking) -> Page:
    """Show the button that uses a one-click link; only the button does, so that previews of the link do not."""
    view = LinkView(request.query_params.get("token", ""))
    return await show(request, "signin_link.html", view, title="Sign in")


async def redeem(request: Asking) -> Page:
    """Use a one-click link up; the second factor is still asked for."""
    visit, services = visit_of(request), services_of(request)
    token = visit.form.get("token", "")
    try:
        account_id = services.sign_in_links.redeem(token)
    except NotSignedIn as error:
        return await show(request, "signin_link.html", LinkView("", str(error)), title="Sign in", status=error.status)
    return await _open(request, account_id, "link", "/")


async def sign_out(request: Asking) -> Page:
    """End the session of this browser, whether its second factor was shown or not."""
    visit = visit_of(request)
    if visit.session is not None:
        await services_of(request).sessions.close(visit.session)
    visit.set_cookies.append(ended_session_cookie(is_https=visit.is_https))
    return redirect("/signin")


async def _open(request: Asking, account_id: str, method: str, next_path: str, checked: Account | None = None) -> Page:
    """Open a session and go on; `checked` is the account as it was when its password was."""
    visit, services = visit_of(request), services_of(request)
    if visit.session is not None:
        await services.sessions.close(visit.session)
    user_agent = request.headers.get("user-agent", "")
    token, session = await services.sessions.open(
        account_id,
        visit.ip or "",
        user_agent,
        (method,),
        password_changed_us=checked.password_changed_us if checked is not None else None,
    )
    return enter(visit, token, _with_next("/signin/code", next_path) if session.awaits_second_factor else next_path)


async def _ask_code(request: Asking, session: Session, error: FailgateError | None) -> Page:
    services = services_of(request)
    demo_code = await services.second_factors.current_code(session.account_id) if services.is_demo else None
    view = CodeView(next_of(request), str(error) if error else None, demo_code)
    status = error.status if error else 200
    return await show(request, "signin_code.html", view, title="Your second factor", status=status)


def _with_next(path: str, next_path: str) -> str:
    return path if next_path == "/" else f"{path}?next={quote(next_path, safe='/')}"
