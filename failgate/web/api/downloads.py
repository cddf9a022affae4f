"""The one door of the artifact host: a ticket is exchanged for the bytes that it is for, if that is still allowed.

No cookie, token or certificate says anything here. The session or the link that asked has to live still, its person to
have the role still; the reading is on record under them before the first byte.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final, cast

from litestar import Request, Response
from litestar.params import FromPath

from failgate.access.permission import Permission
from failgate.access.principal import Principal
from failgate.base.db import workspace_scope
from failgate.base.errors import NotFound
from failgate.reports.reading import OpenedArtifact
from failgate.web.api.recordings import Version, cast_of
from failgate.web.api.reports import bytes_of
from failgate.web.artifact_host import Ticket, artifact_host_of, over
from failgate.web.asgi import Scope
from failgate.web.context import services_of, visit_of
from failgate.web.freshness import lacks_second_factor
from failgate.web.guard import may_still

Asking = Request[Any, Any, Any]
_PERMISSIONS: Final = {
    "report": Permission.WORKSPACE_REPORT_READ,
    "recording": Permission.WORKSPACE_RECORDING_READ,
}


async def fetch(request: Asking, ticket: FromPath[str]) -> Response[Any]:
    """Download what the ticket is for, or one range of its bytes."""
    host = artifact_host_of(request)
    if not host.is_here(cast("Scope", request.scope)):
        raise over()
    told = host.open(ticket)
    ways: dict[str, Callable[[Asking, Ticket], Awaitable[Response[Any]]]] = {
        "report": _artifact, "recording": _recording, "share": _shared,
    }  # fmt: skip
    try:
        answer = await ways[told.kind](request, told)
    except NotFound:
        raise over() from None
    answer.headers["x-robots-tag"] = "noindex, nofollow, noarchive, nosnippet"
    return answer


async def _artifact(request: Asking, told: Ticket) -> Response[Any]:
    principal = await _admitted(request, told)
    reports = services_of(request).reports
    return await bytes_of(
        request, await reports.open_artifact(principal, told.workspace_id, told.object_id, told.detail)
    )


async def _recording(request: Asking, told: Ticket) -> Response[Any]:
    principal = await _admitted(request, told)
    recording = await services_of(request).recording_room.reading.find(told.workspace_id, told.object_id)
    return await cast_of(request, principal, recording, cast("Version", told.detail))


async def _shared(request: Asking, told: Ticket) -> Response[Any]:
    visits = services_of(request).share_visits
    admitted = await visits.admit(told.holder, told.proof)
    if not admitted.is_proven:
        raise over()
    workspace_scope.set(admitted.share.workspace_id)
    visits.slow(admitted.share, visit_of(request).ip or "")
    opened: OpenedArtifact = await visits.open_artifact(admitted.share, told.detail)
    return await bytes_of(request, opened)


async def _admitted(request: Asking, told: Ticket) -> Principal:
    """Return who asked, whose session lives and who may read it still.

    Raises: NotFound.
    """
    visit, services = visit_of(request), services_of(request)
    session = await services.sessions.alive(told.holder)
    workspace = await services.workspaces.by_id(told.workspace_id)
    if session is None or workspace is None:
        raise over()
    visit.principal, visit.session, visit.workspace = session.principal, session, workspace
    workspace_scope.set(workspace.id)
    if lacks_second_factor(visit, services) or not await may_still(visit, _PERMISSIONS[told.kind], services):
        raise over()
    return visit.principal
