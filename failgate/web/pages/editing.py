"""Approving with an edit: the request ends, and what the reviewer made of it is approved in its place."""

from litestar.params import FromPath

from failgate.base.errors import BadInput, Conflict, FailgateError, Forbidden, TooLarge, Unprocessable
from failgate.web.context import services_of, visit_of
from failgate.web.pages.editing_view import edit_of, edit_view, wish_of
from failgate.web.pages.showing import Asking, Page, show
from failgate.web.render import redirect
from failgate.wire.edits import EditTrial

_REFUSALS = (BadInput, Unprocessable, TooLarge, Conflict, Forbidden)


async def form(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """Show the command in fields."""
    return await _show(request, id)


async def make(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """Say what would come of the edit; with `action` `approve` approve what was shown."""
    visit, gate = visit_of(request), services_of(request).gate
    command = await gate.view(visit.here().id, id, visit.principal)
    trial: EditTrial | None = None
    action = visit.form.get("action", "").partition("-")[0]
    if action not in {"add", "remove", "try", "approve"}:
        raise BadInput("The form does not say what to do.", hint="Use the buttons of the page.")
    try:
        if action in {"try", "approve"}:
            trial = await gate.try_edit(visit.principal, visit.here().id, id, wish_of(command, visit.form))
        if action == "approve":
            made = await gate.edit(visit.principal, visit.here().id, id, edit_of(command, visit.form))
            return redirect(f"/w/{visit.here().slug}/queue?c={made.id}")
    except _REFUSALS as error:
        return await _show(request, id, error, trial)
    return await _show(request, id, trial=trial)


async def _show(
    request: Asking, command_id: str, error: FailgateError | None = None, trial: EditTrial | None = None
) -> Page:
    visit, services = visit_of(request), services_of(request)
    command = await services.gate.view(visit.here().id, command_id, visit.principal)
    view = edit_view(
        command, f"/w/{visit.here().slug}/commands/{command.id}/edit", visit.form, error=error, trial=trial
    )
    status = error.status if error else 200
    return await show(request, "edit.html", view, title="Approve with edit", room="queue", status=status)
