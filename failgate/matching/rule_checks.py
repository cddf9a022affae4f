"""What a rule may not be: members that do not go together, and what would let anything pass. Pure."""

import re
from collections.abc import Iterator, Sequence
from typing import Final, Protocol

import re2

from failgate.base.errors import BadInput, TooLarge, Unprocessable
from failgate.matching.calls import Call, calls_in_line
from failgate.matching.paths import is_real
from failgate.matching.programs import is_capable, is_injecting, name_of
from failgate.matching.shell import Uninspectable
from failgate.wire.gate import Argument, Rule, RuleScope

MAX_PATTERN = 1000  # characters of an RE2 pattern
MAX_PROGRAM = 2000  # instructions that RE2 makes of it
MAX_LIST = 500  # members of any list in a rule
# An argument of a program that can do anything must not be left to a pattern that lets one of these through.
_PROBES: Final = (
    "!id", "|id", ";id", "$(id)", "`id`", 'BEGIN{system("id")}', "1e id", "+!id", "@/x", "ext::sh -c id", "a b", "\tx",
)  # fmt: skip
_HEX: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_DAY: Final = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])", re.ASCII)
_OPTIONS: Final = re2.Options()
_OPTIONS.max_mem, _OPTIONS.log_errors, _OPTIONS.never_capture = 1 << 20, False, True


class Pattern(Protocol):
    """What is used of an RE2 pattern."""

    @property
    def programsize(self) -> int:
        """Return how many instructions it was made into."""
        ...

    def fullmatch(self, text: str) -> object | None:
        """Return a match of the whole text, or None."""
        ...

    def possiblematchrange(self, maxlen: int) -> tuple[bytes, bytes]:
        """Return the first and the last bytes with which a text that fits may begin. Raises: re2.error."""
        ...


def compiled(pattern: str, where: str) -> Pattern:
    """Return an RE2 pattern. Raises: Unprocessable (it is none, or too large)."""
    if not pattern or len(pattern) > MAX_PATTERN:
        raise Unprocessable(f"{where}: a pattern has 1 to {MAX_PATTERN} characters.", member=where)
    try:
        made: Pattern = re2.compile(pattern, _OPTIONS)
    except re2.error as error:
        said = error.args[0] if error.args else ""
        text = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
        raise Unprocessable(f"{where} is no RE2 pattern: {text[:200]!a}.", member=where) from None
    if made.programsize > MAX_PROGRAM:
        raise Unprocessable(f"{where}: the pattern is too large.", hint="Repeat less.", member=where)
    return made


def check_argument(one: Argument, where: str) -> None:
    """Accept what an argument may be. Raises: Unprocessable, TooLarge."""
    if one.literal is None and not one.one_of and one.re2 is None and one.under is None:
        raise Unprocessable(f"{where} says nothing.", hint="Give literal, one_of, re2 or under.", member=where)
    if len(one.one_of or ()) > MAX_LIST:
        raise TooLarge(f"{where} lists more than {MAX_LIST} words.", member=where)
    if one.under is not None and one.under != ".":
        check_folder(one.under, where)


def check_members(rule: Rule) -> None:
    """Accept members that go with the kind. Raises: BadInput, Unprocessable, TooLarge."""
    allowed = {
        "exact": {"argv"}, "prefix": {"argv"}, "argument": {"argv", "arguments", "rest"}, "re2": {"pattern"},
        "path": {"pattern"},
    }[rule.kind]  # fmt: skip
    given = {name for name in ("pattern", "arguments", "rest") if getattr(rule, name) is not None}
    given |= {"argv"} if rule.argv else set[str]()
    for name in sorted(given - allowed):
        raise BadInput(f"A rule of the kind {rule.kind} has no {name}.", hint="See the kinds of rules.", member=name)
    if "pattern" in allowed and not rule.pattern:
        raise Unprocessable(f"A rule of the kind {rule.kind} needs a pattern.", member="pattern")
    if rule.kind == "argument" and not rule.arguments and rule.rest is None:
        raise Unprocessable("The rule says nothing of arguments.", hint="Give arguments or rest.", member="arguments")
    if len(rule.arguments or ()) > MAX_LIST:
        raise TooLarge(f"A rule has at most {MAX_LIST} arguments.", member="arguments")


