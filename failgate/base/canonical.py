"""Canonical JSON: one value, one sequence of bytes, so that a digest over it means the value itself.

RFC 8785 (JCS), restricted to what two implementations cannot read differently: objects, arrays, strings, booleans, null
and integers within ±(2^53-1). No fraction, no exponent. The client starts with this module, so it imports nothing that
is slow to load.
"""

from __future__ import annotations

import binascii
import sys

from failgate.base.errors import Unprocessable
from failgate.base.quick import cast, sha256

TYPE_CHECKING = False  # typing's is slow to load
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, TypeAlias

    JSON: TypeAlias = Mapping[str, "JSON"] | list["JSON"] | tuple["JSON", ...] | str | int | bool | None

try:
    from _json import encode_basestring as _quote  # the C function behind json.dumps, without the rest of json
except ImportError:  # an interpreter without the accelerator
    from json.encoder import py_encode_basestring as _quote

LARGEST_INTEGER = 2**53 - 1  # what a double holds exactly, RFC 7493 section 2.2
DEEPEST = 64  # arrays and objects around one value

_MEND = "Use objects, arrays, strings, booleans, null and integers within ±(2^53-1), at most 64 deep."
_TO_URL = bytes.maketrans(b"+/", b"-_")
_TEXT = frozenset({str})
_encoders: list[Callable[[object], bytes]] = []
_quoted: Callable[[str], str] = _quote


class _NotCanonical(Exception):
    """Says that `_fault` has to name the place."""


def canonical(value: object) -> bytes:
    """Return the RFC 8785 bytes of `value`: UTF-8, members sorted by UTF-16 code unit, no white space.

    Tuples are arrays; members of a StrEnum or an IntEnum are their values.

    Raises: Unprocessable (a float, an integer beyond ±(2^53-1), a lone surrogate, a key that is not text, another type,
    more than 64 levels), naming the place.
    Source: RFC 8785 section 3.2.
    """
    if "msgspec" in sys.modules and _is_plain(value, DEEPEST):
        try:
            return _fast_encoder()(value)
        except UnicodeEncodeError:
            pass  # a lone surrogate; the walk below names its place
    pieces: list[str] = []
    try:
        _write(value, pieces.append, DEEPEST)
        return "".join(pieces).encode()
    except (_NotCanonical, UnicodeEncodeError):
        raise Unprocessable(_fault(value, "$", DEEPEST), hint=_MEND) from None


def digest_of(value: object) -> str:
    """Return base64url(SHA-256(`canonical(value)`)) without padding: 43 characters.

    Raises: Unprocessable, as `canonical` does.
    """
    return base64url(sha256(canonical(value)).digest())


def base64url(octets: bytes) -> str:
    """Return `octets` in base64url without padding. Source: RFC 4648 section 5."""
    return binascii.b2a_base64(octets, newline=False).translate(_TO_URL, b"=").decode("ascii")


def json_bytes(value: object) -> bytes:
    """Return `value` as JSON for a program that digests nothing of it: canonical where it can be, which loads no json.

    Raises: what json raises of a value that is none.
    """
    try:
        return canonical(value)
    except Unprocessable:  # a fraction, a large number
        import json

        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def parse_canonical(text: bytes) -> JSON:
    """Return the value whose canonical bytes are `text`.

    Raises: Unprocessable (not JSON, a member named twice, or any other bytes than the canonical ones).
    """
    import json

    try:
        value = json.loads(text.decode(), parse_float=_refuse_number, parse_constant=_refuse_number)
    except (ValueError, RecursionError):
        raise Unprocessable("The text is not canonical JSON: it cannot be read.", hint=_MEND) from None
    if canonical(value) != text:
        raise Unprocessable("The text is JSON, yet not its canonical form.", hint="Write it by RFC 8785.")
    return cast("JSON", value)


def _fast_encoder() -> Callable[[object], bytes]:
    """Return msgspec's encoder: the same bytes as ours for all that `_is_plain` lets through, several times faster."""
    if not _encoders:
        import msgspec

        _encoders.append(msgspec.json.Encoder(order="deterministic").encode)
    return _encoders[0]


def __getattr__(name: str) -> object:
    """Return `JSON` to who asks for it at run time: building it takes half of typing."""
    if name != "JSON":
        raise AttributeError(name)
    from collections.abc import Mapping

    return Mapping[str, "JSON"] | list["JSON"] | tuple["JSON", ...] | str | int | bool | None


