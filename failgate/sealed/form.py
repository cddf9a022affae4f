"""Strict reading: one value has one spelling, and whatever else arrives is refused with its place.

Every function takes what came from outside as `object`, and `place`, which says where it stood. Raises: Refused alone.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Final, cast

from failgate.base.canonical import LARGEST_INTEGER, base64url, canonical, parse_canonical
from failgate.base.errors import Unprocessable
from failgate.sealed.refusal import Refused

DIGEST_BYTES: Final = 32  # SHA-256
SKEW_SECONDS: Final = 30  # by which another clock may be ahead

_BASE64URL = re.compile(r"[A-Za-z0-9_-]*", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)
_WORD = re.compile(r"[\x21-\x7e]{1,128}", re.ASCII)


def octets(value: object, place: str, *, most: int, least: int = 0) -> bytes:
    """Return the `least` to `most` bytes that `value` spells in base64url: no padding, no stray bits at the end.

    Source: RFC 4648 sections 3.5 and 5.
    """
    if not isinstance(value, str):
        raise Refused("shape", place)
    if len(value) > (most * 4 + 2) // 3 + 4:
        raise Refused("too-large", place)
    if not _BASE64URL.fullmatch(value):
        raise Refused("encoding", place)
    try:
        decoded = binascii.a2b_base64(value.replace("-", "+").replace("_", "/") + "=" * (-len(value) % 4))
    except binascii.Error:
        raise Refused("encoding", place) from None
    if base64url(decoded) != value:
        raise Refused("encoding", place)
    if len(decoded) > most:
        raise Refused("too-large", place)
    if len(decoded) < least:
        raise Refused("value", place)
    return decoded


def digest(value: object, place: str) -> str:
    """Return `value`, 32 bytes in base64url: a digest, a thumbprint or a nonce."""
    octets(value, place, least=DIGEST_BYTES, most=DIGEST_BYTES)
    return cast("str", value)


def read_object(text: bytes, place: str) -> dict[str, object]:
    """Return the object whose RFC 8785 bytes are `text`."""
    try:
        value = parse_canonical(text)
    except Unprocessable:
        raise Refused("not-canonical", place) from None
    return an_object(value, place)


def written(value: object, place: str) -> bytes:
    """Return the RFC 8785 bytes of `value`; refused where it has none."""
    try:
        return canonical(value)
    except Unprocessable:
        raise Refused("not-canonical", place) from None


def an_object(value: object, place: str) -> dict[str, object]:
    """Return `value` if it is an object whose names are texts."""
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in cast("dict[object, object]", value)):
        raise Refused("shape", place)
    return cast("dict[str, object]", value)


def members(
    value: object, place: str, needed: Iterable[str], *, also: Iterable[str] = frozenset()
) -> dict[str, object]:
    """Return the object `value` if it has all of `needed`, and beside them nothing but `also`."""
    found = an_object(value, place)
    needed = frozenset(needed)
    if not needed <= found.keys() or not found.keys() <= needed.union(also):
        raise Refused("members", place)
    return found


def a_list(value: object, place: str, *, most: int, least: int = 0) -> list[object]:
    """Return `value` if it is a list of `least` to `most` items."""
    if not isinstance(value, list):
        raise Refused("shape", place)
    items = cast("list[object]", value)
    if len(items) > most:
        raise Refused("too-large", place)
    if len(items) < least:
        raise Refused("value", place)
    return items


def text(value: object, place: str, *, most: int, is_empty_allowed: bool = False) -> str:
    """Return `value` if it is a text of at most `most` characters that a system call can take: no NUL in it."""
    if not isinstance(value, str):
        raise Refused("value", place)
    if len(value) > most:
        raise Refused("too-large", place)
    if "\x00" in value or not (value or is_empty_allowed):
        raise Refused("value", place)
    return value


def word(value: object, place: str) -> str:
    """Return `value` if it is 1 to 128 visible ASCII characters."""
    if not isinstance(value, str) or not _WORD.fullmatch(value):
        raise Refused("value", place)
    return value


def uuid(value: object, place: str) -> str:
    """Return `value` if it is a UUID in lower case with hyphens. Source: RFC 9562 section 4."""
    if not isinstance(value, str) or not _UUID.fullmatch(value):
        raise Refused("value", place)
    return value


def integer(value: object, place: str, *, most: int = LARGEST_INTEGER, least: int = 0) -> int:
    """Return `value` if it is an integer (no boolean) from `least` to `most`."""
    if type(value) is not int or not least <= value <= most:
        raise Refused("value", place)
    return value


def life(found: Mapping[str, object], place: str, *, most: int) -> tuple[int, int]:
    """Return `iat` and `exp` of `found`, seconds since 1970: the second later, by `most` seconds at the most."""
    iat, exp = (integer(found[name], f"{place}.{name}") for name in ("iat", "exp"))
    if not 0 < exp - iat <= most:
        raise Refused("lifetime", f"{place}.exp")
    return iat, exp


def exactly(value: object, wanted: str | int, place: str) -> None:
    """Accept `value` if it is `wanted`, of the same type."""
    if type(value) is not type(wanted) or value != wanted:
        raise Refused("value", place)


def sorted_digests(value: object, place: str, *, most: int, least: int = 0) -> tuple[str, ...]:
    """Return `value` if it is a list of digests in order, none of them twice."""
    found = [
        digest(one, f"{place}[{number}]") for number, one in enumerate(a_list(value, place, most=most, least=least))
    ]
    if any(one >= after for one, after in pairwise(found)):
        raise Refused("value", place)
    return tuple(found)


def check_now(issued: int, expires: int, now: int, place: str) -> None:
    """Accept a time of issue up to 30 s ahead and an expiry that is not over; all are seconds since 1970."""
    if issued > now + SKEW_SECONDS:
        raise Refused("ahead", f"{place}.iat")
    if now > expires:
        raise Refused("expired", f"{place}.exp")
