"""The doors of a workspace's own redaction rules."""

from typing import Any

from litestar import Request
from litestar.params import FromPath, JSONBody

from failgate.audit.record import Actor
from failgate.web.api.idempotency import IdempotencyKey, key_of
from failgate.web.context import services_of, visit_of
from failgate.wire.redaction import RedactionRule, RedactionRulePage, RedactionRuleView


async def listing(request: Request[Any, Any, Any]) -> RedactionRulePage:
    """List the workspace's redaction rules, the oldest first, and how far stored reports were scanned by them."""
    return await services_of(request).redaction_rules.page(visit_of(request).here().id)


async def create(
    request: Request[Any, Any, Any], data: JSONBody[RedactionRule], idempotency_key: IdempotencyKey = None
) -> RedactionRuleView:
    """Add a rule. It is in effect when this answers; the scan of stored reports begins."""
    visit, services = visit_of(request), services_of(request)
    key = key_of(request, idempotency_key, data)
    view = await services.redaction_rules.create(Actor.of(visit.principal), visit.here().id, data, key)
    services.rescanning.due.wake()
    return view


async def revoke(request: Request[Any, Any, Any], id: FromPath[str]) -> None:  # noqa: A002 - the path's word
    """End a rule; what it quarantined stays so."""
    visit = visit_of(request)
    await services_of(request).redaction_rules.revoke(Actor.of(visit.principal), visit.here().id, id)
