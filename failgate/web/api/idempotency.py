"""The `Idempotency-Key` of a POST: with it, a request whose answer was lost may be sent again."""

from typing import Annotated, Any

from litestar import Request
from litestar.params import HeaderParameter

from failgate.base.idempotency import RequestKey, request_key
from failgate.web.context import visit_of

IdempotencyKey = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        description="The same key with the same body gives the first answer again, for 24 hours.",
    ),
]


def key_of(request: Request[Any, Any, Any], text: str | None, body: object = None) -> RequestKey | None:
    """Return the key `text` of this request: it counts for this principal, this door and what its path names.

    Raises: BadInput (a key that is not usable).
    """
    if text is None:
        return None
    visit = visit_of(request)
    assert visit.door is not None
    named = [str(value) for name, value in sorted(request.path_params.items()) if name != "workspace"]
    return request_key(text, visit.principal.id, (visit.door.name, visit.here().id, *named), body)