def check_surroundings(rule: Rule) -> None:
    """Accept environment, executable, scope and day. Raises: Unprocessable."""
    for name in rule.env or ():
        if not _VARIABLE.fullmatch(name):
            raise Unprocessable(f"{name[:80]!a} is no name of a variable.", member="env")
        if is_injecting(name) and rule.effect == "allow":
            raise Unprocessable(
                f"The variable {name[:80]} makes programs load or run what it says: no rule lets it be set.",
                member="env",
            )
    _check_executable(rule)
    if rule.review_by is not None and not _DAY.fullmatch(rule.review_by):
        raise Unprocessable("review_by is no day.", hint="Write it as 2027-01-31.", member="review_by")
    for name, values in _lists(rule.scope or RuleScope(), rule.env):
        if values is not None and not 1 <= len(values) <= MAX_LIST:
            raise Unprocessable(f"{name} has {len(values)} members, not 1 to {MAX_LIST}.", member=name)
    for directory in (rule.scope or RuleScope()).directories or ():
        check_folder(directory, "scope")


def _check_executable(rule: Rule) -> None:
    if rule.executable is None:
        return
    check_folder(rule.executable.path, "executable")
    if rule.executable.sha256 is not None and not _HEX.fullmatch(rule.executable.sha256):
        raise Unprocessable("executable.sha256 is no SHA-256.", hint="64 lower-case digits.", member="executable")
    if rule.effect == "deny":
        raise Unprocessable("A rule that denies names no executable.", hint="Use the kind path.", member="executable")


def _lists(scope: RuleScope, env: Sequence[str] | None) -> Iterator[tuple[str, Sequence[str] | None]]:
    yield from (("scope", scope.agents), ("scope", scope.hosts), ("scope", scope.directories))
    yield "env", env or None


def check_folder(path: str, where: str) -> None:
    """Accept a path as a real one is written. Raises: Unprocessable."""
    if not is_real(path) or "\0" in path:
        raise Unprocessable(
            f"{where}: {path[:200]!a} is no real path from /.",
            hint="Write it without ., .. and double slashes.",
            member=where,
        )


def too_wide(rule: Rule, program: str) -> Unprocessable | None:
    """Return the refusal of a rule that would let anything pass under the name of something; None for a sound one."""
    if rule.effect == "deny":
        return None
    found = calls_in_line(Call(tuple(rule.argv), "/", {}, "", None)) if rule.kind == "exact" else None
    if isinstance(found, Uninspectable):
        return Unprocessable(
            f"Nobody can say what this line runs: {found.reason}.",
            hint="Allow the programs of the line, each by a rule of its own.",
            member="argv",
        )
    if rule.kind == "exact" or not is_capable(program):
        return None
    if rule.kind != "argument":
        return Unprocessable(
            f"{name_of(program)} can do anything at the word of an argument: the kind {rule.kind} is too wide for it.",
            hint="Say every argument: a rule of the kind argument, or exact.",
            member="kind",
        )
    for one in (*(rule.arguments or ()), *([rule.rest] if rule.rest is not None else [])):
        if one.re2 is None:
            continue
        pattern = compiled(one.re2, "re2")
        if one.re2.startswith(("-", "\\-")) or any(pattern.fullmatch(probe) for probe in _PROBES):
            return Unprocessable(
                f"{name_of(program)} can do anything at the word of an argument: {one.re2[:80]!a} is too wide for it.",
                hint="List options by one_of; let a pattern hold the characters of an operand only.",
                member="arguments",
            )
    return None
