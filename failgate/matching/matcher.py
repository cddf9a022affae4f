"""What a rule lets pass: a rule made ready to be compared, and the call that it is compared with. Pure.

The law: who allows is narrow, who denies is broad. A rule that allows compares the program as it is spelled, the file
that was attested, the environment and the folder; one that denies takes a program by any of its names, wherever it is
and whatever surrounds it. Where a limit keeps a rule from being compared, a denial fits and an allowance does not.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import re2

from failgate.base.errors import Unprocessable
from failgate.matching.calls import Call
from failgate.matching.paths import is_below, is_real, leads_under
from failgate.matching.programs import (
    is_capable,
    is_installed,
    is_this_program,
    is_trusted_search,
    name_of,
    names_agree,
    reads_its_program,
    refused_variable,
    search_trouble,
)
from failgate.matching.rule_checks import (
    Pattern,
    check_argument,
    check_folder,
    check_members,
    check_surroundings,
    compiled,
    too_wide,
)
from failgate.matching.shell import AS_PROGRAMS
from failgate.matching.unlooked import unlooked_start
from failgate.wire.basics import BASICS
from failgate.wire.gate import Argument, Rule

MAX_TEXT = 4096  # characters that a pattern is compared with: at most a few milliseconds, whatever the pattern
MAX_REST = 256  # arguments that `rest` takes
RANGE_BYTES = 24  # how much of a text is compared before its pattern is
KEY_WORDS = 6  # leading words by which a rule is found
PATH: Final = "PATH"
_LITERAL: Final = re.compile(r"(?:[A-Za-z0-9_/@%,:-]|\\[.+-])+", re.ASCII)
_UNKNOWN: Final = "nobody said which file would run"
_SPACE: Final = re.compile(r"\s")


@dataclass(frozen=True, slots=True)
class Matcher:
    """A rule that is ready. `key` are the leading words by which it is found; `place` the path of a `path` rule."""

    rule: Rule
    program: str
    key: tuple[str, ...]
    place: str | None
    fits_words: Callable[[Call], bool]
    is_deny: bool
    is_strict: bool
    named: frozenset[str] = field(default_factory=frozenset)

    def fits(self, call: Call) -> bool:
        """Tell whether the rule refuses `call`, or lets it pass."""
        return self.speaks_of(call) and self.obstacle(call) is None

    def speaks_of(self, call: Call) -> bool:
        """Tell whether the rule is about a call of these words at this place."""
        return self.fits_words(call) and self._is_in_scope(call)

    def obstacle(self, call: Call) -> str | None:
        """Return what keeps `call`, which the rule speaks of, from passing: its program, its environment; else None."""
        if self.is_deny:
            return None
        if reads_its_program(call.argv):
            return "it runs what comes by its standard input"
        name = refused_variable(call.env, self.named, is_strict=self.is_strict, home=call.home)
        if name == PATH:
            return f"its search path {search_trouble(call.env[PATH])}"
        if name is not None:
            return f"the variable {name} is none that it may have, or not as it is ordinarily"
        return (
            self._doubt_of_search(call)
            or self._doubt_of_program(call)
            or unlooked_start(call.argv, call.programs, has_script=call.has_script)
        )

    def _is_in_scope(self, call: Call) -> bool:
        scope = self.rule.scope
        if not (self.is_deny or is_real(call.folder)):
            return False
        if scope is None:
            return call.is_attested or self.is_deny
        if scope.agents is not None and call.agent_id not in scope.agents:
            return False
        if scope.hosts is not None and call.host not in scope.hosts:
            return False
        if scope.directories is None:
            return call.is_attested or self.is_deny
        if call.is_attested or self.is_deny:
            return any(is_below(call.folder, directory) for directory in scope.directories)
        return call.folder in scope.directories

    def _doubt_of_search(self, call: Call) -> str | None:
        """Return why programs that the program itself starts may be other files than the installed ones."""
        if PATH in self.named:
            return None
        if call.programs is None:
            return None if is_trusted_search(call.env.get(PATH)) else "nobody said where its search path leads"
        for name in BASICS & call.programs.keys():
            found = call.programs[name]
            if not is_installed(found.path) or not self._may_read(found.interpreter):
                return f"by its search path {name} is another file than the installed one"
        return None

    def _doubt_of_program(self, call: Call) -> str | None:
        """Return why what would run is not the program that the rule means, as far as it is attested."""
        attested, wanted = call.executable, self.rule.executable
        if attested is None:
            is_pinned = wanted is not None or self.place is not None
            return _UNKNOWN if is_pinned or not self._is_known_unattested(call) else None
        if not self._may_read(attested.interpreter):
            return "what would read the script is not installed for everybody"
        if wanted is not None:
            is_wanted = attested.path == wanted.path and wanted.sha256 in {None, attested.sha256}
            return None if is_wanted else "the file that would run is not the one that the rule pins"
        if self.place is not None:
            return "the program can do anything at the word of an argument" if is_capable(attested.path) else None
        is_same = is_this_program(call.argv[0], attested.path, is_anywhere=PATH in self.named)
        return None if is_same else "the file that would run is not the program that is installed under that name"

    def _may_read(self, interpreter: str | None) -> bool:
        """Tell whether a script read by `interpreter` is what its file says; None is no script."""
        return interpreter is None or is_installed(interpreter, is_anywhere=PATH in self.named)

    def _is_known_unattested(self, call: Call) -> bool:
        """Tell whether the program is known though nobody said its file."""
        name = call.argv[0]
        if call.in_line and name in AS_PROGRAMS:
            return True  # the shell does it itself
        if call.in_line and call.programs is not None:
            return False  # names were looked up, and not this one
        return "/" in name or PATH in self.named or is_trusted_search(call.env.get(PATH))


def matcher_of(rule: Rule) -> Matcher:
    """Return `rule` ready to be compared. One that allows too much by what is known now fits nothing.

    Raises: BadInput (members that do not go with the kind), Unprocessable (a rule that could match nothing), TooLarge.
    """
    check_members(rule)
    check_surroundings(rule)
    is_deny = rule.effect == "deny"
    fits, program = _WORDS[rule.kind](rule, is_deny)
    if too_wide(rule, program) is not None:
        fits = _never
    place = rule.pattern if rule.kind == "path" else None
    words = rule.argv[1:KEY_WORDS] if rule.kind in {"exact", "prefix", "argument"} else []
    key = () if place is not None else (name_of(program), *words)
    is_strict = rule.kind == "argument" and is_capable(program)
    return Matcher(rule, program, key, place, fits, is_deny, is_strict, frozenset(rule.env or ()))


def check_rule(rule: Rule) -> None:
    """Accept a rule that somebody wants to make.

    Raises: as `matcher_of`, and Unprocessable for one that would let a program do anything.
    """
    refused = too_wide(rule, matcher_of(rule).program)
    if refused is not None:
        raise refused


def _never(_call: Call) -> bool:
    return False


# How each kind compares words


def _exact(rule: Rule, is_deny: bool) -> tuple[Callable[[Call], bool], str]:
    argv = tuple(rule.argv)

    def fits(call: Call) -> bool:
        return call.argv[1:] == argv[1:] and _is_named(call, argv[0], is_deny)

    return fits, argv[0]


def _prefix(rule: Rule, is_deny: bool) -> tuple[Callable[[Call], bool], str]:
    argv = tuple(rule.argv)

    def fits(call: Call) -> bool:
        return call.argv[1 : len(argv)] == argv[1:] and _is_named(call, argv[0], is_deny)

    return fits, argv[0]


def _arguments(rule: Rule, is_deny: bool) -> tuple[Callable[[Call], bool], str]:
    program, tail = rule.argv[0], tuple(rule.argv[1:])
    each = [_argument(one, f"arguments[{place}]", is_deny) for place, one in enumerate(rule.arguments or ())]
    rest = None if rule.rest is None else _argument(rule.rest, "rest", is_deny)
    begin = len(tail) + 1
    least = begin + len(each)

    def fits(call: Call) -> bool:
        words, count = call.argv, len(call.argv)
        if count < least or (rest is None and count > least) or words[1:begin] != tail:
            return False
        for place, one in enumerate(each, begin):
            if not one(words[place], call.folder):
                return False
        if not _is_named(call, program, is_deny):
            return False
        if count > least + MAX_REST:
            return is_deny
        return rest is None or all(rest(word, call.folder) for word in words[least:])

    return fits, program


def _pattern(rule: Rule, is_deny: bool) -> tuple[Callable[[Call], bool], str]:
    is_match = _whole(compiled(rule.pattern or "", "pattern"))
    literal = _LITERAL.match(rule.pattern or "")
    if literal is None:
        raise Unprocessable(
            "The pattern does not begin with the name of a program.",
            hint="Write the program as plain letters, a dot in it as \\., and one rule for each program.",
            member="pattern",
        )
    program = literal[0].replace("\\", "")

    def fits(call: Call) -> bool:
        if not _is_named(call, program, is_deny):
            return False
        if any(not word or _SPACE.search(word) for word in call.argv):
            return False
        text = " ".join((program, *call.argv[1:]))
        if len(text) > MAX_TEXT:
            return is_deny
        return is_match(text)

    return fits, program


def _place(rule: Rule, is_deny: bool) -> tuple[Callable[[Call], bool], str]:
    place = rule.pattern or ""
    check_folder(place.removesuffix("/"), "pattern")

    def fits(call: Call) -> bool:
        attested = {call.executable.path} if call.executable is not None else set[str]()
        paths = call.paths() if is_deny else attested
        return any(path.startswith(place) if place.endswith("/") else path == place for path in paths)

    return fits, place


_WORDS: Final = {"exact": _exact, "prefix": _prefix, "argument": _arguments, "re2": _pattern, "path": _place}


def _is_named(call: Call, program: str, is_deny: bool) -> bool:
    if not is_deny:
        return call.argv[0] == program
    if "/" in program:
        return program in call.paths()
    return program in call.names() or any(names_agree(program, name) for name in call.names())


def _whole(pattern: Pattern) -> Callable[[str], bool]:
    """Return what tells whether a whole text fits; most that cannot are told by where they would stand in order."""
    try:
        low, high = pattern.possiblematchrange(RANGE_BYTES)
    except re2.error:  # anything may fit
        return lambda text: pattern.fullmatch(text) is not None
    return lambda text: low <= text.encode() <= high and pattern.fullmatch(text) is not None


Fits = Callable[[str, str], bool]
"""`(word, folder)`: tells whether the argument may be there, in a call from that folder."""


def _argument(one: Argument, where: str, is_deny: bool) -> Fits:
    check_argument(one, where)
    words = frozenset(one.one_of or ()) | ({one.literal} if one.literal is not None else frozenset[str]())
    is_match = None if one.re2 is None else _whole(compiled(one.re2, where))
    may_be_option = is_deny or (one.re2 or "").startswith(("-", "\\-"))
    under = one.under

    def fits_form(word: str, _folder: str) -> bool:
        assert is_match is not None
        if not may_be_option and word.startswith("-"):
            return False
        return is_deny if len(word) > MAX_TEXT else is_match(word)

    if is_match is not None and not words and under is None:
        return fits_form

    def fits(word: str, folder: str) -> bool:
        if word in words:
            return True
        if is_match is not None and fits_form(word, folder):
            return True
        return under is not None and leads_under(word, folder, under)

    return fits
