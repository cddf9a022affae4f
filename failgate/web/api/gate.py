"""The gate's doors: ask, watch, decide, use, tell how it ended.

`wait` holds the answer back until the command is decided, up to 55 s; when the server stops, or the credential or the
role ends meanwhile, what stood is answered at once. Who waits for as much as they may is answered 429, or, having asked
for a command, without waiting.
"""

from collections.abc import Awaitable
from typing import Annotated, Any

from litestar import Request
from litestar.params import FromPath, JSONBody, QueryParameter

from failgate.base.errors import TooManyRequests
from failgate.web.api.idempotency import IdempotencyKey, key_of
from failgate.web.context import Visit, services_of, stop_of, visit_of
from failgate.web.live.sockets import OpenSockets
from failgate.wire.edits import Edit, EditTrial, EditWish
from failgate.wire.gate import (
    CommandPage,
    CommandView,
    Consume,
    ExplainRequest,
    Explanation,
    Outcome,
    State,
    Submission,
    Vote,
)
from failgate.wire.history import CommandHistory

MAX_WAIT_SECONDS = 55
Wait = Annotated[
    int,
    QueryParameter(name="wait", ge=0, le=MAX_WAIT_SECONDS, description="Seconds to wait for the decision, up to 55."),
]
Limit = Annotated[int, QueryParameter(name="limit", ge=1, le=200, description="How many at most.")]
After = Annotated[str | None, QueryParameter(name="after", max_length=64, description="The `next` of the page before.")]
Only = Annotated[State | None, QueryParameter(name="state", description="Only commands in this state.")]

Asking = Request[Any, Any, Any]


async def submit(
    request: Asking, data: JSONBody[Submission], idempotency_key: IdempotencyKey = None, wait: Wait = 0
) -> CommandView:
    """Ask for a command. Answers its state, and the verdict when there is one already."""
    visit = visit_of(request)
    view = await services_of(request).gate.submit(visit.principal, visit.here().id, data, idempotency_key)
    return await _decided(request, visit, view, wait)


async def listing(request: Asking, only: Only = None, limit: Limit = 50, after: After = None) -> CommandPage:
    """List commands, the newest first."""
    return await services_of(request).gate.page(visit_of(request).here().id, only, limit, after)


async def one(request: Asking, id: FromPath[str], wait: Wait = 0) -> CommandView:  # noqa: A002 - the path's word
    """Answer one command. Whoever only submits sees their own."""
    visit = visit_of(request)
    view = await services_of(request).gate.view(visit.here().id, id, visit.principal)
    return await _decided(request, visit, view, wait)


async def history(request: Asking, id: FromPath[str]) -> CommandHistory:  # noqa: A002 - the path's word
    """Say how often the same command was asked for, how that ended, and what is not as it was."""
    visit = visit_of(request)
    return await services_of(request).gate.history(visit.here().id, id, visit.principal)


async def vote(
    request: Asking,
    id: FromPath[str],  # noqa: A002 - the path's word
    data: JSONBody[Vote],
    idempotency_key: IdempotencyKey = None,
) -> CommandView:
    """Approve or deny. A vote that comes too late is 409 with the stored `state`."""
    visit = visit_of(request)
    if data.decision == "approve":
        services_of(request).exporting.required.must_keep_up()
    return await services_of(request).gate.vote(
        visit.principal, visit.here().id, id, data, key_of(request, idempotency_key, data)
    )


async def edit(
    request: Asking,
    id: FromPath[str],  # noqa: A002 - the path's word
    data: JSONBody[Edit],
    idempotency_key: IdempotencyKey = None,
) -> CommandView:
    """Approve the command with other arguments: it ends as denied, and the answer is the request for the edited one."""
    visit = visit_of(request)
    return await services_of(request).gate.edit(
        visit.principal, visit.here().id, id, data, key_of(request, idempotency_key, data)
    )


async def try_edit(request: Asking, id: FromPath[str], data: JSONBody[EditWish]) -> EditTrial:  # noqa: A002 - the path's word
    """Say what would come of an edit, deciding nothing: the digest, the differences, what policies answer."""
    visit = visit_of(request)
    return await services_of(request).gate.try_edit(visit.principal, visit.here().id, id, data)


async def cancel(request: Asking, id: FromPath[str], idempotency_key: IdempotencyKey = None) -> CommandView:  # noqa: A002 - the path's word
    """Withdraw a pending command of one's own."""
    visit = visit_of(request)
    return await services_of(request).gate.cancel(
        visit.principal, visit.here().id, id, key_of(request, idempotency_key)
    )


async def consume(
    request: Asking,
    id: FromPath[str],  # noqa: A002 - the path's word
    data: JSONBody[Consume],
    idempotency_key: IdempotencyKey = None,
) -> CommandView:
    """Use the approval, once: 200 allows the execution, anything else forbids it."""
    visit = visit_of(request)
    return await services_of(request).gate.consume(
        visit.principal, visit.here().id, id, data, key_of(request, idempotency_key, data)
    )


async def outcome(
    request: Asking,
    id: FromPath[str],  # noqa: A002 - the path's word
    data: JSONBody[Outcome],
    idempotency_key: IdempotencyKey = None,
) -> CommandView:
    """Tell how the execution ended."""
    visit = visit_of(request)
    return await services_of(request).gate.outcome(
        visit.principal, visit.here().id, id, data, key_of(request, idempotency_key, data)
    )


async def explain(request: Asking, data: JSONBody[ExplainRequest]) -> Explanation:
    """Say which policy would say what of a command, submitting nothing."""
    visit = visit_of(request)
    return await services_of(request).gate.explain(visit.principal, visit.here().id, data.command)


async def _decided(request: Asking, visit: Visit, view: CommandView, seconds: int) -> CommandView:
    """Return `view`, or what it is once it is decided or the time is over: not to who has lost what they asked by."""
    if view.state != "pending" or seconds == 0:
        return view
    gate = services_of(request).gate
    sockets: OpenSockets = request.app.state.sockets

    def decided() -> Awaitable[CommandView]:
        return gate.wait(visit.here().id, view.id, visit.principal, seconds)

    try:
        return await stop_of(request).first(sockets.hold(visit, decided)) or view
    except TooManyRequests:
        if request.method == "POST":  # it was asked for all the same, and its answer has to say so
            return view
        raise
