"""What a record looks like as it is hashed: its members in canonical order, and how its bytes are read back. Pure.

Verification imports this alone, in every process that it uses, so it must stay quick to load.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Protocol

import msgspec

from failgate.base.canonical import LARGEST_INTEGER, parse_canonical
from failgate.base.errors import Unprocessable

Integer = Annotated[int, msgspec.Meta(ge=-LARGEST_INTEGER, le=LARGEST_INTEGER)]
Count = Annotated[int, msgspec.Meta(ge=0, le=LARGEST_INTEGER)]


# Members stand in canonical order: the encoder writes them as they stand.
class ActorPart(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """Who, as it stands in the leaf."""

    auth: tuple[str, ...]
    id: str
    sid_h: str | None
    t: str


class ObjectPart(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """What it happened to, as it stands in the leaf."""

    id: str
    t: str


class Leaf(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """One record as it is written. `data` is a struct of the catalogue, `pd` commits to a body (`bodies.py`)."""

    act: str
    actor: ActorPart
    data: Any
    obj: ObjectPart
    out: str
    pd: str | None
    prev: str
    req: str | None
    seq: Count
    ts: str
    v: Literal[2]
    ws: str


class PlainLeaf(msgspec.Struct, forbid_unknown_fields=True, gc=False, kw_only=True):
    """One record as it is read back: for these types, and ASCII alone, msgspec writes what RFC 8785 wants.

    No float, no integer beyond ±(2^53-1), nothing nested; a record with any of them takes the long way. A record of
    version 1 has `ip`, one of version 2 has `pd` instead; which of them is there makes no difference to its place.
    """

    act: str
    actor: ActorPart
    data: dict[str, str | Integer | bool | list[str] | None]
    ip: str | msgspec.UnsetType | None = msgspec.UNSET
    obj: ObjectPart
    out: str
    pd: str | msgspec.UnsetType | None = msgspec.UNSET
    prev: str
    req: str | None
    seq: Count
    ts: str
    v: Literal[1, 2]
    ws: str


class _AnyObject(msgspec.Struct):
    id: str


class _AnyLeaf(msgspec.Struct):
    """The members of a record that its place depends on; others may come and go with the versions."""

    obj: _AnyObject
    prev: str
    seq: int
    ws: str


class _Named(Protocol):
    @property
    def id(self) -> str: ...


class Placed(Protocol):
    """What a record says of its own place."""

    @property
    def obj(self) -> _Named:
        """Return what it happened to."""
        ...

    @property
    def prev(self) -> str:
        """Return the leaf hash of the record before, in base64url."""
        ...

    @property
    def seq(self) -> int:
        """Return its number in the log."""
        ...

    @property
    def ws(self) -> str:
        """Return the name of its log."""
        ...


_decode = msgspec.json.Decoder(PlainLeaf).decode
_decode_lines = msgspec.json.Decoder(PlainLeaf).decode_lines
_encoder = msgspec.json.Encoder(order="deterministic")
_encode = _encoder.encode
_encode_lines = _encoder.encode_lines
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def read_leaf(leaf: bytes) -> Placed | None:
    """Return the record when `leaf` is its canonical form, else None.

    Records of both versions take the short way; any other JSON with the members needed here takes the long one.
    """
    try:
        record = _decode(leaf)
        is_plain = _encode(record) == leaf and leaf.isascii()
    except _UNREADABLE:
        return _read_other(leaf)
    return record if is_plain else _read_other(leaf)


def _read_other(leaf: bytes) -> Placed | None:
    try:
        return msgspec.convert(parse_canonical(leaf), _AnyLeaf)
    except (Unprocessable, msgspec.ValidationError):
        return None


def read_plain_leaves(leaves: Sequence[bytes]) -> list[PlainLeaf] | None:
    """Return the records when each of `leaves` is the canonical form of one, in one go; None when one may not be.

    They are read and written again as lines. A canonical leaf holds no line break, so when the lines are the same bytes
    and as many as the leaves, each line is one leaf.
    """
    lines = b"\n".join(leaves) + b"\n"
    if not lines.isascii():
        return None
    try:
        records = _decode_lines(lines)
    except _UNREADABLE:
        return None
    return records if len(records) == len(leaves) and _encode_lines(records) == lines else None
