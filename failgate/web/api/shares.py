"""Share links of a report: made, listed, revoked. The address of one is answered once."""

from typing import Any

from litestar import Request
from litestar.params import FromPath, JSONBody

from failgate.web.api.idempotency import IdempotencyKey, key_of
from failgate.web.context import services_of, visit_of
from failgate.wire.shares import MadeShare, NewShare, SharePage

Asking = Request[Any, Any, Any]


async def listing(request: Asking, id: FromPath[str]) -> SharePage:  # noqa: A002 - the path's word
    """List the links of a report, the newest first, ended ones too, each with its latest visits."""
    return await services_of(request).sharing.page(visit_of(request).here().id, id)


async def create(
    request: Asking,
    id: FromPath[str],  # noqa: A002 - the path's word
    data: JSONBody[NewShare],
    idempotency_key: IdempotencyKey = None,
) -> MadeShare:
    """Make a link that shows this report to whoever holds it, until it ends."""
    visit, key = visit_of(request), key_of(request, idempotency_key, data)
    return await services_of(request).sharing.create(visit.principal, visit.here().id, id, data, key)


async def revoke(request: Asking, id: FromPath[str], link: FromPath[str]) -> None:  # noqa: A002 - the path's word
    """End a link, at once."""
    visit = visit_of(request)
    await services_of(request).sharing.revoke(visit.principal, visit.here().id, id, link)
