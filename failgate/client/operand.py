"""The script that a call runs in the end: the FILE of `sh FILE`, `python3 FILE`, `node FILE` and their like.

Programs that do nothing but start another one (`env`, `timeout 5`, …) and a shell's line of one simple command are
looked through; a script of one's own that they start by its name is found too.

The interpreter is an installed program, so its digest says nothing of what would happen: the file does. Which argument
it is follows from the options of each interpreter. A word behind them that is no file is passed over, because an option
unknown here may take it as its value; a file too many is digested rather than one too few.
Sources: sh(1) of POSIX, bash(1), zsh(1), python(1), node(1), perlrun(1), ruby(1), php(1), lua(1), Rscript(1).
"""
# ruff: noqa: PTH113, PTH118 -- pathlib would slow the start

from __future__ import annotations

import os

from failgate.base.quick import NamedTuple
from failgate.client.exits import NotExecutable
from failgate.client.search import digest_of_file, find_executable, is_of_system
from failgate.wire.starters import chain_of

TYPE_CHECKING = False  # typing's is slow to load
if TYPE_CHECKING:
    from collections.abc import Sequence


class _Reader(NamedTuple):
    """The options of one interpreter.

    `instead` are letters after which no file is read as the script; `valued` are letters that take a value: the rest of
    their word, or the next one; `glued` take the rest alone. `long_instead` and `long_valued` are whole options.
    """

    instead: str = ""
    valued: str = ""
    glued: str = ""
    long_instead: frozenset[str] = frozenset()
    long_valued: frozenset[str] = frozenset()
    script: str = ""  # the letter whose value is the script
    is_searched: bool = False  # a name without a slash is also looked for in PATH


_SHELL = _Reader("cs", "oO", long_valued=frozenset(("--rcfile", "--init-file", "--emulate")), is_searched=True)
_NODE_INSTEAD = frozenset(("--eval", "--print", "--interactive", "-pe"))
_NODE_VALUED = frozenset(("--require", "--import", "--loader", "--experimental-loader", "--conditions", "--title"))
_READERS = {
    **dict.fromkeys(("sh", "bash", "dash", "ash", "zsh", "ksh", "mksh", "rbash"), _SHELL),
    **dict.fromkeys(
        ("python", "pypy"), _Reader("cm", "WX", long_valued=frozenset(("--check-hash-based-pycs",)))
    ),
    **dict.fromkeys(("node", "nodejs"), _Reader("ep", "rC", "", _NODE_INSTEAD, _NODE_VALUED)),
    "perl": _Reader("eE", "I", "MmFixDCV0l"),
    "ruby": _Reader("e", "IrCE", "FKTWxi0", is_searched=True),
    "php": _Reader("rRBE", "dczSt", script="f", long_instead=frozenset(("--run",))),
    "lua": _Reader("", "el"),
    "Rscript": _Reader("e"),
}  # fmt: skip


def script_of(argv: Sequence[str], cwd: str, path: str) -> dict[str, str] | None:
    """Return real path and SHA-256 of the script that `argv` in the folder `cwd` gives to its interpreter.

    None when the program is no known interpreter, gets its text otherwise, or names no readable file; `path` is PATH.
    """
    found = named_script(argv, cwd, path)
    return None if found is None else found[1]


def named_script(argv: Sequence[str], cwd: str, path: str) -> tuple[str, dict[str, str]] | None:
    """Return the path by which the interpreter opens the script, its links not followed, and what `script_of` does."""
    levels, is_known = chain_of(argv)
    if not is_known:
        return None
    argv = levels[-1]
    found = _read_by_interpreter(argv, cwd, path)
    return found if found is not None or len(levels) == 1 else _started_by_name(argv[0], cwd, path)


def _started_by_name(word: str, cwd: str, path: str) -> tuple[str, dict[str, str]] | None:
    """Return what `named_script` does of a text with `#!` that is started by its name and that others may change."""
    try:
        real = find_executable(word, cwd, path)
        descriptor = os.open(real, os.O_RDONLY | os.O_CLOEXEC)
    except (NotExecutable, OSError, ValueError):
        return None
    try:
        is_script = os.pread(descriptor, 2, 0) == b"#!"
    finally:
        os.close(descriptor)
    facts = _facts_of(real) if is_script and not is_of_system(real) else None
    if facts is None:
        return None
    named = os.path.normpath(os.path.join(cwd, word)) if "/" in word else real
    return named, facts


def _read_by_interpreter(argv: Sequence[str], cwd: str, path: str) -> tuple[str, dict[str, str]] | None:
    name = argv[0].rpartition("/")[2]
    reader = _READERS.get(name) or _READERS.get(name.rstrip("0123456789.-"))
    if reader is None:
        return None
    for word in _operands(reader, argv[1:]):
        places = [cwd]
        if reader.is_searched and "/" not in word:
            places += [os.path.join(cwd, place) for place in path.split(os.pathsep)]
        for place in places:
            named = os.path.normpath(os.path.join(place, word))
            facts = _facts_of(os.path.realpath(os.path.join(place, word)))
            if facts is not None:
                return named, facts
    return None


def _operands(reader: _Reader, words: Sequence[str]) -> list[str]:
    """Return the words that may be the script, the likeliest first; none when the text comes from elsewhere."""
    found: list[str] = []
    place = 0
    while place < len(words):
        word = words[place]
        place += 1
        if word == "--":
            return found + list(words[place:])
        if word[:1] not in ("-", "+"):
            found.append(word)
        elif found:
            continue  # an option of the script
        elif word == "-" or word.partition("=")[0] in reader.long_instead:
            return []
        elif word.startswith("--"):
            place += word in reader.long_valued
        else:
            letter, value = _last_letter(reader, word[1:])
            if letter in reader.instead:
                return []
            if letter in reader.valued + reader.script and not value:
                value = words[place] if place < len(words) else ""
                place += 1
            if letter in reader.script:
                return [value]
    return found


def _last_letter(reader: _Reader, letters: str) -> tuple[str, str]:
    """Return the letter that says what the rest of its word is, and that rest; without one, a letter of no meaning."""
    for at, letter in enumerate(letters, 1):
        if letter in reader.instead + reader.valued + reader.glued + reader.script:
            return letter, letters[at:]
    return " ", ""


def _facts_of(path: str) -> dict[str, str] | None:
    try:
        path.encode()
        if not os.path.isfile(path):  # opening a pipe would wait for its writer
            return None
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError):
        return None
    try:
        return {"path": path, "sha256": digest_of_file(descriptor)}
    finally:
        os.close(descriptor)
