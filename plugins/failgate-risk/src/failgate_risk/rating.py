"""How dangerous a command looks, from 0 to 100, and why. Pure."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Final

from failgate.plugin import Call, Command, Uninspectable, call_of, calls_in_line, is_capable, is_injecting
from failgate_risk.table import Table, names_of

UNINSPECTABLE_POINTS: Final = 40
CAPABLE_POINTS: Final = 15
UNKNOWN_POINTS: Final = 15
INJECTING_POINTS: Final = 45
ATTESTED_NOT_POINTS: Final = 10
MAX_INNER: Final = 64  # programs that are looked for behind a wrapper or in a line that is not inspectable
MAX_TEXT: Final = 64 * 1024
_BETWEEN_WORDS: Final = re.compile(r"[\s;|&()<>`$\"'{}\\]+")  # one class, no backtracking


@dataclass(frozen=True, slots=True)
class Rating:
    """The score and its reasons, those of most points first."""

    score: int
    reasons: tuple[str, ...]


def rate(table: Table, command: Command, *, agent_id: str | None, is_known: bool | None) -> Rating:
    """Return how dangerous `command` looks. `is_known` as `CommandContext` tells it."""
    found: dict[str, int] = {}
    if command.argv and command.argv[0]:
        for says, points in _of_call(table, call_of(command, agent_id)):
            found[says] = max(points, found.get(says, 0))
    else:
        found["names no program"] = 100
    if any(is_injecting(name) for name in command.env):
        found["a variable makes programs run or load something else"] = INJECTING_POINTS
    if command.exe is None:
        found["the agent does not say which file would run"] = ATTESTED_NOT_POINTS
    if is_known is False:
        found["this agent has not run this program before"] = UNKNOWN_POINTS
    return joined(found)


def joined(found: dict[str, int]) -> Rating:
    """Return the rating that these reasons come to: their points join like independent chances, rounded up."""
    reasons = sorted(found, key=lambda says: (-found[says], says))
    rest = prod(100 - points for points in found.values())
    score = 100 - rest * 100 // 100 ** len(found) if found else 0
    return Rating(score, tuple(reasons))


def _of_call(table: Table, call: Call) -> Iterator[tuple[str, int]]:
    inner = calls_in_line(call)
    if inner is None:
        yield from _of_words(table, call.argv, frozenset().union(*map(names_of, call.names())))
        return
    if isinstance(inner, Uninspectable):
        yield f"the line for a shell is not inspectable: {inner.reason}", UNINSPECTABLE_POINTS
        yield from _of_text(table, call.argv)
        return
    for each in inner:
        yield from _of_words(table, each.argv, frozenset().union(*map(names_of, each.names())))


def _of_words(table: Table, argv: Sequence[str], names: frozenset[str]) -> Iterator[tuple[str, int]]:
    """Give the reasons of one program, and of those that it would start if it is a wrapper."""
    yield from _reasons(table, names, argv[1:])
    if any(is_capable(name) for name in names):
        yield "the program can run others or write files at the word of an argument", CAPABLE_POINTS
    if not names.isdisjoint(table.wrappers):
        yield from _of_suffixes(table, argv[1:])


def _of_text(table: Table, argv: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Give the reasons of every known program whose name stands anywhere in the text."""
    text = " ".join(argv[1:])[:MAX_TEXT]
    yield from _of_suffixes(table, [word for word in _BETWEEN_WORDS.split(text) if word])


def _of_suffixes(table: Table, words: Sequence[str]) -> Iterator[tuple[str, int]]:
    programs, left = table.programs, MAX_INNER
    for place, word in enumerate(words):
        names = names_of(word)
        if names.isdisjoint(programs):
            continue
        if left == 0:
            yield "more programs than are looked at", UNINSPECTABLE_POINTS
            return
        left -= 1
        yield from _reasons(table, names, words[place + 1 :])


def _reasons(table: Table, names: frozenset[str], arguments: Sequence[str]) -> Iterator[tuple[str, int]]:
    for reason in table.reason:
        if reason.fits(names, arguments):
            yield reason.says, reason.points
