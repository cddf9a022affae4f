"""One's passkeys: listed, added, named, removed. What the browser is asked is answered as JSON to `passkey.js`."""

from litestar import Response
from litestar.params import FromPath

from failgate.accounts.passkeys import MOST_PASSKEYS
from failgate.accounts.relying_party import why_none
from failgate.accounts.session import Session
from failgate.audit.record import Actor
from failgate.base.errors import BadInput, Conflict, FailgateError, NotSignedIn
from failgate.web.context import services_of, visit_of
from failgate.web.cookies import ended_session_cookies
from failgate.web.errors import problem_body, problem_of
from failgate.web.pages.account_view import browser_of
from failgate.web.pages.factor_view import PasskeysView
from failgate.web.pages.second_factor import passkey_lines
from failgate.web.pages.showing import Asking, Page, account_of, carry_on, next_of, show
from failgate.web.render import redirect


async def listing(request: Asking) -> Page:
    """Show one's passkeys and the form for another."""
    return await _show(request)


async def options(request: Asking) -> Page:
    """Return what the browser is asked to make."""
    try:
        return json_answer(await services_of(request).passkeys.registration_options(_session(request)))
    except Conflict as error:
        return json_problem(error)


async def register(request: Asking) -> Page:
    """Keep the passkey that the browser made; show backup codes, this once, when it is the first factor."""
    visit = visit_of(request)
    try:
        name = visit.form.get("name", "").strip() or _suggested_name(request)
        made = await services_of(request).passkeys.register(_session(request), visit.form.get("credential", ""), name)
    except (NotSignedIn, BadInput, Conflict) as error:
        return await _show(request, error=error)
    carry_on(visit, made.token)
    return await _show(request, codes=made.backup_codes) if made.backup_codes else redirect("/account/passkeys")


async def rename(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """Give a passkey another name."""
    visit = visit_of(request)
    try:
        name = visit.form.get("name", "")
        await services_of(request).passkeys.rename(account_of(visit), id, name, Actor.of(visit.principal))
    except BadInput as error:
        return await _show(request, error=error)
    return redirect("/account/passkeys")


async def remove(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """Take a passkey away; when it was the last factor, one is signed out everywhere."""
    visit, services = visit_of(request), services_of(request)
    account_id = account_of(visit)
    await services.passkeys.remove(account_id, id, Actor.of(visit.principal))
    if await services.second_factors.has(account_id):
        return redirect("/account/passkeys")
    visit.set_cookies += ended_session_cookies(is_https=visit.is_https)
    return redirect("/signin")


def json_answer(text: str) -> Page:
    """Return `text`, which is JSON, as the answer."""
    return Response(text.encode(), media_type="application/json")


def json_problem(error: FailgateError) -> Page:
    """Return `error` as `passkey.js` reads it."""
    status, document, headers = problem_of(error, None)
    return Response(problem_body(document), status_code=status, media_type="application/problem+json", headers=headers)


def _session(request: Asking) -> Session:
    session = visit_of(request).session
    if session is None:
        raise LookupError("this door has no session")
    return session


def _suggested_name(request: Asking) -> str:
    return browser_of(request.headers.get("user-agent", ""))[:64]


async def _show(request: Asking, *, error: FailgateError | None = None, codes: tuple[str, ...] = ()) -> Page:
    services, account_id = services_of(request), account_of(visit_of(request))
    view = PasskeysView(
        rows=await passkey_lines(request),
        has_authenticator=await services.second_factors.authenticator(account_id) is not None,
        suggested_name=_suggested_name(request),
        most=MOST_PASSKEYS,
        backup_codes=codes,
        error=str(error) if error else None,
        why_no_passkeys=why_none(services.config.server.base_url),
        next_path=next_of(request),
    )
    status = error.status if error else 200
    return await show(request, "passkeys.html", view, title="Passkeys", room="account", status=status)
