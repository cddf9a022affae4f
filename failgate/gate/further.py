"""A rule made of a request that is in front of a reviewer: for this session, or for commands of its form. Pure.

It is a rule like any other (`rules.py`): there is one list of what passes. Whether it would let this very request pass
is asked of the matcher that decides later, so nobody makes a rule that does something else than what stood there.
"""

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from failgate.base.errors import Unprocessable
from failgate.gate.command import stored_command
from failgate.gate.stored import Stored
from failgate.gate.terms import stored_terms
from failgate.matching.calls import call_of
from failgate.matching.matcher import check_rule, matcher_of
from failgate.matching.programs import is_configuring, is_injecting, refused_variable
from failgate.wire.gate import Argument, Command, Rule, RuleExecutable, RuleScope

MAX_SECONDS: Final = 30 * 86_400
Position = Literal["exact", "path", "number", "word"]
FORMS: Final[dict[Position, Argument]] = {
    "path": Argument(under="."),
    "number": Argument(re2="[0-9]+"),
    "word": Argument(re2="[A-Za-z0-9_][A-Za-z0-9_.,:@/-]*"),
}


class Wish(msgspec.Struct, frozen=True):
    """What a reviewer would let pass from now on, for `ttl_seconds`.

    `session`: exactly this call of this agent. `form`: each argument behind the program as `positions` say.
    """

    how: Literal["session", "form"]
    ttl_seconds: int
    max_uses: int | None = None
    positions: tuple[Position, ...] = ()


def rule_for(stored: Stored, wish: Wish) -> Rule:
    """Return the rule that `wish` makes of the request: for its agent, its host, its folder and below.

    Raises: Unprocessable (not an agent's request, one on which several people decide, one that no rule may let pass, a
    time out of range, one that takes a challenge, positions that do not go with the arguments), BadInput.
    """
    if stored.requester_kind != "agent":
        raise Unprocessable("Rules are made for agents; a person asked for this.", hint="Approve it once.")
    if stored.need > 1:
        raise Unprocessable(
            f"{stored.need} people decide on this request: one of them makes no rule of it.", hint="Approve it once."
        )
    if stored_terms(stored.terms).challenge != "click":
        raise Unprocessable(
            "A policy demands more than a click for this request, each time: no rule is made of it.",
            hint="Approve it once.",
        )
    if not 1 <= wish.ttl_seconds <= MAX_SECONDS:
        raise Unprocessable(f"The rule would hold for {wish.ttl_seconds} s; 1 to {MAX_SECONDS} are possible.")
    command = stored_command(stored.body)
    rule = _session(stored, command, wish) if wish.how == "session" else _form(stored, command, wish)
    check_rule(rule)
    if not matcher_of(rule).fits(call_of(command, stored.requester_id)):
        raise Unprocessable(
            "No rule can let this request pass: its program, folder or environment is not of the usual kind.",
            hint="Approve it once.",
        )
    return rule


def _session(stored: Stored, command: Command, wish: Wish) -> Rule:
    """Return the rule of this very call: its words, and its program's file to the byte when it was attested."""
    exe = command.exe
    return Rule(
        kind="exact",
        effect="allow",
        argv=command.argv,
        executable=None if exe is None else RuleExecutable(exe.path, exe.sha256),
        scope=_scope(stored, command),
        env=_named(command),
        ttl_seconds=wish.ttl_seconds,
        max_uses=wish.max_uses,
        note=_note(stored),
    )


def _form(stored: Stored, command: Command, wish: Wish) -> Rule:
    """Return the rule of the form: leading arguments that stay are words of the command, each other one is said."""
    if len(wish.positions) != len(command.argv) - 1:
        raise Unprocessable("The form does not say each argument.", hint="Load the page again.")
    begin = _leading(wish.positions)
    if begin == len(wish.positions):
        raise Unprocessable(
            "Every argument stays as it is: that is no form.", hint="Free an argument, or allow it for this session."
        )
    said = zip(wish.positions[begin:], command.argv[begin + 1 :], strict=True)
    return Rule(
        kind="argument",
        effect="allow",
        argv=command.argv[: begin + 1],
        arguments=[FORMS.get(position) or Argument(literal=word) for position, word in said],
        executable=None if command.exe is None else RuleExecutable(command.exe.path),
        scope=_scope(stored, command),
        env=_named(command),
        ttl_seconds=wish.ttl_seconds,
        max_uses=wish.max_uses,
        note=_note(stored),
    )


def _leading(positions: Sequence[Position]) -> int:
    return next((place for place, position in enumerate(positions) if position != "exact"), len(positions))


def _scope(stored: Stored, command: Command) -> RuleScope:
    return RuleScope(agents=[stored.requester_id], hosts=[command.host], directories=[command.cwd])


def _named(command: Command) -> list[str] | None:
    """Return the variables that the rule has to name, none of which injects code."""
    return [
        name
        for name, value in sorted(command.env.items())
        if not (is_injecting(name) or is_configuring(name)) and refused_variable({name: value}, (), is_strict=True)
    ] or None


def _note(stored: Stored) -> str:
    return f"made of request {stored.id}"
