"""Attacks on the JSON reader, and what has to pass it."""

import json
import time

import msgspec
import pytest

from failgate.base.errors import BadInput, TooLarge
from failgate.web.strict_json import convert, decode
from failgate.wire.gate import Outcome, Vote
from tests.pace import busy

LIMIT = 1_048_576


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"{}", {}),
        (b' {"a": [1, 2.5, "x", null, true]} \n', {"a": [1, 2.5, "x", None, True]}),
        (b'{"a":{"b":1},"c":{"b":2}}', {"a": {"b": 1}, "c": {"b": 2}}),
        ('"ü{{{"'.encode(), "ü{{{"),
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        (b'"' + b"[" * 100 + b'"', "[" * 100),
        (b'"\\"' + b"{" * 100 + b'"', '"' + "{" * 100),
        (b"[" * 32 + b"]" * 32, None),
    ],
)
def test_plain_json_is_read(body, value):
    read = decode(body, LIMIT)
    assert value is None or read == value


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"{", "not JSON"),
        (b"{} {}", "not JSON"),
        (b'{"a":1}x', "not JSON"),
        (b'{"a":NaN}', "NaN"),
        (b'{"a":-Infinity}', "-Infinity"),
        (b'{"a":1e999}', "out of range"),
        (b'{"a":' + b"9" * 5000 + b"}", "5000 digits"),
        (b'{"\xff":1}', "UTF-8"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        ("{}".encode("utf-16"), "UTF-8"),
        (b'{"a":"\x00"}', "not JSON"),
        (b"[" * 33 + b"]" * 33, "nested"),
        (b'{"a":' * 33 + b"1" + b"}" * 33, "nested"),
        (b"'a'", "not JSON"),
    ],
)
def test_everything_else_is_bad_input(body, words):
    with pytest.raises(BadInput, match=words):
        decode(body, LIMIT)


@pytest.mark.parametrize("body", [b'{"a":1,"a":2}', b'[{"x":{"b":0,"a":1,"a":1}}]', b'{"a":1,"\\u0061":2}'])
def test_a_duplicate_key_is_named(body):
    with pytest.raises(BadInput) as caught:
        decode(body, LIMIT)
    assert caught.value.facts["member"] == "a"


def test_two_hundred_thousand_levels_are_refused_at_once():
    started = time.monotonic()
    for body in (b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}", b"[" * 200_000, b'{"a":' * 200_000):
        with pytest.raises(BadInput, match="nested more than 32"):
            decode(body, 2 * LIMIT)
    assert time.monotonic() - started < busy(5)


def test_brackets_in_strings_are_not_nesting():
    assert decode(b'["' + b"[{" * 1000 + b'"]', LIMIT) == ["[{" * 1000]


def test_an_unfinished_string_with_many_escapes_is_refused_at_once():
    started = time.monotonic()
    for rest in (b"\\" * 500_001, b'\\"' * 500_000):
        with pytest.raises(BadInput):
            decode(b"[" * 20 + b"]" * 20 + b"[" * 15 + b'"' + rest, LIMIT)
    assert time.monotonic() - started < busy(5)


def test_one_byte_over_the_limit_is_too_large():
    assert decode(b'"' + b"a" * 8 + b'"', 10) == "a" * 8
    with pytest.raises(TooLarge):
        decode(b'"' + b"a" * 9 + b'"', 10)


@pytest.mark.parametrize(
    ("value", "kind", "member"),
    [
        ({"decision": "approve"}, Vote, "digest"),
        ({"decision": "maybe", "digest": "x"}, Vote, "decision"),
        ({"decision": "deny", "digest": "x", "state": "approved"}, Vote, "state"),
        ({"digest": "x", "exit_code": "1", "duration_ms": 1}, Outcome, "exit_code"),
        ({"digest": "x", "exit_code": True, "duration_ms": 1}, Outcome, "exit_code"),
        ({"digest": "x", "exit_code": 1.5, "duration_ms": 1}, Outcome, "exit_code"),
    ],
)
def test_a_wrong_member_is_named(value, kind, member):
    with pytest.raises(BadInput) as caught:
        convert(value, kind)
    assert caught.value.facts["member"] == member
    assert repr(member) in caught.value.sentence


def test_a_value_that_is_no_choice_is_not_repeated():
    """It may be a secret in a shape that no rule knows any more once it stands inside of a sentence. # E18"""
    with pytest.raises(BadInput) as caught:
        convert({"decision": "kind: Secret\ndata:\n  user: q7Xk2Lm9", "digest": "x"}, Vote)
    assert caught.value.sentence == "The member 'decision' does not fit: it is none of the values that are known."
    assert "q7Xk2Lm9" not in str(caught.value.facts)


def test_a_wrong_place_inside_is_named_by_its_path():
    class Outer(msgspec.Struct, forbid_unknown_fields=True):
        votes: list[Vote]

    with pytest.raises(BadInput) as caught:
        convert({"votes": [{"decision": "deny", "digest": 1}]}, Outer)
    assert "digest" in str(caught.value.facts["member"])


def test_half_a_character_is_bad_input_wherever_it_stands():
    for value in ({"decision": "\ud800", "digest": "x"}, {"decision": "deny", "digest": "x", "\udfff": 1}):
        with pytest.raises(BadInput):
            convert(value, Vote)


def test_another_shape_is_bad_input():
    with pytest.raises(BadInput):
        convert([1], Vote)


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1,"b":[true,null,"x"]}',
        '{ "a": 1 }',
        '{"a":1.0,"b":1e3,"c":-0,"d":0.1}',
        '{"a":"\\u00e9 \\/ \\u003a"}',
        '{"a":"é \x7f"}',
        '["' + "9" * 400 + '",' + "9" * 400 + "]",
        '"\\ud83d\\ude00"',
    ],
)
def test_both_ways_of_reading_give_the_same_value(text):
    read = decode(text, LIMIT)
    assert read == json.loads(text)
    assert repr(read) == repr(json.loads(text))
