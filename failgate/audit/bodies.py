r"""Personal data of records: a record commits to a body, and the body lies beside it, where it can be erased. Pure.

What a record commits to is base64url of SHA-256("failgate personal data v1\n" ‖ salt ‖ body). The salt is 32 random
bytes, of its own for each record: without it a commitment says nothing, also of a value with few possibilities, as a
network address is one. Erasing takes salt and body away; no byte that is hashed changes by it.

Verification imports this in every process that it uses, so it must stay quick to load.
"""

import os
from binascii import b2a_base64
from collections.abc import Mapping, Sequence
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final, NamedTuple

import msgspec

DOMAIN: Final = b"failgate personal data v1\n"
SALT_BYTES: Final = 32
_DRAWN_AT_ONCE: Final = 64  # salts
_TO_URL: Final = bytes.maketrans(b"+/", b"-_")
# Of a span of positions; the place of a parameter is another one for each driver.
BODIES_BETWEEN: Final = (
    "SELECT position, salt, body, erased_us FROM audit_body WHERE position >= {} AND position < {} ORDER BY position"
)


class Body(NamedTuple):
    """What is kept beside a record: salt and canonical JSON, or when both were erased, in microseconds since 1970."""

    salt: bytes | None
    body: bytes | None
    erased_us: int | None


class Doubt(NamedTuple):
    """The number of a record whose body is not what it should be, and why."""

    seq: int
    reason: str


class Salts:
    """Salts, of which several are drawn at once."""

    __slots__ = ("_drawn", "_used")

    def __init__(self) -> None:
        """Draw none yet."""
        self._drawn = b""
        self._used = 0

    def take(self) -> bytes:
        """Return 32 random bytes that nobody else gets."""
        start = self._used
        if start == len(self._drawn):
            self._drawn, start = os.urandom(SALT_BYTES * _DRAWN_AT_ONCE), 0
        self._used = start + SALT_BYTES
        return self._drawn[start : self._used]


_encode = msgspec.json.Encoder(order="deterministic").encode


@lru_cache(maxsize=4096)
def body_of(address: str) -> bytes:
    """Return the body of a record that came from the network address `address`, as canonical JSON."""
    return _encode({"ip": address})


def commitment(salt: bytes, body: bytes) -> str:
    """Return what a record says in `pd`."""
    hashed = sha256(DOMAIN + salt + body).digest()
    return b2a_base64(hashed, newline=False).translate(_TO_URL, b"=").decode("ascii")


def address_in(record: Mapping[str, Any], body: bytes | None) -> object:
    """Return the network address of a record: of version 1 its own, else that in the `body` beside it, else None."""
    return record.get("ip") if body is None else _decode_body(body).get("ip")


_decode_body = msgspec.json.Decoder(dict[str, Any]).decode


class _Committed(msgspec.Struct):
    pd: str | None = None


_decode = msgspec.json.Decoder(_Committed).decode


def committed_in(leaf: bytes) -> str | None:
    """Return what a record commits to; None of one that commits to nothing, as those of version 1 do.

    Raises: msgspec.DecodeError, UnicodeDecodeError (it is no record).
    """
    return _decode(leaf).pd


def weigh(first: int, leaves: Sequence[bytes], bodies: Mapping[int, Body]) -> tuple[list[int], Doubt | None]:
    """Compare the records from number `first` with the `bodies` that lie beside them, by number.

    Return the numbers of those whose body is gone, whether erased or lost, and the first that is not as it should be:
    a body that does not fit its commitment, one of a record that commits to nothing, one half erased.
    """
    gone: list[int] = []
    left = len(bodies)
    for seq, leaf in enumerate(leaves, first):
        try:
            pd = _decode(leaf).pd
        except (msgspec.DecodeError, UnicodeDecodeError):
            return gone, Doubt(seq, f"record {seq} does not say what it commits to")
        found = bodies.get(seq)
        left -= found is not None
        if pd is None:
            if found is not None:
                return gone, Doubt(seq, f"record {seq} commits to nothing, and there is a body beside it")
            continue
        if found is None:
            gone.append(seq)
            continue
        salt, body, erased_us = found
        if salt is None and body is None and erased_us is not None:
            gone.append(seq)
        elif (
            type(salt) is not bytes
            or type(body) is not bytes
            or len(salt) != SALT_BYTES
            or erased_us is not None
            or commitment(salt, body) != pd
        ):
            return gone, Doubt(seq, f"the body of record {seq} is not what the record commits to")
    if left:
        beside = min(seq for seq in bodies if not first <= seq < first + len(leaves))
        return gone, Doubt(beside, f"there is a body of record {beside}, which is not there")
    return gone, None
