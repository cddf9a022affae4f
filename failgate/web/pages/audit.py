"""The audit log of a workspace, for owners and auditors."""

from typing import Annotated

from litestar.params import QueryParameter

from failgate.base.canonical import base64url
from failgate.web.context import services_of, visit_of
from failgate.web.pages.audit_view import audit_view
from failgate.web.pages.showing import Asking, Page, show

Before = Annotated[int | None, QueryParameter(name="before", ge=0, le=2**53 - 1)]
ObjectId = Annotated[str, QueryParameter(name="object", max_length=128)]
PAGE = 50


async def log(request: Asking, before: Before = None, object_id: ObjectId = "") -> Page:
    """Show records, newest first, and the signed checkpoint over all of them."""
    visit, services = visit_of(request), services_of(request)
    here, wanted = visit.here(), object_id.strip() or None
    found = await services.audit.newest(here.id, before, PAGE + 1, obj_id=wanted)
    view = audit_view(
        [(one.record, base64url(one.leaf_hash)) for one in found[:PAGE]],
        slug=here.slug,
        size=await services.audit.size(here.id),
        checkpoint=await services.witnessing.checkpoint(here.id),
        names=await _names(request, here.id),
        object_id=wanted or "",
        older=found[PAGE - 1].seq if len(found) > PAGE else None,
        is_first=before is None,
        now_us=services.clock.now_us(),
    )
    return await show(request, "audit.html", view, title="Audit", room="audit")


async def _names(request: Asking, workspace_id: str) -> dict[str, str]:
    services = services_of(request)
    members = await services.workspaces.members(workspace_id)
    accounts = await services.accounts.by_ids(member.account_id for member in members)
    agents = await services.agents.list(workspace_id)
    return {key: account.email for key, account in accounts.items()} | {agent.id: agent.name for agent in agents}
