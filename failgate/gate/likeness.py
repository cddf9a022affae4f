"""Which commands are the same for a reviewer, and in what two of them differ. Pure.

A digest is of one call: its nonce makes each another one. People ask whether they have seen these words before.
"""

from collections import Counter
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Final, Literal

from failgate.base.canonical import digest_of
from failgate.matching.programs import name_of
from failgate.wire.gate import Command, FoundProgram
from failgate.wire.history import CommandChange

MAX_ALIGNED: Final = 128  # tokens between the equal ends: aligning costs the cube of them at worst
LEAST_SHARED: Final = 0.5  # share of equal tokens below which two commands are not worth comparing
_MAX_PROGRAM: Final = 128
Stands = Literal["same", "gone", "new"]
_Fact = Literal["folder", "host", "program", "user", "input", "script"]


def alike_of(command: Command) -> str:
    """Return what is the same for the same words in the same folder of the same host."""
    return digest_of({"v": 1, "argv": command.argv, "cwd": command.cwd, "host": command.host})


def program_of(command: Command) -> str:
    """Return the name of the program, without its folder, cut to what an index takes."""
    return name_of(command.argv[0])[:_MAX_PROGRAM]


def shared(before: Sequence[str], now: Sequence[str]) -> float:
    """Return how many tokens two argument lists have in common, whatever their order: from 0 to 1 (all)."""
    return 2 * (Counter(before) & Counter(now)).total() / (len(before) + len(now))


def changes_between(before: Command, now: Command) -> list[CommandChange]:
    """Return everything in which `now` differs from `before`, the arguments first; the nonce says nothing."""
    found = _argument_changes(before.argv, now.argv)
    facts: tuple[tuple[_Fact, str | None, str | None], ...] = (
        ("folder", before.cwd, now.cwd),
        ("host", before.host, now.host),
        ("program", _file_of(before), _file_of(now)),
        ("user", _user(before), _user(now)),
        ("input", before.stdin_sha256, now.stdin_sha256),
        ("script", _found(before.script), _found(now.script)),
    )
    found += [CommandChange(what, old, new) for what, old, new in facts if old != new]
    if before.programs is not None and now.programs is not None:  # in both of them somebody looked
        for name in sorted(before.programs.keys() | now.programs.keys()):
            was, leads = _found(before.programs.get(name)), _found(now.programs.get(name))
            if was != leads:
                found.append(CommandChange("program", was, leads, name=name))
    for name in sorted(before.env.keys() | now.env.keys()):
        old, new = before.env.get(name), now.env.get(name)
        if old != new:
            found.append(CommandChange("variable", old, new, name=name))
    return found


def aligned(before: Sequence[str], now: Sequence[str]) -> list[tuple[Stands, str]]:
    """Return the tokens of both argument lists, each with where it stands: in both, in `before` or in `now` alone."""
    found: list[tuple[Stands, str]] = []
    at = 0
    for old_from, old_to, new_from, new_to in _unequal(before, now):
        found.extend(("same", token) for token in before[at:old_from])
        found.extend(("gone", token) for token in before[old_from:old_to])
        found.extend(("new", token) for token in now[new_from:new_to])
        at = old_to
    found.extend(("same", token) for token in before[at:])
    return found


def _argument_changes(before: Sequence[str], now: Sequence[str]) -> list[CommandChange]:
    found: list[CommandChange] = []
    for old_from, old_to, new_from, new_to in _unequal(before, now):
        old, new = before[old_from:old_to], now[new_from:new_to]
        for step in range(max(len(old), len(new))):
            place = new_from + step if step < len(new) else None
            found.append(
                CommandChange(
                    "token",
                    old[step] if step < len(old) else None,
                    new[step] if step < len(new) else None,
                    place,
                )
            )
    return found


def _unequal(before: Sequence[str], now: Sequence[str]) -> list[tuple[int, int, int, int]]:
    """Return the spans that differ, as places of both lists: `before[a:b]` stands where `now[c:d]` does."""
    head, tail = _equal_ends(before, now)
    old, new = before[head : len(before) - tail], now[head : len(now) - tail]
    if max(len(old), len(new)) > MAX_ALIGNED:
        return [(head, head + len(old), head, head + len(new))]
    codes = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    return [(head + a, head + b, head + c, head + d) for tag, a, b, c, d in codes if tag != "equal"]


def _equal_ends(before: Sequence[str], now: Sequence[str]) -> tuple[int, int]:
    """Return how many tokens are equal at the beginning, and how many of the rest at the end."""
    most = min(len(before), len(now))
    head = next((place for place in range(most) if before[place] != now[place]), most)
    rest = most - head
    tail = next((place for place in range(rest) if before[-1 - place] != now[-1 - place]), rest)
    return head, tail


def _file_of(command: Command) -> str | None:
    if command.exe is None:
        return None
    said = f"{command.exe.path} sha256 {command.exe.sha256}"
    by = command.exe.interpreter_sha256
    return said if by is None else f"{said} by {command.exe.interpreter} sha256 {by}"


def _found(program: FoundProgram | None) -> str | None:
    if program is None:
        return None
    said = (
        program.path,
        program.sha256 and f"sha256 {program.sha256}",
        program.interpreter and f"by {program.interpreter}",
        program.interpreter_sha256 and f"sha256 {program.interpreter_sha256}",
    )
    return " ".join(part for part in said if part)


def _user(command: Command) -> str | None:
    told = (("uid", command.uid), ("gid", command.gid), ("umask", command.umask), ("home", command.home))
    said = [f"{name} {value}" for name, value in told if value is not None]
    return ", ".join(said) or None
