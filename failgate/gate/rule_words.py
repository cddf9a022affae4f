"""A rule in sentences for people: what it lets pass or refuses, where, and what is left open. Pure."""

from collections.abc import Iterator, Sequence

from failgate.matching.rendering import render
from failgate.wire.gate import Argument, Rule, RuleView

_OPEN, _CLOSE = "\N{LEFT SINGLE QUOTATION MARK}", "\N{RIGHT SINGLE QUOTATION MARK}"


def rule_in_words(rule: Rule | RuleView) -> list[str]:
    """Return sentences; words of the rule stand in them as reviewers see them, inert."""
    verb = "Lets pass" if rule.effect == "allow" else "Refuses"
    return [f"{verb} {_commands(rule)}.", *_arguments(rule), *_surroundings(rule)]


def _commands(rule: Rule | RuleView) -> str:
    words = _quoted(rule.argv)
    if rule.kind == "exact":
        return f"exactly {words}"
    if rule.kind == "prefix":
        return f"{words} with anything behind it"
    if rule.kind == "argument":
        return f"{words} with these arguments behind it"
    if rule.kind == "re2":
        return f"commands whose words, joined by single spaces, are {_quoted([rule.pattern or ''])}"
    place = rule.pattern or ""
    return f"every program in {_quoted([place])}" if place.endswith("/") else f"the program {_quoted([place])}"


def _arguments(rule: Rule | RuleView) -> Iterator[str]:
    for number, one in enumerate(rule.arguments or (), 1):
        yield f"Argument {number} is {_argument(one)}."
    if rule.rest is not None:
        yield f"Each {'further ' if rule.arguments else ''}argument is {_argument(rule.rest)}."


def _argument(one: Argument) -> str:
    said: list[str] = []
    if one.literal is not None:
        said.append(_quoted([one.literal]))
    if one.one_of is not None:
        said.append(f"one of {_listed(one.one_of)}")
    if one.re2 is not None:
        said.append(f"of the form {_quoted([one.re2])}")
    if one.under is not None:
        place = "the folder of the call" if one.under == "." else _quoted([one.under])
        said.append(f"a path in {place} that does not look like a secret")
    return ", or ".join(said)


def _surroundings(rule: Rule | RuleView) -> Iterator[str]:
    scope = rule.scope
    if scope is not None and scope.directories:
        yield f"In {_listed(scope.directories)} and below."
    if scope is not None and scope.hosts:
        yield f"On {_listed(scope.hosts)}."
    if scope is not None and scope.agents:
        yield f"For {len(scope.agents)} {'agent' if len(scope.agents) == 1 else 'agents'}."
    if rule.effect == "deny":
        return
    if scope is None or not scope.directories:
        yield "In any folder."
    if rule.executable is not None:
        digest = "" if rule.executable.sha256 is None else f" with the SHA-256 {rule.executable.sha256}"
        yield f"Only the file {_quoted([rule.executable.path])}{digest}."
    if rule.env:
        yield f"The variables {_listed(rule.env)} may be set."


def _listed(words: Sequence[str]) -> str:
    shown = ", ".join(_quoted([word]) for word in words[:8])
    return f"{shown} and {len(words) - 8} more" if len(words) > 8 else shown  # what a line holds


def _quoted(words: Sequence[str]) -> str:
    return " ".join(f"{_OPEN}{text}{_CLOSE}" for text in render(words))
