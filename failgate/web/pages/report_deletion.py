"""A report deleted by hand: what goes is said before, the receipt stands after."""

from dataclasses import dataclass

from litestar.params import FromPath

from failgate.base.errors import Conflict
from failgate.web.context import services_of, visit_of
from failgate.web.pages.showing import Asking, Page, show
from failgate.web.pages.text import size
from failgate.wire.reports import DeletedReport


@dataclass(frozen=True, slots=True)
class DeletionView:
    """What a deletion would take. `shares` counts its open links; `held` is the reason of a legal hold, or empty."""

    report_id: str
    title: str
    artifacts: int
    size: str
    shares: int
    held: str


async def form(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """Say what goes with the report, and ask."""
    return await _show(request, id)


async def delete(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """Delete the report and show the receipt."""
    visit = visit_of(request)
    try:
        receipt = await services_of(request).reports.delete(visit.principal, visit.here().id, id)
    except Conflict as refused:
        return await _show(request, id, refused.status)
    return await show(request, "report_deleted.html", _Receipt(receipt), title="Report deleted", room="reports")


@dataclass(frozen=True, slots=True)
class _Receipt:
    receipt: DeletedReport


async def _show(request: Asking, report_id: str, status: int = 200) -> Page:
    visit, services = visit_of(request), services_of(request)
    workspace_id = visit.here().id
    report = await services.reports.view(visit.principal, workspace_id, report_id)
    hold = await services.report_room.retention.hold_on(workspace_id, report_id)
    kept = [one for one in report.artifacts if one.is_present]
    view = DeletionView(
        report_id,
        report.title,
        len(kept),
        size(sum(one.size_bytes for one in kept)),
        await services.sharing.open_count(workspace_id, report_id) if report.state == "sealed" else 0,
        hold.reason if hold is not None else "",
    )
    return await show(request, "report_delete.html", view, title="Delete a report", room="reports", status=status)
