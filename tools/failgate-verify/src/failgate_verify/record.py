"""One record: whether its bytes are canonical, and what it says of its own place. Source: RFC 8785, RFC 7493."""

import json
import re
from binascii import b2a_base64
from typing import Any, NamedTuple, cast

_LARGEST_INTEGER = 2**53 - 1
_DEEPEST = 64
_TO_URL = bytes.maketrans(b"+/", b"-_")

# The records of both versions that are ASCII without escapes, in the one way that RFC 8785 writes them: most of a log.
_TEXT = rb'"[ !#-\[\]-~]*"'
_MAYBE = rb"(?:null|" + _TEXT + rb")"
_TEXTS = rb"\[(?:" + _TEXT + rb"(?:," + _TEXT + rb")*)?\]"
_INTEGER = rb"(?:0|-?[1-9][0-9]{0,14}|-?[1-8][0-9]{15})"
_VALUE = rb"(?:" + _TEXT + rb"|" + _INTEGER + rb"|true|false|null|" + _TEXTS + rb")"
_DATA = rb"\{(?:" + _TEXT + rb":" + _VALUE + rb"(?:," + _TEXT + rb":" + _VALUE + rb")*)?\}"
_INSIDE = rb"[ !#-\[\]-~]*"
_PLAIN = re.compile(
    b"".join((
        rb'\{"act":', _TEXT, rb',"actor":\{"auth":', _TEXTS, rb',"id":', _TEXT, rb',"sid_h":', _MAYBE, rb',"t":', _TEXT,
        rb'\},"data":(', _DATA, rb'),(?:"ip":', _MAYBE, rb',)?"obj":\{"id":', _TEXT, rb',"t":', _TEXT, rb'\},"out":',
        _TEXT, rb',(?:"pd":(', _MAYBE, rb'),)?"prev":"(', _INSIDE, rb')","req":', _MAYBE,
        rb',"seq":(0|[1-9][0-9]{0,14}),"ts":"(', _INSIDE, rb')","v":[12],"ws":"(', _INSIDE, rb')"\}',
    ))
)  # fmt: skip
_MEMBER = re.compile(rb'"([^"]*)":')

plain = _PLAIN.fullmatch
members_of = _MEMBER.findall


class Placed(NamedTuple):
    """What a record says of its place: its number, the hash before it, its time, its log."""

    seq: int
    prev: str
    ts: str
    ws: str


def base64url(octets: bytes) -> bytes:
    """Return `octets` in base64url without padding."""
    return b2a_base64(octets, newline=False).translate(_TO_URL, b"=")


def read_object(octets: bytes) -> dict[str, Any] | None:
    """Return the JSON object whose canonical form `octets` are, else None."""
    try:
        value: object = json.loads(octets.decode(), parse_float=_refuse, parse_constant=_refuse, parse_int=_integer)
        if not isinstance(value, dict) or _written(value, _DEEPEST).encode() != octets:
            return None
    except (ValueError, RecursionError):  # UnicodeError is a ValueError
        return None
    return cast("dict[str, Any]", value)


def canonical(value: dict[str, Any]) -> bytes:
    """Return the canonical form of a part of what `read_object` returned."""
    return _written(value, _DEEPEST).encode()


def read_record(leaf: bytes) -> Placed | None:
    """Return what the record `leaf` says of its place; None when its bytes are not the canonical ones of a record."""
    record = read_object(leaf)
    if record is None:
        return None
    place = Placed(record.get("seq", -1), record.get("prev", 0), record.get("ts", ""), record.get("ws", 0))
    kinds = type(place.seq), type(place.prev), type(place.ts), type(place.ws)
    return place if kinds == (int, str, str, str) else None


def parsed(leaf: bytes) -> dict[str, Any]:
    """Return the members of a record that `read_record` took."""
    return cast("dict[str, Any]", json.loads(leaf))


def _written(value: object, levels: int) -> str:
    """Return `value` as RFC 8785 writes it. Raises: ValueError (too deep)."""
    if isinstance(value, dict | list):
        if not levels:
            raise ValueError(levels)
        if isinstance(value, list):
            return "[" + ",".join(_written(item, levels - 1) for item in cast("list[object]", value)) + "]"
        members = cast("dict[str, object]", value)
        names = sorted(members, key=lambda name: name.encode("utf-16-be"))
        return "{" + ",".join(f"{_quoted(name)}:{_written(members[name], levels - 1)}" for name in names) + "}"
    return _quoted(value) if isinstance(value, str) else json.dumps(value)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _integer(text: str) -> int:
    if len(text) > 17 or text == "-0" or abs(int(text)) > _LARGEST_INTEGER:
        raise ValueError(text)
    return int(text)


def _refuse(text: str) -> float:
    raise ValueError(text)
