"""What the walk takes of others: only what follows exactly what it has read itself."""

import msgspec
import pytest

from failgate.audit.chain import BEFORE_FIRST
from failgate.audit.checkpoint import Checkpoint
from failgate.audit.sweep import CHUNK, Swept
from failgate.audit.walk import Anchor, Found, Walk
from tests.audit.conftest import WS

FIRST = Swept(BEFORE_FIRST, b"1" * 32, b"a" * 32)
SECOND = Swept(b"1" * 32, b"2" * 32, b"b" * 32)


def test_a_chunk_is_passed_only_after_the_record_that_it_was_swept_after():
    walk = Walk(WS, 1, 2 * CHUNK, ())
    assert not walk.skip(SECOND)
    assert walk.skip(FIRST)
    assert not walk.skip(FIRST)
    assert not walk.skip(msgspec.structs.replace(SECOND, before=b"3" * 32))
    assert walk.skip(SECOND)


def test_a_chunk_that_a_kept_head_ends_in_is_not_passed():
    walk = Walk(WS, 1, CHUNK, [Anchor(Checkpoint("here", CHUNK - 1, bytes(32)), "kept.txt")])
    assert not walk.skip(FIRST)


def test_a_chunk_that_ends_with_a_kept_head_is_compared_with_it():
    walk = Walk(WS, 1, CHUNK, [Anchor(Checkpoint("here", CHUNK, FIRST.root), "kept.txt")])
    assert walk.skip(FIRST)
    walk = Walk(WS, 1, CHUNK, [Anchor(Checkpoint("here", CHUNK, SECOND.root), "kept.txt")])
    with pytest.raises(Found, match=r"kept\.txt"):
        walk.skip(FIRST)
