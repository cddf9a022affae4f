"""A decision by a passkey: what the browser and the authenticator say, held against what was to be signed.

Source: WebAuthn Level 2 sections 6.1 and 7.2; CTAP 2 section 6 for the shape of extensions.
"""

from __future__ import annotations

import hashlib
import json
from typing import Final, NamedTuple

from failgate.sealed import form
from failgate.sealed.refusal import Refused

CLIENT_DATA_BYTES: Final = 8192
AUTHENTICATOR_DATA_BYTES: Final = 4096
_USER_PRESENT: Final = 0x01
_USER_VERIFIED: Final = 0x04
_BACKUP_ELIGIBLE: Final = 0x08
_BACKED_UP: Final = 0x10
_CREDENTIAL_INCLUDED: Final = 0x40  # of a registration
_EXTENSIONS_INCLUDED: Final = 0x80
_FIXED_BYTES: Final = 37  # digest of the relying party, flags, counter
_DEEPEST: Final = 8
_LENGTHS: Final = {24: 1, 25: 2, 26: 4, 27: 8}  # CBOR: bytes after the first one
_MAP: Final = 5


class AuthenticatorData(NamedTuple):
    """What an authenticator says of itself."""

    rp_digest: bytes
    flags: int
    counter: int


def check_client_data(content: bytes, *, challenge: str, origins: tuple[str, ...], place: str) -> None:
    """Accept the client data of an assertion over `challenge` (base64url), made on one of `origins` itself.

    Members that are not known are the browser's to add; none may stand twice.
    Raises: Refused (`client-data`, `challenge`, `origin`).
    """
    try:
        found = form.an_object(json.loads(content.decode(), object_pairs_hook=_once), place)
    except (ValueError, RecursionError):
        raise Refused("client-data", place) from None
    if found.get("type") != "webauthn.get":
        raise Refused("client-data", f"{place}.type")
    if found.get("challenge") != challenge:
        raise Refused("challenge", f"{place}.challenge")
    if found.get("origin") not in origins:
        raise Refused("origin", f"{place}.origin")
    if found.get("crossOrigin", False) is not False or "topOrigin" in found:
        raise Refused("origin", f"{place}.crossOrigin")


def read_authenticator_data(content: bytes, place: str) -> AuthenticatorData:
    """Return what stands in `content`, all of whose bytes have to be accounted for.

    Raises: Refused (`authenticator-data`).
    """
    if len(content) < _FIXED_BYTES:
        raise Refused("authenticator-data", place)
    flags, rest = content[32], content[_FIXED_BYTES:]
    is_odd = bool(flags & _BACKED_UP) and not flags & _BACKUP_ELIGIBLE
    if flags & _CREDENTIAL_INCLUDED or is_odd:
        raise Refused("authenticator-data", place)
    if flags & _EXTENSIONS_INCLUDED:
        if rest[:1] < b"\xa0" or rest[:1] > b"\xbb" or _end_of_item(rest, 0, _DEEPEST, place) != len(rest):
            raise Refused("authenticator-data", place)
    elif rest:
        raise Refused("authenticator-data", place)
    return AuthenticatorData(content[:32], flags, int.from_bytes(content[33:37], "big"))


def check_authenticator(found: AuthenticatorData, *, rp: str, stored_counter: int, place: str) -> None:
    """Accept an authenticator that asked and verified the person for `rp`, and has not counted backwards.

    Raises: Refused (`relying-party`, `presence`, `counter`).
    """
    if found.rp_digest != hashlib.sha256(rp.encode()).digest():
        raise Refused("relying-party", place)
    if not found.flags & _USER_PRESENT or not found.flags & _USER_VERIFIED:
        raise Refused("presence", place)
    if found.counter < stored_counter:
        raise Refused("counter", place)


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a member stands twice")
    return found


def _end_of_item(content: bytes, start: int, levels: int, place: str) -> int:
    """Return where the CBOR item ends that begins at `start`: definite lengths alone. Source: RFC 8949 section 3."""
    if start >= len(content) or not levels:
        raise Refused("authenticator-data", place)
    major, low = content[start] >> 5, content[start] & 0x1F
    size = _LENGTHS.get(low, 0)
    after = start + 1 + size
    if low > max(_LENGTHS) or after > len(content):
        raise Refused("authenticator-data", place)
    number = int.from_bytes(content[start + 1 : after], "big") if size else low
    if major in {0, 1, 7}:
        return after
    if major in {2, 3}:
        return _bounded(after + number, content, place)
    items = {4: number, _MAP: number * 2}.get(major, 1)  # a tag (6) stands before one item
    _bounded(after + items, content, place)
    for _ in range(items):
        after = _end_of_item(content, after, levels - 1, place)
    return after


def _bounded(end: int, content: bytes, place: str) -> int:
    if end > len(content):
        raise Refused("authenticator-data", place)
    return end
