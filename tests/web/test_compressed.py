"""Compressed bodies stay in proportion."""

import gzip
import os
import zlib

import pytest

from failgate.base.errors import BadInput, TooLarge
from failgate.web.compressed import FREE_BYTES, decompressed

LIMIT = 32 * 1024 * 1024
WHOLE = gzip.compress(b"a", mtime=0)
"""Without the time: every worker of the suite names its tests alike."""


@pytest.mark.parametrize("size", [0, 1, 100_000, FREE_BYTES])
def test_what_was_compressed_comes_back(size):
    plain = os.urandom(size // 2) + b"a" * (size - size // 2)
    raw = zlib.compressobj(wbits=-15)
    written = [(gzip.compress(plain), "gzip"), (zlib.compress(plain), " Deflate "), (plain, "")]
    written.append((raw.compress(plain) + raw.flush(), "deflate"))
    for body, encoding in written:
        assert decompressed(body, encoding, LIMIT) == plain


def test_a_bomb_ends_at_a_hundred_times_its_size():
    with pytest.raises(TooLarge):
        decompressed(gzip.compress(b"\0" * 20_000_000), "gzip", LIMIT)
    with pytest.raises(TooLarge):
        decompressed(gzip.compress(os.urandom(3_000_000)), "gzip", 2_000_000)


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "x"])
def test_another_coding_is_refused(encoding):
    with pytest.raises(BadInput):
        decompressed(b"x", encoding, LIMIT)


@pytest.mark.parametrize("body", [b"", b"x", WHOLE[:-1], WHOLE + b"b", WHOLE * 2])
def test_a_broken_body_is_refused(body):
    with pytest.raises(BadInput):
        decompressed(body, "gzip", LIMIT)
