"""The doors of public keys: people enrol those of their devices, agents their own, and who manages members ends any.

Enrolling gives no power: a key counts once an administrator's signed manifest names it (docs/sealed.md).
"""

from typing import Any

from litestar import Request
from litestar.params import FromPath, JSONBody

from failgate.audit.record import Actor
from failgate.base.clock import to_rfc3339
from failgate.base.db import Transaction
from failgate.base.errors import Forbidden
from failgate.relay.directory import DeviceKey
from failgate.web.api.idempotency import IdempotencyKey, key_of
from failgate.web.context import services_of, visit_of
from failgate.wire.sealed import DeviceKeyPage, DeviceKeyView, NewAgentKey, NewDeviceKey

Asking = Request[Any, Any, Any]


async def listing(request: Asking) -> DeviceKeyPage:
    """List the public keys of the workspace's people and agents, the oldest first, revoked ones too."""
    found = await services_of(request).relay_room.directory.list(visit_of(request).here().id)
    return DeviceKeyPage([view_of(each) for each in found])


async def enrol(request: Asking, data: JSONBody[NewDeviceKey], idempotency_key: IdempotencyKey = None) -> DeviceKeyView:
    """Enrol a public key of one's own device: RSA of at least 3,072 bits that opens, or P-256 that decides."""
    visit, services = visit_of(request), services_of(request)
    room, actor, workspace_id = services.relay_room, Actor.of(visit.principal), visit.here().id
    relay = room.opened()

    async def verb(tx: Transaction) -> DeviceKeyView:
        return view_of(await room.directory.enrol(tx, relay, workspace_id, data, actor))

    return await services.first_answers.once(key_of(request, idempotency_key, data), DeviceKeyView, verb)


async def enrol_agent(
    request: Asking, data: JSONBody[NewAgentKey], idempotency_key: IdempotencyKey = None
) -> DeviceKeyView:
    """Enrol the public key (P-256) with which the agent whose token this is signs what it asks."""
    visit, services = visit_of(request), services_of(request)
    if visit.principal.agent_id is None:
        raise Forbidden("An agent enrols its key itself, by its own token.")
    room, actor, workspace_id = services.relay_room, Actor.of(visit.principal), visit.here().id
    relay = room.opened()

    async def verb(tx: Transaction) -> DeviceKeyView:
        return view_of(await room.directory.enrol_agent(tx, relay, workspace_id, data.jwk, data.label, actor))

    return await services.first_answers.once(key_of(request, idempotency_key, data), DeviceKeyView, verb)


async def revoke(request: Asking, id: FromPath[str]) -> None:  # noqa: A002 - the path's word
    """Revoke a key of one's own. It stays listed, and does not come back."""
    visit = visit_of(request)
    await services_of(request).relay_room.directory.revoke(
        visit.here().id, id, Actor.of(visit.principal), visit.principal.account_id
    )


async def revoke_any(request: Asking, id: FromPath[str]) -> None:  # noqa: A002 - the path's word
    """Revoke any key of the workspace, of a person or of an agent."""
    visit = visit_of(request)
    await services_of(request).relay_room.directory.revoke(visit.here().id, id, Actor.of(visit.principal))


def view_of(key: DeviceKey) -> DeviceKeyView:
    """Return `key` as the API shows it."""
    return DeviceKeyView(
        id=key.id, purpose=key.purpose, jkt=key.jkt, jwk=dict(key.jwk), key_class=key.key_class, rp=key.rp,
        origins=None if key.origins is None else list(key.origins), label=key.label, account=key.account_id,
        agent=key.agent_id, copies=None if key.copies is None else dict(key.copies),
        created_at=to_rfc3339(key.created_us),
        revoked_at=None if key.revoked_us is None else to_rfc3339(key.revoked_us),
    )  # fmt: skip
