"""A line is inspected only where it is literal to the last byte; real shells run what was said. E2 E28."""

import itertools
import os
import shutil
import stat
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from failgate.matching import shell as readings
from failgate.matching.shell import MAX_COMMANDS, MAX_LINE, Line, Uninspectable, inspect_line, line_of
from tests.gate.tricks import LINES

READ = {
    "git status && ls -la 'a b' \"c d\" | wc -l": [("git", "status"), ("ls", "-la", "a b", "c d"), ("wc", "-l")],
    "echo a\\ b": [("echo", "a b")],
    "ls 2>&1 >/dev/null </dev/null": [("ls",)],
    "ls>/dev/null 2>&1": [("ls",)],
    "ls;": [("ls",)],
    "a||b": [("a",), ("b",)],
    "g'i't \"status\"": [("git", "status")],
    "ls '' \"\"": [("ls", "", "")],
    'grep "foo\\.bar" x': [("grep", "foo\\.bar", "x")],
    'echo "a\\"b"': [("echo", 'a"b')],
    "git show HEAD~3 HEAD^": [("git", "show", "HEAD~3", "HEAD^")],
    "true && ls || exit 3": [("ls",)],
    "command -v git && git --version": [("git", "--version")],
    "find . -name \\*.py": [("find", ".", "-name", "*.py")],
}


@pytest.mark.parametrize("line", READ)
def test_what_a_literal_line_runs_is_known(line):
    found = inspect_line(line)
    assert isinstance(found, Line), found
    assert [simple.argv for simple in found.commands] == READ[line]


def test_cd_is_followed_where_nothing_runs_after_its_failure():
    found = inspect_line("cd /src && cd app && ls | wc -l && pwd")
    assert isinstance(found, Line)
    assert {simple.folders for simple in found.commands} == {("/src", "app")}
    for line in (
        "cd a; ls",
        "cd a || ls",
        "cd a && ls; pwd",
        "cd a && ls || pwd",
        "cd a | ls",
        "ls | cd a && ls",
        "cd",
        "cd -",
    ):
        assert isinstance(inspect_line(line), Uninspectable), line


NOT_LITERAL = [
    "ls $X", "ls ${X}", "ls $(id)", "ls `id`", 'ls "$X"', 'ls "`id`"', "ls $'a'", "ls *.py", "ls a?", "ls [ab]", "ls {a,b}", "ls ~", "ls ~/x", "ls x=~/y",
    "A=1 ls", "A=1", "ls > x", "ls >> x", "ls < x", "ls <<E\nE", "ls <<<x", "ls 2>x", "ls >&x", "ls &>x", "ls >|x", "ls 3>&1", "ls <(id)", "ls &", "ls & id", "ls |& id",
    "! ls", "(ls)", "{ ls; }", "if a; then b; fi", "for x in a; do b; done", "while a; do b; done", "case a in a) b;; esac", "f() { a; }", "function f { a; }", "coproc ls", "time ls",
    "ls\nid", "ls\rid", "ls\\\nid", "ls #x", "ls\x00", "ls\x0b", "ls \u00a0x", "caf\u00e9", "'caf\u00e9'", "ls 'a", 'ls "a', "ls \\", "eval a", "exec a", ". a", "source a", "alias a=b", "trap a EXIT",
    "set -e", "export A=1", "declare a", "read a", "printf a", "test a", "[ a ]", "[[ a ]]", "let a", "unset a", "kill 1", "wait", "umask 0", "shopt a", "enable a", "hash a", "bind a", "type -a x", "exit a",
    "command ls", "builtin echo", "", " ", ";", "&&", "a &&", "| a", "a ;; b", "true", "exit 3", "cd x", "echo !x", "a=b=c", "ls 2>/dev/nullx", "ls >/dev/null/x", "echo a'b'\u202e", "ls }", "ls {", "ls a{1..3}",
]  # fmt: skip


@pytest.mark.parametrize("line", NOT_LITERAL)
def test_what_is_not_literal_is_uninspectable(line):
    assert isinstance(inspect_line(line), Uninspectable)


def test_limits_say_so():
    longest = ";".join(["a"] * MAX_COMMANDS)
    assert isinstance(inspect_line(longest), Line)
    over = inspect_line(longest + ";a")
    assert isinstance(over, Uninspectable)
    assert over.is_over_limit
    assert isinstance(inspect_line("a " + "b" * MAX_LINE), Uninspectable)


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (["sh", "-c", "ls"], "ls"),
        (["/bin/bash", "-c", "ls"], "ls"),
        (["bash", "-e", "-c", "ls"], "ls"),
        (["dash", "-euc", "ls"], "ls"),
        (["git", "-c", "x"], None),
        (["bash", "script.sh"], None),
        ([], None),
    ],
)
def test_a_line_is_found_behind_its_option(argv, line):
    assert line_of(argv) == line


@pytest.mark.parametrize(
    "argv",
    [
        ["zsh", "-c", "ls"], ["fish", "-c", "ls"], ["bash", "-lc", "ls"], ["bash", "-ic", "ls"], ["bash", "-xc", "ls"], ["bash", "-c", "ls", "x"], ["bash", "-c"],
        ["bash", "--rcfile", "x", "-c", "ls"], ["bash", "-O", "extglob", "-c", "ls"], ["sh", "-c", "-x", "ls"], ["sh", "+c", "ls"], ["bash", "--norc", "-c", "ls"], ["-bash", "-lc", "ls"],
    ],
)  # fmt: skip
def test_other_ways_to_give_a_line_are_uninspectable(argv):
    assert isinstance(line_of(argv), Uninspectable)


