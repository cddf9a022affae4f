"""What a call runs in the end: through programs that start another one, and lines of one simple command."""

import random
import shutil
import string
import subprocess
import sys
from pathlib import Path

import pytest

from failgate.matching.shell import Line, inspect_line
from failgate.wire.starters import chain_of, simple_line, started_by

_THROUGH = [
    "env FILE", "env A=b C= FILE", "env -u A -i ./FILE", "env - ./FILE", "env --unset=A --ignore-environment ./FILE",
    "env -uA FILE", "/usr/bin/env FILE", "env -iu A ./FILE", "env -- FILE",
    "nice FILE", "nice -n 5 FILE", "nice -n5 FILE", "nice -5 FILE", "nice --adjustment=5 FILE",
    "nohup FILE", "nohup -- FILE", "setsid -w FILE", "setsid --wait FILE",
    "stdbuf -oL -e 0 FILE", "stdbuf --output=L FILE", "timeout 5 FILE", "timeout -k 1 -s TERM 5s FILE",
    "timeout --foreground --signal=TERM 5 FILE", "timeout -v -- 5 FILE",
    "env nice -n 1 timeout 5 stdbuf -o0 nohup env A=1 FILE",
]  # fmt: skip


@pytest.mark.parametrize("line", _THROUGH)
def test_what_is_started_in_the_end_is_what_the_real_programs_start(tmp_path: Path, line: str) -> None:
    script = tmp_path / "FILE"
    script.write_text("#!/bin/sh\necho was started with $#\n")
    script.chmod(0o755)
    levels, is_known = chain_of([*line.split(), "x", "y"])
    assert (levels[-1][0].removeprefix("./"), levels[-1][1:], is_known) == ("FILE", ["x", "y"], True)
    done = subprocess.run(
        [*line.split(), "x", "y"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
        stdin=subprocess.DEVNULL, env={"PATH": f"/usr/bin:/bin:{tmp_path}"},
    )  # fmt: skip
    assert done.stdout == "was started with 2\n", done


@pytest.mark.parametrize(
    "line",
    [
        "env -S 'FILE x'", "env -C /tmp FILE", "env PATH=/tmp FILE", "env -u PATH FILE", "env -i FILE", "env - FILE",
        "env --chdir=/tmp FILE", "env --unset PATH FILE", "nice -z FILE", "timeout --no-such 5 FILE", "timeout 5",
        "stdbuf -x FILE", "env --split-string=FILE", "setsid -cz FILE", "timeout",
    ],
)  # fmt: skip
def test_where_nobody_can_say_it_no_program_is_named(line: str) -> None:
    assert chain_of(line.split())[1] is False


@pytest.mark.parametrize(
    "line", ["env", "./env FILE", "/tmp/env FILE", "sudo FILE", "make FILE", "nice --version", "env --help", "sh FILE"]
)
def test_what_starts_no_other_program_for_us_is_itself(line: str) -> None:
    assert chain_of(line.split()) == ([line.split()], True)
    assert started_by(line.split()) is None


def test_a_chain_has_an_end() -> None:
    assert chain_of(["env"] * 100 + ["FILE"])[1] is False


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("python3 FILE", ["python3", "FILE"]), ("  a\t'b c' \"d e\" ", ["a", "b c", "d e"]), ("a''b 'x'\"y\"z", ["ab", "xyz"]),
        ("a ''", ["a", ""]),
        *[(line, None) for line in (
            "", "'' x", "a; b", "a && b", "a | b", "a > f", "a $b", "a `b`", 'a "$b"', "a *", "a ?", "a [b]", "a {b,c}",
            "~/a", "a #b", "a 'b", 'a "b', "A=b c", "a\nb", "a \\b", "a 'é'", "a &", "(a)", "! a", 'a "b\\"c"', "a 'b\nc'",
        )],
    ],
)  # fmt: skip
def test_a_line_is_read_where_it_is_plain_and_only_there(line: str, words: list[str] | None) -> None:
    assert simple_line(line) == words


def test_of_lines_by_chance_it_reads_none_otherwise_than_the_grammar_and_the_shell() -> None:
    """Another reading would digest one file and run another one."""
    chance, alphabet = random.Random(7), "ab/.-=' \"\t$;&|\\*~#{}!,%" + string.digits
    read = 0
    for _ in range(20_000):
        line = "prog " + "".join(chance.choices(alphabet, k=chance.randint(1, 10)))
        words = simple_line(line)
        if words is None:
            continue
        read += 1
        found = inspect_line(line)
        if isinstance(found, Line):
            assert [list(one.argv) for one in found.commands] == [words], line
        if (not isinstance(found, Line) or read % 40 == 0) and (shell := shutil.which("sh")):
            shown = [sys.executable, "-I", "-c", "import sys; print(sys.argv[1:])"]
            told = subprocess.run(
                [shell, "-c", line.replace("prog", '"$@"', 1), "x", *shown], capture_output=True, text=True, check=False
            )
            assert told.stdout == f"{words[1:]}\n", line
    assert read > 500
