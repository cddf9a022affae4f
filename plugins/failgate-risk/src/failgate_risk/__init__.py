"""Each command is rated from 0 to 100 with reasons, and the rating chooses what its approval takes."""

import hashlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated, Final

import msgspec

from failgate.plugin import (
    Between,
    Challenge,
    Command,
    CommandContext,
    Finding,
    Host,
    Plugin,
    Provides,
    SettingRefused,
    Terms,
)
from failgate_risk.rating import rate
from failgate_risk.table import Table, read_table

__all__ = ["Risk", "RiskSettings", "plugin"]

NEVER: Final = 101
Threshold = Annotated[int, Between(0, NEVER)]


class RiskSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From which score on an approval takes more than the button; 101 is never.

    `deny_at` refuses without asking. `table` is the absolute path of a table that replaces the shipped one.
    """

    host_at: Threshold = 40
    factor_at: Threshold = 60
    passkey_at: Threshold = NEVER
    two_at: Threshold = 90
    deny_at: Threshold = NEVER
    table: str | None = None

    def __post_init__(self) -> None:
        """Refuse thresholds that do not rise and a path that is none. Raises: SettingRefused."""
        rising = [at for at in (self.host_at, self.factor_at, self.passkey_at, self.two_at) if at != NEVER]
        if rising != sorted(rising):
            raise SettingRefused("two_at", "the thresholds have to rise: host_at, factor_at, passkey_at, two_at")
        if self.table is not None and not self.table.startswith("/"):
            raise SettingRefused("table", "say the whole path, beginning with /")

    def challenge_of(self, score: int) -> Challenge:
        """Return what the approval of a command of this score takes."""
        steps: tuple[tuple[int, Challenge], ...] = (
            (self.two_at, "two"), (self.passkey_at, "passkey"), (self.factor_at, "factor"), (self.host_at, "host"),
        )  # fmt: skip
        for at, challenge in steps:
            if score >= at:
                return challenge
        return "click"


class Risk:
    """The policy. It asks nobody itself: it rates, and demands of those whom another policy asks."""

    def __init__(self, settings: RiskSettings, table: Table, text: str) -> None:
        """Rate by `table`, whose text is `text`."""
        self._settings = settings
        self._table = table
        self._snapshot: dict[str, object] = {
            "host_at": settings.host_at,
            "factor_at": settings.factor_at,
            "passkey_at": settings.passkey_at,
            "two_at": settings.two_at,
            "deny_at": settings.deny_at,
            "table_sha256": hashlib.sha256(text.encode()).hexdigest(),
        }

    async def judge(self, command: Command, context: CommandContext) -> Finding:
        """Rate the command."""
        is_known = None if context.is_known is None else await context.is_known()
        rating = rate(self._table, command, agent_id=context.agent_id, is_known=is_known)
        score, reasons = rating.score, rating.reasons
        if score >= self._settings.deny_at:
            return Finding("deny", f"risk {score} of 100 is refused here", score=score, reasons=reasons)
        terms = Terms(challenge=self._settings.challenge_of(score))
        return Finding("abstain", f"risk {score} of 100", score=score, reasons=reasons, terms=terms)

    def snapshot(self, workspace_id: str) -> dict[str, object]:  # noqa: ARG002 - every workspace alike
        """Return the thresholds and which table is in effect."""
        return dict(self._snapshot)


@asynccontextmanager
async def open_risk(config: RiskSettings, _host: Host) -> AsyncGenerator[Provides]:
    """Open the policy.

    Raises: StartRefused (the table).
    """
    yield Provides(approval_policy=Risk(config, *read_table(config.table)))


plugin = Plugin(name="risk", config=RiskSettings, open=open_risk)
