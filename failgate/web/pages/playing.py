"""The recording of a report: its frames for the page's script, its last screen for the page."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from litestar import Response
from litestar.params import FromPath

from failgate.base.errors import NotFound
from failgate.web.context import services_of, visit_of
from failgate.web.pages.showing import Asking
from failgate.web.playback import MOST_BYTES, Playback, kept_play
from failgate.wire.reports import ReportView

_PLAYERS = ThreadPoolExecutor(max_workers=1, thread_name_prefix="playback")  # one at a time: it takes a core


async def frames(request: Asking, id: FromPath[str]) -> Response[bytes]:  # noqa: A002 - the path's word
    """Answer the frames of the recording as JSON. Raises: NotFound (there is none, or it cannot be played)."""
    visit, services = visit_of(request), services_of(request)
    report = await services.reports.view(visit.principal, visit.here().id, id)
    played = await playback_of(request, report)
    if played is None:
        raise NotFound("This report has no recording that can be played.")
    return Response(played.document(), media_type="application/json")


async def playback_of(request: Asking, report: ReportView) -> Playback | None:
    """Return the playback of the report's recording, or None; the reading is on record."""
    found = next((one for one in report.artifacts if one.kind == "recording" and one.is_present), None)
    if found is None:
        return None
    visit, services = visit_of(request), services_of(request)
    opened = await services.reports.open_artifact(visit.principal, visit.here().id, report.id, found.sha256)
    pieces = await opened.read(0, min(opened.size_bytes, MOST_BYTES))
    content = b"".join([piece async for piece in pieces])
    work = partial(kept_play, content, is_whole=opened.size_bytes <= MOST_BYTES)
    return await asyncio.get_running_loop().run_in_executor(_PLAYERS, work)
