"""The reports' doors: begin, upload what is missing, seal, read, delete. Bytes are only ever an attachment.

Nothing that was uploaded is rendered by this origin: a fixed safe type, `attachment`, `sandbox`.
Sources: RFC 9110 section 14 (ranges), RFC 6266 and RFC 8187 (file names).
"""

import re
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import date
from typing import Annotated, Any

from litestar import Request, Response
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.response import Stream

from failgate.base.errors import BadInput, Unprocessable
from failgate.reports.reading import OpenedArtifact
from failgate.reports.search import ReportFilter, ReportState
from failgate.web.api.gate import After
from failgate.web.api.idempotency import IdempotencyKey, key_of
from failgate.web.artifact_host import artifact_host_of
from failgate.web.asgi import ASKED_FOR_HEAD
from failgate.web.context import services_of, stop_of, visit_of
from failgate.web.errors import OtherStatus
from failgate.web.forms import pieces_of
from failgate.web.headers import attachment_headers
from failgate.web.stop import Stop
from failgate.wire.reports import BeginReport, BegunReport, DeletedReport, ReportPage, ReportSource, ReportView

Asking = Request[Any, Any, Any]
Limit = Annotated[int, QueryParameter(name="limit", ge=1, le=100, description="How many at most.")]
Day = Annotated[str | None, QueryParameter(max_length=10, description="A day, as 2026-11-22.")]
_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})", re.ASCII)


async def begin(request: Asking, data: JSONBody[BeginReport], idempotency_key: IdempotencyKey = None) -> BegunReport:
    """Begin a report with its manifest and consent; answers the digests that have to be uploaded."""
    visit = visit_of(request)
    key = key_of(request, idempotency_key, data)
    services = services_of(request)
    begun = await services.reports.begin(visit.principal, visit.here().id, data, key)
    consent = data.consent
    if consent is not None and consent.reviewed and consent.by == "person" and visit.principal.kind != "agent":
        named = {str(one.get("sha256")) for one in data.manifest["artifacts"]}  # the manifest was checked
        await services.sharing.review(visit.principal, visit.here().id, begun.id, named.intersection(consent.reviewed))
    return begun


async def put_artifact(request: Asking, id: FromPath[str], sha256: FromPath[str]) -> BegunReport:  # noqa: A002 - the path's word
    """Upload one artifact as raw bytes; answers what is still missing."""
    visit, services = visit_of(request), services_of(request)
    pieces = pieces_of(request, services.config.limits.artifact.bytes)
    return await services.reports.put_artifact(visit.principal, visit.here().id, id, sha256, pieces)


async def seal(request: Asking, id: FromPath[str], idempotency_key: IdempotencyKey = None) -> ReportView:  # noqa: A002 - the path's word
    """Seal a report whose artifacts are all there."""
    visit = visit_of(request)
    key = key_of(request, idempotency_key)
    return await services_of(request).reports.seal(visit.principal, visit.here().id, id, key)


async def listing(  # the query's members
    request: Asking,
    limit: Limit = 50,
    after: After = None,
    q: Annotated[str | None, QueryParameter(max_length=500, description="Words of title, command and output.")] = None,
    command: Annotated[str | None, QueryParameter(max_length=500, description="Words of the command.")] = None,
    only: Annotated[ReportState | None, QueryParameter(name="state", description="Only in this state.")] = None,
    project: Annotated[str | None, QueryParameter(max_length=200, description="Only of this project.")] = None,
    version: Annotated[str | None, QueryParameter(max_length=200, description="Only of this version.")] = None,
    exit_code: Annotated[int | None, QueryParameter(ge=0, le=255, description="Only with this exit code.")] = None,
    agent: Annotated[str | None, QueryParameter(max_length=64, description="Only by the agent of this id.")] = None,
    group: Annotated[str | None, QueryParameter(max_length=64, description="Only of this group.")] = None,
    kind: Annotated[ReportSource | None, QueryParameter(description="Only from this source.")] = None,
    since: Day = None,
    until: Day = None,
) -> ReportPage:
    """List reports, the newest first. All filters have to fit; `since` and `until` are days in UTC, both included."""
    visit = visit_of(request)
    wanted = ReportFilter(
        q, command, only, project, version, exit_code, agent, group, kind, day_number(since), day_number(until)
    )
    return await services_of(request).reports.page(visit.principal, visit.here().id, limit, after, wanted)


async def one(request: Asking, id: FromPath[str]) -> ReportView:  # noqa: A002 - the path's word
    """Answer one report with its manifest; the reading is on record."""
    visit = visit_of(request)
    return await services_of(request).reports.view(visit.principal, visit.here().id, id)


