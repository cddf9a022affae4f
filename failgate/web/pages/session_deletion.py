"""A recorded shell deleted by hand: what goes is said before, the receipt stands after."""

from dataclasses import dataclass

from litestar.params import FromPath

from failgate.base.errors import Conflict
from failgate.recordings.stored import view_of
from failgate.web.context import services_of, visit_of
from failgate.web.pages.sessions_view import SessionRow, session_row
from failgate.web.pages.showing import Asking, Page, show
from failgate.wire.recordings import DeletedRecording


@dataclass(frozen=True, slots=True)
class SessionDeletionView:
    """What a deletion would take; `refused` says why nothing was deleted, or is empty."""

    row: SessionRow
    chunks: int
    commands: int
    refused: str


@dataclass(frozen=True, slots=True)
class SessionDeletedView:
    """What was deleted."""

    receipt: DeletedRecording


async def form(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """Say what goes with the recording, and ask."""
    return await _show(request, id)


async def delete(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """Delete the recording and show the receipt."""
    visit = visit_of(request)
    try:
        receipt = await services_of(request).recording_room.deletion.delete(visit.principal, visit.here().id, id)
    except Conflict as refused:
        return await _show(request, id, refused)
    return await show(
        request, "recording_deleted.html", SessionDeletedView(receipt), title="Recording deleted", room="sessions"
    )


async def _show(request: Asking, recording_id: str, refused: Conflict | None = None) -> Page:
    visit, services = visit_of(request), services_of(request)
    reading = services.recording_room.reading
    recording = await reading.find(visit.here().id, recording_id)
    view = SessionDeletionView(
        session_row(view_of(recording), services.clock.now_us()),
        recording.chunks,
        len(await reading.commands(recording)),
        str(refused) if refused is not None else "",
    )
    status = refused.status if refused is not None else 200
    return await show(
        request, "recording_delete.html", view, title="Delete a recording", room="sessions", status=status
    )
