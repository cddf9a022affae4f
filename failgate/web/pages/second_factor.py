"""One's second factors: all of them at a glance; the authenticator app and the backup codes."""

import segno

from failgate.accounts.relying_party import why_none
from failgate.audit.record import Actor
from failgate.base.errors import BadInput, Conflict, FailgateError, NotSignedIn, TooManyRequests
from failgate.web.context import services_of, visit_of
from failgate.web.cookies import ended_session_cookies
from failgate.web.freshness import lacks_second_factor
from failgate.web.pages.factor_view import AuthenticatorLine, PasskeyLine, SecondFactorView, groups_of_four, kind_of
from failgate.web.pages.showing import Asking, Page, account_of, carry_on, next_of, provider_factor_of, show
from failgate.web.pages.text import moment
from failgate.web.render import redirect


async def overview(request: Asking) -> Page:
    """Show which factors there are and when each was used last, or how to set one up."""
    return await _show(request, await _overview(request))


async def begin(request: Asking) -> Page:
    """Make a secret and show it, this once; it replaces the one in use when it is confirmed."""
    second_factors, account_id = services_of(request).second_factors, account_of(visit_of(request))
    enrolment = await second_factors.begin_enrolment(account_id, replacing=True)  # the door asked for a fresh proof
    picture = segno.make(enrolment.uri, error="m").svg_data_uri(scale=4, border=0)
    groups = groups_of_four(enrolment.secret)
    return await _show(request, SecondFactorView(secret_groups=groups, qr_uri=picture, next_path=next_of(request)))


async def confirm(request: Asking) -> Page:
    """Put the secret in use; show the backup codes, this once. The code proves the factor for this session too."""
    visit, services = visit_of(request), services_of(request)
    try:
        code = visit.form.get("code", "").replace(" ", "")
        codes = await services.second_factors.confirm(account_of(visit), code, Actor.of(visit.principal))
    except (NotSignedIn, TooManyRequests, Conflict) as error:
        is_gone = isinstance(error, Conflict)
        view = SecondFactorView(is_confirming=not is_gone, next_path=next_of(request), error=str(error))
        return await _show(request, view, status=error.status)
    if visit.session is not None:
        carry_on(visit, await services.sessions.prove_second_factor(visit.session, "otp"))
    return await _show(request, SecondFactorView(backup_codes=tuple(codes), next_path=next_of(request)))


async def renew_codes(request: Asking) -> Page:
    """Void the backup codes and show ten new ones, this once."""
    visit, second_factors = visit_of(request), services_of(request).second_factors
    try:
        codes = await second_factors.renew_backup_codes(account_of(visit), Actor.of(visit.principal))
    except Conflict as error:
        return await _refuse(request, error)
    view = SecondFactorView(backup_codes=tuple(codes), next_path="/account/second-factor")
    return await _show(request, view)


async def remove(request: Asking) -> Page:
    """Take the authenticator away; when it was the last factor, one is signed out everywhere."""
    visit, second_factors = visit_of(request), services_of(request).second_factors
    account_id = account_of(visit)
    if visit.form.get("confirm") != "yes":
        raise BadInput("The form does not confirm the removal.", hint="Send it from the page.")
    try:
        await second_factors.remove(account_id, Actor.of(visit.principal))
    except Conflict as error:
        return await _refuse(request, error)
    if await second_factors.has(account_id):
        return redirect("/account/second-factor")
    visit.set_cookies += ended_session_cookies(is_https=visit.is_https)
    return redirect("/signin")


async def passkey_lines(request: Asking) -> tuple[PasskeyLine, ...]:
    """Return the passkeys of the visitor as their pages show them."""
    services, account_id = services_of(request), account_of(visit_of(request))
    now_us = services.clock.now_us()
    return tuple(
        PasskeyLine(
            one.id,
            one.name,
            kind_of(one.transports),
            moment(one.created_us, now_us),
            moment(one.last_used_us, now_us) if one.last_used_us is not None else None,
        )
        for one in await services.passkeys.list(account_id)
    )


async def _overview(request: Asking, error: str | None = None) -> SecondFactorView:
    services, account_id = services_of(request), account_of(visit_of(request))
    now_us, found = services.clock.now_us(), await services.second_factors.authenticator(account_id)
    line = None
    if found is not None:
        used = moment(found.last_used_us, now_us) if found.last_used_us is not None else None
        line = AuthenticatorLine(moment(found.confirmed_us, now_us), used)
    return SecondFactorView(
        authenticator=line,
        passkeys=await passkey_lines(request),
        codes_left=await services.second_factors.backup_codes_left(account_id),
        next_path=next_of(request),
        why_no_passkeys=why_none(services.config.server.base_url),
        provider=await provider_factor_of(request),
        is_required=lacks_second_factor(visit_of(request), services),
        error=error,
    )


async def _refuse(request: Asking, error: FailgateError) -> Page:
    return await _show(request, await _overview(request, str(error)), status=error.status)


async def _show(request: Asking, view: SecondFactorView, *, status: int = 200) -> Page:
    return await show(request, "second_factor.html", view, title="Second factor", room="account", status=status)
