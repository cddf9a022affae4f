"""RFC 8785 by its published examples, then against another implementation over generated values."""

import json
import subprocess
import sys

import pytest
import rfc8785
from hypothesis import example, given, settings
from hypothesis import strategies as st

import failgate.base.canonical as module
from failgate.base.canonical import LARGEST_INTEGER, base64url, canonical, digest_of, parse_canonical
from failgate.base.errors import Unprocessable

texts = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(
    ["\x00", "\x07\b\t\n\v\f\r\x1f", "\x7f\x80\x9f", '"\\/', "\u2028\u2029\ufeff", "😀", "\ufb33", "\u200f", "é"]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-LARGEST_INTEGER, LARGEST_INTEGER) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=5),
    max_leaves=20,
)


@pytest.fixture(params=["fast", "walk"])
def path(request, monkeypatch):
    """Both ways through the module: with msgspec at hand, and without."""
    if request.param == "walk":
        monkeypatch.setattr(module, "_is_plain", lambda _value, _levels: False)
    return request.param


def test_members_are_sorted_as_the_rfc_shows(path):
    # RFC 8785 section 3.2.3: the example of sorting by UTF-16 code unit
    members = {
        "\u20ac": "Euro Sign",
        "\r": "Carriage Return",
        "\ufb33": "Hebrew Letter Dalet With Dagesh",
        "1": "One",
        "\U0001f600": "Emoji: Grinning Face",
        "\u0080": "Control",
        "\u00f6": "Latin Small Letter O With Diaeresis",
    }
    order = [
        "Carriage Return",
        "One",
        "Control",
        "Latin Small Letter O With Diaeresis",
        "Euro Sign",
        "Emoji: Grinning Face",
        "Hebrew Letter Dalet With Dagesh",
    ]
    assert list(json.loads(canonical(members)).values()) == order


def test_the_rfc_string_example_is_escaped_as_published(path):
    # RFC 8785 section 3.2.2.2, without the numbers that we refuse
    value = {"string": "\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"/", "literals": [None, True, False]}
    assert canonical(value) == '{"literals":[null,true,false],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'.encode()


@settings(max_examples=400, deadline=None)
@given(values)
@example({"\ue000": 1, "\U00010000": 2, "a": [{"\U0010ffff": {}, "\uffff": []}]})
@example({str(n): chr(n) for n in range(0x20)} | {"\x7f": "\x7f"})
def test_another_implementation_writes_the_same_bytes(value):
    expected = rfc8785.dumps(value)
    assert canonical(value) == expected
    pieces: list[str] = []
    module._write(value, pieces.append, module.DEEPEST)
    assert "".join(pieces).encode() == expected
    assert parse_canonical(expected) == value


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (1.5, "The number at . is not an integer"),
        ({"a": [0, float("nan")]}, r"\$\.a\[1\]"),
        (1.0, "not an integer"),
        (2**53, "beyond"),
        ([-(2**53)], "beyond"),
        ("\ud800", "surrogate"),
        ({"a": "x\udfff"}, r"\$\.a"),
        ({"\ud800": 1}, "no text"),
        ({1: "a"}, "no text"),
        ({"a": 1, 2: 1}, "no text"),
        ({1, 2}, "set"),
        (b"bytes", "bytes"),
        ({"a": object()}, "object"),
    ],
)
def test_what_has_no_single_form_is_refused_with_its_place(path, value, words):
    with pytest.raises(Unprocessable, match=words):
        canonical(value)


def nested(levels: int) -> object:
    value: object = 0
    for level in range(levels):
        value = [value] if level % 2 else {"a": value}
    return value


def test_64_levels_pass_and_65_do_not(path):
    assert canonical(nested(64)).count(b"[") == 32
    with pytest.raises(Unprocessable, match="64 levels"):
        canonical(nested(65))
    with pytest.raises(Unprocessable, match="64 levels"):
        canonical(nested(5000))


def test_the_largest_integers_pass(path):
    assert canonical([LARGEST_INTEGER, -LARGEST_INTEGER, 0]) == b"[9007199254740991,-9007199254740991,0]"


def test_enumerations_are_their_values_and_tuples_are_arrays():
    from enum import IntEnum, StrEnum

    word = StrEnum("word", {"YES": "yes"})
    number = IntEnum("number", {"TWO": 2})
    assert canonical({"a": (word.YES, number.TWO), "b": ()}) == b'{"a":["yes",2],"b":[]}'


def test_a_digest_is_43_characters_of_base64url():
    # SHA-256 of "{}"
    assert digest_of({}) == "RBNvo1WzZ4oRRq0W9-hknpT7T8If536DEMBg9hyq_4o"
    assert base64url(b"\xfb\xff") == "-_8"


@pytest.mark.parametrize(
    "text",
    [
        b'{"a":1,"a":1}',
        b'{ "a":1}',
        b'{"b":1,"a":1}',
        b"1.0",
        b"1e3",
        b"NaN",
        b"-0",
        b"\xff",
        b"",
        b'"\\u0061"',
        b"[" * 9999,
        b"9007199254740992",
    ],
)
def test_bytes_that_are_not_the_canonical_ones_are_refused(text):
    with pytest.raises(Unprocessable):
        parse_canonical(text)


def test_the_client_loads_it_without_msgspec_and_json():
    script = (
        "import sys; from failgate.base.canonical import digest_of; digest_of({'a': ['b', 1]});"
        "assert not {'msgspec', 'json'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
