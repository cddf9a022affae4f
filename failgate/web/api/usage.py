"""The doors of usage: the numbers, and as CSV for a spreadsheet."""

from datetime import UTC, datetime
from typing import Any

from litestar import Request, Response
from litestar.params import JSONBody

from failgate.base.errors import NotFound
from failgate.base.spreadsheet import csv_of
from failgate.web.api.idempotency import IdempotencyKey, key_of
from failgate.web.context import services_of, visit_of
from failgate.wire.life import QuotaView, SetLimit, UsageDay, UsageView
from failgate.workspaces.usage import DAY_SECONDS, Day

Asking = Request[Any, Any, Any]
CSV_DAYS = 400
_COLUMNS = ("day", "reports", "commands", "recording_seconds", "bytes_added", "bytes_removed")


async def read(request: Asking) -> UsageView:
    """Answer what the workspace uses, by day, and its quotas."""
    used = await services_of(request).usage.read(visit_of(request).here().id)
    quotas = [QuotaView(one.name, one.used, one.limit, one.is_own) for one in used.quotas]
    return UsageView(used.bytes_stored, used.reports, used.seats, quotas, [day_view(day) for day in used.days])


async def export(request: Asking) -> Response[bytes]:
    """Answer the days of the last 400 as CSV."""
    used = await services_of(request).usage.read(visit_of(request).here().id, CSV_DAYS)
    text = csv_of([_COLUMNS, *(tuple(getattr(day_view(day), name) for name in _COLUMNS) for day in used.days)])
    headers = {"content-disposition": 'attachment; filename="usage.csv"', "x-content-type-options": "nosniff"}
    return Response(text.encode(), media_type="text/csv", headers=headers)


async def change_limit(request: Asking, data: JSONBody[SetLimit], idempotency_key: IdempotencyKey = None) -> QuotaView:
    """Give a workspace a quota of its own."""
    visit, services = visit_of(request), services_of(request)
    workspace = await services.workspaces.by_slug(data.workspace)
    if workspace is None:
        raise NotFound("There is no such workspace.")

    async def act() -> QuotaView:
        await services.usage.set_limit(visit.principal, workspace.id, data.quota, data.amount)
        used = await services.usage.read(workspace.id)
        [quota] = [one for one in used.quotas if one.name == data.quota]
        return QuotaView(quota.name, quota.used, quota.limit, quota.is_own)

    return await services.first_answers.after(key_of(request, idempotency_key, data), QuotaView, act)


def day_view(day: Day) -> UsageDay:
    """Return a day as it is answered."""
    date = datetime.fromtimestamp(day.day * DAY_SECONDS, UTC).date().isoformat()
    return UsageDay(date, day.reports, day.commands, day.recording_ms // 1000, day.bytes_added, day.bytes_removed)
