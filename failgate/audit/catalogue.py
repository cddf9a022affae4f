"""The acts as people read and look for them: in groups, each with words that follow who did it.

`acts.json` holds them. Every act of `record.py` is in exactly one group; a test holds that.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from failgate.audit.record import Act


@dataclass(frozen=True, slots=True)
class Group:
    """Acts that one looks for together: `id` stands in addresses, `words` has what each act is called by its name."""

    id: str
    title: str
    words: Mapping[str, str]


@cache
def groups() -> tuple[Group, ...]:
    """Return the groups in the order in which they are offered."""
    read: list[dict[str, Any]] = json.loads(files("failgate.audit").joinpath("acts.json").read_text(encoding="utf-8"))
    return tuple(Group(one["id"], one["title"], one["acts"]) for one in read)


@cache
def _words() -> Mapping[str, str]:
    return {act: words for group in groups() for act, words in group.words.items()}


def words_of(act: str) -> str:
    """Return what `act` says after the name of who did it; of an act that is not in the catalogue its name."""
    return _words().get(act, act)


def acts_named(name: str) -> tuple[Act, ...]:
    """Return the acts that `name` stands for: those of a group by its id, or one act; none when it is neither."""
    for group in groups():
        if group.id == name:
            return tuple(Act(act) for act in group.words)
    return (Act(name),) if name in _words() else ()
