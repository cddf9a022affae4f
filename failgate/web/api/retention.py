"""The doors of retention and legal hold."""

from typing import Any

from litestar import Request
from litestar.params import FromPath, JSONBody

from failgate.base.clock import to_rfc3339
from failgate.base.errors import Conflict
from failgate.web.api.idempotency import IdempotencyKey, key_of
from failgate.web.context import services_of, visit_of
from failgate.wire.life import HoldReport, HoldView, RetentionView, SetRetention

Asking = Request[Any, Any, Any]


async def read(request: Asking) -> RetentionView:
    """Answer for how long things are kept."""
    retention, workspace_id = services_of(request).report_room.retention, visit_of(request).here().id
    own = await retention.own_terms(workspace_id)
    return RetentionView(dict((await retention.terms(workspace_id)).days), sorted(own))


async def change(
    request: Asking, data: JSONBody[SetRetention], idempotency_key: IdempotencyKey = None
) -> RetentionView:
    """Say for how long things are kept; what is named alone changes. What would delete something asks for `confirm`."""
    visit, services = visit_of(request), services_of(request)

    async def act() -> RetentionView:
        due = await services.report_room.retention.due(visit.here().id, data.days)
        if due and not data.confirm:
            counts = ", ".join(f"{number} x {subject}" for subject, number in due.items())
            raise Conflict(
                f"These days would delete at once what is older: {counts}.",
                hint='Nothing was changed. Send them again with "confirm": true.',
                due=due,
            )
        await services.report_room.retention.set_terms(visit.principal, visit.here().id, data.days)
        return await read(request)

    return await services.first_answers.after(key_of(request, idempotency_key, data), RetentionView, act)


async def hold(
    request: Asking,
    id: FromPath[str],  # noqa: A002 - the path's word
    data: JSONBody[HoldReport],
    idempotency_key: IdempotencyKey = None,
) -> HoldView:
    """Put a report under legal hold: nothing deletes it until it is released."""
    visit, services = visit_of(request), services_of(request)

    async def act() -> HoldView:
        held = await services.report_room.retention.hold(visit.principal, visit.here().id, id, data.reason)
        return HoldView(id, to_rfc3339(held.since_us), held.by, held.reason)

    return await services.first_answers.after(key_of(request, idempotency_key, data), HoldView, act)


async def release(request: Asking, id: FromPath[str]) -> None:  # noqa: A002 - the path's word
    """Release a report from legal hold."""
    visit = visit_of(request)
    await services_of(request).report_room.retention.release(visit.principal, visit.here().id, id)
