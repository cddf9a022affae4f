"""What the holder of a share link meets: the report, the passphrase before it, or nothing.

The token stands in no address that is sent (`link.py`): it is exchanged for a cookie that is sent below `/s/<id>` and
nowhere else, and the browser goes on to that address. So neither the links to artifacts nor what is copied from the
address bar, bookmarked by accident or logged by a proxy on later requests opens anything. Whatever does not open is
answered by the same bytes: no nonce, no request id, no hint of what was wrong.
"""

from functools import cache
from typing import Any, Final

from litestar import Response
from litestar.params import FromPath
from litestar.response import Stream

from failgate.accounts.token_text import token_id_of
from failgate.base.db import workspace_scope
from failgate.base.errors import FailgateError, Forbidden, NotFound, TooManyRequests
from failgate.base.ids import is_id
from failgate.reports.reading import OpenedArtifact
from failgate.reports.share import Share
from failgate.reports.share_visits import Admitted, Entered
from failgate.web.api.reports import byte_range, download_headers, until_stopped
from failgate.web.artifact_host import artifact_host_of
from failgate.web.content import content_of
from failgate.web.context import services_of, stop_of, visit_of
from failgate.web.cookies import SHARE, read_cookie, share_cookie
from failgate.web.headers import REPORTS_TO
from failgate.web.pages.frame import Frame
from failgate.web.pages.playing import Opening, frames_of, playback_of
from failgate.web.pages.report_view import shown_artifacts
from failgate.web.pages.shared_view import PassphraseView, shared_view
from failgate.web.pages.showing import Asking, Page
from failgate.web.render import csrf_token, html, page, redirect, render, static_version

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; object-src 'none'; require-trusted-types-for 'script'; "
    f"trusted-types failgate; report-uri {REPORTS_TO}"
)
HEADERS: Final = {"x-robots-tag": "noindex, nofollow, noarchive, nosnippet", "referrer-policy": "no-referrer"}


async def one(request: Asking, share: FromPath[str]) -> Page:
    """Exchange a token for a visit and go on without it; or show what the visit opens."""
    visit, services = visit_of(request), services_of(request)
    try:
        if not is_id(share):
            if not services.config.server.tokens_in_addresses:
                return redirect("/link") if token_id_of(share, "shr") is not None else nothing()
            return _enter(request, await services.share_visits.open(share, visit.ip or ""))
        admitted = await _admitted(request, share)
        if not admitted.is_proven:
            return _ask(request, admitted)
        return await _show(request, admitted)
    except NotFound:
        return nothing()


async def open_by(request: Asking, token: str) -> Page:
    """Exchange the token of a link for a visit and go on to what it opens."""
    try:
        return _enter(request, await services_of(request).share_visits.open(token, visit_of(request).ip or ""))
    except NotFound:
        return nothing()


async def prove(request: Asking, share: FromPath[str]) -> Page:
    """Take the passphrase; a wrong one is said, and the next may have to wait."""
    visit, services = visit_of(request), services_of(request)
    try:
        admitted = await _admitted(request, share)
        if admitted.is_proven:
            return redirect(f"/s/{share}")
        try:
            passphrase = visit.form.get("passphrase", "")
            return _enter(request, await services.share_visits.prove(admitted, passphrase, visit.ip or ""))
        except (Forbidden, TooManyRequests) as error:
            return _ask(request, admitted, error)
    except NotFound:
        return nothing()


