"""What one is told of in person: by mail in each workspace, and in this browser."""

from failgate.audit.record import Actor
from failgate.base.errors import NotFound
from failgate.web.context import services_of, visit_of
from failgate.web.pages.notifications_view import PreferencesView, delivery_line, own_place, ticked
from failgate.web.pages.showing import Asking, Page, account_of, memberships_of, show

LINES = 5


async def form(request: Asking) -> Page:
    """Show what is chosen."""
    return await _show(request)


async def choose(request: Asking) -> Page:
    """Keep what was chosen for one workspace."""
    visit, services = visit_of(request), services_of(request)
    slug = visit.form.get("workspace")
    place = next((one for one in await memberships_of(request) if one.workspace.slug == slug), None)
    if place is None:
        raise NotFound("There is no such workspace.")
    await services.notifications.preferences.choose(
        Actor.of(visit.principal), place.workspace.id, account_of(visit), ticked(visit.form)
    )
    return await _show(request, place.workspace.name)


async def _show(request: Asking, saved: str | None = None) -> Page:
    visit, services = visit_of(request), services_of(request)
    account_id, now_us, notifications = account_of(visit), services.clock.now_us(), services.notifications
    chosen = await notifications.preferences.of_account(account_id)
    places = [
        own_place(
            membership,
            chosen,
            [
                delivery_line(entry, now_us)
                for entry in await notifications.outbox.page(membership.workspace.id, account_id, LINES)
            ],
        )
        for membership in await memberships_of(request)
    ]
    email = visit.session.email if visit.session else ""
    view = PreferencesView(tuple(places), notifications.reaches_members, email, saved)
    return await show(request, "preferences.html", view, title="Notifications", room="account")
