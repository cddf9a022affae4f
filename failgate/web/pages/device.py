"""Where a person lets a command line speak for them: type its code, see who asks from where, decide.

Every step needs a second factor of the last five minutes. The address alone decides nothing: a code in it is not read.
Source: RFC 8628 sections 3.3 and 5.4.
"""

from litestar.params import FromPath

from failgate.accounts.device_grant import Decision, read_user_code, shown_user_code
from failgate.accounts.device_login import DeviceRequest
from failgate.accounts.throttle import network_of
from failgate.audit.record import Actor
from failgate.base.errors import BadInput, Conflict, FailgateError, NotFound, TooManyRequests
from failgate.web.context import services_of, visit_of
from failgate.web.freshness import is_stepped_up
from failgate.web.pages.device_view import CodeView, DecidedView, DeviceView, LoginLine, LoginsView, client_of
from failgate.web.pages.showing import Asking, Page, account_of, next_of, show
from failgate.web.pages.text import moment
from failgate.web.render import redirect

TITLE = "Sign a command line in"


async def form(request: Asking) -> Page:
    """Ask for the code that a command line shows."""
    return await _without_factor(request) or await _ask(request, None)


async def look_up(request: Asking) -> Page:
    """Show who waits under the code."""
    refusal = await _without_factor(request)
    if refusal is not None:
        return refusal
    try:
        found = await _found(request)
    except (NotFound, TooManyRequests) as error:
        return await _ask(request, error)
    return await _confirm(request, found, None)


async def decide(request: Asking) -> Page:
    """Approve or deny; to approve, one has said that the code stands in one's own terminal."""
    refusal = await _without_factor(request)
    if refusal is not None:
        return refusal
    visit, services = visit_of(request), services_of(request)
    decision = _decision(visit.form.get("decision", ""))
    try:
        found = await _found(request)
        if decision == "approve" and visit.form.get("mine") != "yes":
            return await _confirm(request, found, "Say first that your own terminal shows this code.")
        await services.device_login.decide(visit.form.get("user_code", ""), decision, visit.principal)
    except (NotFound, TooManyRequests, Conflict) as error:
        return await _ask(request, error)
    return await show(
        request, "device_decided.html", DecidedView(decision == "approve", found.host), title=TITLE, room="account"
    )


async def logins(request: Asking) -> Page:
    """List the command lines that speak for oneself."""
    rows = await login_lines(request)
    return await show(request, "logins.html", LoginsView(rows), title="Command lines", room="account")


async def close_login(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """End one of one's own logins."""
    visit = visit_of(request)
    whose, by = account_of(visit), Actor.of(visit.principal)
    await services_of(request).logins.close_own(whose, id, by, confined_to=visit.principal.workspace_id)
    return redirect(next_of(request, "/account/logins"))


async def login_lines(request: Asking) -> tuple[LoginLine, ...]:
    """Return the visitor's logins as `parts/logins.html` shows them, on any page."""
    visit, services = visit_of(request), services_of(request)
    now_us = services.clock.now_us()
    return tuple(
        LoginLine(
            one.id,
            one.host or "a machine without a name",
            client_of(one.client_id, one.user_agent),
            one.address,
            one.seen_address,
            moment(one.opened_us, now_us),
            moment(one.seen_us, now_us),
            moment(one.expires_us, now_us),
        )
        for one in await services.logins.list(account_of(visit))
        if visit.principal.workspace_id in {None, one.confined_to}
    )


async def _found(request: Asking) -> DeviceRequest:
    visit = visit_of(request)
    return await services_of(request).device_login.look_up(visit.form.get("user_code", ""), visit.principal)


async def _without_factor(request: Asking) -> Page | None:
    """Return the page for who has no second factor yet: the guard has nothing to ask them for."""
    visit, services = visit_of(request), services_of(request)
    if is_stepped_up(visit.principal, services.clock.now_us()):
        return None
    way = await services.sso.step_ups.way(visit.session)
    view = CodeView(
        has_factor=False,
        provider=way.connection.title if way is not None else None,
        may_set_up=visit.principal.may_change_account,
    )
    return await show(request, "device.html", view, title=TITLE, room="account", status=403)


async def _ask(request: Asking, error: FailgateError | None) -> Page:
    typed = visit_of(request).form.get("user_code", "")[:16] if error is not None else ""
    view = CodeView(typed=typed, error=str(error) if error is not None else None)
    return await show(
        request, "device.html", view, title=TITLE, room="account", status=error.status if error is not None else 200
    )


async def _confirm(request: Asking, found: DeviceRequest, error: str | None) -> Page:
    visit, services = visit_of(request), services_of(request)
    code = read_user_code(visit.form.get("user_code", ""))
    assert code is not None
    view = DeviceView(
        code=shown_user_code(code),
        client="Failgate's command line",
        client_id=found.client_id,
        host=found.host,
        user_agent=found.user_agent,
        address=found.address,
        is_from_here=network_of(found.address) == network_of(visit.ip or ""),
        own_address=visit.ip or "unknown",
        asked=moment(found.created_us, services.clock.now_us()),
        error=error,
    )
    return await show(request, "device_confirm.html", view, title=TITLE, room="account", status=400 if error else 200)


def _decision(text: str) -> Decision:
    if text == "approve":
        return "approve"
    if text == "deny":
        return "deny"
    raise BadInput("The form holds no decision.", hint="Send it from the page.")
