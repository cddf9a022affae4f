"""Recorded shells: the list, and one, played. What is shown of one is on record before it is shown."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Final

from litestar import Response
from litestar.params import FromPath, QueryParameter

from failgate.access.permission import Permission
from failgate.base.errors import NotFound
from failgate.recordings.stored import Recording, contiguous, view_of
from failgate.web.context import services_of, visit_of
from failgate.web.pages.playing import frames_of
from failgate.web.pages.sessions_view import (
    SessionView,
    command_rows,
    part_links,
    session_row,
    sessions_view,
)
from failgate.web.pages.showing import Asking, Page, grants, show
from failgate.web.pages.text import moment_of
from failgate.web.playback import PLAYERS, Playback, kept_play
from failgate.wire.recordings import ChunkView

After = Annotated[str | None, QueryParameter(name="after", max_length=64)]
Part = Annotated[int, QueryParameter(name="part", ge=1, le=100_000)]
PAGE: Final = 50
PART_BYTES: Final = 192 * 1024  # of a recording that are played at once
_WITHHELD: Final = "The server still found a secret in it: nobody but who recorded it sees what it shows."


async def listing(request: Asking, after: After = None) -> Page:
    """List recordings, newest first."""
    visit, services = visit_of(request), services_of(request)
    found = await services.recording_room.reading.page(visit.here().id, PAGE, after)
    view = sessions_view(found.items, found.next, visit.here().slug, services.clock.now_us())
    return await show(request, "recordings.html", view, title="Sessions", room="sessions")


async def one(request: Asking, id: FromPath[str], part: Part = 1) -> Page:  # noqa: A002 - the path's word
    """Show one recording: its commands and one part of it, played."""
    visit, services = visit_of(request), services_of(request)
    reading, now_us = services.recording_room.reading, services.clock.now_us()
    recording = await reading.find(visit.here().id, id)
    parts = contiguous(await reading.chunks(recording), PART_BYTES)
    number = min(part, max(len(parts), 1)) - 1
    playback, reason = None, "Nothing was shown in it."
    if recording.findings and visit.principal.id != recording.recorder_id:
        reason = _WITHHELD
    elif parts:
        playback = await _played(request, recording, parts, number)
    view = view_of(recording)
    shown = SessionView(
        session_row(view, now_us), recording.chain, recording.chunks, recording.exit_code,
        moment_of(view.ended_at, now_us) if view.ended_at is not None else None,
        command_rows(await reading.commands(recording), parts, number), part_links(parts, number), number + 1,
        playback, reason,
        f"/api/v1/workspaces/{visit.here().slug}/recordings/{id}/live" if recording.state == "live" else None,
        recording.state != "live" and grants(visit, Permission.WORKSPACE_REPORT_DELETE),
    )  # fmt: skip
    return await show(request, "recording.html", shown, title=shown.row.title, room="sessions")


async def frames(request: Asking, id: FromPath[str], part: Part = 1) -> Response[bytes]:  # noqa: A002 - the path's word
    """Answer the frames of one part as JSON. Raises: NotFound (no such part, or it is withheld)."""
    visit, reading = visit_of(request), services_of(request).recording_room.reading
    recording = await reading.find(visit.here().id, id)
    parts = contiguous(await reading.chunks(recording), PART_BYTES)
    played = await _played(request, recording, parts, part - 1) if part <= len(parts) else None
    if played is None:
        raise NotFound("This recording has no such part.")
    return frames_of(played)


async def _played(
    request: Asking, recording: Recording, parts: Sequence[list[ChunkView]], number: int
) -> Playback | None:
    """Return one part played, with times from its beginning; the reading is on record."""
    chunks = parts[number]
    pieces = await services_of(request).recording_room.reading.open(visit_of(request).principal, recording, chunks)
    content = b"".join([piece async for piece in pieces])
    if number:
        begun = recording.begun
        content = b'{"version":2,"width":%d,"height":%d}\n' % (begun.width, begun.height) + content
    work = partial(
        kept_play, content, is_whole=True, is_at_pace=True, begin_ms=chunks[0].from_ms if number else 0
    )  # fmt: skip
    return await asyncio.get_running_loop().run_in_executor(PLAYERS, work)
