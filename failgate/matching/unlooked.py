"""What a call runs in the end without that anybody looked at its file: said to reviewers, and passed by no rule. Pure.

Who asks digests the program, the script that an interpreter is given, and what `env`, `timeout 5` or a line of one
simple command start in the end (`wire/starters.py`). What is started by other rules, `sudo` and its like, and what
several commands of a line read, is in no digest: between the approval and the execution it may become something else.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from failgate.matching.programs import name_of, short_name
from failgate.matching.rendering import render
from failgate.matching.shell import SHELLS, Line, inspect_line, line_of
from failgate.wire.gate import Command, FoundProgram
from failgate.wire.starters import MOST_LEVELS, OPAQUE, installed_name, started_by

_READERS: Final = (
    frozenset(
        (  # noqa: SIM905  # a word a line hides the list
            "python pypy perl ruby node nodejs php lua luajit Rscript"
        ).split()
    )
    | SHELLS
)
_TEXT_ELSEWHERE: Final = frozenset("cemprsEBR")  # letters of options after which no file is read as the script
_SYSTEM: Final = ("/usr/bin/", "/bin/", "/usr/sbin/", "/sbin/")
_LONGEST_SHOWN: Final = 60


def unlooked(command: Command) -> str | None:
    """Return what of `command` nobody looked at, as a sentence for reviewers; None when there is nothing of that kind.

    Of a line of which nobody can say what it runs nothing is said here: that is said of the line.
    """
    return _unlooked(command.argv, command.programs, has_script=command.script is not None)


def unlooked_start(argv: Sequence[str], programs: Mapping[str, FoundProgram] | None, *, has_script: bool) -> str | None:
    """Return what nobody looked at that `argv` starts by another program; None also for what it runs itself."""
    is_starter = installed_name(argv[0]) in OPAQUE or started_by(argv) is not None
    return _unlooked(argv, programs, has_script=has_script) if is_starter else None


def _unlooked(
    argv: Sequence[str], programs: Mapping[str, FoundProgram] | None, *, has_script: bool, level: int = 0
) -> str | None:
    if level > MOST_LEVELS:
        return "too many programs start one another: the last one was not looked at"
    name = installed_name(argv[0])
    if name in OPAQUE:
        return _behind(name, argv[1:])
    further = started_by(argv)
    if further is not None:
        if not further:
            return f"{name} starts a program that cannot be told from its options"
        return _unlooked(further, programs, has_script=has_script, level=level + 1)
    line = line_of(argv)
    if isinstance(line, str):
        found = inspect_line(line)
        if not isinstance(found, Line):
            return None
        is_single = len(found.commands) == 1 and not found.commands[0].folders
        said = (
            _unlooked(one.argv, programs, has_script=has_script and is_single, level=level + 1)
            for one in found.commands
        )
        return next((one for one in said if one is not None), None)
    if line is not None:
        return None
    script = _script(argv)
    if script is not None:
        return None if has_script else f"{_shown(name_of(argv[0]))} reads {_shown(script)}, which was not looked at"
    is_own = "/" in argv[0] and not argv[0].startswith(_SYSTEM)
    if level and is_own and (programs is None or argv[0] not in programs):
        return f"{_shown(argv[0])} was not looked at"
    return None


def _behind(name: str, words: Sequence[str]) -> str | None:
    """Say what a program of `OPAQUE` starts, where that is a file that others may change."""
    found = [word for word in words if not word.startswith("-") and "=" not in word]
    for at, word in enumerate(found[:3]):  # an option unknown here may have taken one or two of them
        is_reader = _is_reader(word) and at + 1 < len(words)
        if is_reader or ("/" in word and not word.startswith(_SYSTEM)):
            return f"{name} starts {_shown(word)}; what that runs was not looked at"
    return None


def _script(argv: Sequence[str]) -> str | None:
    """Return the file that an interpreter is given, as far as one can say without knowing all its options."""
    if not _is_reader(argv[0]):
        return None
    for word in argv[1:]:
        if word[:1] not in {"-", "+"}:
            return word
        if word == "-" or (not word.startswith("--") and _TEXT_ELSEWHERE.intersection(word[1:])):
            return None
        if word.startswith(("--eval", "--print", "--run", "--version", "--help")):
            return None
    return None


def _is_reader(word: str) -> bool:
    name = name_of(word)
    return name in _READERS or short_name(name) in _READERS


def _shown(word: str) -> str:
    [text] = render([word])
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"
