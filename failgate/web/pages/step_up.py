"""Stepping up: a fresh proof of a second factor, good for five minutes, before something sensitive.

A code of the authenticator or a passkey; never a backup code, and a trusted device does not count.
"""

from failgate.accounts.sessions import Session
from failgate.base.errors import Conflict, FailgateError, NotSignedIn, TooManyRequests
from failgate.web.context import services_of, visit_of
from failgate.web.pages.account_view import CodeView
from failgate.web.pages.passkeys import json_answer, json_problem
from failgate.web.pages.showing import Asking, Page, account_of, enter, next_of, show, with_next
from failgate.web.render import redirect


async def form(request: Asking) -> Page:
    """Ask for a factor; who has none goes where one is set up."""
    if not await services_of(request).second_factors.has(account_of(visit_of(request))):
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


def _session(request: Asking) -> Session | None:
    """Return the session of whoever is signed in; one that still awaits its second factor is none."""
    session = visit_of(request).session
    return None if session is None or session.awaits_second_factor else session


async def _ask(request: Asking, error: FailgateError | None) -> Page:
    services, account_id = services_of(request), account_of(visit_of(request))
    view = CodeView(
        next_path=next_of(request),
        error=str(error) if error else None,
        demo_code=await services.second_factors.current_code(account_id) if services.is_demo else None,
        takes_code=await services.second_factors.authenticator(account_id) is not None,
        takes_passkey=services.passkeys.are_possible and bool(await services.passkeys.list(account_id)),
    )
    status = error.status if error else 200
    return await show(request, "step_up.html", view, title="Confirm that it is you", room="account", status=status)
