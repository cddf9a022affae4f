"""The audit log of a workspace, for owners and auditors."""

from collections.abc import Sequence
from typing import Annotated

from litestar.params import QueryParameter

from failgate.audit.beside import bodies_of, told
from failgate.audit.record import Act, Actor
from failgate.audit.search import Page as Found
from failgate.audit.search import Wanted
from failgate.audit.stored import StoredRecord
from failgate.base.canonical import base64url
from failgate.base.errors import BadInput, FailgateError
from failgate.evidence.views import Visitor
from failgate.web.context import services_of, visit_of
from failgate.web.pages.audit_filter import AuditFilter
from failgate.web.pages.audit_view import Shown, audit_view, saved_lines
from failgate.web.pages.showing import Asking, Page, account_of, show
from failgate.web.strict_query import single_values

Before = Annotated[int | None, QueryParameter(name="before", ge=0, le=2**53 - 1)]
PAGE = 50
_JOINED = (str(Act.MEMBER_ADDED), str(Act.INVITATION_ACCEPTED))
_NOTHING = Found((), None)


async def log(request: Asking, before: Before = None) -> Page:
    """Show records, newest first, and the signed checkpoint over all of them."""
    return await show_log(request, AuditFilter.of(single_values(request.scope["query_string"])), before)


async def show_log(
    request: Asking, asked: AuditFilter, before: int | None = None, problem: FailgateError | None = None
) -> Page:
    """Show what `asked` asks for; `problem` is what was wrong with something else that was done on this page."""
    visit, services = visit_of(request), services_of(request)
    here, names = visit.here(), await names_of(request, visit.here().id)
    try:
        found = await _found(request, here.id, asked, asked.wanted(names), before)
    except BadInput as error:
        found, problem = _NOTHING, error
    names |= await _former(request, here.id, found.records, names)
    bodies = await bodies_of(services.db, here.id, [one.seq for one in found.records])
    view = audit_view(
        [
            Shown(one.record, one.leaf.decode(errors="replace"), base64url(one.leaf_hash), told(bodies.get(one.seq)))
            for one in found.records
        ],
        slug=here.slug,
        size=await services.audit.size(here.id),
        checkpoint=await services.witnessing.checkpoint(here.id),
        names=names,
        asked=asked,
        older=found.before,
        is_first=before is None,
        now_us=services.clock.now_us(),
        is_cut=found.is_cut,
        saved=saved_lines(
            await services.evidence.views.list(here.id, account_of(visit)), viewer_of(request), asked.query, here.slug
        ),
        problem=str(problem) if problem else None,
    )
    return await show(
        request, "audit.html", view, title="Audit", room="audit", status=problem.status if problem else 200
    )


async def _found(request: Asking, workspace_id: str, asked: AuditFilter, wanted: Wanted, before: int | None) -> Found:
    search, seq = services_of(request).evidence.search, asked.seq
    if seq is None:
        return await search.newest(workspace_id, wanted, before, PAGE)
    one = await search.newest(workspace_id, wanted, min(seq + 1, 2**40 - 1), 1)
    return Found(tuple(record for record in one.records if record.seq == seq), None)


def viewer_of(request: Asking) -> Visitor:
    """Return who looks, as saved views know them."""
    visit = visit_of(request)
    if visit.role is None:
        raise LookupError("this door has no workspace")
    return Visitor(Actor.of(visit.principal), account_of(visit), visit.role)


async def names_of(request: Asking, workspace_id: str) -> dict[str, str]:
    """Return the names that people and agents of a workspace have, by their ids."""
    services = services_of(request)
    members = await services.workspaces.members(workspace_id)
    accounts = await services.accounts.by_ids(member.account_id for member in members)
    agents = await services.agents.list(workspace_id)
    return {key: account.email for key, account in accounts.items()} | {agent.id: agent.name for agent in agents}


async def _former(
    request: Asking, workspace_id: str, records: Sequence[StoredRecord], names: dict[str, str]
) -> dict[str, str]:
    """Return the names of those in `records` who were members once. Of whoever never was the log keeps the id alone."""
    services = services_of(request)
    said = [one.record for one in records]
    people = {one["actor"]["id"] for one in said if one["actor"]["t"] in {"user", "api_key"}}
    unknown = sorted((people | {one["obj"]["id"] for one in said if one["obj"]["t"] == "account"}) - names.keys())
    were = [
        one
        for one in unknown
        if (await services.evidence.search.newest(workspace_id, Wanted(_JOINED, object_id=one), None, 1)).records
    ]
    return {key: f"{one.email} (left)" for key, one in (await services.accounts.by_ids(were)).items()}
