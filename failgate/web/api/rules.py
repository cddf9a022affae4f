"""The allowlist's doors."""

from typing import Any

from litestar import Request
from litestar.params import FromPath, JSONBody

from failgate.audit.record import Actor
from failgate.base.clock import to_rfc3339
from failgate.gate.rule_proposals import Proposal
from failgate.web.api.gate import After, Limit
from failgate.web.api.idempotency import IdempotencyKey, key_of
from failgate.web.context import services_of, visit_of
from failgate.wire.gate import (
    NewRuleProposal,
    Rule,
    RuleApproval,
    RulePage,
    RuleProposalPage,
    RuleProposalView,
    RuleTerms,
    RuleView,
    StarterTaken,
    StarterWish,
)


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


async def take_starter(
    request: Request[Any, Any, Any], data: JSONBody[StarterWish], idempotency_key: IdempotencyKey = None
) -> StarterTaken:
    """Take the shipped rules for commands that only read over, for calls from some folders."""
    visit = visit_of(request)
    key = key_of(request, idempotency_key, data)
    added, proposal = await services_of(request).rule_proposals.take_starter(
        visit.principal, visit.here().id, data.directories, data.review_by, key
    )
    return StarterTaken(added, None if proposal is None else proposal.id)


async def proposals(request: Request[Any, Any, Any]) -> RuleProposalPage:
    """List the rules that wait for others, the oldest first."""
    here, room = visit_of(request).here().id, services_of(request).rule_proposals
    return RuleProposalPage([_shown(one) for one in await room.waiting(here)], await room.approvers(here))


async def propose(
    request: Request[Any, Any, Any], data: JSONBody[NewRuleProposal], idempotency_key: IdempotencyKey = None
) -> RuleProposalView:
    """Propose rules, where others have to approve them."""
    visit = visit_of(request)
    key = key_of(request, idempotency_key, data)
    return _shown(await services_of(request).rule_proposals.propose(visit.principal, visit.here().id, data.rules, key))


async def approve(
    request: Request[Any, Any, Any],
    id: FromPath[str],  # noqa: A002 - the path's word
    data: JSONBody[RuleApproval],
    idempotency_key: IdempotencyKey = None,
) -> RuleProposalView:
    """Approve proposed rules; with the last approval they are in effect when this answers."""
    visit = visit_of(request)
    key = key_of(request, idempotency_key, data)
    return _shown(
        await services_of(request).rule_proposals.approve(visit.principal, visit.here().id, id, data.digest, key)
    )


async def withdraw(request: Request[Any, Any, Any], id: FromPath[str]) -> None:  # noqa: A002 - the path's word
    """End a proposal."""
    visit = visit_of(request)
    await services_of(request).rule_proposals.withdraw(Actor.of(visit.principal), visit.here().id, id)


async def set_terms(request: Request[Any, Any, Any], data: JSONBody[RuleTerms]) -> RuleTerms:
    """Say how many others approve a rule; what waits already keeps the number that it was proposed with."""
    visit = visit_of(request)
    await services_of(request).rule_proposals.set_approvers(Actor.of(visit.principal), visit.here().id, data.approvers)
    return data


def _shown(one: Proposal) -> RuleProposalView:
    return RuleProposalView(
        one.id,
        list(one.rules),
        one.digest,
        one.need,
        one.proposed_by,
        to_rfc3339(one.created_us),
        list(one.approvals),
        len(one.approvals) >= one.need,
    )


async def revoke(request: Request[Any, Any, Any], id: FromPath[str]) -> None:  # noqa: A002 - the path's word
    """End a rule; it is out of effect when this answers."""
    visit = visit_of(request)
    await services_of(request).rules.revoke(Actor.of(visit.principal), visit.here().id, id)
