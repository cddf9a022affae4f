"""A report as Markdown for a program that reads it."""

import asyncio
from typing import Annotated, Any

import msgspec
from litestar import Request
from litestar.params import FromPath, QueryParameter

from failgate.base.errors import NotFound
from failgate.failure.context import DEFAULT_TOKENS, LEAST_TOKENS, MOST_TOKENS, Failure, context, tokens_of
from failgate.web.content import Content, content_of
from failgate.web.context import services_of, visit_of
from failgate.wire.reports import Manifest, ReportContext

Asking = Request[Any, Any, Any]
Budget = Annotated[
    int, QueryParameter(name="budget", ge=LEAST_TOKENS, le=MOST_TOKENS, description="Tokens, four bytes each.")
]


async def read(request: Asking, id: FromPath[str], budget: Budget = DEFAULT_TOKENS) -> ReportContext:  # noqa: A002 - the path's word
    """Answer what ran, how it ended, the error, the changes and the machine as Markdown within a budget of tokens."""
    visit, services = visit_of(request), services_of(request)
    report = await services.reports.view(visit.principal, visit.here().id, id)
    if report.manifest is None:
        raise NotFound("The content of this report is withheld.")
    contents: dict[str, Content] = {}
    for kind in ("output", "diff"):
        found = next((one for one in report.artifacts if one.kind == kind and one.is_shown), None)
        if found is not None:
            opened = await services.reports.open_artifact(visit.principal, visit.here().id, id, found.sha256)
            contents[kind] = await content_of(opened)
    manifest = msgspec.convert(report.manifest, Manifest)
    markdown = await asyncio.to_thread(_told, manifest, contents, budget)
    return ReportContext(report.id, markdown, tokens_of(markdown), budget)


def _told(manifest: Manifest, contents: dict[str, Content], budget: int) -> str:
    output, diff = (contents[kind].lines() if kind in contents else [] for kind in ("output", "diff"))
    return context(Failure(manifest, output, diff), budget)
