"""What is a command, and what is refused with which words. E8."""

from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from failgate.base.canonical import digest_of
from failgate.base.errors import FailgateError, TooLarge, Unprocessable
from failgate.gate.command import check_ttl, parse_command, stored_command

GOOD = {"v": 1, "argv": ["git", "status"], "cwd": "/srv", "env": {"LANG": "C"}, "host": "ci-7"}


def test_a_command_keeps_its_canonical_text_and_its_digest():
    raw = {**GOOD, "uid": 1000, "nonce": "n", "exe": {"path": "/usr/bin/git", "sha256": "0" * 64}}
    parsed = parse_command(raw)
    assert parsed.digest == digest_of(raw)
    assert parsed.command.argv == ["git", "status"]
    assert stored_command(parsed.body) == parsed.command
    assert parse_command(dict(reversed(raw.items()))).body == parsed.body


def test_a_null_that_is_written_out_is_another_call_than_one_that_is_left_out():
    assert parse_command({**GOOD, "uid": None}).digest != parse_command(GOOD).digest


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"argv": []}, "empty"),
        ({"argv": [""]}, "argv[0]"),
        ({"argv": ["a\0b"]}, "NUL"),
        ({"argv": ["a", "\0"]}, "argv[1]"),
        ({"argv": ["\ud800"]}, "U+D800"),
        ({"argv": ["é\udfff"]}, "U+DFFF"),
        ({"argv": "ls"}, "argv"),
        ({"argv": ["ls", 1]}, "argv"),
        ({"argv": ["ls", None]}, "argv"),
        ({"env": {"A": "\0"}}, "env[A]"),
        ({"env": {"A": "\ud800"}}, "env[A]"),
        ({"env": {"A=B": "x"}}, "A=B"),
        ({"env": {"": "x"}}, "env"),
        ({"env": {"1A": "x"}}, "1A"),
        ({"env": {"A\n": "x"}}, "env"),
        ({"env": {"\ud800": "x"}}, "env"),
        ({"env": {"A": 1}}, "env"),
        ({"cwd": "srv"}, "cwd"),
        ({"cwd": ""}, "cwd"),
        ({"cwd": "/a\0"}, "cwd"),
        ({"home": "srv"}, "home is 'srv', which is not absolute"),
        ({"home": ""}, "home"),
        ({"host": ""}, "host"),
        ({"host": "a b"}, "host"),
        ({"host": "h\n"}, "host"),
        ({"v": 2}, "v"),
        ({"v": "1"}, "v"),
        ({"v": True}, "v"),
        ({"uid": -1}, "uid"),
        ({"uid": 2**32}, "uid"),
        ({"uid": 1.0}, "uid"),
        ({"gid": -1}, "gid"),
        ({"gid": 2**32}, "gid"),
        ({"umask": "22"}, "umask"),
        ({"umask": "0028"}, "umask"),
        ({"umask": 18}, "umask"),
        ({"exe": {"path": "/bin/ls", "sha256": "F" * 64}}, "exe.sha256"),
        ({"exe": {"path": "/bin/ls\0", "sha256": "0" * 64}}, "exe.path"),
        (
            {"exe": {"path": "/a", "sha256": "0" * 64, "interpreter": "/b", "interpreter_sha256": ""}},
            "exe.interpreter_sha256",
        ),
        ({"programs": {"a": {"path": "/a", "interpreter_sha256": "\0"}}}, "programs['a'].interpreter_sha256"),
        ({"stdin_sha256": "x"}, "stdin_sha256"),
        ({"script": {"path": "/a"}}, "script"),
        ({"script": {"path": "/a", "sha256": "F" * 64}}, "script.sha256"),
        ({"script": {"path": "/a\0", "sha256": "0" * 64}}, "script.path"),
        ({"script": {"path": "/a", "sha256": "0" * 64, "interpreter": "\0"}}, "script.interpreter"),
        ({"script": {"path": "/a", "sha256": "0" * 64, "interpreter_sha256": ""}}, "script.interpreter_sha256"),
        ({"nonce": "\ud800"}, "nonce"),
        ({"shell": True}, "shell"),
        ({"\ud800": 1}, "surrogate"),
    ],
)
def test_what_cannot_be_executed_is_refused_by_its_name(change, word):
    with pytest.raises(Unprocessable) as refused:
        parse_command({**GOOD, **change})
    assert word in str(refused.value)
    str(refused.value).encode()
    assert refused.value.hint


