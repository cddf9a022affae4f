"""Failures by group: the list, one of them, and what people decide on it."""

from typing import Annotated

from litestar.params import FromPath, QueryParameter

from failgate.access.permission import Permission
from failgate.base.errors import BadInput
from failgate.reports.search import ReportFilter
from failgate.web.context import services_of, visit_of
from failgate.web.pages.groups_view import group_view, groups_view
from failgate.web.pages.showing import Asking, Page, grants, show
from failgate.web.render import redirect
from failgate.wire.groups import GroupState

After = Annotated[str | None, QueryParameter(name="after", max_length=64)]
Only = Annotated[GroupState | None, QueryParameter(name="state")]
Project = Annotated[str | None, QueryParameter(name="project", max_length=200)]
PAGE = 50
SHOWN_REPORTS = 20


async def listing(request: Asking, only: Only = None, project: Project = None, after: After = None) -> Page:
    """List groups, the last seen first."""
    visit, services = visit_of(request), services_of(request)
    groups, workspace = services.report_room.groups, visit.here()
    found = await groups.page(workspace.id, state=only, project=project or None, limit=PAGE, after=after)
    view = groups_view(
        found.items, found.next, slug=workspace.slug, now_us=services.clock.now_us(), state=only, project=project,
        projects=await groups.projects(workspace.id),
    )  # fmt: skip
    return await show(request, "report_groups.html", view, title="Failures", room="reports")


async def one(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """Show one group with its newest reports."""
    return await _show(request, id)


async def resolve(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """Call the failure resolved."""
    visit = visit_of(request)
    version = visit.form.get("version")
    try:
        await services_of(request).report_room.groups.resolve(visit.principal, visit.here().id, id, version)
    except BadInput as error:
        return await _show(request, id, error)
    return _back(request, id)


async def ignore(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """Ignore the failure."""
    visit = visit_of(request)
    await services_of(request).report_room.groups.ignore(visit.principal, visit.here().id, id)
    return _back(request, id)


async def reopen(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """Take the decision back."""
    visit = visit_of(request)
    await services_of(request).report_room.groups.reopen(visit.principal, visit.here().id, id)
    return _back(request, id)


def _back(request: Asking, group_id: str) -> Page:
    return redirect(f"/w/{visit_of(request).here().slug}/report-groups/{group_id}")


async def _show(request: Asking, group_id: str, error: BadInput | None = None) -> Page:
    visit, services = visit_of(request), services_of(request)
    workspace = visit.here()
    group = await services.report_room.groups.one(workspace.id, group_id)
    wanted = ReportFilter(group=group_id)
    found = await services.reports.page(visit.principal, workspace.id, SHOWN_REPORTS, None, wanted)
    view = group_view(
        group, found.items, slug=workspace.slug, now_us=services.clock.now_us(),
        may_triage=grants(visit, Permission.WORKSPACE_REPORT_TRIAGE), problem=str(error) if error else None,
    )  # fmt: skip
    status = error.status if error else 200
    return await show(request, "report_group.html", view, title=group.title, room="reports", status=status)
