"""Reading leaves back: canonical ones alone, by the short way or the long one, and never two answers. MISSION E3."""

import json

import pytest
from msgspec import UNSET

from failgate.audit.encoding import leaf_of
from failgate.audit.leaf import read_leaf, read_plain_leaves
from failgate.base.canonical import canonical
from tests.audit.conftest import event

LEAF = leaf_of(event(), 7, 1_700_000_000_000_000, "p" * 43)


def with_text(text: str) -> bytes:
    return leaf_of(event(obj_id=text), 7, 1_700_000_000_000_000, "p" * 43)


def members() -> dict:
    import json

    return json.loads(LEAF)


@pytest.mark.parametrize("number", range(128))
def test_every_ascii_character_is_read_back_from_its_one_canonical_form(number):
    leaf = canonical(members() | {"obj": {"id": f"a{chr(number)}b", "t": "command"}})
    found = read_plain_leaves([leaf])
    assert found is not None
    assert found[0].obj.id == f"a{chr(number)}b"
    assert with_text(f"a{chr(number)}b") == leaf
    for escape in (f"\\u{number:04x}", f"\\u{number:04X}"):
        other = LEAF.replace(b"command-0", f"a{escape}b".encode())
        if other != leaf:
            assert read_leaf(other) is None
            assert read_plain_leaves([other]) is None


@pytest.mark.parametrize("text", ["é", "\u2028", "🜁", "\ufffd"])
def test_other_characters_take_the_long_way(text):
    leaf = with_text(text)
    assert read_plain_leaves([leaf]) is None
    record = read_leaf(leaf)
    assert record is not None
    assert record.obj.id == text


@pytest.mark.parametrize(
    "spoiled",
    [
        b" " + LEAF,
        LEAF + b"\n",
        LEAF + b"\n" + LEAF,
        b"\n" + LEAF,
        LEAF[:-1],
        LEAF.replace(b'"decision":"approve"', b'"decision":1.5'),
        LEAF.replace(b'"decision":"approve"', b'"decision":1.0'),
        LEAF.replace(b'"decision":"approve"', b'"decision":1e2'),
        LEAF.replace(b'"decision":"approve"', b'"decision":-0'),
        LEAF.replace(b'"decision":"approve"', b'"decision":9007199254740992'),
        LEAF.replace(b'"decision":"approve"', b'"decision":"approve","decision":"approve"'),
        LEAF.replace(b'"decision":"approve"', b'"zz":1,"decision":"approve"'),
        LEAF.replace(b'"v":2', b'"v":2.0'),
        LEAF.replace(b'"seq":7', b'"seq":07'),
        LEAF.replace(b'"out"', b'"out" '),
        LEAF.replace(b"command-0", b"command-\xff"),
        LEAF.replace(b"command-0", b"command-\n"),
        b"[" * 100_000,
        b"",
    ],
)
def test_what_is_not_canonical_is_read_by_neither_way(spoiled):
    assert spoiled != LEAF
    assert read_leaf(spoiled) is None
    assert read_plain_leaves([LEAF, spoiled, LEAF]) is None


def test_leaves_that_only_together_are_lines_are_not_read():
    assert read_plain_leaves([LEAF + b"\n" + LEAF, b""]) is None
    assert read_plain_leaves([LEAF[:20], LEAF[20:]]) is None


def test_a_record_of_another_version_is_read_the_long_way():
    leaf = canonical(members() | {"v": 2, "more": [{"a": [1, None]}]})
    assert read_plain_leaves([leaf]) is None
    record = read_leaf(leaf)
    assert record is not None
    assert (record.seq, record.prev) == (7, "p" * 43)


def of_version_1(leaf: bytes) -> bytes:
    """Return `leaf` as version 1 wrote it: with the address in it."""
    record = json.loads(leaf)
    del record["pd"]
    return canonical(record | {"v": 1, "ip": "192.0.2.7"})


def test_records_of_both_versions_are_read_the_short_way_side_by_side():
    old = of_version_1(LEAF)
    committed = leaf_of(event(), 8, 1_700_000_000_000_000, "p" * 43, pd="c" * 43)
    found = read_plain_leaves([old, LEAF, committed])
    assert found is not None
    assert [(one.v, one.ip, one.pd) for one in found] == [
        (1, "192.0.2.7", UNSET), (2, UNSET, None), (2, UNSET, "c" * 43),
    ]  # fmt: skip
    assert b'"ip"' not in LEAF
    assert b'"ip"' not in committed
