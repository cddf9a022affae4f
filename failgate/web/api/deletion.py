"""The doors of the deletion of a workspace: one owner asks, another confirms; what is left is read by who owned it."""

from typing import Any

from litestar import Request
from litestar.params import FromPath, JSONBody

from failgate.base.clock import to_rfc3339
from failgate.base.errors import NotFound
from failgate.web import deletion_letters as letters
from failgate.web.api.idempotency import IdempotencyKey, key_of
from failgate.web.context import Visit, services_of, visit_of
from failgate.wire.deletion import DeletedWorkspace, DeletedWorkspacePage, DeletionView, TypedName
from failgate.workspaces.deletion import Asked

Asking = Request[Any, Any, Any]


async def read(request: Asking) -> DeletionView:
    """Answer the word that waits for a second owner."""
    visit = visit_of(request)
    asked = await services_of(request).deletion.waiting(visit.here().id)
    if asked is None:
        raise NotFound("No deletion waits for a second owner.")
    return _view(visit, asked)


async def ask(request: Asking, data: JSONBody[TypedName], idempotency_key: IdempotencyKey = None) -> DeletionView:
    """Ask that the workspace be deleted: another owner confirms within 72 hours, or nothing happens."""
    visit, services = visit_of(request), services_of(request)

    async def act() -> DeletionView:
        asked = await services.deletion.ask(visit.principal, visit.here().id, data.name)
        await letters.tell_asked(services, visit.here(), asked)
        return _view(visit, asked)

    return await services.first_answers.after(key_of(request, idempotency_key, data), DeletionView, act)


async def confirm(
    request: Asking,
    id: FromPath[str],  # noqa: A002 - the path's word
    data: JSONBody[TypedName],
    idempotency_key: IdempotencyKey = None,
) -> DeletedWorkspace:
    """Confirm another owner's word: the workspace is closed when this is answered, and emptied behind it."""
    visit, services = visit_of(request), services_of(request)

    async def act() -> DeletedWorkspace:
        await letters.confirm(services, visit.principal, visit.here(), id, data.name)
        return await services.deletion.one_deleted_of(visit.principal.id, visit.here().id)

    return await services.first_answers.after(key_of(request, idempotency_key, data), DeletedWorkspace, act)


async def withdraw(request: Asking, id: FromPath[str]) -> None:  # noqa: A002 - the path's word
    """Take the word back; any owner may."""
    visit, services = visit_of(request), services_of(request)
    await services.deletion.withdraw(visit.principal, visit.here().id, id)
    await letters.tell_withdrawn(services, visit.principal, visit.here())


async def deleted(request: Asking) -> DeletedWorkspacePage:
    """List the deleted workspaces that one owned, the latest first."""
    visit, services = visit_of(request), services_of(request)
    account_id = reader_of(visit)
    return DeletedWorkspacePage(list(await services.deletion.deleted_of(account_id)) if account_id else [], None)


async def one_deleted(request: Asking, id: FromPath[str]) -> DeletedWorkspace:  # noqa: A002 - the path's word
    """Answer what is left of a deleted workspace that one owned: its receipt, once everything is removed."""
    return await services_of(request).deletion.one_deleted_of(reader_of(visit_of(request)), id)


def reader_of(visit: Visit) -> str:
    """Return whose deleted workspaces this visit may read of: a person's, in no session of one workspace alone."""
    principal = visit.principal
    is_person = principal.kind == "user" and principal.workspace_id is None
    return (principal.account_id or "") if is_person else ""


def _view(visit: Visit, asked: Asked) -> DeletionView:
    return DeletionView(
        asked.id, visit.here().slug, asked.asked_by, to_rfc3339(asked.asked_us), to_rfc3339(asked.expires_us)
    )
