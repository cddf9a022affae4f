"""The chain by the vectors: each record names the one before it."""

import json
from pathlib import Path

from failgate.audit.chain import BEFORE_FIRST, Head, is_step_back
from failgate.audit.tree import EMPTY_ROOT, leaf_hash, push
from failgate.base.canonical import base64url, parse_canonical

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "audit-vectors.json").read_text())


def test_every_record_of_the_vectors_is_canonical_and_names_the_hash_of_the_one_before():
    last = BEFORE_FIRST
    for seq, text in enumerate(VECTORS["events_jcs"]):
        record = parse_canonical(text.encode())
        assert (record["seq"], record["prev"]) == (seq, base64url(last))
        last = leaf_hash(text.encode())


def test_a_head_knows_its_root():
    head = Head()
    assert head.root == EMPTY_ROOT
    assert (head.size, head.ts_us, head.clock_us) == (0, 0, 0)  # any first clock is no step back
    for text in VECTORS["events_jcs"]:
        hashed = leaf_hash(text.encode())
        head = Head(head.size + 1, hashed, push(head.peaks, head.size, hashed))
    assert head.root.hex() == VECTORS["roots_hex"][8]


def test_only_more_than_a_second_backwards_is_a_step():
    assert not is_step_back(10_000_000, 9_000_000)
    assert is_step_back(10_000_000, 8_999_999)
    assert not is_step_back(10_000_000, 11_000_000)
