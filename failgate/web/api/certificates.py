"""The doors at which owners and admins say which client certificates are which agents."""

from typing import Any, Literal, cast

from litestar import Request
from litestar.params import FromPath, JSONBody

from failgate.audit.record import Actor
from failgate.base.clock import to_rfc3339
from failgate.base.db import Transaction
from failgate.web.api.idempotency import IdempotencyKey, key_of
from failgate.web.context import services_of, visit_of
from failgate.wire.certificates import CertificatePage, CertificateView, NewCertificate
from failgate.workspaces.certificates import AgentCertificate


async def listing(request: Request[Any, Any, Any]) -> CertificatePage:
    """List the names that stand for agents, the oldest first."""
    found = await services_of(request).certificates.list(visit_of(request).here().id)
    return CertificatePage([_view(each) for each in found])


async def register(
    request: Request[Any, Any, Any], data: JSONBody[NewCertificate], idempotency_key: IdempotencyKey = None
) -> CertificateView:
    """Let certificates with a subject alternative name be an agent: `spiffe://…`, a host's name, or `email:…`."""
    visit, services = visit_of(request), services_of(request)
    actor, workspace_id = Actor.of(visit.principal), visit.here().id

    async def verb(tx: Transaction) -> CertificateView:
        made = await services.certificates.register_within(tx, workspace_id, data.agent, data.san, actor)
        return _view(made)

    return await services.first_answers.once(key_of(request, idempotency_key, data), CertificateView, verb)


async def revoke(request: Request[Any, Any, Any], id: FromPath[str]) -> None:  # noqa: A002 - the path's word
    """Let a name stand for its agent no more; open sockets by it have ended when this answers."""
    visit = visit_of(request)
    await services_of(request).certificates.revoke(visit.here().id, id, Actor.of(visit.principal))


def _view(each: AgentCertificate) -> CertificateView:
    kind, _, san = each.san.partition(":")
    known = cast("Literal['uri', 'dns', 'email']", kind)
    return CertificateView(each.id, each.agent_id, each.agent_name, known, san, to_rfc3339(each.created_us))
