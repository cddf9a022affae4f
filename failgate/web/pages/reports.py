"""The reports of failures."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Final, cast, get_args

from litestar.params import FromPath, QueryParameter

from failgate.access.permission import Permission
from failgate.base.errors import BadInput
from failgate.reports.search import ReportFilter, ReportState
from failgate.web.api.reports import day_number
from failgate.web.content import Content, content_of
from failgate.web.context import services_of, visit_of
from failgate.web.pages.groups_view import filled
from failgate.web.pages.playing import of_member, playback_of
from failgate.web.pages.report_view import report_page_view, reports_view, shown_artifacts
from failgate.web.pages.showing import Asking, Page, grants, show
from failgate.web.pages.story_view import Happening, story
from failgate.web.strict_query import single_values
from failgate.wire.reports import ReportPage, ReportView

After = Annotated[str | None, QueryParameter(name="after", max_length=64)]
PAGE = 50
STORY = 200  # records of a report that are looked at
FILTERS: Final = (
    "q", "command", "state", "project", "version", "exit_code", "agent", "group", "kind", "since", "until",
)  # fmt: skip


async def listing(request: Asking, after: After = None) -> Page:
    """List reports, newest first: all of them, or those that the filters leave."""
    visit, services = visit_of(request), services_of(request)
    query = single_values(request.scope["query_string"])
    asked = filled({name: query[name] for name in FILTERS if name in query})
    problem: BadInput | None = None
    try:
        found = await services.reports.page(visit.principal, visit.here().id, PAGE, after, _wanted(asked))
    except BadInput as error:
        found, problem = ReportPage([], None), error
    view = reports_view(
        found.items, found.next, slug=visit.here().slug, now_us=services.clock.now_us(), asked=asked,
        problem=str(problem) if problem else None,
    )  # fmt: skip
    return await show(request, "reports.html", view, title="Reports", room="reports", status=400 if problem else 200)


def _wanted(asked: Mapping[str, str]) -> ReportFilter:
    state = asked.get("state")
    if state not in {None, *get_args(ReportState)}:
        raise BadInput("There is no such state.", hint="Choose one of the list.")
    code = asked.get("exit_code")
    if code is not None and not (code.isascii() and code.isdigit() and int(code[:4]) <= 255):
        raise BadInput("An exit code is 0 to 255.", hint="A signal N is 128+N.")
    return ReportFilter(
        text=asked.get("q"),
        command=asked.get("command"),
        state=cast("ReportState | None", state),
        project=asked.get("project"),
        version=asked.get("version"),
        exit_code=int(code) if code is not None else None,
        agent=asked.get("agent"),
        group=asked.get("group"),
        kind=asked.get("kind"),
        since=day_number(asked.get("since")),
        until=day_number(asked.get("until")),
    )


async def one(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """Show one report; that it was read is on record before anything is shown."""
    visit, services = visit_of(request), services_of(request)
    report = await services.reports.view(visit.principal, visit.here().id, id)
    contents: dict[str, Content] = {}
    for sha256 in shown_artifacts(report):
        opened = await services.reports.open_artifact(visit.principal, visit.here().id, id, sha256)
        contents[sha256] = await content_of(opened)
    view = report_page_view(
        report, contents, slug=visit.here().slug, now_us=services.clock.now_us(),
        may_hold=grants(visit, Permission.WORKSPACE_REPORT_HOLD),
    )  # fmt: skip
    view = replace(
        view, playback=await playback_of(report, of_member(request, report)), story=await _story(request, report)
    )
    view = replace(view, may_delete=grants(visit, Permission.WORKSPACE_REPORT_DELETE))
    if report.state == "sealed" and grants(visit, Permission.WORKSPACE_SHARE_READ):
        view = replace(view, share_href=f"/w/{visit.here().slug}/reports/{id}/shares")
    return await show(request, "report.html", view, title=report.title, room="reports")


async def _story(request: Asking, report: ReportView) -> tuple[Happening, ...]:
    """Return what happened to the report; links are told to who may see them."""
    visit, services = visit_of(request), services_of(request)
    here = visit.here().id
    records = await services.audit.newest(here, limit=STORY, obj_id=report.id)
    links: list[str] = []
    if report.state == "sealed" and grants(visit, Permission.WORKSPACE_SHARE_READ):
        links = [one.created_at for one in (await services.sharing.page(here, report.id)).items]
    return story(report, [one.record for one in reversed(records)], links[::-1], services.clock.now_us())
