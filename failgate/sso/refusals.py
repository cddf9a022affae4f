"""Refused answers of providers in the audit log: each while they are few, counted when somebody floods."""

from dataclasses import dataclass
from typing import Final

from failgate.audit.log import AuditLog
from failgate.audit.record import Act, Actor, Event
from failgate.base.canonical import JSON
from failgate.base.clock import Clock
from failgate.base.log import get_logger
from failgate.sso.connection import Connection
from failgate.sso.connections import log_of
from failgate.sso.protocol import Refusal

SINGLY: Final = 20
WINDOW_SECONDS: Final = 10.0
STRANGER: Final = Actor(t="anonymous", id="anonymous")
log = get_logger("failgate.sso")


@dataclass(slots=True)
class _Window:
    connection: Connection
    since: float
    recorded: int = 0
    uncounted: int = 0


class Refusals:
    """Records why answers were refused, in the log of their connection."""

    def __init__(self, audit: AuditLog, clock: Clock) -> None:
        self._audit = audit
        self._clock = clock
        self._windows: dict[str, _Window] = {}

    async def record(self, connection: Connection, refusal: Refusal, account_id: str | None = None) -> None:
        """Record one refusal; the operator's own log has the detail too."""
        log.warning("sso.refused", connection=connection.slug, reason=refusal.reason, detail=refusal.detail)
        now = self._clock.monotonic()
        window = self._windows.setdefault(connection.id, _Window(connection, now))
        if now - window.since >= WINDOW_SECONDS:
            await self._flush(window)
        if window.recorded >= SINGLY:
            window.uncounted += 1
            return
        window.recorded += 1
        await self._write(connection, refusal.reason, account_id, 1)

    async def sweep(self) -> None:
        """Record the number of those that were only counted. To be called once a minute."""
        for window in list(self._windows.values()):
            await self._flush(window)
        self._windows.clear()

    async def _flush(self, window: _Window) -> None:
        count, window.uncounted = window.uncounted, 0
        window.since, window.recorded = self._clock.monotonic(), 0
        if count:
            await self._write(window.connection, "many", None, count)

    async def _write(self, connection: Connection, reason: str, account_id: str | None, count: int) -> None:
        facts: dict[str, JSON] = {"reason": reason, "count": count}
        if account_id is not None:
            facts["account"] = account_id
        await self._audit.record(
            Event(
                act=Act.SSO_REFUSED, ws=log_of(connection), obj_t="sso_connection", obj_id=connection.id,
                actor=STRANGER, data=facts, out="deny",
            )
        )  # fmt: skip
