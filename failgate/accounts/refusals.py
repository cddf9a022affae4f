"""Refused sign-ins in the audit log: each of them while they are few, counted when somebody floods.

The first twenty of ten seconds are recorded one by one; the rest become one record with their number, written with the
next refusal or sweep. So nobody fills the disk by guessing, and nobody guesses unseen.
"""

from typing import Final

from failgate.audit.log import AuditLog
from failgate.audit.record import SERVER, SYSTEM, Act, Actor, Event
from failgate.base.clock import Clock

SINGLY: Final = 20
WINDOW_SECONDS: Final = 10.0
NOBODY: Final = Actor(t="anonymous", id="anonymous")


class Refusals:
    """Records refusals of one kind of act (`session.refused` or `factor.refused`)."""

    def __init__(self, audit: AuditLog, clock: Clock, act: Act) -> None:
        self._audit = audit
        self._clock = clock
        self._act = act
        self._since = clock.monotonic()
        self._recorded = 0
        self._uncounted = 0

    async def record(self, reason: str, account_id: str | None, actor: Actor = NOBODY) -> None:
        """Record that `account_id` (None: an unknown one) was refused for `reason`."""
        if self._clock.monotonic() - self._since >= WINDOW_SECONDS:
            await self.flush()
        if self._recorded >= SINGLY:
            self._uncounted += 1
            return
        self._recorded += 1
        await self._write(reason, account_id or "unknown", actor, 1)

    async def flush(self) -> None:
        """Record the number of those that were only counted, and begin to count anew."""
        count, self._uncounted = self._uncounted, 0
        self._since, self._recorded = self._clock.monotonic(), 0
        if count:
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
