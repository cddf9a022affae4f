"""The doors of observing: what runs, what it shows, and the switch of the owners."""

from typing import Any

from litestar import Request
from litestar.params import FromPath, JSONBody

from failgate.base.clock import to_rfc3339
from failgate.gate.command import stored_command
from failgate.gate.observed import Count, Observed, observed_in
from failgate.gate.observing import Period
from failgate.matching.rendering import render
from failgate.web.api.idempotency import IdempotencyKey, key_of
from failgate.web.context import services_of, visit_of
from failgate.wire.observing import (
    NewObserving,
    ObservedCommand,
    ObservedCount,
    ObservedReport,
    ObservingPage,
    ObservingView,
)

Asking = Request[Any, Any, Any]


async def listing(request: Asking) -> ObservingPage:
    """List the times of observing, the newest first."""
    gate, here = services_of(request).gate, visit_of(request).here().id
    running = {one.id for one in gate.observing.running(here)}
    items = [_shown(one, is_running=one.id in running) for one in await gate.observing.newest(here)]
    return ObservingPage(gate.observing.is_allowed, items)


async def begin(request: Asking, data: JSONBody[NewObserving], idempotency_key: IdempotencyKey = None) -> ObservingView:
    """Only observe from now on, for some days: commands run although nothing lets them pass. Of an owner in person."""
    visit = visit_of(request)
    period = await services_of(request).gate.observing.begin(
        visit.principal,
        visit.here().id,
        days=data.days,
        agent_id=data.agent or "",
        denials=data.denials,
        reason=data.reason,
        key=key_of(request, idempotency_key, data),
    )
    return _shown(period, is_running=True)


async def end(request: Asking, id: FromPath[str]) -> None:  # noqa: A002 - the path's word
    """Gate again; what was let pass a moment ago does not begin any more. Of an owner in person."""
    visit = visit_of(request)
    await services_of(request).gate.observing.end(visit.principal, visit.here().id, id)


async def report(request: Asking, id: FromPath[str]) -> ObservedReport:  # noqa: A002 - the path's word
    """Say what a time of observing shows: what would have waited, of whom, and how much rules answered."""
    gate, here = services_of(request).gate, visit_of(request).here().id
    period = await gate.observing.one(here, id)
    running = {one.id for one in gate.observing.running(here)}
    return _reported(
        _shown(period, is_running=period.id in running), await observed_in(services_of(request).db, period)
    )


def _shown(period: Period, *, is_running: bool) -> ObservingView:
    return ObservingView(
        period.id,
        period.agent_id or None,
        period.denials,
        to_rfc3339(period.begun_us),
        to_rfc3339(period.expires_us),
        period.begun_by,
        is_running,
        period.reason,
        None if period.ended_us is None else to_rfc3339(period.ended_us),
        period.ended_by,
    )


def _reported(observing: ObservingView, found: Observed) -> ObservedReport:
    return ObservedReport(
        observing,
        found.total,
        found.passed,
        found.denied,
        found.asked,
        found.would_wait,
        found.would_be_denied,
        100 * found.answered // max(1, found.total),
        _counts(found.by_agent),
        _counts(found.by_program),
        [
            ObservedCommand(
                one.stored.id,
                render(stored_command(one.stored.body).argv),
                one.stored.observed or "wait",
                one.number,
            )
            for one in found.commands
        ],
    )


def _counts(counts: tuple[Count, ...]) -> list[ObservedCount]:
    return [ObservedCount(one.name, one.would_wait, one.would_be_denied) for one in counts]
