"""Compact JWS with one algorithm and exactly three header members.

Source: RFC 7515 sections 3.1 and 7.1, RFC 7518 section 3.4.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from failgate.base.canonical import base64url, canonical
from failgate.sealed import form
from failgate.sealed.keys import SIGNATURE_BYTES, Signs, VerifyingKey, named
from failgate.sealed.refusal import Refused

MOST_SIGNATURES = 128
_HEADER_BYTES = 256
_PARTS = 3


class Compact(NamedTuple):
    """A compact JWS whose header is well-formed and whose signature nobody has verified yet."""

    kid: str
    payload: bytes
    signed: bytes
    signature: bytes


def header_of(kid: str, typ: str) -> str:
    """Return the protected header of a signature by `kid` over something of the type `typ`, encoded."""
    return base64url(canonical({"alg": "ES256", "kid": kid, "typ": typ}))


def sign(payload: bytes, typ: str, signer: Signs) -> str:
    """Return a compact JWS over `payload`."""
    signed = f"{header_of(signer.jkt, typ)}.{base64url(payload)}"
    return f"{signed}.{base64url(signer.sign(signed.encode('ascii')))}"


def read(token: object, typ: str, place: str, *, most: int) -> Compact:
    """Return the parts of the compact JWS `token`, its payload at most `most` bytes; nothing is verified yet.

    Raises: Refused (`shape`, `encoding`, `header`, …).
    """
    if not isinstance(token, str):
        raise Refused("shape", place)
    parts = token.split(".", _PARTS)
    if len(parts) != _PARTS:
        raise Refused("shape", place)
    kid = read_header(parts[0], typ, f"{place}.header")
    payload = form.octets(parts[1], f"{place}.payload", most=most)
    signature = read_signature(parts[2], f"{place}.signature")
    return Compact(kid, payload, f"{parts[0]}.{parts[1]}".encode("ascii"), signature)


def read_header(encoded: object, typ: str, place: str) -> str:
    """Return the `kid` of a protected header that is exactly `{"alg":"ES256","kid":…,"typ":typ}`.

    Raises: Refused (`header`, or of its encoding).
    """
    content = form.octets(encoded, place, most=_HEADER_BYTES)
    header = form.read_object(content, place)
    kid = header.get("kid")
    if not isinstance(kid, str) or encoded != header_of(kid, typ):
        raise Refused("header", place)
    return form.digest(kid, f"{place}.kid")


def read_signature(encoded: object, place: str) -> bytes:
    """Return the 64 bytes of an ES256 signature.

    Raises: Refused (`signature`, or of its encoding).
    """
    content = form.octets(encoded, place, most=SIGNATURE_BYTES * 2)
    if len(content) != SIGNATURE_BYTES:
        raise Refused("signature", place)
    return content


def signers_of(found: Mapping[str, object], typ: str, keys: Mapping[str, VerifyingKey], place: str) -> list[str]:
    """Return who signed the general JWS `found`: each signature holds, by a key of `keys`, and nobody signed twice.

    Raises: Refused (`signer-twice`, `unknown-key`, `signature`, `header`, …).
    """
    signers: list[str] = []
    where = f"{place}.signatures"
    for number, one in enumerate(form.a_list(found["signatures"], where, least=1, most=MOST_SIGNATURES)):
        here = f"{where}[{number}]"
        signature = form.members(one, here, ("protected", "signature"))
        kid = read_header(signature["protected"], typ, f"{here}.protected")
        if kid in signers:
            raise Refused("signer-twice", here)
        content = read_signature(signature["signature"], f"{here}.signature")
        named(keys, kid, here).verify(content, f"{signature['protected']}.{found['payload']}".encode("ascii"), here)
        signers.append(kid)
    return signers


def verified(token: object, typ: str, keys: Mapping[str, VerifyingKey], place: str, *, most: int) -> Compact:
    """Return what `read` returns, once the signature is one of the key in `keys` that the header names.

    Raises: Refused (`unknown-key`, `signature`, and what `read` raises).
    """
    found = read(token, typ, place, most=most)
    named(keys, found.kid, f"{place}.header.kid").verify(found.signature, found.signed, f"{place}.signature")
    return found
