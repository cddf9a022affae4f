"""The starter rules: commands that read, as a data file. They are off until a workspace takes them over."""

import tomllib
from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files

import msgspec

from failgate.wire.gate import Argument, Rule, RuleScope


class StarterEntry(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """An entry of `rules.toml`: one rule for each of its commands."""

    title: str
    commands: list[list[str]]
    arguments: list[Argument] | None = None
    rest: Argument | None = None


class _File(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    rule: list[StarterEntry]


@lru_cache(maxsize=1)
def starter_entries() -> tuple[StarterEntry, ...]:
    """Return the entries of the data file."""
    text = files("failgate.gate.starter").joinpath("rules.toml").read_text(encoding="utf-8")
    return tuple(msgspec.convert(tomllib.loads(text), _File).rule)


def starter_rules(directories: Sequence[str], owner: str | None = None, review_by: str | None = None) -> list[Rule]:
    """Return the rules as a workspace takes them over, for calls from `directories` and below.

    A rule is the same as long as the data file says the same.
    """
    return [
        Rule(
            kind="argument" if entry.arguments or entry.rest else "exact",
            effect="allow",
            argv=command,
            arguments=entry.arguments,
            rest=entry.rest,
            note=f"starter: {entry.title}",
            scope=RuleScope(directories=list(directories)),
            owner=owner,
            review_by=review_by,
        )
        for entry in starter_entries()
        for command in entry.commands
    ]
