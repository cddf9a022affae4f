"""What a witness says: a cosignature of a checkpoint, at a time. Pure.

Source: C2SP tlog-cosignature, "cosignature/v1" with Ed25519 (key type 0x04).
"""

from typing import NamedTuple

from failgate.audit.checkpoint import NoteRejected, Verifier, signature_lines, text_of
from failgate.base.vkey import WITNESS, Vkey, read_vkey

_STAMP_BYTES = 8


class Cosignature(NamedTuple):
    """A witness's line on a note, and when it cosigned, in seconds since 1970."""

    line: str
    seconds: int


def witness_key(vkey: str) -> Vkey:
    """Return the key of a witness. Raises: NoteRejected."""
    try:
        return read_vkey(vkey, WITNESS)
    except ValueError as error:
        raise NoteRejected(f"The witness's key {error}.") from None


def cosignature_in(lines: str, note: str, key: Vkey) -> Cosignature:
    """Return the cosignature of `key` on `note` that stands among the signature lines `lines`.

    Raises: NoteRejected (lines that are none, no line of that key, or one that is wrong).
    """
    text = text_of(note)
    for line, name, key_id, octets in signature_lines(lines):
        if (name, key_id) != (key.name, key.key_id):
            continue
        seconds = int.from_bytes(octets[:_STAMP_BYTES], "big")
        message = f"cosignature/v1\ntime {seconds}\n{text}".encode()
        if seconds == 0 or not Verifier(key.name, key.public).is_signature(message, octets[_STAMP_BYTES:]):
            raise NoteRejected(f"The cosignature of {key.name} is wrong.")
        return Cosignature(line, seconds)
    raise NoteRejected(f"The answer holds no cosignature of {key.name}.")
