"""The doors of end-to-end mode: signed manifests, sealed commands, signed decisions, receipts.

The server verifies what it can, keeps it and hands it on. Agents and reviewers verify everything again themselves.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated, Any

from litestar import Request
from litestar.params import FromPath, JSONBody, QueryParameter

from failgate.access.principal import Principal
from failgate.audit.record import Actor
from failgate.base.clock import to_rfc3339
from failgate.base.db import Transaction
from failgate.relay.commands import SealedCommands, manifest_of
from failgate.relay.manifests import PAGE, KeptManifest
from failgate.relay.relay import Relay
from failgate.web.api.gate import Wait
from failgate.web.api.idempotency import IdempotencyKey, key_of
from failgate.web.context import services_of, stop_of, visit_of
from failgate.web.live.sockets import OpenSockets
from failgate.wire.sealed import (
    KeyManifestChain,
    KeyManifestView,
    NewKeyManifest,
    SealedCommandPage,
    SealedCommandView,
    SealedDecision,
    SealedReceipt,
    SealedSubmission,
)

Asking = Request[Any, Any, Any]
Epoch = Annotated[int, QueryParameter(name="after", ge=0, le=2**53 - 1, description="The epoch that is known.")]
Limit = Annotated[int, QueryParameter(name="limit", ge=1, le=200, description="How many at most.")]


async def manifests(request: Asking, after: Epoch = 0) -> KeyManifestChain:
    """Answer the signed manifests after an epoch, with the keys and policies that the newest one names."""
    room, workspace_id = services_of(request).relay_room, visit_of(request).here().id
    found = await room.manifests.after(workspace_id, after)
    newest = await room.manifests.newest(services_of(request).db, workspace_id)
    if newest is None:
        return KeyManifestChain(workspace=workspace_id, items=[], keys=[], policies=[], next=None)
    manifest = manifest_of(newest)
    named = {person.enc for person in manifest.people} | set(manifest.agents or ())
    named |= {key.jkt for person in manifest.people for key in person.keys}
    keys = await room.directory.in_force(services_of(request).db, workspace_id, named)
    return KeyManifestChain(
        workspace=workspace_id,
        items=[one.signed for one in found],
        keys=[dict(key.jwk) for key in keys.values()],
        policies=newest.policies,
        next=str(found[-1].epoch) if len(found) == PAGE else None,
        rules=await room.rules.newest(services_of(request).db, workspace_id),
    )


async def accept_manifest(
    request: Asking, data: JSONBody[NewKeyManifest], idempotency_key: IdempotencyKey = None
) -> KeyManifestView:
    """Take the next signed manifest of keys. The first one seals the workspace for good."""
    visit, services = visit_of(request), services_of(request)
    room, actor, workspace_id = services.relay_room, Actor.of(visit.principal), visit.here().id
    relay = room.opened()

    async def verb(tx: Transaction) -> KeyManifestView:
        return _shown(await room.manifests.accept(tx, relay, workspace_id, data.manifest, data.policies, actor))

    return await services.first_answers.once(key_of(request, idempotency_key, data), KeyManifestView, verb)


async def listing(request: Asking, limit: Limit = 50) -> SealedCommandPage:
    """List sealed commands, the newest first: who asked, when, how large; nobody here can say for what."""
    return SealedCommandPage(await services_of(request).relay_room.commands.list(visit_of(request).here().id, limit))


async def submit(
    request: Asking, data: JSONBody[SealedSubmission], idempotency_key: IdempotencyKey = None
) -> SealedCommandView:
    """Ask for a command that is sealed to the reviewers of the manifest in force."""
    visit, services = visit_of(request), services_of(request)
    room, workspace_id = services.relay_room, visit.here().id
    relay = room.opened()

    async def verb(tx: Transaction) -> SealedCommandView:
        return await room.commands.submit(tx, relay, workspace_id, visit.principal, data.sealed)

    return await services.first_answers.once(key_of(request, idempotency_key, data), SealedCommandView, verb)


async def one(request: Asking, id: FromPath[str], wait: Wait = 0) -> SealedCommandView:  # noqa: A002 - the path's word
    """Answer one sealed command with its decisions. An agent sees its own."""
    visit, commands = visit_of(request), services_of(request).relay_room.commands
    if wait == 0:
        return await commands.view(visit.here().id, id, visit.principal)
    sockets: OpenSockets = request.app.state.sockets

    def decided() -> Awaitable[SealedCommandView]:
        return commands.view(visit.here().id, id, visit.principal, wait)

    found = await stop_of(request).first(sockets.hold(visit, decided))
    return found or await commands.view(visit.here().id, id, visit.principal)


async def decide(
    request: Asking,
    id: FromPath[str],  # noqa: A002 - the path's word
    data: JSONBody[SealedDecision],
    idempotency_key: IdempotencyKey = None,
) -> SealedCommandView:
    """Hand in a decision that one's own enrolled key signed. One that comes too late is 409 with the `state`."""
    taken = partial(SealedCommands.decide, cid=id, sent=data.decision)
    return await _handed_in(request, id, data, idempotency_key, taken)


async def withdraw(request: Asking, id: FromPath[str], idempotency_key: IdempotencyKey = None) -> SealedCommandView:  # noqa: A002 - the path's word
    """End a sealed command of one's own that was not executed."""
    visit, services = visit_of(request), services_of(request)
    commands, workspace_id = services.relay_room.commands, visit.here().id

    async def verb(tx: Transaction) -> SealedCommandView:
        return await commands.withdraw(tx, workspace_id, visit.principal, id)

    return await services.first_answers.once(key_of(request, idempotency_key), SealedCommandView, verb)


async def finish(
    request: Asking,
    id: FromPath[str],  # noqa: A002 - the path's word
    data: JSONBody[SealedReceipt],
    idempotency_key: IdempotencyKey = None,
) -> SealedCommandView:
    """Hand in the receipt of the run, signed by the agent's key."""
    taken = partial(SealedCommands.finish, cid=id, sent=data.receipt)
    return await _handed_in(request, id, data, idempotency_key, taken)


async def _handed_in(
    request: Asking,
    cid: str,
    data: SealedDecision | SealedReceipt,
    idempotency_key: str | None,
    taken: Callable[[SealedCommands, Transaction, Relay, str, Principal], Awaitable[SealedCommandView]],
) -> SealedCommandView:
    """Have `taken` keep something signed about the command `cid`, once for a key."""
    visit, services = visit_of(request), services_of(request)
    room, workspace_id = services.relay_room, visit.here().id
    relay = await room.opened_for(workspace_id, cid, visit.principal)

    async def verb(tx: Transaction) -> SealedCommandView:
        return await taken(room.commands, tx, relay, workspace_id, visit.principal)

    return await services.first_answers.once(key_of(request, idempotency_key, data), SealedCommandView, verb)


def _shown(kept: KeptManifest) -> KeyManifestView:
    return KeyManifestView(
        epoch=kept.epoch, digest=kept.digest, expires_at=to_rfc3339(kept.expires_us),
        accepted_at=to_rfc3339(kept.accepted_us), accepted_by=kept.account_id,
    )  # fmt: skip
