"""How an artifact lies sealed in a store: chunks of AES-256-GCM that cannot be changed, moved, cut or joined. Pure.

```text
object key  = HKDF-SHA256(data key of the workspace, salt, "failgate artifact v1" and what the object is)
chunk i     = AES-256-GCM(object key, nonce = i as 11 bytes and 01 for the last chunk else 00, 256 KiB of plaintext)
```

Each object has a key of its own, so the counter is the nonce and no nonce comes twice. The last chunk alone says that
it is the last one, and is empty for an empty artifact alone: an object that was cut or continued does not open. A range
is read by opening the chunks that hold it.

Sources: Hoang, Reyhanitabar, Rogaway, Vizár, "Online Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance"
(STREAM); the age file format v1; RFC 5869 (HKDF); NIST SP 800-38D (GCM).
"""

import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from failgate.base.errors import StorageUnavailable

CHUNK_BYTES: Final = 256 * 1024
TAG_BYTES: Final = 16
SALT_BYTES: Final = 16
KEY_BYTES: Final = 32
_STORED: Final = CHUNK_BYTES + TAG_BYTES
_LABEL: Final = b"failgate artifact v1"


@dataclass(frozen=True, slots=True)
class Sealed:
    """What a sealed object is: the key depends on every word of it, so nothing opens as something else."""

    workspace_id: str
    object_key: str
    sha256: str
    size_bytes: int
    salt: bytes

    @property
    def chunks(self) -> int:
        """Return in how many chunks it lies."""
        return max(1, -(-self.size_bytes // CHUNK_BYTES))

    @property
    def stored_bytes(self) -> int:
        """Return the size of the object in the store."""
        return self.size_bytes + self.chunks * TAG_BYTES

    def cipher(self, data_key: bytes) -> AESGCM:
        """Return the cipher of this object under the workspace's data key, 32 bytes."""
        words = (self.workspace_id, self.object_key, self.sha256, str(self.size_bytes))
        info = b"\n".join((_LABEL, *(word.encode() for word in words)))
        return AESGCM(HKDF(SHA256(), KEY_BYTES, self.salt, info).derive(data_key))


def new_salt() -> bytes:
    """Return a fresh salt."""
    return secrets.token_bytes(SALT_BYTES)


async def sealed_pieces(pieces: AsyncIterator[bytes], what: Sealed, data_key: bytes) -> AsyncIterator[bytes]:
    """Yield the object of the plaintext `pieces`, which have `what.size_bytes` bytes together.

    The last chunk is yielded after `pieces` ended, so whatever they refuse at their end is not sealed.
    """
    cipher, number, held = what.cipher(data_key), 0, bytearray()
    async for piece in pieces:
        held += piece
        whole = (len(held) - 1) // CHUNK_BYTES  # of what is held, one byte at least stays for the last chunk
        if whole <= 0:
            continue
        yield _sealed_chunks(cipher, number, held, whole)  # in a thread each would keep memory of its own for it
        number += whole
        del held[: whole * CHUNK_BYTES]
    yield cipher.encrypt(_nonce(number, is_last=True), bytes(held), None)


def _sealed_chunks(cipher: AESGCM, first: int, held: bytearray, count: int) -> bytes:
    with memoryview(held) as plain:
        return b"".join(
            cipher.encrypt(_nonce(first + each, is_last=False), plain[each * CHUNK_BYTES :][:CHUNK_BYTES], None)
            for each in range(count)
        )


@dataclass(frozen=True, slots=True)
class Span:
    """Which bytes of an object have to be fetched for a range: `stop` None means to its end, wherever that is."""

    first_chunk: int
    start: int
    stop: int | None


def span_of(what: Sealed, start: int, stop: int) -> Span:
    """Return what to fetch for the plaintext bytes `start` to `stop` (exclusive), 0 <= start <= stop <= size."""
    first = min(start // CHUNK_BYTES, what.chunks - 1)
    last = max(first, min(what.chunks - 1, (stop - 1) // CHUNK_BYTES))
    return Span(first, first * _STORED, None if last == what.chunks - 1 else (last + 1) * _STORED)


async def opened_pieces(
    pieces: AsyncIterator[bytes], what: Sealed, data_key: bytes, start: int, stop: int
) -> AsyncIterator[bytes]:
    """Yield the plaintext bytes `start` to `stop` of an object of which `pieces` are the bytes of its span.

    Raises: StorageUnavailable when a chunk was changed, moved, is missing, or follows the last one.
    """
    span, cipher, held = span_of(what, start, stop), what.cipher(data_key), bytearray()
    number, end = span.first_chunk, what.chunks if span.stop is None else span.stop // _STORED

    def take(stored: bytes) -> bytes:
        nonlocal number
        is_last = number == what.chunks - 1
        if number >= end:
            raise _damaged()
        try:
            plain = cipher.decrypt(_nonce(number, is_last=is_last), stored, None)
        except (InvalidTag, ValueError):
            raise _damaged() from None
        at = number * CHUNK_BYTES
        number += 1
        return plain[max(start - at, 0) : max(stop - at, 0)]

    async for piece in pieces:
        held += piece
        # The last chunk of the object is opened when nothing follows it.
        whole = min(len(held) // _STORED, what.chunks - 1 - number if span.stop is None else len(held))
        found = [take(bytes(held[each * _STORED :][:_STORED])) for each in range(max(whole, 0))]
        del held[: len(found) * _STORED]
        if len(held) > _STORED:
            raise _damaged()
        if plain := b"".join(found):
            yield plain
    if held and (plain := take(bytes(held))):
        yield plain
    if number != end:
        raise _damaged()


def _nonce(number: int, *, is_last: bool) -> bytes:
    return number.to_bytes(11, "big") + (b"\x01" if is_last else b"\x00")


def _damaged() -> StorageUnavailable:
    return StorageUnavailable(
        "The artifact does not open: its bytes in the store were changed, cut or joined.",
        hint="The operator puts the object back from a backup; `failgate doctor --deep` names it.",
    )
