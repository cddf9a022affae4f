"""Observing: what would have waited or been denied while nothing waits, and the switch of the owners."""

from typing import Annotated

from litestar.params import FromPath, QueryParameter

from failgate.access.permission import Permission
from failgate.base.errors import BadInput, Conflict, FailgateError, Forbidden, NotFound, Unprocessable
from failgate.gate.observed import observed_in
from failgate.web.context import Visit, services_of, visit_of
from failgate.web.pages.observing_view import ObservingView, days_of, line_of, report_view
from failgate.web.pages.showing import Asking, Page, grants, show
from failgate.web.render import redirect

FIELDS = ("days", "agent", "denials", "reason")
Chosen = Annotated[str | None, QueryParameter(name="of", max_length=64)]


async def page(request: Asking, of: Chosen = None) -> Page:
    """Show what a time of observing shows, the newest one or the chosen one."""
    return await _show(request, of)


async def begin(request: Asking) -> Page:
    """Only observe from now on."""
    visit = visit_of(request)
    try:
        await services_of(request).gate.observing.begin(
            visit.principal,
            visit.here().id,
            days=days_of(visit.form),
            agent_id=visit.form.get("agent", ""),
            denials=visit.form.get("denials") == "yes",
            reason=visit.form.get("reason", "").strip() or None,
        )
    except (BadInput, Conflict, Forbidden, NotFound, Unprocessable) as error:
        return await _show(request, error=error)
    return redirect(_here(visit))


async def end(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """Gate again."""
    visit = visit_of(request)
    await services_of(request).gate.observing.end(visit.principal, visit.here().id, id)
    return redirect(_here(visit))


def _here(visit: Visit) -> str:
    return f"/w/{visit.here().slug}/settings/observing"


async def _show(request: Asking, of: str | None = None, error: FailgateError | None = None) -> Page:
    visit, services = visit_of(request), services_of(request)
    observing, now_us = services.gate.observing, services.clock.now_us()
    periods = await observing.newest(visit.here().id)
    shown = (
        await observing.one(visit.here().id, of) if of is not None and not error else periods[0] if periods else None
    )
    running = {one.id for one in observing.running(visit.here().id)}
    agents = await services.agents.list(visit.here().id)
    names = {one.id: one.name for one in agents}
    people = {account for one in periods for account in (one.begun_by, one.ended_by) if account}
    emails = {key: account.email for key, account in (await services.accounts.by_ids(people)).items()}
    view = ObservingView(
        _here(visit),
        visit.here().slug,
        observing.is_allowed,
        grants(visit, Permission.WORKSPACE_OBSERVING_WRITE),
        grants(visit, Permission.WORKSPACE_RULE_WRITE),
        tuple(
            line_of(one, now_us, agents=names, emails=emails, is_running=one.id in running, shown=shown.id)
            for one in periods
            if shown is not None
        ),
        None if shown is None else report_view(await observed_in(services.db, shown)),
        tuple((one.id, one.name) for one in agents if one.is_enabled),
        {name: visit.form.get(name, "") for name in FIELDS} if error else dict.fromkeys(FIELDS, ""),
        str(error) if error else None,
    )
    status = error.status if error else 200
    return await show(request, "observing.html", view, title="Observing", room="settings", status=status)
