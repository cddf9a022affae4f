"""Where names of programs lead to here and now: that of a call, those in a line for a shell, and shadowed basics.

What a line names is told, never believed to be its meaning: the server reads the line by a grammar and wants a file for
each program that it finds in it. A name that is missed here waits for people; one too many says nothing.
"""
# ruff: noqa: PTH113, PTH116, PTH118, PTH119, PTH120, PTH208 -- pathlib would slow the start

from __future__ import annotations

import os

from failgate.base.quick import sha256_of_much
from failgate.client.exits import CANNOT_EXECUTE, NO_PROGRAM, NotExecutable
from failgate.client.messages import inert
from failgate.wire.basics import BASICS
from failgate.wire.starters import chain_of

TYPE_CHECKING = False  # typing's is slow to load
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MOST_NAMES = 64  # of a line; the server takes no more
LONGEST_LINE = 4096  # characters; the server looks into no longer one
_SHELLS = frozenset(("sh", "bash", "dash"))
_OWN = frozenset(("cd", "echo", "pwd", "true", "false", ":", "exit", "type", "command"))  # what a shell does itself
_SYSTEM = ("/usr/", "/bin/", "/sbin/", "/nix/store/", "/gnu/store/", "/snap/", "/opt/")
_BY_OTHERS = 0o022  # write permission of the group and of everybody
_PIECE = 1 << 20
_HEAD = 256  # bytes of a script in which a kernel looks for its interpreter


def find_executable(name: str, cwd: str, path: str) -> str:
    """Return the real path of the program that `name` means in `cwd` with the search path `path`.

    It is the first executable file, as POSIX shells search (XCU 2.9.1.1).

    Raises: NotExecutable (127 there is none, 126 it may not be executed).
    """
    refused: str | None = None
    places = [name] if "/" in name else [os.path.join(place or ".", name) for place in path.split(os.pathsep)]
    for place in places:
        candidate = os.path.realpath(os.path.join(cwd, place))
        if not os.path.isfile(candidate):
            continue
        if os.access(candidate, os.X_OK):
            return candidate
        refused = candidate
    if refused is not None:
        raise NotExecutable(
            f"{inert(refused)} is not executable.", exit_code=CANNOT_EXECUTE, hint=f"chmod +x {inert(refused)}"
        )
    raise NotExecutable(f"There is no program {inert(name)!r}.", exit_code=NO_PROGRAM, hint="Check its name and PATH.")


def digest_of_file(descriptor: int) -> str:
    """Return SHA-256 in hex over the bytes of the open file, read from its beginning."""
    digest = sha256_of_much(os.fstat(descriptor).st_size)
    at = 0
    while piece := os.pread(descriptor, _PIECE, at):
        digest.update(piece)
        at += len(piece)
    return digest.hexdigest()


def programs_of(argv: Sequence[str], cwd: str, path: str) -> dict[str, dict[str, str]]:
    """Return the file of each name at which a command of a line in `argv` may begin, or that a program of it starts.

    And of each shadowed basic.

    A basic is shadowed when `path` leads to another file than the installed one. A file that others than root may
    change or replace is digested; of a script stands there what reads it.
    """
    found: dict[str, dict[str, str]] = {}
    started = (level[0] for level in chain_of(argv)[0][1:] if level[0] not in _OWN)
    for name in (*_shadowed(cwd, path), *_names(_line_of(argv) or ""), *started):
        if name in found or len(found) == MOST_NAMES:
            continue
        try:
            found[name] = _facts_of(find_executable(name, cwd, path), cwd, path)
        except (NotExecutable, OSError, ValueError):
            continue
    return found


