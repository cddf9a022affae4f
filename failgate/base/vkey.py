"""Verifier keys as text: `name+hex of the key id+base64(kind || key)`. Source: C2SP signed-note, "Verifier keys"."""

import base64
import binascii
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

LOG: Final = 0x01  # an Ed25519 key that signs checkpoints
WITNESS: Final = 0x04  # an Ed25519 key that cosigns them


@dataclass(frozen=True, slots=True)
class Vkey:
    """A key's name, its kind and its 32 bytes."""

    name: str
    kind: int
    public: bytes

    @property
    def key_id(self) -> bytes:
        """Return the 4 bytes that stand before its signatures."""
        return sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public).digest()[:4]

    @property
    def text(self) -> str:
        """Return it as text."""
        encoded = base64.b64encode(bytes([self.kind]) + self.public).decode("ascii")
        return f"{self.name}+{self.key_id.hex()}+{encoded}"


def read_vkey(text: str, kind: int) -> Vkey:
    """Return the key of `kind` that `text` writes.

    Raises: ValueError (malformed, of another kind, or a key id that does not belong to it).
    """
    written = text.strip()
    name, _, rest = written.partition("+")
    _, _, encoded = rest.partition("+")
    try:
        octets = base64.b64decode(encoded.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        octets = b""
    if not is_key_name(name) or len(octets) != 33 or octets[0] != kind:
        whose = "a log's" if kind == LOG else "a witness's"
        raise ValueError(f"is not {whose} Ed25519 key; it reads name+8 hex digits+base64")
    key = Vkey(name, kind, octets[1:])
    if key.text != written:
        raise ValueError("has an id that does not belong to its name and key")
    return key


def is_key_name(name: str) -> bool:
    """Tell whether `name` may stand in a signature line."""
    return bool(name) and "+" not in name and not any(character.isspace() for character in name)
