"""The doors of muting: deny and mute, what is muted, unmute."""

from typing import Any

from litestar import Request
from litestar.params import FromPath, JSONBody

from failgate.base.clock import to_rfc3339
from failgate.gate.mutes import Mute
from failgate.web.api.idempotency import IdempotencyKey, key_of
from failgate.web.context import services_of, visit_of
from failgate.wire.gate import Vote
from failgate.wire.mutes import MutePage, MuteView, NewMute

Asking = Request[Any, Any, Any]


async def listing(request: Asking) -> MutePage:
    """List what is and was muted, the newest first."""
    gate, now_us = services_of(request).gate, services_of(request).clock.now_us()
    return MutePage([_shown(one, now_us) for one in await gate.muting.mutes.newest(visit_of(request).here().id)])


async def mute(
    request: Asking,
    id: FromPath[str],  # noqa: A002 - the path's word
    data: JSONBody[NewMute],
    idempotency_key: IdempotencyKey = None,
) -> MuteView:
    """Deny a command, and at once, for some minutes, what its agent asks of the same kind. Of a reviewer in person."""
    visit = visit_of(request)
    made = await services_of(request).gate.muting.mute(
        visit.principal,
        visit.here().id,
        id,
        Vote("deny", data.digest, note=data.note),
        data.what,
        data.minutes,
        key_of(request, idempotency_key, data),
    )
    return _shown(made, services_of(request).clock.now_us())


async def unmute(request: Asking, id: FromPath[str]) -> None:  # noqa: A002 - the path's word
    """Ask people again. Of whoever may decide on that agent's requests, in person."""
    visit = visit_of(request)
    await services_of(request).gate.muting.unmute(visit.principal, visit.here().id, id)


def _shown(mute: Mute, now_us: int) -> MuteView:
    return MuteView(
        mute.id,
        mute.requester_label,
        mute.requester_id,
        mute.command_id,
        mute.what,
        mute.program,
        to_rfc3339(mute.begun_us),
        to_rfc3339(mute.expires_us),
        mute.account_id,
        mute.denied,
        mute.is_running(now_us),
        mute.reason,
        None if mute.ended_us is None else to_rfc3339(mute.ended_us),
        mute.ended_by,
    )
