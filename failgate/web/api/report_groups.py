"""The doors of groups: one failure, however often it was seen, and what people decide on it."""

from typing import Annotated, Any

from litestar import Request
from litestar.params import FromPath, JSONBody, QueryParameter

from failgate.web.api.idempotency import IdempotencyKey, key_of
from failgate.web.context import services_of, visit_of
from failgate.wire.groups import GroupPage, GroupState, ReportGroup, ResolveGroup

Asking = Request[Any, Any, Any]
Limit = Annotated[int, QueryParameter(name="limit", ge=1, le=100, description="How many at most.")]
After = Annotated[str | None, QueryParameter(name="after", max_length=64, description="The `next` of the page before.")]
Only = Annotated[GroupState | None, QueryParameter(name="state", description="Only groups in this state.")]
Project = Annotated[str | None, QueryParameter(max_length=200, description="Only of this project.")]


async def listing(
    request: Asking, only: Only = None, project: Project = None, limit: Limit = 50, after: After = None
) -> GroupPage:
    """List groups of reports, the last seen first."""
    groups, workspace_id = services_of(request).report_room.groups, visit_of(request).here().id
    return await groups.page(workspace_id, state=only, project=project, limit=limit, after=after)


async def one(request: Asking, id: FromPath[str]) -> ReportGroup:  # noqa: A002 - the path's word
    """Answer one group."""
    return await services_of(request).report_room.groups.one(visit_of(request).here().id, id)


async def resolve(
    request: Asking,
    id: FromPath[str],  # noqa: A002 - the path's word
    data: JSONBody[ResolveGroup],
    idempotency_key: IdempotencyKey = None,
) -> ReportGroup:
    """Call a failure resolved; seen again it is regressed."""
    visit, services = visit_of(request), services_of(request)
    key = key_of(request, idempotency_key, data)
    return await services.first_answers.after(
        key,
        ReportGroup,
        lambda: services.report_room.groups.resolve(visit.principal, visit.here().id, id, data.version),
    )


async def ignore(request: Asking, id: FromPath[str], idempotency_key: IdempotencyKey = None) -> ReportGroup:  # noqa: A002 - the path's word
    """Ignore a failure until it is reopened."""
    visit, services = visit_of(request), services_of(request)
    key = key_of(request, idempotency_key)
    return await services.first_answers.after(
        key, ReportGroup, lambda: services.report_room.groups.ignore(visit.principal, visit.here().id, id)
    )


async def reopen(request: Asking, id: FromPath[str], idempotency_key: IdempotencyKey = None) -> ReportGroup:  # noqa: A002 - the path's word
    """Take back what was decided on a failure."""
    visit, services = visit_of(request), services_of(request)
    key = key_of(request, idempotency_key)
    return await services.first_answers.after(
        key, ReportGroup, lambda: services.report_room.groups.reopen(visit.principal, visit.here().id, id)
    )
