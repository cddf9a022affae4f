"""What the page "Why?" shows: the command of its form, and what the policies say of it. Pure."""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from failgate.base.errors import BadInput, TooLarge
from failgate.matching.rendering import render, warnings
from failgate.matching.shell import Line, inspect_line
from failgate.web.pages.text import span
from failgate.web.pages.token_view import Text, TokenView, texts, token_view
from failgate.wire.gate import Challenge, Explanation, Finding

FIELDS: Final = ("command", "written", "folder", "host", "agent")
MAX_CHARACTERS: Final = 16_384  # of the command as it is typed
FOLDER: Final = "/"
HOST: Final = "localhost"
CHALLENGES: Final[Mapping[Challenge, str]] = {
    "click": "the button alone",
    "host": "the name of the host, typed",
    "factor": "the name of the host, typed, and a second factor of the last five minutes",
    "passkey": "the name of the host, typed, and a passkey of the last five minutes",
    "two": "the name of the host, typed, and a second factor of the last five minutes, of two people",
}
_FOREIGN: Final = re.compile(r"[^\x00-\x7f]")
_HEADLINES: Final = {
    "allow": ("ok", "check", "It would pass at once"),
    "ask": ("wait", "clock", "People would be asked"),
    "deny": ("bad", "cross", "It would be refused"),
}


@dataclass(frozen=True, slots=True)
class AgentChoice:
    """An agent that the command could come from."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class AnswerView:
    """What the policies say. `kind` chooses the colour; `terms` are what an approval takes, in words."""

    decision: str
    kind: str
    symbol: str
    headline: str
    reason: str
    tokens: tuple[TokenView, ...]
    unusual: int
    warnings: tuple[str, ...]
    is_line: bool
    folder: tuple[Text, ...]
    host: tuple[Text, ...]
    by: str
    risk: int | None
    findings: tuple[Finding, ...]
    terms: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class WhyView:
    """The form as it was sent, and the answer or the error."""

    here: str
    typed: Mapping[str, str]
    agents: tuple[AgentChoice, ...] = ()
    error: str | None = None
    hint: str | None = None
    answer: AnswerView | None = None


def words_of(typed: Mapping[str, str]) -> tuple[list[str], bool]:
    """Return the argument list that the form says, and whether it became a line for a shell.

    `written` is `lines`, one word a line, or `shell`: a line as one types it. A line of which a shell would make
    anything but one plain command is what an agent's shell is given: `bash -c LINE`.

    Raises: BadInput (nothing is written, a quote is not closed, NUL), TooLarge.
    """
    text = typed["command"].replace("\r\n", "\n").strip("\n")
    if len(text) > MAX_CHARACTERS:
        raise TooLarge(
            f"The command has {len(text)} characters; the limit is {MAX_CHARACTERS}.",
            hint="Ask with failgate policy explain, which takes more.",
        )
    if "\0" in text:
        raise BadInput("The command holds a NUL character.", hint="Remove it: no program can be given one.")
    if not text.strip():
        raise BadInput("No command is written.", hint="Write the program and its arguments.")
    if typed["written"] == "lines":
        return text.split("\n"), False
    if typed["written"] != "shell":
        raise BadInput("The form does not say how the command is written.", hint="Use the fields of the page.")
    try:
        words = shlex.split(text)
    except ValueError:
        raise BadInput(
            "The line has a quote that is not closed, or ends in a backslash.",
            hint="Close it, or write one word a line.",
        ) from None
    return (words, False) if _is_plain(text, words) else (["bash", "-c", text], True)


def _is_plain(line: str, words: Sequence[str]) -> bool:
    """Tell whether a shell makes of `line` one command of exactly these words.

    What is beyond ASCII means nothing to a shell, and a letter stands for it while the line is read.
    """
    found = inspect_line(_FOREIGN.sub("x", line))
    read = [list(one.argv) for one in found.commands] if isinstance(found, Line) else []
    return read == [[_FOREIGN.sub("x", word) for word in words]]


def command_of(typed: Mapping[str, str]) -> tuple[dict[str, Any], bool]:
    """Return the raw command that the form says, and whether it is a line for a shell.

    It has no variables, and its programs are the installed ones.

    Raises: as `words_of`.
    """
    argv, is_line = words_of(typed)
    folder, host = typed["folder"].strip() or FOLDER, typed["host"].strip() or HOST
    return {"v": 1, "argv": argv, "cwd": folder, "env": {}, "host": host}, is_line


def answer_view(command: Mapping[str, Any], said: Explanation, by: str, *, is_line: bool) -> AnswerView:
    """Return what the policies say of `command` when `by` asks; `is_line`: the form's line became one for a shell."""
    argv: list[str] = command["argv"]
    kind, symbol, headline = _HEADLINES[said.decision]
    tokens = tuple(
        token_view(rendered, len(token.encode()), is_late=False, is_full=True)
        for rendered, token in zip(render(argv), argv, strict=True)
    )
    return AnswerView(
        said.decision,
        kind,
        symbol,
        headline,
        said.reason,
        tokens,
        sum(token.unusual for token in tokens),
        tuple(warnings(argv)),
        is_line,
        texts(command["cwd"]),
        texts(command["host"]),
        by,
        said.risk.score,
        tuple(said.findings),
        terms_of(said) if said.decision == "ask" else (),
    )


def terms_of(said: Explanation) -> tuple[tuple[str, str], ...]:
    """Return what an approval would take, each with its name."""
    found = [
        ("Approvals", f"{said.need} {'person' if said.need == 1 else 'people'}"),
        ("Among them", ", ".join(said.groups)),
        ("Each takes", CHALLENGES[said.challenge]),
        ("Ends it", "one denial" if said.deny_after == 1 else f"{said.deny_after} denials"),
        ("Time to decide", _at_most(said.decide_within_seconds)),
        ("Time to use", _at_most(said.use_within_seconds)),
        ("Told meanwhile", ", ".join(said.escalations)),
    ]
    return tuple((name, words) for name, words in found if words)


def _at_most(seconds: int | None) -> str:
    return "" if seconds is None else f"{span(seconds)} at most"
