"""The doors of rules that pinned machines judge by themselves: signed heads in, runs in and out."""

from typing import Annotated, Any

from litestar import Request
from litestar.params import JSONBody, QueryParameter

from failgate.audit.record import Actor
from failgate.base.db import Transaction
from failgate.web.api.idempotency import IdempotencyKey, key_of
from failgate.web.context import services_of, visit_of
from failgate.wire.sealed import NewSealedRules, NewSealedRun, SealedRulesView, SealedRunPage, SealedRunView

Asking = Request[Any, Any, Any]
Limit = Annotated[int, QueryParameter(name="limit", ge=1, le=200, description="How many at most.")]


async def accept(
    request: Asking, data: JSONBody[NewSealedRules], idempotency_key: IdempotencyKey = None
) -> SealedRulesView:
    """Take the next signed head of rules that pinned machines judge by themselves. The rules stay off the server."""
    visit, services = visit_of(request), services_of(request)
    room, actor, workspace_id = services.relay_room, Actor.of(visit.principal), visit.here().id
    relay = room.opened()

    async def verb(tx: Transaction) -> SealedRulesView:
        return await room.rules.accept(tx, relay, workspace_id, data.rules, actor)

    return await services.first_answers.once(key_of(request, idempotency_key, data), SealedRulesView, verb)


async def take_run(
    request: Asking, data: JSONBody[NewSealedRun], idempotency_key: IdempotencyKey = None
) -> SealedRunView:
    """Take what an agent ran by such rules, signed by its key: when, how it ended, never what it was."""
    visit, services = visit_of(request), services_of(request)
    room, workspace_id = services.relay_room, visit.here().id
    relay = room.opened()

    async def verb(tx: Transaction) -> SealedRunView:
        return await room.rules.take_run(tx, relay, workspace_id, visit.principal, data.run)

    return await services.first_answers.once(key_of(request, idempotency_key, data), SealedRunView, verb)


async def runs(request: Asking, limit: Limit = 50) -> SealedRunPage:
    """List what agents ran by such rules, the newest first."""
    return SealedRunPage(await services_of(request).relay_room.rules.runs(visit_of(request).here().id, limit))
