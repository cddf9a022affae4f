"""Refused sign-ins in the audit log: each of them while they are few, counted when somebody floods.

What is only counted becomes one record with its number, written with the next refusal or sweep.
"""

from typing import Final

from failgate.audit.flood import Flood
from failgate.audit.log import AuditLog
from failgate.audit.record import SERVER, SYSTEM, Act, Actor, Event
from failgate.base.clock import Clock

WINDOW_SECONDS: Final = 10.0
NOBODY: Final = Actor(t="anonymous", id="anonymous")


class Refusals:
    """Records refusals of one kind of act (`session.refused` or `factor.refused`)."""

    def __init__(self, audit: AuditLog, clock: Clock, act: Act) -> None:
        self._audit = audit
        self._act = act
        self._flood = Flood(clock, WINDOW_SECONDS)

    async def record(self, reason: str, account_id: str | None, actor: Actor = NOBODY) -> None:
        """Record that `account_id` (None: an unknown one) was refused for `reason`."""
        if self._flood.is_over:
            await self.flush()
        if self._flood.admits():
            await self._write(reason, account_id or "unknown", actor, 1)

    async def flush(self) -> None:
        """Record the number of those that were only counted, and begin to count anew."""
        if count := self._flood.drain():
            await self._write("many", "several", SERVER, count)

    async def _write(self, reason: str, account_id: str, actor: Actor, count: int) -> None:
        await self._audit.record(
            Event(
                act=self._act,
                ws=SYSTEM,
                obj_t="account",
                obj_id=account_id,
                actor=actor,
                data={"reason": reason, "count": count},
                out="deny",
            )
        )
