"""Where a workspace tells what happens: destinations, their secrets, a try, the log of deliveries."""

from typing import Annotated, Any

from litestar import Request
from litestar.params import FromPath, JSONBody, QueryParameter

from failgate.audit.record import Actor
from failgate.base.clock import to_rfc3339
from failgate.base.errors import BadInput, NotFound
from failgate.base.ids import is_id
from failgate.notify import events
from failgate.notify.destinations import view_of
from failgate.notify.outbox import Count, Entry, message_id
from failgate.notify.wording import Setting
from failgate.web.api.idempotency import IdempotencyKey, key_of
from failgate.web.context import services_of, visit_of
from failgate.wire.notify import (
    DeliveryPage,
    DeliveryView,
    MadeWebhook,
    NewWebhook,
    Resent,
    WebhookChange,
    WebhookPage,
    WebhookView,
)

Asking = Request[Any, Any, Any]
After = Annotated[str | None, QueryParameter(name="after", max_length=64, description="The `next` of the page before.")]
Limit = Annotated[int, QueryParameter(name="limit", ge=1, le=100, description="How many at most.")]


async def listing(request: Asking) -> WebhookPage:
    """List the workspace's destinations, the oldest first, with what may be chosen."""
    services, here = services_of(request), visit_of(request).here()
    notifications, now_us = services.notifications, services.clock.now_us()
    counts = await notifications.outbox.counts(here.id)
    items = [
        view_of(place, counts.get(place.id, Count()), now_us)
        for place in await notifications.destinations.list(here.id)
    ]
    return WebhookPage(items, list(events.NAMES), list(notifications.destinations.choices))


async def one(request: Asking, id: FromPath[str]) -> WebhookView:  # noqa: A002 - the path's word
    """Read one destination."""
    services, here = services_of(request), visit_of(request).here()
    place = await services.notifications.destinations.one(here.id, id)
    counts = await services.notifications.outbox.counts(here.id)
    return view_of(place, counts.get(id, Count()), services.clock.now_us())


async def create(request: Asking, data: JSONBody[NewWebhook], idempotency_key: IdempotencyKey = None) -> MadeWebhook:
    """Make a destination; its secret is shown this once."""
    visit, key = visit_of(request), key_of(request, idempotency_key, data)
    destinations = services_of(request).notifications.destinations
    return await destinations.create(Actor.of(visit.principal), visit.principal.label, visit.here().id, data, key)


async def change(
    request: Asking,
    id: FromPath[str],  # noqa: A002 - the path's word
    data: JSONBody[WebhookChange],
    idempotency_key: IdempotencyKey = None,
) -> WebhookView:
    """Change name, events or details of a destination, or switch it off and on."""
    visit, key = visit_of(request), key_of(request, idempotency_key, data)
    destinations = services_of(request).notifications.destinations
    await destinations.change(Actor.of(visit.principal), visit.here().id, id, data, key)
    return await one(request, id)


async def rotate(
    request: Asking,
    id: FromPath[str],  # noqa: A002 - the path's word
    idempotency_key: IdempotencyKey = None,
) -> MadeWebhook:
    """Give a destination a new secret, shown this once; the one before it stays valid for a day."""
    visit, key = visit_of(request), key_of(request, idempotency_key)
    destinations = services_of(request).notifications.destinations
    return await destinations.rotate(Actor.of(visit.principal), visit.here().id, id, key)


async def remove(request: Asking, id: FromPath[str]) -> None:  # noqa: A002 - the path's word
    """Remove a destination with its log; what waits for it is not sent."""
    visit = visit_of(request)
    await services_of(request).notifications.destinations.remove(Actor.of(visit.principal), visit.here().id, id)


async def send_test(
    request: Asking,
    id: FromPath[str],  # noqa: A002 - the path's word
    idempotency_key: IdempotencyKey = None,
) -> Resent:
    """Send a notification that says it is a test; `GET …/deliveries` tells how it went."""
    visit, services = visit_of(request), services_of(request)
    setting = Setting(visit.here().slug, services.config.server.base_url)
    destinations = services.notifications.destinations
    key = key_of(request, idempotency_key)
    return Resent(await destinations.test(Actor.of(visit.principal), visit.here().id, id, setting, key))


async def deliveries(
    request: Asking,
    id: FromPath[str],  # noqa: A002 - the path's word
    limit: Limit = 50,
    after: After = None,
) -> DeliveryPage:
    """List what was told to a destination, the newest first, and how each went."""
    if after is not None and not is_id(after):
        raise BadInput("after is no identifier.", hint="Send the `next` of the page before.")
    services, here = services_of(request), visit_of(request).here()
    await services.notifications.destinations.one(here.id, id)
    found = await services.notifications.outbox.page(here.id, id, limit + 1, after)
    shown = [delivery_of(entry) for entry in found[:limit]]
    return DeliveryPage(shown, shown[-1].id if len(found) > limit else None)


async def resend(
    request: Asking,
    id: FromPath[str],  # noqa: A002 - the path's word
    delivery: FromPath[str],
    idempotency_key: IdempotencyKey = None,
) -> Resent:
    """Send one that ended once more, under its old `webhook-id`."""
    visit = visit_of(request)
    if not is_id(delivery):
        raise NotFound("There is no such delivery that ended.")
    destinations = services_of(request).notifications.destinations
    key = key_of(request, idempotency_key)
    await destinations.resend(Actor.of(visit.principal), visit.here().id, id, delivery, key)
    return Resent(delivery)


def delivery_of(entry: Entry) -> DeliveryView:
    """Return a delivery as it is shown."""
    return DeliveryView(
        id=entry.id,
        message=message_id(entry.id),
        event=entry.event,
        title=entry.notification.title,
        state=entry.state,
        attempts=entry.attempts,
        created_at=to_rfc3339(entry.created_us),
        next_try_at=to_rfc3339(entry.next_us) if entry.state == "waiting" else None,
        ended_at=None if entry.ended_us is None else to_rfc3339(entry.ended_us),
        outcome=entry.outcome,
    )
