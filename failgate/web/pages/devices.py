"""One's trusted devices: listed and revoked."""

from litestar.params import FromPath

from failgate.accounts.devices import Device
from failgate.audit.record import Actor
from failgate.web.context import services_of, visit_of
from failgate.web.cookies import DEVICE, ended_device_cookie, read_cookie
from failgate.web.pages.account_view import DeviceLine, DevicesView
from failgate.web.pages.showing import Asking, Page, account_of, next_of, show
from failgate.web.pages.text import moment
from failgate.web.render import redirect


async def listing(request: Asking) -> Page:
    """List the browsers in which no code is asked for at sign-in."""
    view = DevicesView(await device_lines(request), services_of(request).devices.lifetime_days)
    return await show(request, "devices.html", view, title="Trusted devices", room="account")


async def device_lines(request: Asking) -> tuple[DeviceLine, ...]:
    """Return the visitor's trusted devices as `parts/devices.html` shows them, on any page."""
    visit, services = visit_of(request), services_of(request)
    now_us = services.clock.now_us()
    current = await services.devices.find(account_of(visit), device_token_of(request))
    return tuple(
        DeviceLine(
            one.id,
            one.name,
            one.address,
            moment(one.created_us, now_us),
            moment(one.last_used_us, now_us) if one.last_used_us is not None else None,
            moment(one.expires_us, now_us),
            one.id == current,
        )
        for one in await devices_of(request)
    )


async def revoke(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """Trust one of one's own devices no more."""
    visit, devices = visit_of(request), services_of(request).devices
    account_id = account_of(visit)
    is_current = id == await devices.find(account_id, device_token_of(request))
    await devices.revoke(account_id, id, Actor.of(visit.principal))
    if is_current:
        visit.set_cookies.append(ended_device_cookie(is_https=visit.is_https))
    return redirect(next_of(request, "/account/devices"))


async def revoke_all(request: Asking) -> Page:
    """Trust none of one's own devices any more."""
    visit = visit_of(request)
    await services_of(request).devices.revoke_all(account_of(visit), Actor.of(visit.principal))
    visit.set_cookies.append(ended_device_cookie(is_https=visit.is_https))
    return redirect(next_of(request, "/account/devices"))


async def devices_of(request: Asking) -> list[Device]:
    """Return the visitor's trusted devices; a session that is confined to a workspace reads of none."""
    visit = visit_of(request)
    if visit.principal.workspace_id is not None:
        return []
    return await services_of(request).devices.list(account_of(visit))


def device_token_of(request: Asking) -> str | None:
    """Return the token of a trusted device that this browser holds, whosever it is."""
    return read_cookie(request.headers.get("cookie"), DEVICE, is_https=visit_of(request).is_https)
