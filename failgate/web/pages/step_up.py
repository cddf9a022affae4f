"""Stepping up: a fresh proof of a second factor, good for five minutes, before something sensitive.

A code of the authenticator, a passkey, or the second factor of the identity provider that opened the session; never a
backup code, and a trusted device does not count.
"""

from failgate.accounts.session import Session
from failgate.base.errors import Conflict, FailgateError, NotSignedIn, TooManyRequests
from failgate.sso.requests import Errand
from failgate.web.context import services_of, visit_of
from failgate.web.pages.account_view import StepUpView
from failgate.web.pages.departing import depart
from failgate.web.pages.passkeys import json_answer, json_problem
from failgate.web.pages.showing import Asking, Page, account_of, enter, next_of, show, with_next
from failgate.web.render import redirect


async def form(request: Asking) -> Page:
    """Ask for a factor; who has none, here or at their provider, goes where one is set up."""
    services, visit = services_of(request), visit_of(request)
    has_own = await services.second_factors.has(account_of(visit))
    if not has_own and await services.sso.step_ups.way(visit.session) is None:
        return redirect(with_next("/account/second-factor", next_of(request)))
    return await _ask(request, None)


async def prove(request: Asking) -> Page:
    """Check the code; the session gets a new token and goes back to where it came from."""
    visit, session = visit_of(request), _session(request)
    if session is None:
        return redirect("/signin/code")
    try:
        code = visit.form.get("code", "").replace(" ", "")
        token = await services_of(request).second_factors.prove_in_session(session, code)
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
    if way is None:
        return redirect(with_next("/account/step-up", next_of(request)))
    errand = Errand("step_up", next_of(request), session.account_id, session.id)
    return await depart(request, way.connection.slug, errand)


def _session(request: Asking) -> Session | None:
    """Return the session of whoever is signed in; one that still awaits its second factor is none."""
    session = visit_of(request).session
    return None if session is None or session.awaits_second_factor else session


async def _ask(request: Asking, error: FailgateError | None) -> Page:
    services, visit = services_of(request), visit_of(request)
    account_id, way = account_of(visit), await services.sso.step_ups.way(visit.session)
    view = StepUpView(
        next_path=next_of(request),
        error=str(error) if error else None,
        demo_code=await services.second_factors.current_code(account_id) if services.is_demo else None,
        takes_code=await services.second_factors.authenticator(account_id) is not None,
        takes_passkey=services.passkeys.are_possible and bool(await services.passkeys.list(account_id)),
        provider=way.connection.title if way is not None else None,
        has_own=await services.second_factors.has(account_id),
        may_set_up=visit.principal.may_change_account and way is not None and not way.has_shown,
    )
    status = error.status if error else 200
    return await show(request, "step_up.html", view, title="Confirm that it is you", room="account", status=status)
