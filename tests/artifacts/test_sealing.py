"""Sealed artifacts: whatever the pieces and the range, the plaintext; whatever was changed, nothing. E16."""

import hashlib
from collections.abc import AsyncIterator

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given, settings
from hypothesis import strategies as st

from failgate.artifacts import sealing
from failgate.artifacts.sealing import Sealed, opened_pieces, sealed_pieces, span_of
from failgate.base.errors import StorageUnavailable

KEY = bytes(range(32))
CHUNK = 16


@pytest.fixture(autouse=True)
def small_chunks(request: pytest.FixtureRequest) -> AsyncIterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        if "real_chunks" not in request.fixturenames:
            patch.setattr(sealing, "CHUNK_BYTES", CHUNK)
            patch.setattr(sealing, "_STORED", CHUNK + sealing.TAG_BYTES)
        yield


@pytest.fixture
def real_chunks() -> None:
    """Leave the chunks as large as they are."""


def what(content: bytes, **changes: object) -> Sealed:
    words = {
        "workspace_id": "workspace",
        "object_key": "object",
        "sha256": hashlib.sha256(content).hexdigest(),
        "size_bytes": len(content),
        "salt": b"\x07" * 16,
    }
    return Sealed(**(words | changes))


async def pieces_of(content: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


async def seal(content: bytes, piece: int = 7, sealed: Sealed | None = None) -> bytes:
    sealed = sealed or what(content)
    return b"".join([each async for each in sealed_pieces(pieces_of(content, piece), sealed, KEY)])


async def unseal(
    stored: bytes, sealed: Sealed, start: int = 0, stop: int | None = None, piece: int = 11, key: bytes = KEY
) -> bytes:
    stop = sealed.size_bytes if stop is None else stop
    span = span_of(sealed, start, stop)
    fetched = pieces_of(stored[span.start : span.stop], piece)
    return b"".join([each async for each in opened_pieces(fetched, sealed, key, start, stop)])


async def test_the_bytes_are_those_of_the_written_construction(real_chunks):
    """Known answer, made step by step from the words at the head of the module."""
    content = bytes(sealing.CHUNK_BYTES) + b"tail"
    sealed = what(content)
    info = b"failgate artifact v1\nworkspace\nobject\n" + sealed.sha256.encode() + b"\n" + str(len(content)).encode()
    cipher = AESGCM(HKDF(SHA256(), 32, b"\x07" * 16, info).derive(KEY))
    by_hand = cipher.encrypt(bytes(11) + b"\0", content[: 256 * 1024], None)
    by_hand += cipher.encrypt(bytes(10) + b"\1\1", b"tail", None)
    stored = await seal(content, 100_000)
    assert stored == by_hand
    assert hashlib.sha256(stored).hexdigest() == "a7402768c1af0b64186340934b0104a430b52e0e0faa2cf388eb936d8dda9046"
    assert len(stored) == sealed.stored_bytes


async def test_a_range_fetches_the_chunks_that_hold_it_and_no_more(real_chunks):
    chunk = sealing.CHUNK_BYTES
    sealed = what(b"", size_bytes=10 * chunk)
    span = span_of(sealed, 3 * chunk + 5, 4 * chunk)
    assert (span.first_chunk, span.start, span.stop) == (3, 3 * (chunk + 16), 4 * (chunk + 16))
    assert span_of(sealed, 9 * chunk, 10 * chunk).stop is None


@settings(max_examples=300, deadline=None)
@given(content=st.binary(max_size=100), cut=st.integers(1, 60), read=st.integers(1, 60), data=st.data())
async def test_any_pieces_and_any_range_give_the_plaintext(content, cut, read, data):
    start = data.draw(st.integers(0, len(content)))
    stop = data.draw(st.integers(start, len(content)))
    stored = await seal(content, cut)
    assert len(stored) == what(content).stored_bytes
    assert await unseal(stored, what(content), start, stop, read) == content[start:stop]


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 32, 45])
async def test_every_flipped_byte_and_every_other_length_is_refused(size):
    content = bytes(range(size))
    stored, sealed = await seal(content), what(content)
    for place in range(len(stored)):
        for bit in (1, 128):
            spoilt = bytearray(stored)
            spoilt[place] ^= bit
            with pytest.raises(StorageUnavailable):
                await unseal(bytes(spoilt), sealed)
    for length in range(len(stored)):
        with pytest.raises(StorageUnavailable):
            await unseal(stored[:length], sealed)
    for more in (b"\0", bytes(16), stored, stored[-32:], bytes(100)):
        with pytest.raises(StorageUnavailable):
            await unseal(stored + more, sealed)


async def test_chunks_that_were_swapped_repeated_or_left_out_are_refused():
    content = bytes(range(80))
    stored, sealed = await seal(content), what(content)
    chunks = [stored[start : start + 32] for start in range(0, len(stored), 32)]
    for first in range(5):
        for second in range(5):
            if first != second:
                moved = list(chunks)
                moved[first], moved[second] = moved[second], moved[first]
                with pytest.raises(StorageUnavailable):
                    await unseal(b"".join(moved), sealed)
                with pytest.raises(StorageUnavailable):
                    await unseal(b"".join([*chunks[:first], chunks[second], *chunks[first + 1 :]]), sealed)
        with pytest.raises(StorageUnavailable):
            await unseal(b"".join(chunks[:first] + chunks[first + 1 :]), sealed)


@pytest.mark.parametrize(
    "change",
    [
        {"workspace_id": "other"},
        {"object_key": "other"},
        {"sha256": "0" * 64},
        {"salt": b"\x08" * 16},
        {"size_bytes": 33},
        {"size_bytes": 31},
        {"size_bytes": 16},
    ],
)
async def test_an_object_opens_as_nothing_else(change):
    content = bytes(range(32))
    with pytest.raises(StorageUnavailable):
        await unseal(await seal(content), what(content, **change))
    with pytest.raises(StorageUnavailable):
        await unseal(await seal(content), what(content), key=bytes(32))


async def test_what_the_pieces_refuse_at_their_end_is_not_sealed():
    async def refused() -> AsyncIterator[bytes]:
        yield bytes(40)
        raise ZeroDivisionError

    seen = []
    with pytest.raises(ZeroDivisionError):
        async for piece in sealed_pieces(refused(), what(bytes(40)), KEY):
            seen.append(piece)
    assert len(b"".join(seen)) == 64  # two chunks of three: without the last one they do not open


async def test_a_store_that_gives_more_than_it_was_asked_for_is_not_believed():
    content = bytes(range(4 * CHUNK))
    stored = await seal(content)
    sealed = what(content)
    assert await unseal(stored, sealed, 0, CHUNK) == content[:CHUNK]
    with pytest.raises(StorageUnavailable):
        [each async for each in opened_pieces(pieces_of(stored, len(stored)), sealed, KEY, 0, CHUNK)]