def interpreter_of(descriptor: int, cwd: str, path: str, links: int = 4) -> str | None:
    """Return the real path of what reads the script, None for a binary, an empty text when nobody can say.

    Of several scripts that read one another, the first that is no file of the system, else the last. `env` is looked
    through: it takes its program from PATH. Source: execve(2), "Interpreter scripts".
    """
    head = os.pread(descriptor, _HEAD, 0)
    if not head.startswith(b"#!"):
        return None
    line, end, _ = head[2:].partition(b"\n")
    words = line.decode("utf-8", "replace").split()
    if not end or not words or not links:
        return ""
    if os.path.basename(words[0]) == "env" and os.path.realpath(os.path.join(cwd, words[0])).startswith(_SYSTEM):
        words = words[2:] if words[1:2] == ["-S"] else words[1:]
        if not words or words[0].startswith("-") or "=" in words[0]:
            return ""
        name = words[0]
    else:
        name = os.path.join(cwd, words[0])
    try:
        found = find_executable(name, cwd, path)
        found.encode()
        reader = os.open(found, os.O_RDONLY | os.O_CLOEXEC)
    except (NotExecutable, OSError, ValueError):
        return ""
    try:
        further = interpreter_of(reader, cwd, path, links - 1)
    finally:
        os.close(reader)
    return found if further is None or not found.startswith(_SYSTEM) else further


def read_by(descriptor: int, cwd: str, path: str) -> dict[str, str]:
    """Return what is told of what reads the script: its path and, when others than root may change it, its digest.

    Nothing for a binary.
    """
    found = interpreter_of(descriptor, cwd, path)
    if not found:
        return {} if found is None else {"interpreter": found}
    if is_of_system(found):
        return {"interpreter": found}
    try:
        reader = os.open(found, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return {"interpreter": ""}
    try:
        return {"interpreter": found, "interpreter_sha256": digest_of_file(reader)}
    finally:
        os.close(reader)


def _shadowed(cwd: str, path: str) -> Iterator[str]:
    """Give the basics that the search finds in a folder which is none of the system's."""
    seen: set[str] = set()
    for entry in path.split(os.pathsep):
        folder = os.path.realpath(os.path.join(cwd, entry))
        if f"{folder}/".startswith(_SYSTEM):
            continue
        try:
            seen.update(BASICS.intersection(os.listdir(folder)))
        except PermissionError:
            seen.update(name for name in BASICS if os.path.lexists(os.path.join(folder, name)))
        except OSError:
            continue
    for name in sorted(seen):
        try:
            if not find_executable(name, cwd, path).startswith(_SYSTEM):
                yield name
        except NotExecutable:
            continue


def _line_of(argv: Sequence[str]) -> str | None:
    if argv[0].rpartition("/")[2] not in _SHELLS:
        return None
    for place, word in enumerate(argv[1:-1], 1):
        if not word.startswith("-") or word.startswith("--"):
            return None
        if word.endswith("c"):
            line = argv[place + 1]
            return line if len(line) <= LONGEST_LINE else None
    return None


def _names(line: str) -> Iterator[str]:
    """Give the first word of each piece between the operators of `line`, without its quotes."""
    for sign in ";|&\n":
        line = line.replace(sign, "\n")
    for piece in line.split("\n"):
        name = next(iter(piece.split()), "").replace("'", "").replace('"', "").replace("\\", "")
        if name and name not in _OWN:
            yield name


def _facts_of(path: str, cwd: str, search: str) -> dict[str, str]:
    path.encode()  # one that is no UTF-8 cannot be told
    facts = {"path": path}
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if not is_of_system(path):
            facts["sha256"] = digest_of_file(descriptor)
        facts |= read_by(descriptor, cwd, search)
    finally:
        os.close(descriptor)
    return facts


def is_of_system(path: str) -> bool:
    """Tell whether nobody but root may change or replace the file."""
    return path.startswith(_SYSTEM) and _is_of_root(path) and _is_of_root(os.path.dirname(path))


def _is_of_root(path: str) -> bool:
    facts = os.stat(path)
    return facts.st_uid == 0 and not facts.st_mode & _BY_OTHERS