@pytest.mark.parametrize("missing", ["v", "argv", "cwd", "env", "host"])
def test_a_missing_member_is_named(missing):
    with pytest.raises(Unprocessable, match=missing):
        parse_command({name: member for name, member in GOOD.items() if name != missing})


@pytest.mark.parametrize(
    ("change", "limit"),
    [
        ({"argv": ["echo", "x" * 100_000]}, "65536"),
        ({"argv": ["x" * 65_537]}, "65536"),
        ({"argv": ["é" * 32_769]}, "65536"),
        ({"argv": ["x"] * 4097}, "4096"),
        ({"env": {f"A{n}": "" for n in range(513)}}, "512"),
        ({"env": {"A": "x" * 600_000}}, "524288"),
        ({"cwd": "/" + "x" * 4096}, "4096"),
        (
            {"programs": {f"p{n}": {"path": f"/bin/p{n}"} for n in range(65)}},
            "programs has 65 entries; the limit is 64",
        ),
    ],
)
def test_what_is_too_large_is_refused_by_its_limit(change, limit):
    with pytest.raises(TooLarge, match=limit):
        parse_command({**GOOD, **change})


@pytest.mark.parametrize("argv", [["x" * 65_536], ["é" * 32_768], ["x"] * 4096, ["ls", ""], ["\x01" * 65_536]])
def test_what_is_as_large_as_the_limit_passes(argv):
    assert parse_command({**GOOD, "argv": argv}).command.argv == argv


def test_the_operator_may_set_the_limit_of_the_arguments():
    assert parse_command({**GOOD, "argv": ["x" * 100_000]}, 200_000).digest
    with pytest.raises(TooLarge, match="1024"):
        parse_command({**GOOD, "argv": ["x" * 1025]}, 1024)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"v":1}', '{"argv":["\\ud800"]}'])
def test_a_stored_text_that_is_no_command_is_an_error_of_ours(text):
    with pytest.raises(FailgateError):
        stored_command(text)


@pytest.mark.parametrize("seconds", [1, 60, 86_400])
def test_a_time_to_live_within_a_day_passes(seconds):
    check_ttl(seconds)


TEXTS = st.text(alphabet='aZ_9/ -\x00\x7f\ud800é\\"u0', max_size=6)
NAMES = st.one_of(st.sampled_from(["HOME", "_x", "9a", "é", "", "A-B"]), TEXTS)
COMMANDS = st.fixed_dictionaries(
    {
        "v": st.just(1),
        "argv": st.lists(st.one_of(st.just("make"), TEXTS), max_size=3),
        "cwd": st.one_of(st.just("/srv"), TEXTS),
        "env": st.dictionaries(NAMES, TEXTS, max_size=3),
        "host": st.one_of(st.just("h"), TEXTS),
    },
    optional={
        "nonce": TEXTS,
        "cwd_dev_ino": TEXTS,
        "uid": st.sampled_from([0, -1, 2**32]),
        "stdin_sha256": st.sampled_from(["0" * 64, "0" * 63]),
        "exe": st.builds(
            lambda path, digest: {"path": path, "sha256": digest}, TEXTS, st.sampled_from(["f" * 64, "F"])
        ),
    },
)


def outcome_of(raw):
    try:
        return parse_command(raw)
    except FailgateError as error:
        return type(error)


@settings(max_examples=300)
@given(COMMANDS)
def test_a_small_command_is_judged_as_a_large_one_is(raw):
    with patch("failgate.gate.command.SMALL_BYTES", 0):
        thorough = outcome_of(raw)
    assert outcome_of(raw) == thorough
