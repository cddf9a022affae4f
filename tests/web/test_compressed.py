"""Compressed bodies stay in proportion."""

import gzip
import os
import subprocess
import sys
import zlib

import brotli
import pytest

from failgate.base.errors import BadInput, TooLarge
from failgate.web.compressed import FREE_BYTES, decompressed

LIMIT = 32 * 1024 * 1024
WHOLE = gzip.compress(b"a", mtime=0)
"""Without the time: every worker of the suite names its tests alike."""

GROWN = """
import resource, sys
from failgate.base.errors import TooLarge
from failgate.web.compressed import decompressed
import brotli

body = sys.stdin.buffer.read()
most = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
before = most()
try:
    decompressed(body, "br", 64 << 20)
except TooLarge:
    print(most() - before)
"""


@pytest.mark.parametrize("size", [0, 1, 100_000, FREE_BYTES, 7_000_001])
def test_what_was_compressed_comes_back(size):
    plain = os.urandom(size // 2) + b"a" * (size - size // 2)
    raw = zlib.compressobj(wbits=-15)
    written = [(gzip.compress(plain), "gzip"), (zlib.compress(plain), " Deflate "), (plain, "")]
    written.append((raw.compress(plain) + raw.flush(), "deflate"))
    written.append((brotli.compress(plain, quality=4), "br"))
    for body, encoding in written:
        assert decompressed(body, encoding, LIMIT) == plain


def test_a_bomb_ends_at_a_hundred_times_its_size():
    with pytest.raises(TooLarge):
        decompressed(gzip.compress(b"\0" * 20_000_000), "gzip", LIMIT)
    with pytest.raises(TooLarge):
        decompressed(gzip.compress(os.urandom(3_000_000)), "gzip", 2_000_000)


def test_a_bomb_of_brotli_ends_there_too_and_its_process_stays_small():
    for plain, limit in ((b"\0" * 100_000_000, LIMIT), (os.urandom(3_000_000), 2_000_000)):
        with pytest.raises(TooLarge):
            decompressed(brotli.compress(plain, quality=4), "br", limit)
    bomb = "import brotli, sys; sys.stdout.buffer.write(brotli.compress(bytes(800_000_000), quality=4))"
    packed = subprocess.run([sys.executable, "-c", bomb], capture_output=True, check=True, timeout=60).stdout
    assert len(packed) < 10_000
    done = subprocess.run([sys.executable, "-c", GROWN], input=packed, capture_output=True, check=True, timeout=60)
    assert int(done.stdout) < 32  # MiB; 16 of them are the window that the format allows


@pytest.mark.parametrize("encoding", ["zstd", "gzip, gzip", "br, gzip", "x"])
def test_another_coding_is_refused(encoding):
    with pytest.raises(BadInput):
        decompressed(b"x", encoding, LIMIT)


@pytest.mark.parametrize("body", [b"", b"x", WHOLE[:-1], WHOLE + b"b", WHOLE * 2])
def test_a_broken_body_is_refused(body):
    with pytest.raises(BadInput):
        decompressed(body, "gzip", LIMIT)


@pytest.mark.parametrize("plain", [b"a", b"a" * 1_000_000, os.urandom(600_000)], ids=["one", "many", "noise"])
@pytest.mark.parametrize("change", ["cut", "more", "twice", "none", "other"])
def test_a_broken_body_of_brotli_is_refused(plain, change):
    whole = brotli.compress(plain, quality=4)
    bodies = {"cut": whole[:-1], "more": whole + b"b", "twice": whole * 2, "none": b"", "other": gzip.compress(plain)}
    with pytest.raises(BadInput):
        decompressed(bodies[change], "br", LIMIT)
