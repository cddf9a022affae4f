"""What is known beside a request: earlier requests of the same command, and what is not as it was."""

from typing import Literal

import msgspec

from failgate.wire.gate import CommandView


class CommandChange(msgspec.Struct, frozen=True):
    """One thing that differs. `before` is null for what is new, `now` for what is gone; texts are as agents sent them.

    `place` counts the tokens of the newer command from 0; `name` is that of a variable, or
    of a program to which it leads along PATH.
    """

    what: Literal["token", "folder", "host", "program", "user", "input", "script", "variable"]
    before: str | None
    now: str | None
    place: int | None = None
    name: str | None = None


class ComparedCommand(msgspec.Struct, frozen=True):
    """An approved request, and how the newer one differs; with `is_same` words, folder and host are the same."""

    command: CommandView
    is_same: bool
    changes: list[CommandChange]


class CommandHistory(msgspec.Struct, frozen=True):
    """`GET commands/{id}/history`: what people were asked before, of the same words, folder and host.

    `approved` and `denied` count decisions of people, `succeeded` and `failed` runs; `last` are the newest, `compared`
    is the last approval of the same command, or the closest approved one of the same program. `observed` counts those
    of which nobody was asked because the workspace only observed; they are none of the others.
    """

    asked: int
    approved: int
    denied: int
    succeeded: int
    failed: int
    last: list[CommandView]
    compared: ComparedCommand | None
    observed: int = 0