def _is_plain(value: object, levels: int) -> bool:
    """Tell whether `value` has only exact JSON types, safe integers and ASCII names, whose order nobody disputes."""
    kind = type(value)
    if kind is dict:
        return levels > 0 and _has_plain_members(cast("dict[object, object]", value), levels - 1)
    if kind is list or kind is tuple:
        return levels > 0 and _has_plain_items(cast("list[object]", value), levels - 1)
    if kind is int:
        return -LARGEST_INTEGER <= cast("int", value) <= LARGEST_INTEGER
    return kind is str or kind is bool or value is None


def _has_plain_members(members: dict[object, object], levels: int) -> bool:
    for name, member in members.items():
        if type(name) is not str or not name.isascii():
            return False
        if type(member) is not str and not _is_plain(member, levels):
            return False
    return True


def _has_plain_items(items: list[object], levels: int) -> bool:
    if set(map(type, items)) <= _TEXT:  # most lists, without a loop
        return True
    for item in items:  # noqa: SIM110 - a generator costs twice the time
        if type(item) is not str and not _is_plain(item, levels):
            return False
    return True


def _write(value: object, put: Callable[[str], None], levels: int) -> None:
    kind = type(value)
    if kind is str:
        put(_quoted(cast("str", value)))
    elif kind is dict:
        _write_object(cast("dict[Any, Any]", value), put, levels)
    elif kind is list or kind is tuple:
        _write_array(cast("list[Any]", value), put, levels)
    elif value is None:
        put("null")
    elif value is True:
        put("true")
    elif value is False:
        put("false")
    elif isinstance(value, int) and -LARGEST_INTEGER <= value <= LARGEST_INTEGER:
        put(int.__repr__(value))
    elif isinstance(value, str):
        put(_quoted(str.__str__(value)))
    else:
        raise _NotCanonical


def _write_object(members: dict[Any, Any], put: Callable[[str], None], levels: int) -> None:
    if not levels:
        raise _NotCanonical
    separator = "{"
    for name in _sorted_names(members):
        put(separator)
        put(_quoted(name))
        put(":")
        member = members[name]
        if type(member) is str:
            put(_quoted(member))
        else:
            _write(member, put, levels - 1)
        separator = ","
    put("}" if members else "{}")


def _write_array(items: list[Any], put: Callable[[str], None], levels: int) -> None:
    if not levels:
        raise _NotCanonical
    separator = "["
    for item in items:
        put(separator)
        if type(item) is str:
            put(_quoted(item))
        else:
            _write(item, put, levels - 1)
        separator = ","
    put("]" if items else "[]")


def _sorted_names(members: dict[Any, Any]) -> list[str]:
    """Return the names in the order of their UTF-16 code units, which for ASCII is that of the characters."""
    try:
        if "".join(members).isascii():
            return sorted(members)
        return sorted(members, key=_utf16)
    except TypeError:
        raise _NotCanonical from None


def _utf16(name: str) -> bytes:
    return name.encode("utf-16-be")


def _refuse_number(text: str) -> float:
    raise ValueError(text)


def _fault(value: object, place: str, levels: int) -> str:
    """Return the sentence about the first thing in `value` that has no canonical form, or an empty text."""
    if isinstance(value, dict | list | tuple):
        if not levels:
            return f"The value is nested more than {DEEPEST} levels deep."
        return _fault_inside(cast("dict[object, object] | list[object]", value), place, levels - 1)
    if isinstance(value, str):
        return "" if _is_text(value) else f"The text at {place} holds a lone surrogate, which is no character."
    if isinstance(value, int):
        return "" if abs(value) <= LARGEST_INTEGER else f"The integer at {place} is beyond ±(2^53-1)."
    if isinstance(value, float):
        return f"The number at {place} is not an integer."
    return (
        ""
        if value is None
        else f"The value at {place} is of the type {type(value).__name__}, which JSON does not have."
    )


def _fault_inside(value: dict[object, object] | list[object], place: str, levels: int) -> str:
    children = list(value.items()) if isinstance(value, dict) else list[tuple[object, object]](enumerate(value))
    for name, child in children:
        if isinstance(value, dict) and not (isinstance(name, str) and _is_text(name)):
            return f"The object at {place} has a member whose name is no text."
        step = f"{place}.{name}" if isinstance(value, dict) else f"{place}[{name}]"
        if sentence := _fault(child, step[:200], levels):
            return sentence
    return ""


def _is_text(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)