async def artifact(request: Asking, id: FromPath[str], sha256: FromPath[str]) -> Response[Any]:  # noqa: A002 - the path's word
    """Download an artifact, or one range of its bytes; the reading is on record before the first byte.

    `ETag` is the digest; `If-Range` and `If-None-Match` are honoured (RFC 9110 sections 13.1 and 14.2). Where
    `[server] artifact_url` is set, a page is sent there (307).
    """
    visit = visit_of(request)
    opened = await services_of(request).reports.open_artifact(visit.principal, visit.here().id, id, sha256)
    return artifact_host_of(request).lead(visit, "report", id, sha256) or await bytes_of(request, opened)


async def bytes_of(request: Asking, opened: OpenedArtifact) -> Response[Any]:
    """Return the artifact, or the range of it that was asked for, as a download."""
    etag = f'"{opened.sha256}"'
    if is_known(request.headers.get("if-none-match"), etag):
        return Response(None, status_code=304, headers={"etag": etag})
    is_head = bool(request.scope.get(ASKED_FOR_HEAD))
    asked = None if is_head else request.headers.get("range")  # section 14.2: a range is of GET alone
    span = byte_range(asked, opened.size_bytes) if request.headers.get("if-range", etag) == etag else None
    start, stop = span or (0, opened.size_bytes)
    pieces = _nothing() if is_head else await opened.read(start, stop)
    headers = download_headers(opened.name, opened.sha256, start, stop, opened.size_bytes, is_part=span is not None)
    return Stream(
        until_stopped(pieces, stop_of(request)),
        status_code=206 if span is not None else 200,
        headers=headers,
        media_type="application/octet-stream",
    )


def is_known(text: str | None, etag: str) -> bool:
    """Tell whether an `If-None-Match` header names this entity; a weak tag of it counts (RFC 9110 section 13.1.2)."""
    named = [word.strip().removeprefix("W/") for word in (text or "").split(",")]
    return etag in named or "*" in named


async def _nothing() -> AsyncGenerator[bytes, None]:
    """Yield nothing: the head of an answer needs no byte of the artifact, and no record that one was read."""
    for piece in list[bytes]():
        yield piece


async def delete(request: Asking, id: FromPath[str]) -> DeletedReport:  # noqa: A002 - the path's word
    """Delete a report and the artifacts that no other report names; answers the receipt."""
    visit = visit_of(request)
    return await services_of(request).reports.delete(visit.principal, visit.here().id, id)


def day_number(text: str | None) -> int | None:
    """Return the days since 1970 of a date as RFC 3339 writes it; None for None.

    Raises: BadInput.
    """
    if text is None:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or len(text) != 10 or day.year < 1970:
        raise BadInput("A day is written as 2026-11-22.", hint="Write year, month and day.")
    return (day - date(1970, 1, 1)).days


def byte_range(text: str | None, size_bytes: int) -> tuple[int, int] | None:
    """Return the one range (start, exclusive stop) that a `Range` header asks for; None for the whole.

    Several ranges, other units and malformed ones are answered with the whole, as RFC 9110 section 14.2 allows.

    Raises: OtherStatus 416 when the range begins behind the end.
    """
    found = _RANGE.fullmatch(text.replace(" ", "")) if text else None
    if found is None or found.group(0) == "bytes=-":
        return None
    first, last = found.groups()
    if not first:
        length = min(int(last), size_bytes)
        start, stop = size_bytes - length, size_bytes
    else:
        start = int(first)
        stop = min(int(last) + 1, size_bytes) if last else size_bytes
        if last and int(last) < start:
            return None
    if start >= size_bytes or start == stop:
        raise OtherStatus(416, "The range lies behind the end.", {"content-range": f"bytes */{size_bytes}"})
    return start, stop


def download_headers(
    name: str, sha256: str, start: int, stop: int, size_bytes: int, *, is_part: bool
) -> dict[str, str]:
    """Return the headers under which bytes that somebody uploaded are harmless in a browser."""
    headers = attachment_headers(name, "artifact") | {
        "content-length": str(stop - start),
        "accept-ranges": "bytes",
        "etag": f'"{sha256}"',
    }
    if is_part:
        headers["content-range"] = f"bytes {start}-{stop - 1}/{size_bytes}"
    return headers


async def until_stopped(pieces: AsyncIterator[bytes], stop: Stop) -> AsyncIterator[bytes]:
    """Yield `pieces`; break off when the server stops: a cut answer is seen as cut by its length."""
    async for piece in pieces:
        if stop.is_set:
            raise Unprocessable("The server is stopping.", hint="Ask again for the rest.")
        yield piece
