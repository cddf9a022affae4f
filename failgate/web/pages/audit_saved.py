"""Saved views of the audit page: kept, renamed, shown to all auditors or not, removed."""

from urllib.parse import parse_qsl

from litestar.params import FromPath

from failgate.base.errors import BadInput, Conflict, FailgateError
from failgate.web.context import services_of, visit_of
from failgate.web.pages.audit import names_of, show_log, viewer_of
from failgate.web.pages.audit_filter import AuditFilter
from failgate.web.pages.showing import Asking, Page
from failgate.web.render import redirect


async def save(request: Asking) -> Page:
    """Keep the filter in the form under a name."""
    visit, services = visit_of(request), services_of(request)
    here, typed, asked = visit.here(), visit.form, AuditFilter.of(visit.form)
    try:
        asked.wanted(await names_of(request, here.id))
        await services.evidence.views.save(
            viewer_of(request), here.id, typed.get("name", ""), asked.query, is_shared=typed.get("shared") == "on"
        )
    except (BadInput, Conflict) as error:
        return await show_log(request, asked, problem=error)
    return redirect(_place(here.slug, asked.query))


async def change(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """Rename a view, show it to all auditors or no longer."""
    visit, services = visit_of(request), services_of(request)
    here, typed = visit.here(), visit.form
    try:
        view = await services.evidence.views.change(
            viewer_of(request), here.id, id, typed.get("name", ""), is_shared=typed.get("shared") == "on"
        )
    except (BadInput, Conflict) as error:
        return await _again(request, id, error)
    return redirect(_place(here.slug, view.query))


async def remove(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """Remove a view; what it showed stays."""
    here = visit_of(request).here()
    view = await services_of(request).evidence.views.remove(viewer_of(request), here.id, id)
    return redirect(_place(here.slug, view.query))


async def _again(request: Asking, view_id: str, error: FailgateError) -> Page:
    """Show the log as the view filters it, with what was wrong."""
    views = await services_of(request).evidence.views.list(visit_of(request).here().id, viewer_of(request).account_id)
    query = next((one.query for one in views if one.id == view_id), "")
    return await show_log(request, AuditFilter.of(dict(parse_qsl(query))), problem=error)


def _place(slug: str, query: str) -> str:
    return f"/w/{slug}/audit?{query}"
