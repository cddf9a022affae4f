"""Stepping up: a fresh proof, good for five minutes, before something sensitive.

Of the second factor: a code of the authenticator, a passkey, or the second factor of the identity provider that opened
the session; never a backup code, and a trusted device does not count. Before what changes how one signs in, of all
factors: the password too, or a sign-in at the provider. Before sessions are closed, of any.
"""

from typing import Final, Literal

from failgate.accounts.session import Session
from failgate.base.errors import Conflict, FailgateError, NotSignedIn, TooManyRequests
from failgate.sso.connection import Connection
from failgate.sso.requests import Errand
from failgate.web.context import services_of, visit_of
from failgate.web.pages.account_view import StepUpView
from failgate.web.pages.departing import depart
from failgate.web.pages.passkeys import json_answer, json_problem
from failgate.web.pages.showing import Asking, Page, account_of, enter, next_of, show, with_next
from failgate.web.render import redirect

Wanted = Literal["factor", "any", "all"]
_TITLES: Final[dict[Wanted, str]] = {
    "factor": "Confirm that it is you",
    "any": "Confirm that it is you",
    "all": "Sign in anew",
}


async def form(request: Asking) -> Page:
    """Ask for a factor; who has none, here or at their provider, goes where one is set up."""
    services, visit = services_of(request), visit_of(request)
    has_own = await services.second_factors.has(account_of(visit))
    if not has_own and _wanted(request) == "factor" and await services.sso.step_ups.way(visit.session) is None:
        return redirect(with_next("/account/second-factor", next_of(request)))
    return await _ask(request, None)


async def prove(request: Asking) -> Page:
    """Check code, password, or both; the session gets a new token and goes back to where it came from."""
    visit, services, session = visit_of(request), services_of(request), _session(request)
    if session is None:
        return redirect("/signin/code")
    code, password = visit.form.get("code", "").replace(" ", ""), visit.form.get("password", "")
    account = await services.accounts.by_id(session.account_id) if password else None
    try:
        if account is not None:
            await services.accounts.confirm_password(account, password, visit.ip or "")
        if code or account is None:
            token = await services.second_factors.prove_in_session(session, code)
            if account is None:
                return enter(visit, token, next_of(request))
            session = await services.sessions.resolve(token) or session
        token = await services.sessions.show_first_factor(session)
    except (NotSignedIn, TooManyRequests) as error:
        return await _ask(request, error)
    return enter(visit, token, next_of(request))


async def options(request: Asking) -> Page:
    """Return what the browser is asked to prove."""
    session = _session(request)
    if session is None:
        return redirect("/signin/code")
    try:
        return json_answer(await services_of(request).passkeys.proof_options(session))
    except Conflict as error:
        return json_problem(error)


async def prove_passkey(request: Asking) -> Page:
    """Check the passkey; the session gets a new token and goes back to where it came from."""
    visit, session = visit_of(request), _session(request)
    if session is None:
        return redirect("/signin/code")
    try:
        credential = visit.form.get("credential", "")
        token = await services_of(request).passkeys.prove_in_session(session, credential)
    except (NotSignedIn, Conflict) as error:
        return await _ask(request, error)
    return enter(visit, token, next_of(request))


async def leave_for_provider(request: Asking) -> Page:
    """Send the browser to the provider that opened the session, which asks the person anew."""
    session = _session(request)
    if session is None:
        return redirect("/signin/code")
    way = await services_of(request).sso.step_ups.way(session)
    if way is not None:
        errand = Errand("step_up", next_of(request), session.account_id, session.id)
        return await depart(request, way.connection.slug, errand)
    again = await _opener(request) if _wanted(request) != "factor" else None
    if again is None:
        return redirect(with_next("/account/step-up", next_of(request)))
    return await depart(request, again.slug, Errand("sign_in", next_of(request), None, session.id, asks_anew=True))


def _session(request: Asking) -> Session | None:
    """Return the session of whoever is signed in; one that still awaits its second factor is none."""
    session = visit_of(request).session
    return None if session is None or session.awaits_second_factor else session


def _wanted(request: Asking) -> Wanted:
    """Return what the visitor was led here for; the door that they go back to decides, not this word."""
    given = visit_of(request).form.get("for") or request.query_params.get("for")
    return "all" if given == "all" else "any" if given == "any" else "factor"


async def _opener(request: Asking) -> Connection | None:
    """Return the enabled connection through which this session was opened, or None."""
    session = visit_of(request).session
    if session is None or session.origin is None:
        return None
    found = await services_of(request).sso.connections.by_id(session.origin.connection_id)
    return found if found is not None and found.is_enabled else None


async def _ask(request: Asking, error: FailgateError | None) -> Page:
    services, visit, wants = services_of(request), visit_of(request), _wanted(request)
    account_id, way = account_of(visit), await services.sso.step_ups.way(visit.session)
    again = await _opener(request) if wants != "factor" and way is None else None
    # A sign-in through a provider vouches for what the provider vouches for; the password is of the whole account.
    has_password = wants != "factor" and await services.accounts.has_password(account_id)
    view = StepUpView(
        next_path=next_of(request),
        error=str(error) if error else None,
        demo_code=await services.second_factors.current_code(account_id) if services.is_demo else None,
        takes_code=await services.second_factors.authenticator(account_id) is not None,
        takes_passkey=services.passkeys.are_possible and bool(await services.passkeys.list(account_id)),
        provider=way.connection.title if way is not None else None,
        has_own=await services.second_factors.has(account_id),
        may_set_up=visit.principal.may_change_account and way is not None and not way.has_shown,
        wants=wants,
        takes_password=has_password,
        provider_again=again.title if again is not None else None,
    )
    status = error.status if error else 200
    return await show(request, "step_up.html", view, title=_TITLES[wants], room="account", status=status)
