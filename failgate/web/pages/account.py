"""One's own account: an overview, the open sessions, the password."""

from litestar.params import FromPath

from failgate.audit.record import Actor
from failgate.base.errors import BadInput, FailgateError, NotSignedIn, TooManyRequests
from failgate.web.context import services_of, visit_of
from failgate.web.cookies import ended_device_cookie, ended_session_cookies
from failgate.web.pages.account_view import (
    AccountView,
    NewsLine,
    PasswordView,
    SessionLine,
    SessionsView,
    browser_of,
    how_of,
)
from failgate.web.pages.device import login_lines
from failgate.web.pages.devices import device_lines, devices_of
from failgate.web.pages.showing import Asking, Page, account_of, is_reached, next_of, provider_factor_of, show
from failgate.web.pages.text import moment
from failgate.web.render import redirect


async def overview(request: Asking) -> Page:
    """Show who one is."""
    visit, services = visit_of(request), services_of(request)
    account_id = account_of(visit)
    view = AccountView(
        account_id,
        visit.session.email if visit.session else visit.principal.label,
        has_second_factor=await services.second_factors.has(account_id),
        session_count=sum(is_reached(visit, one) for one in await services.sessions.list(account_id)),
        has_authenticator=await services.second_factors.authenticator(account_id) is not None,
        passkey_count=len(await services.passkeys.list(account_id)),
        device_count=len(await devices_of(request)),
        has_password=await services.accounts.has_password(account_id),
        trust_days=services.devices.lifetime_days,
        provider=await provider_factor_of(request),
        news=await news_of(request),
        has_deleted=bool(await services.deletion.deleted_of(account_id)),
    )
    return await show(request, "account.html", view, title="Your account", room="account")


async def news_of(request: Asking) -> tuple[NewsLine, ...]:
    """Return the other open sessions that are from a place which the account never used before."""
    visit, services = visit_of(request), services_of(request)
    now_us = services.clock.now_us()
    return tuple(
        NewsLine(one.id, browser_of(one.user_agent), one.address, moment(one.opened_us, now_us))
        for one in await services.sessions.list(account_of(visit))
        if one.is_new_place and one.id != visit.principal.session_id and is_reached(visit, one)
    )


async def sessions(request: Asking) -> Page:
    """List what speaks for oneself: browsers that are signed in, devices that are trusted, command lines."""
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
            how_of(one.auth),
            one.awaits_second_factor,
            one.is_new_place,
        )
        for one in await services.sessions.list(account_of(visit))
        if is_reached(visit, one)
    )
    trust_days = services.devices.lifetime_days if visit.principal.workspace_id is None else 0
    view = SessionsView(rows, await device_lines(request), await login_lines(request), trust_days)
    return await show(request, "sessions.html", view, title="Sessions", room="account")


async def close_session(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """Close one of one's own sessions; closing this one signs out."""
    visit = visit_of(request)
    await services_of(request).sessions.close_own(account_of(visit), id, Actor.of(visit.principal))
    if id != visit.principal.session_id:
        return redirect("/account/sessions")
    visit.set_cookies += ended_session_cookies(is_https=visit.is_https)
    return redirect("/signin")


async def close_others(request: Asking) -> Page:
    """Close every session of one's own but this one."""
    visit = visit_of(request)
    kept = visit.principal.session_id or ""
    await services_of(request).sessions.close_others(account_of(visit), kept, Actor.of(visit.principal))
    return redirect("/account/sessions")


async def recognise_session(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """Note that a sign-in from a new place was one's own."""
    visit = visit_of(request)
    await services_of(request).sessions.recognise(account_of(visit), id, Actor.of(visit.principal))
    return redirect(next_of(request))


async def password(request: Asking) -> Page:
    """Ask for the present password and another one."""
    return await _show_password(request, is_changed="changed" in request.query_params)


async def change_password(request: Asking) -> Page:
    """Change the password; every other session and every trusted device has ended then."""
    visit, services = visit_of(request), services_of(request)
    account, fields = await services.accounts.by_id(account_of(visit)), visit.form
    if account is None or visit.session is None:
        return redirect("/signin")
    try:
        await services.accounts.change_password(
            account, fields.get("current", ""), fields.get("password", ""), visit.session
        )
    except (NotSignedIn, TooManyRequests, BadInput) as error:
        return await _show_password(request, error=error)
    visit.set_cookies.append(ended_device_cookie(is_https=visit.is_https))
    return redirect("/account/password?changed")


async def _show_password(request: Asking, *, error: FailgateError | None = None, is_changed: bool = False) -> Page:
    has_password = await services_of(request).accounts.has_password(account_of(visit_of(request)))
    view = PasswordView(has_password, str(error) if error else None, is_changed)
    status = error.status if error else 200
    return await show(request, "password.html", view, title="Password", room="account", status=status)
