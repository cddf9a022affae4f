"""Doors for whoever operates this server: is it alive, is it ready, what does it count."""

import asyncio
from collections.abc import Awaitable
from typing import Any

import msgspec
from litestar import Request, Response

from failgate.audit.record import SYSTEM
from failgate.audit.witnessing import Witnessing
from failgate.roster import Services
from failgate.web.context import services_of, stop_of
from failgate.web.metrics import MEDIA_TYPE, Metrics

_LONGEST_CHECK_SECONDS = 2.0


class Check(msgspec.Struct, frozen=True):
    """One part of the server: `problem` is a sentence for the operator, or null while it works.

    With a problem that is no `is_outage` the server still takes work, more carefully.
    """

    name: str
    problem: str | None
    is_outage: bool = True


class Readiness(msgspec.Struct, frozen=True):
    """Whether this server takes work."""

    is_ready: bool
    failing: list[str]
    warnings: list[str]


async def healthz() -> Response[bytes]:
    """Answer 200 while the process answers at all."""
    return Response(b"ok\n", media_type="text/plain")


async def readyz(request: Request[Any, Any, Any]) -> Response[Readiness]:
    """Answer 200 when database, audit log and plugins work; 503 with the names of those that do not.

    `warnings` names what asks for the operator and keeps nobody out: the log and /platform say what it is.
    """
    troubled = [check for check in await run_checks(services_of(request)) if check.problem is not None]
    failing = [check.name for check in troubled if check.is_outage]
    if stop_of(request).is_set:
        failing.append("stopping")
    warnings = [check.name for check in troubled if not check.is_outage]
    readiness = Readiness(is_ready=not failing, failing=failing, warnings=warnings)
    return Response(readiness, status_code=503 if failing else 200)


async def metrics(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Answer every counter in the text format of Prometheus, to this machine and to the platform role."""
    counters: Metrics = request.app.state.metrics
    for follower in services_of(request).exporting.followers:
        lag, put_aside = await follower.lag(), await follower.put_aside.count()
        is_failing = follower.failure is not None
        counters.exporter(follower.name, lag.records, lag.seconds, is_failing=is_failing, put_aside=put_aside)
    await _count_witnesses(counters, services_of(request).witnessing)
    counters.signer(is_failing=await services_of(request).audit.notary.problem() is not None)
    outcome = services_of(request).reconciliation.outcome
    counters.contradictions(0 if outcome is None else len(outcome.differences))
    counters.notifications(await services_of(request).notifications.outbox.states())
    return Response(counters.text(), media_type=MEDIA_TYPE)


async def _count_witnesses(counters: Metrics, witnessing: Witnessing) -> None:
    for one in witnessing.witnesses:
        lag, is_conflict = await witnessing.lag_of(one), one.conflict is not None
        counters.witness(one.name, lag.records, is_failing=one.failure is not None, is_conflict=is_conflict)
    if witnessing.witnesses:
        counters.unwitnessed((await witnessing.lag()).seconds)


async def run_checks(services: Services) -> list[Check]:
    """Return what each part of the server says of itself; a part that is silent for two seconds has a problem."""
    checks = [
        _database(services),
        _ask("audit", _audit(services)),
        *(_ask(f"plugin {name}", health()) for name, health in services.plugins.health.items()),
        *(
            _ask(
                f"exporter {each.name}", services.exporting.problem(each), is_outage=services.exporting.is_held_by(each)
            )
            for each in services.exporting.followers
        ),
        *(
            _ask(f"witness {each.name}", _said(services.witnessing.problem(each)), is_outage=False)
            for each in services.witnessing.witnesses
        ),
        _ask("witnesses", _said(_unwitnessed(services))),
        _ask("signer", services.audit.notary.problem(), is_outage=False),
        _ask("rows and records", _said(services.reconciliation.problem), is_outage=False),
    ]
    return [
        *await asyncio.gather(*checks),
        Check("rules", services.rules.trouble, is_outage=False),
        Check("clock", _clock(services), is_outage=False),
        *(Check(f"advice of {name}", sentence, is_outage=False) for name, sentence in services.plugins.advice),
    ]


def _clock(services: Services) -> str | None:
    """Say that nothing is approved: denying and everything else go on, so this is no outage."""
    if not services.gate.is_frozen():
        return None
    return "The machine's clock went back: nothing is approved or used until it is right again."


def _unwitnessed(services: Services) -> str | None:
    if not services.exporting.required.is_unwitnessed:
        return None
    return "The server changes nothing until enough witnesses have cosigned the audit log; see /platform/exporters."


async def _said(problem: str | None) -> str | None:
    return problem


async def _database(services: Services) -> Check:
    return Check("database", None if services.db.is_healthy() else "The database takes no change.")


async def _audit(services: Services) -> str | None:
    await services.audit.size(SYSTEM)
    return None


async def _ask(name: str, answer: Awaitable[str | None], *, is_outage: bool = True) -> Check:
    try:
        async with asyncio.timeout(_LONGEST_CHECK_SECONDS):
            return Check(name, await answer, is_outage)
    except TimeoutError:
        return Check(name, "It does not answer.", is_outage)
    except Exception as error:  # noqa: BLE001 - a part that fails is what this door tells
        return Check(name, f"It fails: {type(error).__name__}.", is_outage)
