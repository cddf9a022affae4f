"""Every command waits for a number of people, unless another policy decides it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated

import msgspec

from failgate.plugin import Between, Command, CommandContext, Finding, Host, Plugin, Provides

__all__ = ["Quorum", "QuorumSettings", "plugin"]


class QuorumSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many distinct people have to approve."""

    need: Annotated[int, Between(1, 20)] = 1


class Quorum:
    """Asks for `need` people. Who counts is the gate's law."""

    def __init__(self, settings: QuorumSettings) -> None:
        """Ask as `settings` say."""
        people = "one person has" if settings.need == 1 else f"{settings.need} people have"
        self._finding = Finding("ask", f"{people} to approve", need=settings.need)
        self._snapshot: dict[str, object] = {"need": settings.need}

    async def judge(self, command: Command, context: CommandContext) -> Finding:  # noqa: ARG002 - every command alike
        """Ask for people."""
        return self._finding

    def snapshot(self, workspace_id: str) -> dict[str, object]:  # noqa: ARG002 - every workspace alike
        """Return how many people are asked for."""
        return dict(self._snapshot)


@asynccontextmanager
async def open_quorum(config: QuorumSettings, _host: Host) -> AsyncGenerator[Provides]:
    """Open the policy."""
    yield Provides(approval_policy=Quorum(config))


plugin = Plugin(name="quorum", config=QuorumSettings, open=open_quorum)
