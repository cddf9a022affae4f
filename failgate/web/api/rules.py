"""The allowlist's doors."""

from typing import Any

from litestar import Request
from litestar.params import FromPath, JSONBody

from failgate.audit.record import Actor
from failgate.web.api.gate import After, Limit
from failgate.web.api.idempotency import IdempotencyKey, key_of
from failgate.web.context import services_of, visit_of
from failgate.wire.gate import Rule, RulePage, RuleView


async def listing(request: Request[Any, Any, Any], limit: Limit = 50, after: After = None) -> RulePage:
    """List the rules in effect, the oldest first."""
    return await services_of(request).rules.page(visit_of(request).here().id, limit, after)


async def create(
    request: Request[Any, Any, Any], data: JSONBody[Rule], idempotency_key: IdempotencyKey = None
) -> RuleView:
    """Add a rule; it is in effect when this answers."""
    visit = visit_of(request)
    key = key_of(request, idempotency_key, data)
    return await services_of(request).rules.create(Actor.of(visit.principal), visit.here().id, data, key)


async def revoke(request: Request[Any, Any, Any], id: FromPath[str]) -> None:  # noqa: A002 - the path's word
    """End a rule; it is out of effect when this answers."""
    visit = visit_of(request)
    await services_of(request).rules.revoke(Actor.of(visit.principal), visit.here().id, id)
