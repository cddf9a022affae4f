"""The recording of a report: its frames for the page's script, its last screen for the page."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from litestar import Response
from litestar.params import FromPath

from failgate.base.errors import NotFound
from failgate.reports.reading import OpenedArtifact
from failgate.web.context import services_of, visit_of
from failgate.web.pages.showing import Asking
from failgate.web.playback import MOST_BYTES, PLAYERS, Playback, kept_play
from failgate.wire.reports import ReportView

Opening = Callable[[str], Awaitable[OpenedArtifact]]


async def frames(request: Asking, id: FromPath[str]) -> Response[bytes]:  # noqa: A002 - the path's word
    """Answer the frames of the recording as JSON. Raises: NotFound (there is none, or it cannot be played)."""
    visit, services = visit_of(request), services_of(request)
    report = await services.reports.view(visit.principal, visit.here().id, id)
    played = await playback_of(report, of_member(request, report))
    if played is None:
        raise NotFound("This report has no recording that can be played.")
    return frames_of(played)


def frames_of(played: Playback) -> Response[bytes]:
    """Return the frames as the page's script reads them."""
    return Response(played.document(), media_type="application/json")


def of_member(request: Asking, report: ReportView) -> Opening:
    """Return what opens an artifact of `report` for the member who asks."""
    visit, services = visit_of(request), services_of(request)

    async def opening(sha256: str) -> OpenedArtifact:
        return await services.reports.open_artifact(visit.principal, visit.here().id, report.id, sha256)

    return opening


async def playback_of(report: ReportView, opening: Opening) -> Playback | None:
    """Return the playback of the recording in `report`, or None; the reading is on record.

    `opening` opens an artifact by its digest, as far as the reader may.
    """
    found = next((one for one in report.artifacts if one.kind == "recording" and one.is_shown), None)
    if found is None:
        return None
    opened = await opening(found.sha256)
    pieces = await opened.read(0, min(opened.size_bytes, MOST_BYTES))
    content = b"".join([piece async for piece in pieces])
    work = partial(kept_play, content, is_whole=opened.size_bytes <= MOST_BYTES)
    return await asyncio.get_running_loop().run_in_executor(PLAYERS, work)
