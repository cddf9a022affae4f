"""What a record commits to and what lies beside it: only the one body under its one salt fits. MISSION E3."""

import json
from pathlib import Path

import pytest

from failgate.audit.bodies import SALT_BYTES, Body, Salts, body_of, commitment, committed_in, weigh
from failgate.audit.leaf import read_plain_leaves
from failgate.base.canonical import canonical

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "body-vectors.json").read_text())
LEAVES = [text.encode() for text in VECTORS["records_jcs"]]
KEPT = {
    seq: Body(bytes.fromhex(one["salt_hex"]), one["body_jcs"].encode(), None)
    for seq, one in enumerate(VECTORS["bodies"])
}
ERASED = Body(None, None, 1_700_000_000_000_000)


def test_the_vectors_hold_here_too():
    for one in VECTORS["bodies"]:
        assert body_of(one["body"]["ip"]) == one["body_jcs"].encode() == canonical(one["body"])
        assert commitment(bytes.fromhex(one["salt_hex"]), body_of(one["body"]["ip"])) == one["pd"]
    assert [committed_in(leaf) for leaf in LEAVES] == [*(one["pd"] for one in VECTORS["bodies"]), None, None]
    assert read_plain_leaves(LEAVES) is not None


def test_bodies_that_fit_are_in_no_doubt_and_those_that_are_gone_are_named():
    assert weigh(0, LEAVES, KEPT) == ([], None)
    assert weigh(0, LEAVES, KEPT | {3: ERASED}) == ([3], None)
    assert weigh(0, LEAVES, {0: KEPT[0], 3: ERASED}) == ([1, 2, 3], None)
    assert weigh(100, LEAVES, {}) == ([100, 101, 102, 103], None)


@pytest.mark.parametrize(
    ("seq", "body"),
    [
        (1, KEPT[0]),
        (1, KEPT[1]._replace(salt=bytes(32))),
        (1, KEPT[1]._replace(body=b'{"ip":"192.0.2.8"}')),
        (1, KEPT[1]._replace(body=b'{"ip": "192.0.2.7"}')),
        (1, KEPT[1]._replace(salt=None)),
        (1, KEPT[1]._replace(body=None)),
        (1, KEPT[1]._replace(erased_us=7)),
        (1, Body(None, None, None)),
        (1, KEPT[1]._replace(body="text in the place of bytes")),
        (1, Body(KEPT[1].salt[:31], KEPT[1].salt[31:] + KEPT[1].body, None)),
        (4, KEPT[1]),
        (4, ERASED),
        (5, KEPT[1]),
    ],
)
def test_a_body_that_does_not_fit_is_doubted_at_its_record(seq, body):
    _, doubt = weigh(0, LEAVES, KEPT | {seq: body})
    assert doubt is not None
    assert doubt.seq == seq


def test_a_body_of_no_record_and_a_record_that_says_nothing_readable_are_doubted():
    assert weigh(0, LEAVES, KEPT | {6: KEPT[0]})[1].seq == 6
    for spoiled in (b"", b'{"pd":1}', b"\xff", b"[]"):
        assert weigh(0, [LEAVES[0], spoiled], {0: KEPT[0]})[1].seq == 1


def test_no_two_salts_are_the_same():
    salts = Salts()
    drawn = [salts.take() for _ in range(100)]
    assert len(set(drawn)) == 100
    assert {len(salt) for salt in drawn} == {SALT_BYTES}
