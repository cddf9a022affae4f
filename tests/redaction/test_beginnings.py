"""What may leave before a text has ended: everything but the beginning of a secret. E6, E17, F17."""

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from failgate.redaction import RedactingStream, Scanner, redact_bytes
from failgate.redaction.beginnings import beginning_of
from failgate.redaction.catalogue import RULES
from failgate.redaction.patterns import Pattern, PatternMatcher
from failgate.redaction.rules import Rule
from failgate.redaction.scanner import HOLD_BYTES
from tests.redaction.test_stream import GITHUB, KEY, SCANNER, WEB_TOKEN

VALUE = b"correct horse battery"
KNOWN = Scanner(key=b"k" * 32, values={VALUE.decode(): VALUE})
PIECES = [
    b"half", b"....", b"\r\x1b[K 45% ", b"$ export T=", b"password=hunter2!x9 ", b"Password: ", GITHUB, b"\r\n",
    GITHUB[:12] + b"\x1b[1m" + GITHUB[12:], b"\x1b" + GITHUB, b"\x1b[0" + GITHUB, b"\x1b]8;;https://x.example/" + GITHUB + b"\x1b\\",
    KEY, KEY.replace(b"\n", b"\r\n"), WEB_TOKEN, b"https://me:s3cr3tpw9@example.org/ ", VALUE, b"ghp_", b"gr\xc3\xbc\xc3\x9fe ",
    b"0123456789abcdef0123456789abcdea-us12 ", b"[#####     ]", b" ",
]  # fmt: skip


def settled(text: bytes, cuts: list[int]) -> bytes:
    stream, clean, at = RedactingStream(KNOWN), b"", 0
    for cut in cuts:
        clean += stream.feed(text[at : at + cut]) + stream.settle()
        at += cut
    return clean + stream.feed(text[at:]) + stream.finish()


@settings(max_examples=150, deadline=None)
@given(text=st.lists(st.sampled_from(PIECES), max_size=8).map(b"".join), cuts=st.lists(st.integers(1, 40), max_size=30))
@example(text=b"half " + GITHUB + b" .", cuts=[1] * 60)
@example(text=b"\x1b[0" + GITHUB, cuts=[1] * 60)
def test_whatever_left_early_the_whole_is_what_it_is_without_its_secrets(text: bytes, cuts: list[int]) -> None:
    assert settled(text, cuts) == redact_bytes(text, KNOWN)[0]


@pytest.mark.parametrize("rule", RULES, ids=[f"{number}-{rule.id}" for number, rule in enumerate(RULES)])
def test_no_example_of_a_rule_leaves_when_it_is_printed_character_by_character(rule: Rule) -> None:
    for text in rule.matches:
        content = text.encode()
        found = redact_bytes(content, SCANNER)[1]
        decided = [SCANNER.decided(content[:end]) for end in range(len(content))]
        for one in found:
            if "/" in rule.leading[0]:  # of an address only its last part is secret
                one = one._replace(start=content.rfind(b"/", 0, one.end - 16))
            assert not [end for end in range(one.start + 1, one.end) if decided[end] > one.start], (text, one)


@pytest.mark.parametrize("rule", RULES, ids=[f"{number}-{rule.id}" for number, rule in enumerate(RULES)])
def test_a_match_has_a_beginning_wherever_it_is_cut(rule: Rule) -> None:
    begun = re.compile(beginning_of(rule).encode())
    matcher = re.compile(rule.pattern.encode())
    for text in rule.matches:
        content = text.encode()
        for at in range(len(content)):
            if (match := matcher.match(content, at)) is not None:
                assert all(begun.match(content[:end], at) for end in range(at, match.end()))


@pytest.mark.parametrize(
    "text", [b"line\r\n", b"Password: ", b"[####   ", b"\r\x1b[K 45% (3/7)", b"(failgate) me@host:~$ ", b"caf\xc3\xa9 "]
)
def test_what_begins_no_secret_leaves_at_once(text: bytes) -> None:
    assert SCANNER.decided(text) == len(text)


def test_little_of_a_line_that_moves_waits() -> None:
    text = b"half" + b"." * 200
    assert len(text) - SCANNER.decided(text) <= 4
    assert len(text) - SCANNER.decided(b"building 0123456789" * 20) < 40


def test_what_waits_is_bounded() -> None:
    stream = RedactingStream(SCANNER)
    left = stream.feed(b"-----BEGIN RSA PRIVATE KEY-----\n") + stream.settle()
    for _ in range(100):
        left += stream.feed(b"A" * 63 + b"\n" * (_ % 2) + b"B" * 1000) + stream.settle()
    assert 100 * 1063 - len(left) < 2 * HOLD_BYTES


def test_with_patterns_of_a_workspace_a_line_waits_for_its_end() -> None:
    scanner = Scanner(patterns=PatternMatcher([Pattern("own", "zz[0-9]{4}")]))
    assert scanner.decided(b"whole\nhalf ") == len(b"whole\n")
