"""Bodies as handlers get them: JSON as the struct that they declare, HTML forms as text by name; all bounded.

`StrictRequest` is the request class of every door. A handler that declares `data: JSONBody[SomeStruct]` receives one,
or is never called.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast
from urllib.parse import parse_qsl

from litestar.connection import Request

from failgate.base.errors import BadInput, TooLarge, WrongMediaType
from failgate.web.asgi import ARRIVED, HasArrived, Scope
from failgate.web.context import visit_of
from failgate.web.errors import OtherStatus
from failgate.web.headers import header
from failgate.web.held import HeldBodies
from failgate.web.strict_json import convert, decode

BODY_SECONDS = 10.0  # for a whole JSON body or form
PAUSE_SECONDS = 30.0  # between two pieces of an upload
FORM_BYTES = 65_536
FORM_FIELDS = 256


class StrictRequest(Request[Any, Any, Any]):
    """A request whose JSON body is read strictly, within `[limits] json_body`, as the type that its handler wants."""

    async def body(self) -> bytes:
        """Return the whole body of a JSON request.

        Raises: WrongMediaType, TooLarge, BadInput (empty), OtherStatus 408 (too slow).
        """
        known = self._connection_state.body
        if isinstance(known, bytes):
            return known
        check_media_type(self, "application/json")
        body = await read_whole(self, self.app.state.services.config.limits.json_body.bytes)
        if not body:
            raise BadInput("The body is empty.", hint="Send one JSON value.")
        self._connection_state.body = body
        return body

    async def json(self) -> Any:
        """Return the body as the struct that the handler declares for `data`.

        Raises: BadInput naming the member; see `failgate.web.strict_json`.
        """
        body = await self.body()
        value = decode(body, self.app.state.services.config.limits.json_body.bytes)
        declared = self.route_handler.parsed_fn_signature.parameters.get("data")
        return convert(value, declared.annotation) if declared is not None else value


async def read_form(request: Request[Any, Any, Any], limit_bytes: int = FORM_BYTES) -> dict[str, str]:
    """Return the fields of an HTML form of at most `limit_bytes`, each once.

    Raises: WrongMediaType (multipart too), TooLarge, BadInput (a field twice, not UTF-8, over 256 fields, a NUL).
    """
    check_media_type(request, "application/x-www-form-urlencoded")
    return _fields_in(await read_whole(request, limit_bytes))


async def read_own_form(request: Request[Any, Any, Any], limit_bytes: int = FORM_BYTES) -> dict[str, str]:
    """Return what `read_form` does, where one person alone asks and no bodies of others are counted.

    Raises: as `read_form`.
    """
    check_media_type(request, "application/x-www-form-urlencoded")
    return _fields_in(b"".join([piece async for piece in pieces_of(request, limit_bytes)]))


def _fields_in(body: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=FORM_FIELDS)
    except ValueError:
        raise BadInput("The form is malformed.", hint="Send it from the page.") from None
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise BadInput("The form holds a field twice.", hint="Send it from the page.")
    if any("\0" in value for value in fields.values()):
        raise BadInput("The form holds a NUL character.", hint="Remove it.")
    return fields


async def read_whole(request: Request[Any, Any, Any], limit_bytes: int) -> bytes:
    """Return the body; stop reading at the first byte over `limit_bytes`.

    Raises: TooLarge, TooManyRequests (it and others are too much at once), OtherStatus 408.
    """
    arrived = cast("HasArrived | None", request.scope.get(ARRIVED))
    if arrived is not None and arrived():  # as small ones have: nothing is waited for, and nothing held meanwhile
        _check_announced(request, limit_bytes)
        body, _ = _piece_of(await request.receive())
        if len(body) > limit_bytes:
            raise _too_large(limit_bytes)
        return body
    async with whole_body(request, limit_bytes) as body:
        return body


@asynccontextmanager
async def whole_body(request: Request[Any, Any, Any], limit_bytes: int) -> AsyncIterator[bytes]:
    """Yield the body as `read_whole` returns it; it counts among what is held until the block ends."""
    _check_announced(request, limit_bytes)
    pieces: list[bytes] = []
    visit, has_more = visit_of(request), True
    held: HeldBodies = request.app.state.held_bodies
    with held.body_of(visit.principal.id or visit.ip or "") as counted:
        try:
            async with asyncio.timeout(BODY_SECONDS):
                while has_more:
                    piece, has_more = _piece_of(await request.receive())
                    counted.grow(len(piece))
                    if counted.size > limit_bytes:
                        raise _too_large(limit_bytes)
                    pieces.append(piece)
        except TimeoutError:
            raise OtherStatus(408, "The body came too slowly.", {"connection": "close"}) from None
        yield b"".join(pieces)


async def pieces_of(request: Request[Any, Any, Any], limit_bytes: int) -> AsyncIterator[bytes]:
    """Yield the body in the pieces in which it arrives; it may pause for 30 seconds at most.

    Raises: TooLarge at the first byte over `limit_bytes`, also when only announced; OtherStatus 408; Disconnected.
    """
    _check_announced(request, limit_bytes)
    total, has_more = 0, True
    while has_more:
        try:
            async with asyncio.timeout(PAUSE_SECONDS):
                piece, has_more = _piece_of(await request.receive())
        except TimeoutError:
            raise OtherStatus(408, "The body came too slowly.", {"connection": "close"}) from None
        total += len(piece)
        if total > limit_bytes:
            raise _too_large(limit_bytes)
        if piece:
            yield piece


class Disconnected(OtherStatus):
    """The peer went away in the middle of its body; nobody reads the answer, and it is no failure of ours."""

    def __init__(self) -> None:
        super().__init__(400, "The connection ended before the body did.")


def _check_announced(request: Request[Any, Any, Any], limit_bytes: int) -> None:
    announced = header(cast("Scope", request.scope), b"content-length") or ""
    if announced.isascii() and announced.isdigit() and (len(announced) > 18 or int(announced) > limit_bytes):
        raise _too_large(limit_bytes)


def _piece_of(event: Any) -> tuple[bytes, bool]:
    """Return the bytes that a message of the server carries, and whether more follow. Raises: Disconnected."""
    if event["type"] != "http.request":
        raise Disconnected
    return event.get("body", b""), event.get("more_body", False)


def _too_large(limit_bytes: int) -> TooLarge:
    return TooLarge(f"The body is larger than {limit_bytes} bytes.", hint="Send less.", limit_bytes=limit_bytes)


def check_media_type(request: Request[Any, Any, Any], wanted: str) -> None:
    """Check that the body is of the media type `wanted`, in UTF-8, and not compressed.

    Raises: WrongMediaType.
    """
    scope = cast("Scope", request.scope)
    given = header(scope, b"content-type") or ""
    kind, _, parameters = given.partition(";")
    charset = parameters.strip().lower()
    if kind.strip().lower() != wanted or charset not in {"", "charset=utf-8", 'charset="utf-8"'}:
        raise WrongMediaType(f"The body is not {wanted}.", hint=f"Send Content-Type: {wanted}.")
    if (header(scope, b"content-encoding") or "identity").lower() != "identity":
        raise WrongMediaType("The body is compressed.", hint="Send it as it is.")
