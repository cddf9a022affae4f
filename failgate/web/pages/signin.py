"""Signing in and out: the password, then the second factor; a passkey alone; or a one-click link of the demo."""

from failgate.accounts.account import Account
from failgate.accounts.session import Session
from failgate.base.errors import Conflict, FailgateError, Forbidden, NotSignedIn, TooManyRequests
from failgate.sso.requests import new_browser_key
from failgate.web.context import services_of, visit_of
from failgate.web.cookies import browser_cookie, device_cookie, ended_session_cookies
from failgate.web.pages import departing, link
from failgate.web.pages.account_view import CodeView, LinkView, SignInView, browser_of
from failgate.web.pages.devices import device_token_of
from failgate.web.pages.passkeys import json_answer, json_problem
from failgate.web.pages.showing import Asking, Page, enter, next_of, show, with_next
from failgate.web.pages.signin_sso import choices_of
from failgate.web.render import redirect


async def form(request: Asking) -> Page:
    """Ask for e-mail and password; whoever is signed in goes on."""
    visit = visit_of(request)
    if visit.principal.kind == "user":
        return redirect(next_of(request))
    return await _ask_sign_in(request, None)


async def sign_in(request: Asking) -> Page:
    """Check e-mail and password; open a session, which may wait for its second factor."""
    visit, services = visit_of(request), services_of(request)
    email, password = visit.form.get("email", ""), visit.form.get("password", "")
    try:
        account = await services.accounts.sign_in(email, password, visit.ip or "", device_token_of(request))
        return await _open(request, account.id, "pwd", next_of(request), account)
    except (NotSignedIn, TooManyRequests, Forbidden) as error:
        return await _ask_sign_in(request, error)


async def code_form(request: Asking) -> Page:
    """Ask for the second factor of a sign-in; who has no session, or is signed in already, goes where they belong."""
    session = visit_of(request).session
    if session is None:
        return redirect(with_next("/signin", next_of(request)))
    if not session.awaits_second_factor:
        return redirect(with_next("/account/step-up", next_of(request)))
    return await _ask_code(request, session, None)


async def prove(request: Asking) -> Page:
    """Check the code; the session gets a new token and goes on. The browser is trusted from now on when asked for."""
    visit = visit_of(request)
    if visit.session is None:
        return redirect(with_next("/signin", next_of(request)))
    code = visit.form.get("code", "").strip()
    compact = code.replace(" ", "") if len(code) <= 8 else code
    try:
        token = await services_of(request).second_factors.prove_in_session(visit.session, compact)
    except (NotSignedIn, TooManyRequests) as error:
        return await _ask_code(request, visit.session, error)
    if visit.form.get("trust") == "yes":
        await _trust(request, token)
    return enter(visit, token, next_of(request))


async def passkey_options(request: Asking) -> Page:
    """Return what the browser is asked to prove: by whoever it likes, or by the account whose password was right."""
    visit, passkeys = visit_of(request), services_of(request).passkeys
    try:
        if visit.session is not None and visit.session.awaits_second_factor:
            return json_answer(await passkeys.proof_options(visit.session))
        return json_answer(await passkeys.sign_in_options(_browser_of(request)))
    except Conflict as error:
        return json_problem(error)


async def sign_in_by_passkey(request: Asking) -> Page:
    """Check the passkey: as second factor after a password, or as both factors at once."""
    visit, services = visit_of(request), services_of(request)
    credential = visit.form.get("credential", "")
    if visit.session is not None and visit.session.awaits_second_factor:
        try:
            return enter(visit, await services.passkeys.prove_in_session(visit.session, credential), next_of(request))
        except (NotSignedIn, Conflict) as error:
            return await _ask_code(request, visit.session, error)
    try:
        user_agent = request.headers.get("user-agent", "")
        token, _ = await services.passkeys.sign_in(_browser_of(request), credential, visit.ip or "", user_agent)
    except (NotSignedIn, Conflict) as error:
        return await _ask_sign_in(request, error)
    if visit.session is not None:
        await services.sessions.close(visit.session)
    return enter(visit, token, next_of(request))


