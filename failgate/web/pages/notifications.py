"""Where a workspace tells what happens, as pages of its settings: destinations, their secrets, their log."""

from litestar.params import FromPath

from failgate.access.permission import Permission
from failgate.audit.record import Actor
from failgate.base.errors import BadInput, Conflict, FailgateError, NotFound, Unprocessable
from failgate.base.ids import is_id
from failgate.notify.outbox import Count
from failgate.notify.wording import Setting
from failgate.web.context import services_of, visit_of
from failgate.web.pages.notifications_view import (
    NewPlaceView,
    PlacesView,
    PlaceView,
    delivery_line,
    place_line,
    ticked,
    wishes_of_places,
)
from failgate.web.pages.people_view import Choice, ShownView
from failgate.web.pages.showing import Asking, Page, grants, show
from failgate.web.pages.text import moment
from failgate.web.render import redirect
from failgate.wire.notify import NewWebhook, WebhookChange

LINES = 25
LONGEST_NAME, LONGEST_URL = 100, 2048


async def listing(request: Asking) -> Page:
    """List the destinations."""
    visit, services = visit_of(request), services_of(request)
    notifications, here = services.notifications, visit.here()
    counts = await notifications.outbox.counts(here.id)
    rows = [
        place_line(place, counts.get(place.id, Count())) for place in await notifications.destinations.list(here.id)
    ]
    view = PlacesView(
        _here(here.slug),
        tuple(rows),
        bool(notifications.destinations.choices),
        grants(visit, Permission.WORKSPACE_NOTIFICATION_WRITE),
        notifications.reaches_members,
    )
    return await show(request, "notifications.html", view, title="Notifications", room="settings")


async def form(request: Asking) -> Page:
    """Ask where to, and what of."""
    return await _show_form(request)


async def create(request: Asking) -> Page:
    """Make a destination; its secret is shown this once."""
    visit, services = visit_of(request), services_of(request)
    here, typed = visit.here(), visit.form
    try:
        wanted = NewWebhook(
            url=_bounded(typed.get("url", "").strip(), LONGEST_URL, "The address"),
            name=_bounded(typed.get("name", ""), LONGEST_NAME, "The name"),
            events=_some(ticked(typed)),
            notifier=typed.get("notifier", ""),
            details=typed.get("details") == "on",
        )
        made = await services.notifications.destinations.create(
            Actor.of(visit.principal), visit.principal.label, here.id, wanted
        )
    except (BadInput, Conflict, Unprocessable) as error:
        return await _show_form(request, error)
    where = f"{_here(here.slug)}/{made.id}"
    if made.secret is None:
        return redirect(where)
    return await _show_secret(request, "Your new webhook", made.secret, where)


async def one(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """Show a destination and its log."""
    return await _show(request, id)


async def change(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """Change name, events and details, or switch it off and on."""
    visit, services = visit_of(request), services_of(request)
    typed = visit.form
    try:
        wanted = WebhookChange(
            name=_bounded(typed.get("name", ""), LONGEST_NAME, "The name"),
            events=_some(ticked(typed)),
            details=typed.get("details") == "on",
            enabled=typed.get("enabled") == "on",
        )
        await services.notifications.destinations.change(Actor.of(visit.principal), visit.here().id, id, wanted)
    except BadInput as error:
        return await _show(request, id, error)
    return await _show(request, id, is_saved=True)


async def rotate(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """Give it a new secret, shown this once."""
    visit = visit_of(request)
    destinations = services_of(request).notifications.destinations
    made = await destinations.rotate(Actor.of(visit.principal), visit.here().id, id)
    return await _show_secret(request, "Its new secret", made.secret or "", f"{_here(visit.here().slug)}/{id}")


async def send_test(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """Send a notification that says it is a test."""
    visit, services = visit_of(request), services_of(request)
    setting = Setting(visit.here().slug, services.config.server.base_url)
    await services.notifications.destinations.test(Actor.of(visit.principal), visit.here().id, id, setting)
    return redirect(f"{_here(visit.here().slug)}/{id}")


async def resend(request: Asking, id: FromPath[str], delivery: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """Send one that ended once more."""
    visit = visit_of(request)
    if not is_id(delivery):
        raise NotFound("There is no such delivery that ended.")
    destinations = services_of(request).notifications.destinations
    await destinations.resend(Actor.of(visit.principal), visit.here().id, id, delivery)
    return redirect(f"{_here(visit.here().slug)}/{id}")


async def remove(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """Remove a destination with its log."""
    visit = visit_of(request)
    await services_of(request).notifications.destinations.remove(Actor.of(visit.principal), visit.here().id, id)
    return redirect(_here(visit.here().slug))


def _here(slug: str) -> str:
    return f"/w/{slug}/settings/notifications"


def _some(chosen: list[str]) -> list[str]:
    if not chosen:
        raise BadInput("No event is ticked.", hint="Tick at least one, or switch the destination off.")
    return chosen


def _bounded(text: str, longest: int, what: str) -> str:
    if len(text) > longest:
        raise BadInput(f"{what} is too long.", hint=f"At most {longest} characters.")
    return text


async def _show_secret(request: Asking, title: str, secret: str, back: str) -> Page:
    about = (
        "Whoever receives verifies by it that a notification comes from here. Its form is that of Standard Webhooks."
    )
    view = ShownView(title, secret, about, "", back, "I have kept it")
    return await show(request, "shown.html", view, title="Notifications", room="settings")


async def _show_form(request: Asking, error: FailgateError | None = None) -> Page:
    visit, services = visit_of(request), services_of(request)
    typed, names = visit.form, services.notifications.destinations.choices
    wanted = typed.get("notifier", names[0] if names else "")
    view = NewPlaceView(
        _here(visit.here().slug),
        tuple(Choice(name, name.capitalize(), "", name == wanted) for name in names),
        wishes_of_places(ticked(typed) if error else {"command.pending", "command.escalated"}),
        typed.get("name", "")[:LONGEST_NAME],
        typed.get("details") == "on",
        str(error) if error else None,
    )
    status = error.status if error else 200
    return await show(request, "notification_new.html", view, title="New destination", room="settings", status=status)


async def _show(
    request: Asking, destination_id: str, error: FailgateError | None = None, *, is_saved: bool = False
) -> Page:
    visit, services = visit_of(request), services_of(request)
    notifications, here, now_us = services.notifications, visit.here(), services.clock.now_us()
    place = await notifications.destinations.one(here.id, destination_id)
    counts = await notifications.outbox.counts(here.id)
    after = request.query_params.get("after")
    found = await notifications.outbox.page(
        here.id, destination_id, LINES + 1, after if after and is_id(after) else None
    )
    path = f"{_here(here.slug)}/{place.id}"
    until_us = place.previous_until_us
    view = PlaceView(
        path,
        place_line(place, counts.get(place.id, Count())),
        wishes_of_places(place.events),
        place.is_detailed,
        place.has_secret,
        moment(until_us, now_us) if until_us is not None and now_us < until_us else None,
        moment(place.created_us, now_us),
        place.created_by,
        tuple(delivery_line(entry, now_us) for entry in found[:LINES]),
        f"{path}?after={found[LINES - 1].id}" if len(found) > LINES else None,
        str(error) if error else None,
        is_saved,
        grants(visit, Permission.WORKSPACE_NOTIFICATION_WRITE),
    )
    status = error.status if error else 200
    return await show(request, "notification.html", view, title=view.place.name, room="settings", status=status)
