"""The reports of failures."""

from dataclasses import replace
from typing import Annotated

from litestar.params import FromPath, QueryParameter

from failgate.access.permission import Permission
from failgate.web.content import Content, content_of
from failgate.web.context import services_of, visit_of
from failgate.web.pages.report_view import report_page_view, reports_view, shown_artifacts
from failgate.web.pages.showing import Asking, Page, grants, show

After = Annotated[str | None, QueryParameter(name="after", max_length=64)]
PAGE = 50


async def listing(request: Asking, after: After = None) -> Page:
    """List reports, newest first."""
    visit, services = visit_of(request), services_of(request)
    found = await services.reports.page(visit.principal, visit.here().id, PAGE, after)
    view = reports_view(found.items, found.next, slug=visit.here().slug, now_us=services.clock.now_us())
    return await show(request, "reports.html", view, title="Reports", room="reports")


async def one(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """Show one report; that it was read is on record before anything is shown."""
    visit, services = visit_of(request), services_of(request)
    report = await services.reports.view(visit.principal, visit.here().id, id)
    contents: dict[str, Content] = {}
    for sha256 in shown_artifacts(report):
        opened = await services.reports.open_artifact(visit.principal, visit.here().id, id, sha256)
        contents[sha256] = await content_of(opened)
    view = report_page_view(report, contents, slug=visit.here().slug, now_us=services.clock.now_us())
    if report.state == "sealed" and grants(visit, Permission.WORKSPACE_SHARE_READ):
        view = replace(view, share_href=f"/w/{visit.here().slug}/reports/{id}/shares")
    return await show(request, "report.html", view, title=report.title, room="reports")
