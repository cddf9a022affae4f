"""The doors of broken glass: let a command run without its quorum, list such runs, review one."""

from typing import Any

from litestar import Request
from litestar.params import FromPath, JSONBody

from failgate.base.clock import to_rfc3339
from failgate.gate.glass import Broken
from failgate.web.api.idempotency import IdempotencyKey, key_of
from failgate.web.context import services_of, visit_of
from failgate.wire.gate import CommandView
from failgate.wire.glass import GlassBreak, GlassPage, GlassVerdict, GlassView

Asking = Request[Any, Any, Any]


async def listing(request: Asking) -> GlassPage:
    """List the commands that ran without their quorum: first what waits for its review, then the newest."""
    found = await services_of(request).gate.glass.listed(visit_of(request).here().id)
    return GlassPage([_shown(one) for one in found])


async def break_glass(
    request: Asking,
    id: FromPath[str],  # noqa: A002 - the path's word
    data: JSONBody[GlassBreak],
    idempotency_key: IdempotencyKey = None,
) -> CommandView:
    """Let a waiting command run without its quorum, in an emergency and in person; everybody who may vote is told."""
    visit = visit_of(request)
    key = key_of(request, idempotency_key, data)
    return await services_of(request).gate.glass.break_glass(visit.principal, visit.here().id, id, data, key)


async def review(
    request: Asking,
    id: FromPath[str],  # noqa: A002 - the path's word
    data: JSONBody[GlassVerdict],
    idempotency_key: IdempotencyKey = None,
) -> CommandView:
    """Say whether that was justified: another person than who did it, or asked."""
    visit = visit_of(request)
    key = key_of(request, idempotency_key, data)
    return await services_of(request).gate.glass.review(visit.principal, visit.here().id, id, data, key)


def _shown(one: Broken) -> GlassView:
    return GlassView(
        one.command_id,
        one.label,
        one.reason,
        to_rfc3339(one.broken_us),
        one.review,
        one.reviewer_label,
        one.words,
        None if one.reviewed_us is None else to_rfc3339(one.reviewed_us),
    )