async def artifact(request: Asking, share: FromPath[str], sha256: FromPath[str]) -> Response[Any]:
    """Download a chosen artifact, or one range of its bytes; never anything that a browser shows."""
    visit, services = visit_of(request), services_of(request)
    try:
        admitted = await _admitted(request, share)
        if not admitted.is_proven:
            return nothing()
        opened = await services.share_visits.open_artifact(admitted.share, sha256)
        elsewhere = artifact_host_of(request).lead_visitor(share, _kept(request) or "", sha256)
        if elsewhere is not None:
            elsewhere.headers.update(HEADERS)
            return elsewhere
        services.share_visits.slow(admitted.share, visit.ip or "")
        span = byte_range(request.headers.get("range"), opened.size_bytes)
        start, stop = span or (0, opened.size_bytes)
        pieces = await opened.read(start, stop)
    except NotFound:
        return nothing()
    headers = download_headers(opened.name, sha256, start, stop, opened.size_bytes, is_part=span is not None)
    return Stream(
        until_stopped(pieces, stop_of(request)),
        status_code=206 if span is not None else 200,
        headers=headers | HEADERS,
        media_type="application/octet-stream",
    )


async def playback(request: Asking, share: FromPath[str]) -> Response[bytes]:
    """Answer the frames of a chosen recording as JSON; a link without one opens nothing there."""
    visit, services = visit_of(request), services_of(request)
    try:
        admitted = await _admitted(request, share)
        if not admitted.is_proven:
            return nothing()
        report = await services.share_visits.report(admitted.share, visit.ip or "")
        played = await playback_of(report, _of_link(request, admitted.share))
    except NotFound:
        return nothing()
    if played is None:
        return nothing()
    answer = frames_of(played)
    answer.headers.update(HEADERS)
    return answer


def nothing() -> Page:
    """Return the one answer to every link that does not open: the same bytes and headers each time."""
    return html(_nothing(), status=404, headers=HEADERS | {"content-security-policy": _POLICY})


@cache
def _nothing() -> str:
    return render("shared_nothing.html", frame=Frame("Nothing here", "", "", static_version()))


async def _admitted(request: Asking, share_id: str) -> Admitted:
    if not is_id(share_id):
        raise NotFound("There is no such link.")
    admitted = await services_of(request).share_visits.admit(share_id, _kept(request))
    workspace_scope.set(admitted.share.workspace_id)
    return admitted


def _kept(request: Asking) -> str | None:
    """Return the sealed visit that the browser keeps."""
    return read_cookie(request.headers.get("cookie"), SHARE, is_https=visit_of(request).is_https)


def _of_link(request: Asking, share: Share) -> Opening:
    """Return what opens an artifact for the holder of the link: a chosen one, and no other."""

    async def opening(sha256: str) -> OpenedArtifact:
        return await services_of(request).share_visits.open_artifact(share, sha256)

    return opening


def _enter(request: Asking, entered: Entered) -> Page:
    visit = visit_of(request)
    visit.set_cookies.append(share_cookie(entered.visit, entered.share_id, entered.seconds, is_https=visit.is_https))
    answer = redirect(f"/s/{entered.share_id}")
    answer.headers.update(HEADERS)
    return answer


def _ask(request: Asking, admitted: Admitted, error: FailgateError | None = None) -> Page:
    visit = visit_of(request)
    frame = Frame("A passphrase, please", visit.nonce, csrf_token(request), static_version())
    view = PassphraseView(admitted.share.id, str(error) if error else None)
    # No referrer policy of its own: over plain HTTP the form's origin is the only proof that it is ours.
    headers = {"x-robots-tag": HEADERS["x-robots-tag"]}
    if isinstance(error, TooManyRequests):
        headers["retry-after"] = str(error.retry_after_seconds)
    return page(
        "shared_passphrase.html", status=error.status if error else 200, headers=headers, frame=frame, view=view
    )


async def _show(request: Asking, admitted: Admitted) -> Page:
    visit, services = visit_of(request), services_of(request)
    share = admitted.share
    report = await services.share_visits.report(share, visit.ip or "")
    opening = _of_link(request, share)
    contents = {sha256: await content_of(await opening(sha256)) for sha256 in shown_artifacts(report)}
    played = await playback_of(report, opening)
    view = shared_view(share, report, contents, played, now_us=services.clock.now_us())
    frame = Frame(report.title, visit.nonce, "", static_version(), is_demo=services.is_demo)
    return page("shared.html", headers=HEADERS, frame=frame, view=view)
