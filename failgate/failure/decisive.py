"""The error that decided: where in an output it stands, and the place in the code that it names.

Known are the forms of test runners, interpreters, compilers and build tools; nothing is guessed beyond them. Without
any of them the last line that says something counts. Every pattern is linear, and of a line only its beginning is read.
"""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

_READ_CHARACTERS: Final = 1000  # of one line
_BACK_LINES: Final = 60  # how far above an error its frame may stand
_STRONG: Final = re.compile(
    r"E   +\S"  # pytest: what was asserted
    r"|(?:Caused by: |Exception in thread \"[^\"]*\" )?(?:[A-Za-z_][\w.]*)?"
    r"(?:Error|Exception|Interrupt|Failure|Exit|Warning)(?::|$)"  # interpreters: the exception
    r"|(?:error|fatal|panic)(?:\[\w+\])?: "
    r"|\S+:\d+(?::\d+)?: (?:fatal )?error\b"  # compilers
    r"|thread '[^']*' (?:\(\d+\) )?panicked at"
    r"|--- FAIL: |not ok \d|(?:Uncaught|Unhandled) |Segmentation fault|Killed$|Aborted"
    r"|\S+: (?:\S+ \d+: )?.*(?:command not found|No such file or directory|Permission denied)$"
)
_WEAK: Final = re.compile(
    r"(?:FAILED|ERROR|FAIL)\b|npm (?:ERR!|error)|make(?:\[\d+\])?: \*\*\* |Traceback \(most recent|\s*at \S|error\b",
)
_FRAMES: Final = (
    re.compile(r'\s*File "([^"]+)", line (\d+)(?:, in (.+))?'),  # Python
    re.compile(r"([^\s:()]+\.[A-Za-z]\w*):(\d+): (?:in )?([A-Za-z_]\w*)"),  # pytest: file:line: Error
    re.compile(r"\s*(?:-->|at) ([^\s:()]+\.[A-Za-z]\w*):(\d+)"),  # rustc
    re.compile(r"\s*at (?:async )?(?:\S+ )?\(?([^\s()]+?):(\d+)"),  # Node
    re.compile(r"\s*at [\w.$/<>]+\(([\w.]+\.(?:java|kt|scala)):(\d+)\)"),  # Java, Kotlin, Scala
    re.compile(r"thread '[^']*' (?:\(\d+\) )?panicked at ([^\s:]+):(\d+)"),
    re.compile(r"\s*([^\s:()]+\.[A-Za-z]\w*):(\d+)(?::\d+)?[: ]"),  # compilers, go
)


class Decisive(NamedTuple):
    """The error: the index of its first line, its text; the file it names and the function there, as far as known."""

    line: int
    text: str
    file: str | None
    function: str | None


def decisive(lines: Sequence[str]) -> Decisive | None:
    """Return the last error of `lines` (plain text); None when no line says anything."""
    place = _last(lines, _STRONG)
    if place is None:
        place = _last(lines, _WEAK)
    if place is None:
        place = next((at for at in range(len(lines) - 1, -1, -1) if lines[at].strip()), None)
        return None if place is None else Decisive(place, lines[place].strip()[:_READ_CHARACTERS], None, None)
    if lines[place].startswith("E  "):
        while place > 0 and lines[place - 1].startswith("E  "):
            place -= 1
    file, function = _frame(lines, place)
    text = lines[place].strip()
    text = text.removeprefix("E").strip() if lines[place].startswith("E  ") else text
    return Decisive(place, text[:_READ_CHARACTERS], file, function)


def _last(lines: Sequence[str], pattern: "re.Pattern[str]") -> int | None:
    for place in range(len(lines) - 1, -1, -1):
        if pattern.match(lines[place][:_READ_CHARACTERS]):
            return place
    return None


def _frame(lines: Sequence[str], place: int) -> tuple[str | None, str | None]:
    """Return file and function of the innermost frame: on the line, closely below (pytest, rustc, Node) or above it."""
    below = range(place, min(len(lines), place + 12))
    above = range(place - 1, max(-1, place - _BACK_LINES), -1)
    is_python = any(lines[at].lstrip().startswith('File "') for at in range(max(0, place - 6), place))
    for at in (*above, *below) if is_python else (*below, *above):
        line = lines[at][:_READ_CHARACTERS]
        for pattern in _FRAMES:
            found = pattern.match(line)
            if found:
                function = found.group(3) if pattern.groups > 2 else None
                return found.group(1), function.strip() if function else None
    return None, None
