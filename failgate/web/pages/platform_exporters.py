"""Exporters and witnesses of the audit log, for the platform role: how far each is, why it fails, what was refused."""

from typing import Final

from litestar.params import FromPath

from failgate.audit.exporting import MOST_SHOWN, Standing, WitnessStanding
from failgate.audit.follower import Lag, Position
from failgate.audit.record import Actor
from failgate.reconciling.reconciliation import Outcome
from failgate.web.context import services_of, visit_of
from failgate.web.pages.exporters_view import (
    ExporterCard,
    ExportersView,
    PositionLine,
    ReconciledCard,
    RefusedLine,
    TriedLine,
    WitnessCard,
)
from failgate.web.pages.showing import Asking, Page, show
from failgate.web.pages.text import moment, span

_MOST_LOGS: Final = 20


async def listing(request: Asking) -> Page:
    """Show every exporter."""
    return await _show(request)


async def test(request: Asking, exporter: FromPath[str]) -> Page:
    """Send a test record before what waits."""
    await services_of(request).exporting.test(exporter, Actor.of(visit_of(request).principal))
    return await _show(request, done=f"A test record is on its way by {exporter}. This page says when it fails.")


async def resend(request: Asking, exporter: FromPath[str]) -> Page:
    """Send what was refused once more."""
    count = await services_of(request).exporting.resend(exporter, Actor.of(visit_of(request).principal))
    return await _show(request, done=f"{_records(count)} put aside by {exporter} are sent once more.")


async def try_witnesses(request: Asking) -> Page:
    """Submit the newest checkpoint of every log to every witness, and say what each answered."""
    tried = await services_of(request).witnessing.try_now(Actor.of(visit_of(request).principal))
    return await _show(request, tried=tuple(TriedLine(*one) for one in tried))


async def _show(request: Asking, *, done: str | None = None, tried: tuple[TriedLine, ...] = ()) -> Page:
    services = services_of(request)
    now_us = services.clock.now_us()
    cards = tuple(_card(standing, now_us) for standing in await services.exporting.standings())
    witnesses = tuple(_witness(standing, now_us) for standing in await services.exporting.witness_standings())
    held = None
    if services.exporting.required.is_unwitnessed:
        held = "Nothing is changed until enough witnesses have cosigned the audit log."
    reconciled = _reconciled(services.reconciliation.outcome, now_us)
    view = ExportersView(cards, done, witnesses, services.witnessing.quorum, held, reconciled, tried)
    return await show(
        request, "platform_exporters.html", view, title="Exporters and witnesses", room="platform-exporters"
    )


def _card(standing: Standing, now_us: int) -> ExporterCard:
    behind = [one for one in standing.positions if one.seq < one.size]
    return ExporterCard(
        name=standing.name,
        is_proven=standing.is_proven,
        lag=_waiting(standing.lag),
        done=len(standing.positions) - len(behind),
        behind=tuple(_line(one) for one in behind[:_MOST_LOGS]),
        more=max(0, len(behind) - _MOST_LOGS),
        failure=standing.failure,
        failed=moment(standing.failed_us, now_us) if standing.failed_us is not None else None,
        put_aside=standing.put_aside,
        refused=tuple(
            RefusedLine(one.log, one.seq, one.reason, one.attempts, moment(one.put_us, now_us), one.is_due)
            for one in standing.refused
        ),
        hidden=max(0, standing.put_aside - MOST_SHOWN),
    )


def _witness(standing: WitnessStanding, now_us: int) -> WitnessCard:
    behind = [one for one in standing.positions if one.seq < one.size]
    return WitnessCard(
        name=standing.name,
        key_name=standing.key_name,
        lag=_waiting(standing.lag),
        done=len(standing.positions) - len(behind),
        behind=tuple(_line(one) for one in behind[:_MOST_LOGS]),
        more=max(0, len(behind) - _MOST_LOGS),
        failure=standing.failure,
        conflict=standing.conflict,
        failed=moment(standing.failed_us, now_us) if standing.failed_us is not None else None,
        cosigned=moment(standing.cosigned_us, now_us) if standing.cosigned_us is not None else None,
    )


def _reconciled(outcome: Outcome | None, now_us: int) -> ReconciledCard | None:
    if outcome is None:
        return None
    shown = tuple(str(one) for one in outcome.differences[:MOST_SHOWN])
    return ReconciledCard(outcome.rows, moment(outcome.ended_us, now_us), shown, len(outcome.differences) - len(shown))


def _waiting(lag: Lag) -> str | None:
    if not lag.records:
        return None
    return f"{_records(lag.records)}, the oldest for {span(round(lag.seconds))}"


def _line(position: Position) -> PositionLine:
    return PositionLine(position.log, position.seq, position.size)


def _records(count: int) -> str:
    return f"{count} record{'' if count == 1 else 's'}"
