"""Strict reading: one spelling, bounded sizes, and never another error than ours."""

import json
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failgate.base.canonical import base64url
from failgate.sealed import form
from failgate.sealed.refusal import Refused

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def refused(reason: str, call: Any, *arguments: Any, **named: Any) -> None:
    with pytest.raises(Refused) as refusal:
        call(*arguments, **named)
    assert refusal.value.reason == reason, str(refusal.value)


@given(st.binary(max_size=200))
def test_bytes_have_one_spelling(content: bytes) -> None:
    spelled = base64url(content)
    assert form.octets(spelled, "x", most=200) == content
    for other in (spelled + "=", spelled + "\n", " " + spelled, spelled + "A==="):
        refused("encoding", form.octets, other, "x", most=300)


@pytest.mark.parametrize("tail", ["AB", "AAB", "A", "AAAAA"])
def test_stray_bits_and_lengths_that_no_bytes_have_are_refused(tail: str) -> None:
    refused("encoding", form.octets, tail, "x", most=8)


@given(st.text(alphabet=string.ascii_letters + string.digits + "-_", max_size=12))
def test_whatever_is_accepted_is_spelled_so(text: str) -> None:
    try:
        content = form.octets(text, "x", most=20)
    except Refused:
        return
    assert base64url(content) == text


def test_sizes_are_bounded() -> None:
    refused("too-large", form.octets, base64url(bytes(33)), "x", most=32)
    refused("too-large", form.octets, "A" * 10_000_000, "x", most=32)
    refused("value", form.octets, base64url(bytes(31)), "x", least=32, most=32)
    refused("too-large", form.a_list, [1, 2], "x", most=1)
    refused("value", form.a_list, [], "x", most=1, least=1)
    refused("too-large", form.text, "xx", "x", most=1)


@pytest.mark.parametrize(
    "octets",
    [
        b'{"a":1,"a":1}',
        b'{"a": 1}',
        b'{"b":1,"a":1}',
        b'{"a":1.0}',
        b'{"a":1e0}',
        b'{"a":01}',
        b'{"a":-0}',
        b'{"a":9007199254740992}',
        b'{"a":NaN}',
        b'{"\\u0061":1}',
        b'\xef\xbb\xbf{"a":1}',
        b'{"a":"\\ud800"}',
        b'{"a":"\xed\xa0\x80"}',
        b'{"a":1}\n',
        b"{'a':1}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"9" * 5000,
        b"",
    ],
)
def test_what_is_not_canonical_is_refused(octets: bytes) -> None:
    refused("not-canonical", form.read_object, octets, "x")


@given(st.binary(max_size=60) | JSON_VALUES.map(lambda value: json.dumps(value).encode()))
def test_reading_raises_our_refusal_and_nothing_else(content: bytes) -> None:
    try:
        found = form.read_object(content, "x")
    except Refused:
        return
    assert form.written(found, "x") == content


@pytest.mark.parametrize("value", [True, 1.0, "1", None, -1, 2**53])
def test_integers_are_integers(value: object) -> None:
    refused("value", form.integer, value, "x")
    refused("value", form.exactly, value, 1, "x")


def test_members_are_all_there_and_no_other() -> None:
    assert form.members({"a": 1, "b": 2}, "x", ("a",), also=("b",)) == {"a": 1, "b": 2}
    refused("members", form.members, {"a": 1, "c": 2}, "x", ("a",), also=("b",))
    refused("members", form.members, {"b": 1}, "x", ("a",), also=("b",))
    refused("shape", form.members, {1: 1}, "x", ("a",))
    refused("shape", form.members, [], "x", ("a",))


def test_a_refusal_holds_nothing_of_what_was_refused() -> None:
    with pytest.raises(Refused) as refusal:
        form.members({"s3cr3t-name": "s3cr3t"}, "jws.payload", ("a",))
    assert "s3cr3t" not in f"{refusal.value} {refusal.value.facts}"


@pytest.mark.parametrize("value", [["B" * 42 + "A", "A" * 43], ["A" * 43, "A" * 43]])
def test_digests_stand_in_order_and_once(value: list[str]) -> None:
    refused("value", form.sorted_digests, value, "x", most=4)


@pytest.mark.parametrize(("now", "reason"), [(69, "ahead"), (201, "expired")])
def test_clocks_may_differ_by_thirty_seconds_before_and_by_none_after(now: int, reason: str) -> None:
    form.check_now(100, 200, 70, "x")
    form.check_now(100, 200, 200, "x")
    refused(reason, form.check_now, 100, 200, now, "x")


@pytest.mark.parametrize("value", ["8D440D1D-b0a9-4df4-8284-fac5c7fdb7fc", "8d440d1db0a94df48284fac5c7fdb7fc", "", 1])
def test_an_id_has_one_spelling(value: object) -> None:
    refused("value", form.uuid, value, "x")
