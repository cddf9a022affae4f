"""Signed notes, checkpoints, keys, cosignatures. Source: C2SP signed-note, tlog-checkpoint, tlog-cosignature."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from failgate_verify.ed25519 import is_signature
from failgate_verify.verdict import Tampered, Unusable

ED25519, COSIGNATURE = 0x01, 0x04
LARGEST_NOTE = 64 * 1024  # bytes
_MOST_SIGNATURES = 64
_LARGEST_SIZE = 2**63 - 1


@dataclass(frozen=True)
class Key:
    """A verifier key: of a log (type 0x01) or of a witness (type 0x04)."""

    name: str
    kind: int
    public: bytes

    @property
    def key_id(self) -> bytes:
        """Return the 4 bytes that stand before its signatures."""
        return sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public).digest()[:4]

    @property
    def vkey(self) -> str:
        """Return the key as text."""
        encoded = base64.b64encode(bytes([self.kind]) + self.public).decode()
        return f"{self.name}+{self.key_id.hex()}+{encoded}"


@dataclass(frozen=True)
class Signature:
    """A signature line of a note."""

    name: str
    key_id: bytes
    octets: bytes


@dataclass(frozen=True)
class Checkpoint:
    """A signed head: the log's origin, its number of records, its root; the signed text and the signatures."""

    origin: str
    size: int
    root: bytes
    text: str
    signatures: tuple[Signature, ...]


def read_key(vkey: str) -> Key:
    """Return the key that `vkey` writes. Raises: Unusable (malformed, another type, an id that is not its own)."""
    name, _, rest = vkey.strip().partition("+")
    identifier, _, encoded = rest.partition("+")
    octets = _unbase64(encoded)
    if not _is_name(name) or octets is None or len(octets) != 33 or octets[0] not in {ED25519, COSIGNATURE}:
        raise Unusable("The verifier key is no Ed25519 key; it reads name+8 hex digits+base64.")
    key = Key(name, octets[0], octets[1:])
    if key.key_id.hex() != identifier:
        raise Unusable("The verifier key's id does not belong to its name and key.")
    return key


def read_checkpoint(note: bytes, what: str = "The checkpoint") -> Checkpoint:
    """Return the checkpoint in `note`, whose signatures `must_be_signed` checks. Raises: Unusable."""
    try:
        text = note.decode()
    except UnicodeDecodeError:
        raise Unusable(f"{what} is no text.") from None
    if len(note) > LARGEST_NOTE or any(character < " " and character != "\n" for character in text):
        raise Unusable(f"{what} is too long or holds control characters.")
    body, separator, tail = text.rpartition("\n\n")
    if not separator or not tail.endswith("\n"):
        raise Unusable(f"{what} is no signed note: an empty line stands between its text and its signatures.")
    lines = body.split("\n")
    root = _unbase64(lines[2]) if len(lines) > 2 else None
    if len(lines) < 3 or not all(lines) or not _is_size(lines[1]) or root is None or len(root) != 32:
        raise Unusable(f"{what} does not state an origin, a size and a root, one a line.")
    written = tail[:-1].split("\n")
    if len(written) > _MOST_SIGNATURES:
        raise Unusable(f"{what} has more than {_MOST_SIGNATURES} signatures.")
    return Checkpoint(lines[0], int(lines[1]), root, body + "\n", tuple(_signature(line, what) for line in written))


def must_be_signed(checkpoint: Checkpoint, key: Key, what: str = "The checkpoint") -> None:
    """Return when `key` signed it as the log's own. Raises: Tampered (it did not), Unusable (the key is of another)."""
    if key.kind != ED25519:
        raise Unusable(f"The key of {shown(key.name)} is a witness's, not a log's.")
    if key.name != checkpoint.origin:
        raise Tampered(None, f"{what} is of {shown(checkpoint.origin)}, the key of {shown(key.name)}.")
    found = [one for one in checkpoint.signatures if one.name == key.name and one.key_id == key.key_id]
    if not found:
        raise Tampered(None, f"{what} is not signed by the key of {shown(key.name)}.")
    if not all(is_signature(key.public, checkpoint.text.encode(), one.octets) for one in found):
        raise Tampered(None, f"The signature on {what[0].lower()}{what[1:]} is wrong.")


def cosigned_at(checkpoint: Checkpoint, key: Key) -> int | None:
    """Return the newest time at which a witness cosigned it, in seconds since 1970; None when it did not.

    Raises: Tampered (a cosignature that is wrong), Unusable (the key is no witness's).
    """
    if key.kind != COSIGNATURE:
        raise Unusable(f"The key of {shown(key.name)} is a log's, not a witness's (type 0x04).")
    times: list[int] = []
    for one in checkpoint.signatures:
        if one.name != key.name or one.key_id != key.key_id:
            continue
        seconds = int.from_bytes(one.octets[:8], "big")
        message = f"cosignature/v1\ntime {seconds}\n{checkpoint.text}".encode()
        if seconds > _LARGEST_SIZE or not is_signature(key.public, message, one.octets[8:]):
            raise Tampered(None, f"The cosignature of {shown(key.name)} is wrong.")
        times.append(seconds)
    return max(times, default=None)


def shown(text: str) -> str:
    """Return `text` so that it cannot play tricks on a terminal."""
    return text if text.isascii() and text.isprintable() else ascii(text)


def read_hashes(lines: Sequence[str]) -> list[bytes]:
    """Return the hashes of a proof, one a line in base64. Raises: Unusable."""
    if len(lines) > 63:
        raise Unusable("A proof has at most 63 hashes.")
    hashes = [_unbase64(line) for line in lines]
    found = [octets for octets in hashes if octets is not None and len(octets) == 32]
    if len(found) != len(lines):
        raise Unusable("A hash of the proof is not 32 bytes in base64.")
    return found


def read_extra(text: str) -> bytes:
    """Return the bytes of a proof's `extra`. Raises: Unusable."""
    octets = _unbase64(text)
    if octets is None:
        raise Unusable("The line `extra` of the proof is not base64.")
    return octets


def is_number(text: str) -> bool:
    """Tell whether `text` is a decimal of at most 19 digits in its one form."""
    return text.isascii() and text.isdigit() and len(text) <= 19 and (text == "0" or text[0] != "0")


def _is_size(text: str) -> bool:
    return is_number(text) and int(text) <= _LARGEST_SIZE


def _signature(line: str, what: str) -> Signature:
    name, _, encoded = line.removeprefix("— ").partition(" ")
    octets = _unbase64(encoded)
    if not line.startswith("— ") or not _is_name(name) or octets is None or len(octets) < 5:
        raise Unusable(f"A signature line of {what[0].lower()}{what[1:]} is malformed: em dash, name, base64.")
    return Signature(name, octets[:4], octets[4:])


def _is_name(name: str) -> bool:
    return bool(name) and "+" not in name and not any(character.isspace() for character in name)


def _unbase64(text: str) -> bytes | None:
    try:
        octets = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        return None
    return octets if base64.b64encode(octets).decode() == text else None
