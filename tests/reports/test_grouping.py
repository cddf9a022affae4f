"""Fingerprints: what differs from run to run counts for nothing, what fails otherwise is another group. B5."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from failgate.failure.fingerprint import command_of, normalized
from failgate.reports.grouping import cause_of, fingerprint, is_older

TELLING = st.text(alphabet="ab01f9xE-_./\\:<>[]() \x1b\t~TZtmpn", max_size=80)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/home/dev/till/till.py", "till.py"),
        ("C:\\Users\\dev\\till.py", "till.py"),
        ("tests/test_till.py::test_total", "test_till.py::test_total"),
        ("--out=/tmp/pytest-of-dev/pytest-12/x", "--out=x"),
        ("tmpk2j3h4g5/log", "log"),
        ("file tmpab12cd34 is gone", "file <tmp> is gone"),
        ("0x7f3a9c001200", "<hex>"),
        ("commit 8f3a5c0e9b7d", "commit <hex>"),
        ("01a20004-6da0-76a5-bdbd-6af68d8d94c3", "<id>"),
        ("took 0.12s of 3.11.7", "took <n>s of <n>"),
        ("\x1b[31mError\x1b[0m: 3 != 4", "Error: <n> != <n>"),
        ("token [redacted:secret:ab12cd34]", "token <secret>"),
        ("two\n  lines\tof text", "two lines of text"),
        ("deadbeef is a word, 1234567 a number", "deadbeef is a word, <n> a number"),
        ("", ""),
    ],
)
def test_what_differs_from_run_to_run_is_normalised(text: str, expected: str):
    assert normalized(text) == expected


@given(st.one_of(st.text(max_size=300), TELLING))
@example("\\0~\\@")
def test_normalising_twice_changes_nothing_more(text: str):
    once = normalized(text)
    assert normalized(once) == once
    assert len(once) <= 400


@given(st.lists(st.one_of(st.text(max_size=60), TELLING), max_size=12))
@example(["a", "\n1\r\n", "", "[redacted:", "secret:ab12cd34]"])
def test_the_words_of_a_command_are_normalised_each_for_itself(tokens: list[str]):
    assert command_of(["make", *tokens]) == " ".join(["make", *map(normalized, tokens)])


@given(st.lists(st.sampled_from(["assert", "==", "line", "of", "rows"]), max_size=6), st.data())
def test_other_numbers_make_the_same_line(words: list[str], data: st.DataObject):
    numbers = st.integers(min_value=0, max_value=10**12)
    first, second = (" ".join(f"{word} {data.draw(numbers)}" for word in words) for _ in range(2))
    assert normalized(first) == normalized(second)


def _fingerprint(argv: list[str], exit_code: int = 1, error: str = "E", frame: str = "till.py:total") -> str:
    return fingerprint(cause_of(argv, exit_code, None), error, frame)


def test_one_failure_in_two_places_is_one():
    here = _fingerprint(["/usr/bin/python3.11", "-m", "pytest", "/home/a/till/tests"], error="assert 3 == 4")
    there = _fingerprint(["python", "-m", "pytest", "/builds/77/tests"], error="assert 5 == 6")
    assert here == there
    assert here.startswith("fp1:")
    assert len(here) == 36


@pytest.mark.parametrize(
    "other",
    [
        _fingerprint(["pytest", "-q"]),
        _fingerprint(["pytest"], exit_code=2),
        _fingerprint(["pytest"], error="KeyError: 'a'"),
        _fingerprint(["pytest"], frame="till.py:pay"),
        fingerprint(cause_of(["pytest"], 1, 9), "E", "till.py:total"),
        fingerprint(cause_of(["pytest"], 1, None, "Another title"), "E", "till.py:total"),
    ],
)
def test_another_failure_is_another(other: str):
    assert other != _fingerprint(["pytest"])


def test_parts_do_not_run_into_one_another():
    assert fingerprint(cause_of(["a"], 1, None), "b", "c") != fingerprint(cause_of(["a"], 1, None), "bc", "")


def test_the_fingerprint_is_pinned():
    """A change of the rules is a new version, so that groups never fall apart unnoticed."""
    assert _fingerprint(["pytest", "-q", "tests/x.py"], error="E 1") == "fp1:343a507ed956141251c64332e7ce63a6"


@pytest.mark.parametrize(
    ("version", "than", "older"),
    [
        ("1.9.2", "1.10", True),
        ("v1.0", "1.0.1", True),
        ("1.0", "1.0.0", False),
        ("2.0", "1.9", False),
        ("8f3a5c0", "1.0", False),
        ("main", "2.0", False),
    ],
)
def test_versions_are_older_only_when_it_is_sure(version: str, than: str, older: bool):
    assert is_older(version, than) is older


def test_a_fingerprint_of_the_source_itself_is_all_that_counts():
    own = "ab" * 32
    here = fingerprint(cause_of(["scan", "a"], 1, None, "R1: text", own), "error", "a.py")
    assert fingerprint(cause_of(["scan", "b", "c"], 2, None, "R2 (and 3 more)", own), "other", "b.py") == here
    assert fingerprint(cause_of(["scan", "a"], 1, None, "R1: text", "cd" * 32), "error", "a.py") != here
    assert fingerprint(cause_of(["scan", "a"], 1, None, "R1: text"), "error", "a.py") != here
