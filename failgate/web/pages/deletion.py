"""Deleting a workspace: what would go, the word of one owner, the word of another; and what is left of deleted ones."""

from litestar.params import FromPath

from failgate.base.errors import BadInput, Conflict, Forbidden
from failgate.web import deletion_letters as letters
from failgate.web.api.deletion import reader_of
from failgate.web.context import services_of, visit_of
from failgate.web.pages.deletion_view import DeletedLine, DeletedView, DeletionView, HeldLine, WordLine
from failgate.web.pages.showing import Asking, Page, show
from failgate.web.pages.text import moment, moment_of, size
from failgate.web.render import redirect
from failgate.workspaces.deletion import WORD_HOURS

Refused = BadInput | Conflict | Forbidden


async def page(request: Asking) -> Page:
    """Show what would go, and whose word it has."""
    return await _show(request)


async def ask(request: Asking) -> Page:
    """Ask that the workspace be deleted."""
    visit, services = visit_of(request), services_of(request)
    try:
        asked = await services.deletion.ask(visit.principal, visit.here().id, visit.form.get("name", ""))
    except (BadInput, Conflict, Forbidden) as error:
        return await _show(request, error)
    await letters.tell_asked(services, visit.here(), asked)
    return redirect(f"/w/{visit.here().slug}/settings/delete")


async def confirm(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """Confirm another owner's word: the workspace is closed."""
    visit, services = visit_of(request), services_of(request)
    try:
        await letters.confirm(services, visit.principal, visit.here(), id, visit.form.get("name", ""))
    except (BadInput, Conflict, Forbidden) as error:
        return await _show(request, error)
    return redirect("/account/deleted-workspaces")


async def withdraw(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """Take the word back."""
    visit, services = visit_of(request), services_of(request)
    await services.deletion.withdraw(visit.principal, visit.here().id, id)
    await letters.tell_withdrawn(services, visit.principal, visit.here())
    return redirect(f"/w/{visit.here().slug}/settings/delete")


async def deleted(request: Asking) -> Page:
    """List the deleted workspaces that one owned."""
    services, now_us = services_of(request), services_of(request).clock.now_us()
    account_id = reader_of(visit_of(request))
    found = await services.deletion.deleted_of(account_id) if account_id else []
    rows = tuple(
        DeletedLine(
            one.id,
            one.name,
            moment_of(one.closed_at, now_us),
            moment_of(one.receipt.emptied_at, now_us) if one.receipt is not None else None,
            one.receipt.reports if one.receipt is not None else 0,
            one.receipt.artifacts if one.receipt is not None else 0,
            size(one.receipt.size_bytes) if one.receipt is not None else "",
            one.receipt.log_size if one.receipt is not None else 0,
            one.receipt.log_root if one.receipt is not None else "",
        )
        for one in found
    )
    return await show(request, "deleted.html", DeletedView(rows), title="Deleted workspaces", room="account")


async def _show(request: Asking, error: Refused | None = None) -> Page:
    visit, services = visit_of(request), services_of(request)
    workspace, now_us = visit.here(), services.clock.now_us()
    owners = await letters.owners_of(services, workspace.id)
    used = await services.usage.read(workspace.id)
    held = await services.report_room.retention.oldest_hold(services.db, workspace.id)
    asked = await services.deletion.waiting(workspace.id)
    word = None
    if asked is not None:
        by = await services.accounts.by_id(asked.asked_by)
        word = WordLine(
            asked.id,
            by.email if by is not None else asked.asked_by,
            asked.asked_by == visit.principal.account_id,
            moment(asked.asked_us, now_us),
            moment(asked.expires_us, now_us),
        )
    view = DeletionView(
        workspace.slug,
        tuple(one.email for one in owners),
        tuple(one.email for one in owners if one.id != visit.principal.account_id),
        WORD_HOURS,
        used.reports,
        size(used.bytes_stored),
        used.seats,
        len(await services.agents.list(workspace.id)),
        HeldLine(*held) if held is not None else None,
        word,
        str(error) if error else None,
    )
    return await show(
        request, "deletion.html", view, title="Delete the workspace", room="settings",
        status=error.status if error else 200,
    )  # fmt: skip