# Against the shells themselves

_STUB = '#!/bin/sh\n{ printf \'%s\\0\' "${0##*/}" "$@"; printf \'\\n\\0\'; } >> "$LOG"\n'


@pytest.fixture(scope="module")
def stubs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Programs a, b and c that write down how they were called."""
    folder = tmp_path_factory.mktemp("stubs")
    for name in "abc":
        program = folder / name
        program.write_text(_STUB)
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return folder


def ran(shell: str, line: str, stubs: Path) -> list[tuple[str, ...]]:
    """Return the calls that `shell` makes of `line`, where every program is a stub."""
    log = stubs / "log"
    log.write_bytes(b"")
    subprocess.run(
        [shell, "-c", line], env={"PATH": str(stubs), "LOG": str(log)}, cwd=stubs, check=False, timeout=10,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    calls: list[tuple[str, ...]] = []
    words: list[str] = []
    for word in log.read_bytes().split(b"\0")[:-1]:
        if word == b"\n":
            calls.append(tuple(words))
            words = []
        else:
            words.append(word.decode())
    return calls


_PIECES = st.sampled_from(
    ["a", "b", "c", " ", " ", "  ", "x", "-n", "--", "'", '"', "\\", "$", "`", "&", "|", ";", "&&", "||", ">", "<", "2>&1", ">/dev/null", "2>", "(", ")", "{", "}", "~", "^", "#", "!", "*", "?", "[", "]",
     "=", ":", ",", "@", "%", "+", ".", "/", "\t", "x y", "'x y'", '"x y"', "\\ ", "\\'", '\\"', "$x", "$(a)", "echo", "true", "cd", "1", "0", "<<", "\n", "-", "é"]
)  # fmt: skip


@pytest.mark.parametrize("shell", ["bash", "dash"])
def test_real_shells_run_what_a_line_was_said_to_run(shell, stubs):
    """1,500 lines from pieces of shell grammar: of those that are inspected, the shell runs no other call."""
    path = shutil.which(shell)
    if path is None:
        pytest.skip(f"there is no {shell}")
    inspected: list[str] = []

    @settings(
        max_examples=1500, deadline=None, database=None, suppress_health_check=list(HealthCheck), derandomize=True
    )
    @given(st.lists(_PIECES, min_size=1, max_size=12).map("".join))
    def each(line: str) -> None:
        if isinstance(inspect_line("a " + line), Line):
            inspected.append("a " + line)

    each()
    assert len(inspected) > 60
    for line in list(dict.fromkeys(inspected))[:60]:
        found = inspect_line(line)
        assert isinstance(found, Line)
        said = [simple.argv for simple in found.commands if simple.argv[0] not in {"echo", "pwd"}]
        for call in ran(path, line, stubs):
            assert call in said, (line, call, said)
        if not any(sign in line for sign in ("&&", "||", "cd")):  # everything runs
            known = [words for words in said if words[0] in {"a", "b", "c"}]
            assert sorted(ran(path, line, stubs)) == sorted(known), line


@pytest.mark.parametrize(
    "text", ["x y", "it's", 'say "x"', "back\\slash", "tab\there", "$HOME", "*", "~", "#", "-n", ""]
)
def test_quoted_words_arrive_as_they_were_read(text, stubs):
    quoted = {"'" + text + "'"} if "'" not in text else set()
    quoted.add('"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"')
    for word, shell in itertools.product(quoted, ("bash", "dash")):
        line, path = f"a {word} b", shutil.which(shell)
        found = inspect_line(line)
        if isinstance(found, Line) and path:
            assert ran(path, line, stubs) == [simple.argv for simple in found.commands]


def test_no_trick_names_a_program_that_the_line_hides(stubs):
    """What is inspected of the corpus runs no program but those that were said; everything is a stub here."""
    bash = shutil.which("bash")
    assert bash is not None
    assert os.environ["PATH"]
    for line in LINES:
        found = inspect_line(line)
        if isinstance(found, Line):
            names = {simple.argv[0] for simple in found.commands}
            assert names, line
            assert {call[0] for call in ran(bash, line.replace("rm ", "a "), stubs)} <= names | {"a"}


def test_the_longest_and_oddest_lines_are_answered_soon():
    """Grammars that look far ahead take seconds for some lines: those never get to them."""
    oddest = [
        "(",
        "a|",
        "<<a ",
        "`",
        "$((",
        "{",
        "'\"",
        "\\",
        "a;",
        "1 ",
        "'a'",
        '"a"',
        "[[",
        "if ",
        "case x in ",
        "a&&",
    ]
    started = time.process_time()
    for piece in oddest:
        inspect_line((piece * MAX_LINE)[:MAX_LINE])
    assert time.process_time() - started < 5  # seconds for 16 lines; one alone took 23 s without the limits


def test_a_word_that_one_reading_takes_for_another_is_caught_by_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """The grammar compares places, `shlex` what stands there: each alone keeps a mistake of ours from passing."""
    lines = ["a 'b c' one", 'a "b\\"c" one', "a b\\ c one"]
    for line in lines:
        inspect_line.cache_clear()
        assert isinstance(inspect_line(line), Line), line
    with monkeypatch.context() as broken:
        broken.setattr(readings, "_unquoted", lambda word: word.replace("'", "").replace('"', "").replace(" ", ""))
        for line in lines:
            inspect_line.cache_clear()
            assert isinstance(inspect_line(line), Uninspectable), line
    inspect_line.cache_clear()
