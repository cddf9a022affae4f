"""The history of requests, and one of them with its story."""

from typing import Annotated, Any

from litestar.params import FromPath, QueryParameter

from failgate.access.permission import Permission
from failgate.gate.evidence import MOST_RECORDS
from failgate.gate.ladder import taken
from failgate.web.context import Visit, services_of, visit_of
from failgate.web.pages.queue import Full, beside_of, report_of, standing_of
from failgate.web.pages.queue_view import command_page_view, commands_view
from failgate.web.pages.showing import Asking, Page, grants, show
from failgate.wire.gate import CommandView, State

Only = Annotated[State | None, QueryParameter(name="state")]
After = Annotated[str | None, QueryParameter(name="after", max_length=64)]
PAGE = 50


async def listing(request: Asking, only: Only = None, after: After = None) -> Page:
    """List requests, newest first."""
    visit, services = visit_of(request), services_of(request)
    found = await services.gate.page(visit.here().id, only, PAGE, after)
    now_us, viewer = services.clock.now_us(), visit.principal.label
    view = commands_view(
        found.items, found.next, slug=visit.here().slug, state=only, now_us=now_us, viewer=viewer,
        may_ask=grants(visit, Permission.WORKSPACE_COMMAND_SUBMIT),
    )  # fmt: skip
    return await show(request, "commands.html", view, title="Commands", room="commands")


async def one(request: Asking, id: FromPath[str], full: Full = False) -> Page:  # noqa: A002, FBT002 - the path's word; a query parameter
    """Show one request with everything that happened to it."""
    visit, services = visit_of(request), services_of(request)
    command = await services.gate.view(visit.here().id, id, visit.principal)
    view = command_page_view(
        command,
        now_us=services.clock.now_us(),
        standing=await standing_of(request, visit, command),
        viewer=visit.principal.label,
        is_full=full,
        report_id=await report_of(request, visit, command),
        may_read_audit=grants(visit, Permission.WORKSPACE_AUDIT_READ),
        beside=await beside_of(request, visit, command),
        escalations=taken(await _records(request, visit, command)),
    )
    return await show(request, "command.html", view, title="Command", room="commands")


async def _records(request: Asking, visit: Visit, command: CommandView) -> list[dict[str, Any]]:
    """Return what the audit log tells of the command, the newest of it first."""
    found = await services_of(request).audit.newest(visit.here().id, limit=MOST_RECORDS, obj_id=command.id)
    return [one.record for one in found]
