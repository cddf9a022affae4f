"""How a token is written, `fg_usr_<id>_<secret>_<checksum>`, and what is kept of it. Pure.

Kinds: `usr` an account's API key, `agt` an agent's token, `ref` a refresh token, `scim` a provisioning token, `inv` an
invitation, `rst` a password reset, `shr` a share.

The id is the row's UUID in 22 characters of base62, the secret 256 random bits in 43, the checksum CRC-32 of all before
it in 6: scanners recognise a leaked one, and a mistyped one is refused without a look-up.
"""

import hashlib
import re
import secrets
import uuid
import zlib
from typing import Final, Literal

Kind = Literal["usr", "agt", "ref", "scim", "inv", "rst", "shr"]

_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PLACES: Final = {character: place for place, character in enumerate(_ALPHABET)}
_ID_CHARACTERS: Final = 22
_SECRET_CHARACTERS: Final = 43
_CHECKSUM_CHARACTERS: Final = 6
# Of every kind that is written with three letters.
TOKEN_CHARACTERS: Final = 7 + _ID_CHARACTERS + 1 + _SECRET_CHARACTERS + 1 + _CHECKSUM_CHARACTERS
_WRITTEN: Final = re.compile(
    r"fg_(usr|agt|ref|scim|inv|rst|shr)_([0-9A-Za-z]{22})_[0-9A-Za-z]{43}_[0-9A-Za-z]{6}", re.ASCII
)


def token_id_of(text: str, kind: Kind | None = None) -> str | None:
    """Return the id that the token `text` names, or None when it is not written like one or its checksum is wrong.

    With `kind`, a token of another kind names nothing.
    """
    match = _WRITTEN.fullmatch(text)
    if (
        match is None
        or kind not in {None, match[1]}
        or _checksum(text[: -_CHECKSUM_CHARACTERS - 1]) != text[-_CHECKSUM_CHARACTERS:]
    ):
        return None
    number = _from_base62(match[2])
    return str(uuid.UUID(int=number)) if number < 1 << 128 else None


def write_token(kind: Kind, token_id: str) -> str:
    """Return a token of `kind` for the row `token_id` with a fresh secret."""
    secret = _to_base62(int.from_bytes(secrets.token_bytes(32)), _SECRET_CHARACTERS)
    body = f"fg_{kind}_{_to_base62(uuid.UUID(token_id).int, _ID_CHARACTERS)}_{secret}"
    return f"{body}_{_checksum(body)}"


def digest_of(text: str) -> str:
    """Return what is kept of the credential `text`: its SHA-256 in hex. For random bits; passwords have `password.py`.

    Any text has one, a lone surrogate of a hostile request too.
    """
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _checksum(body: str) -> str:
    return _to_base62(zlib.crc32(body.encode()), _CHECKSUM_CHARACTERS)


def _to_base62(number: int, characters: int) -> str:
    text = ""
    while number:
        number, place = divmod(number, 62)
        text = _ALPHABET[place] + text
    return text.rjust(characters, "0")


def _from_base62(text: str) -> int:
    number = 0
    for character in text:
        number = number * 62 + _PLACES[character]
    return number
