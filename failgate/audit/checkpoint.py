"""Checkpoints: the head of a log, signed, as text that anybody can keep and compare.

Source: C2SP tlog-checkpoint and signed-note. A note is text, an empty line, and lines `— name base64(key id ||
signature)`. Keys are Ed25519 (type 0x01); a signature of another type or by an unknown key is passed over, as the
specification says, so that witnesses and later key types can be added.
"""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from failgate.base.errors import Unprocessable
from failgate.base.vkey import LOG, Vkey, is_key_name, read_vkey

LARGEST_NOTE = 64 * 1024  # bytes
MOST_SIGNATURES = 64
_LARGEST_SIZE = 2**63 - 1


class NoteRejected(Unprocessable):
    """A note that is malformed, or that no known key signed."""

    slug = "note-rejected"
    title = "The signed note cannot be trusted"


class PrivateKey(Protocol):
    """What signs: `cryptography`'s Ed25519 key, or a program that keeps one."""

    def sign(self, data: bytes, /) -> bytes:
        """Return the 64 bytes of the signature."""
        ...


@dataclass(frozen=True, slots=True)
class Verifier:
    """A key's name and 32 bytes of Ed25519 public key."""

    name: str
    public: bytes

    @property
    def key_id(self) -> bytes:
        """Return the first 4 bytes of SHA-256(name || 0x0A || 0x01 || key)."""
        return self._vkey.key_id

    @property
    def vkey(self) -> str:
        """Return the key as text: `name+hex of the key id+base64(0x01 || key)`."""
        return self._vkey.text

    @property
    def _vkey(self) -> Vkey:
        return Vkey(self.name, LOG, self.public)

    @classmethod
    def parse(cls, vkey: str) -> "Verifier":
        """Return the verifier that `vkey` describes.

        Raises: NoteRejected (malformed, not Ed25519, or a key id that does not belong to it).
        """
        try:
            key = read_vkey(vkey, LOG)
        except ValueError as error:
            raise NoteRejected(f"The verifier key {error}.") from None
        return cls(key.name, key.public)

    def is_signature(self, text: bytes, signature: bytes) -> bool:
        """Tell whether this key made `signature` over `text`."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text)
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The head of the log `origin`: how many records, and the root of their tree."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """Return the signed text: origin, size in decimal, base64 of the root, one a line."""
        return f"{self.origin}\n{self.size}\n{_b64(self.root)}\n"

    @classmethod
    def parse(cls, text: str) -> "Checkpoint":
        """Return the checkpoint that the note text `text` states; lines after the third are extensions, passed over.

        Raises: NoteRejected.
        """
        lines = text.split("\n")
        if len(lines) < 4 or lines[-1] or not lines[0] or not all(lines[3:-1]):
            raise NoteRejected("The note is no checkpoint.", hint="It has an origin, a size and a root, one a line.")
        size, root = lines[1], _unb64(lines[2], "the root")
        is_decimal = size.isascii() and size.isdigit() and len(size) <= 19 and (size == "0" or size[0] != "0")
        if not is_decimal or int(size) > _LARGEST_SIZE:
            raise NoteRejected("The checkpoint's size is not a decimal number.")
        if len(root) != 32:
            raise NoteRejected("The checkpoint's root is not 32 bytes.")
        return cls(lines[0], int(size), root)


def sign(text: str, verifier: Verifier, key: PrivateKey) -> str:
    """Return the note of `text`, signed by `key`, whose public half is `verifier`."""
    signature = verifier.key_id + key.sign(text.encode())
    return f"{text}\n— {verifier.name} {_b64(signature)}\n"


def open_note(note: str, verifiers: Sequence[Verifier]) -> str:
    """Return the text of `note`, which at least one of `verifiers` signed.

    Raises: NoteRejected (malformed, no signature by a known key, or one by a known key that is wrong).
    Source: C2SP signed-note, sections "Format" and "Signatures".
    """
    text, signatures = _split(note)
    known = {(verifier.name, verifier.key_id): verifier for verifier in verifiers}
    is_signed = False
    for name, key_id, signature in signatures:
        verifier = known.get((name, key_id))
        if verifier is None:
            continue
        if not verifier.is_signature(text.encode(), signature):
            raise NoteRejected(f"The signature of {name} on the note is wrong.")
        is_signed = True
    if not is_signed:
        raise NoteRejected("No known key signed the note.", hint="Pass the verifier key of the log's operator.")
    return text


def open_checkpoint(note: str, verifiers: Sequence[Verifier]) -> Checkpoint:
    """Return the checkpoint in `note`, signed by one of `verifiers` under the log's own name.

    Raises: NoteRejected.
    """
    checkpoint = Checkpoint.parse(_split(note)[0])
    open_note(note, [verifier for verifier in verifiers if verifier.name == checkpoint.origin])
    return checkpoint


def read_unverified(note: str) -> Checkpoint:
    """Return what `note` claims, to find the key that has to prove it.

    Raises: NoteRejected.
    """
    return Checkpoint.parse(_split(note)[0])


def text_of(note: str) -> str:
    """Return the text of `note` that is signed. Raises: NoteRejected."""
    return _split(note)[0]


def signature_lines(lines: str) -> list[tuple[str, str, bytes, bytes]]:
    """Return each signature line of `lines`, with its break, as line, name, key id, signature. Raises: NoteRejected."""
    if "\n\n" in lines:
        raise NoteRejected("There is an empty line among the signatures.")
    _, found = _split(f"\n\n{lines}")
    texts = lines[:-1].split("\n")
    return [(f"{text}\n", *parts) for text, parts in zip(texts, found, strict=True)]


def _split(note: str) -> tuple[str, list[tuple[str, bytes, bytes]]]:
    if len(note) > LARGEST_NOTE or any(character < " " and character != "\n" for character in note):
        raise NoteRejected("The note is too long or holds control characters.")
    text, separator, tail = note.rpartition("\n\n")
    if not separator or not tail.endswith("\n"):
        raise NoteRejected("The note has no signatures.", hint="An empty line stands between the text and them.")
    lines = tail[:-1].split("\n")
    if len(lines) > MOST_SIGNATURES:
        raise NoteRejected(f"The note has more than {MOST_SIGNATURES} signatures.")
    return text + "\n", [_signature(line) for line in lines]


def _signature(line: str) -> tuple[str, bytes, bytes]:
    name, _, encoded = line.removeprefix("— ").partition(" ")
    if not line.startswith("— ") or not is_key_name(name):
        raise NoteRejected("A signature line of the note is malformed.", hint="It reads: em dash, name, base64.")
    octets = _unb64(encoded, "a signature")
    if len(octets) < 5:
        raise NoteRejected("A signature of the note is too short.")
    return name, octets[:4], octets[4:]


def _b64(octets: bytes) -> str:
    return base64.b64encode(octets).decode("ascii")


def _unb64(text: str, what: str) -> bytes:
    try:
        octets = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise NoteRejected(f"In the note, {what} is not base64.") from None
    if _b64(octets) != text:
        raise NoteRejected(f"In the note, {what} is not base64 in its one form.")
    return octets
