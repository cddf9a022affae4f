"""An event as the canonical bytes that are hashed, and back.

An act that is not in the catalogue, or a member that is missing, misspelt or of another kind, refuses the whole
transaction, so that nothing happens unrecorded and nothing is recorded under a name nobody reads.
"""

from functools import lru_cache
from typing import Any

import msgspec

from failgate.audit.bodies import body_of
from failgate.audit.facts import SHAPES
from failgate.audit.leaf import ActorPart, Leaf, ObjectPart
from failgate.audit.record import Event
from failgate.base.clock import MICROSECONDS, to_rfc3339
from failgate.base.errors import FailgateError
from failgate.base.log import RequestContext

LARGEST_LEAF = 65_535  # bytes; the length of a tile entry is a uint16


class EventRefused(FailgateError):
    """An event that the catalogue does not allow: a mistake of ours, which undoes the change that it belongs to."""

    slug = "event-refused"
    status = 500
    title = "The change could not be recorded and was undone"


_encode = msgspec.json.Encoder(order="deterministic").encode


@lru_cache(maxsize=64)
def _second(seconds: int) -> str:
    return to_rfc3339(seconds * MICROSECONDS)[:-7]


def timestamp(us: int) -> str:
    """Return `us` as `clock.to_rfc3339` does, faster."""
    seconds, rest = divmod(us, MICROSECONDS)
    return f"{_second(seconds)}{str(rest).zfill(6)}Z"


def body_in(event: Event, context: RequestContext | None) -> bytes | None:
    """Return the body of what is personal in `event`: its address, else that of the request which caused it.

    None when nothing is. Raises: EventRefused (a text that is not Unicode).
    """
    address = event.ip or (None if context is None else context.ip)
    try:
        return None if address is None else body_of(address)
    except UnicodeEncodeError as error:
        raise EventRefused(f"The address of the audit event {event.act} cannot be recorded: {error}.") from error


def leaf_of(
    event: Event, seq: int, ts_us: int, prev: str, context: RequestContext | None = None, pd: str | None = None
) -> bytes:
    """Return the canonical bytes of the record that states `event` as number `seq` of its log.

    `prev` is the base64url leaf hash of the record before; `context` gives `req` when the event names none. The address
    is not in these bytes: `pd` commits to it (`bodies.py`), None when there is none.

    Raises: EventRefused (an act outside the catalogue, a member of `data` that is missing, unknown or of another kind,
    a text that is not Unicode, more than 65,535 bytes).
    """
    shape, actor = SHAPES.get(event.act), event.actor
    req = event.req or (None if context is None else context.request_id)
    if shape is None:
        raise EventRefused(f"The audit catalogue has no act {event.act!r}.", hint="Add it to failgate/audit/record.py.")
    try:
        leaf = _encode(
            Leaf(
                event.act,
                ActorPart(actor.auth, actor.id, actor.sid_h, actor.t),
                msgspec.convert(event.data, shape),
                ObjectPart(event.obj_id, event.obj_t),
                event.out,
                pd,
                prev,
                req,
                seq,
                timestamp(ts_us),
                2,
                event.ws,
            )
        )
    except (msgspec.ValidationError, UnicodeEncodeError, TypeError) as error:
        raise EventRefused(
            f"The audit event {event.act} cannot be recorded: {error}.",
            hint="Its members are in failgate/audit/facts.py.",
        ) from error
    if len(leaf) > LARGEST_LEAF:
        raise EventRefused(f"The audit event {event.act} has {len(leaf)} bytes; a record holds {LARGEST_LEAF}.")
    return leaf


_decode = msgspec.json.Decoder(dict[str, Any]).decode


def record_of(leaf: bytes) -> dict[str, Any]:
    """Return the record that `leaf` holds, as JSON values."""
    return _decode(leaf)