async def link_form(request: Asking) -> Page:
    """Show the button that uses a one-click link; only the button does, so that previews of the link do not."""
    if link.is_from_before(request):
        return link.to_paste()
    view = LinkView(link.token_of(request))
    return await show(request, "signin_link.html", view, title="Sign in")


async def redeem(request: Asking) -> Page:
    """Use a one-click link up; the second factor is still asked for."""
    visit, services = visit_of(request), services_of(request)
    token = visit.form.get("token", "")
    try:
        account_id = services.sign_in_links.redeem(token)
    except NotSignedIn as error:
        return await show(request, "signin_link.html", LinkView("", str(error)), title="Sign in", status=error.status)
    link.forget(request)
    return await _open(request, account_id, "link", "/")


async def sign_out(request: Asking) -> Page:
    """End the session of this browser, whether its second factor was shown or not."""
    visit = visit_of(request)
    visit.set_cookies += ended_session_cookies(is_https=visit.is_https)
    answer = await _signed_out(request)
    # The cookies of trusted devices stay, and what a person chose for this browser: neither is of the session.
    answer.headers["clear-site-data"] = '"cache"'
    return answer


async def _signed_out(request: Asking) -> Page:
    visit = visit_of(request)
    if visit.session is None:
        return redirect("/signin")
    key = departing.browser_key_of(request) or new_browser_key()
    await services_of(request).sessions.close(visit.session)
    departure = await services_of(request).sso.logouts.begin(visit.session.id, key)
    if departure is None:
        return redirect("/signin")
    visit.set_cookies.append(browser_cookie(key, is_https=visit.is_https))
    return await departing.leave(request, departure, "")


async def _open(request: Asking, account_id: str, method: str, next_path: str, checked: Account | None = None) -> Page:
    """Open a session and go on; `checked` is the account as it was when its password was."""
    visit, services = visit_of(request), services_of(request)
    if visit.session is not None:
        await services.sessions.close(visit.session)
    admission = await services.devices.admit(
        account_id,
        device_token_of(request),
        visit.ip or "",
        request.headers.get("user-agent", ""),
        (method,),
        password_changed_us=checked.password_changed_us if checked is not None else None,
    )
    if admission.device_token is not None:
        _keep_device(request, admission.device_token)
    awaits = admission.session.awaits_second_factor
    return enter(visit, admission.token, with_next("/signin/code", next_path) if awaits else next_path)


async def _trust(request: Asking, session_token: str) -> None:
    """Trust this browser, when the code was one of the authenticator; after a backup code it is not trusted."""
    services = services_of(request)
    session = await services.sessions.resolve(session_token)
    if session is None or services.devices.lifetime_days == 0 or "otp" not in session.auth:
        return
    _keep_device(request, await services.devices.trust(session, browser_of(session.user_agent)))


def _keep_device(request: Asking, token: str) -> None:
    visit, days = visit_of(request), services_of(request).devices.lifetime_days
    visit.set_cookies.append(device_cookie(token, days * 86_400, is_https=visit.is_https))


def _browser_of(request: Asking) -> str:
    """Return the secret cookie value that the forms of this browser are bound to, and its challenges too."""
    visit = visit_of(request)
    return (visit.credential if visit.session is not None else visit.form_key) or ""


async def _ask_sign_in(request: Asking, error: FailgateError | None) -> Page:
    services, visit = services_of(request), visit_of(request)
    view = SignInView(
        next_of(request),
        visit.form.get("email", "")[:254],
        str(error) if error else None,
        takes_password=services.accounts.is_password_enabled,
        takes_passkey=services.passkeys.are_possible,
        choices=choices_of(await services.sso.connections.listed()),
    )
    return await show(request, "signin.html", view, title="Sign in", status=error.status if error else 200)


async def _ask_code(request: Asking, session: Session, error: FailgateError | None) -> Page:
    services, account_id = services_of(request), session.account_id
    view = CodeView(
        next_of(request),
        str(error) if error else None,
        await services.second_factors.current_code(account_id) if services.is_demo else None,
        takes_code=await services.second_factors.authenticator(account_id) is not None,
        takes_passkey=services.passkeys.are_possible and bool(await services.passkeys.list(account_id)),
        trust_days=services.devices.lifetime_days,
    )
    status = error.status if error else 200
    return await show(request, "signin_code.html", view, title="Your second factor", status=status)
