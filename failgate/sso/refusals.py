"""Refused answers of providers in the audit log: each while they are few, counted when somebody floods."""

from typing import Final

from failgate.audit.flood import Flood
from failgate.audit.log import AuditLog
from failgate.audit.record import Act, Actor, Event
from failgate.base.canonical import JSON
from failgate.base.clock import Clock
from failgate.base.log import get_logger
from failgate.sso.connection import Connection
from failgate.sso.connections import log_of
from failgate.sso.protocol import Refusal

WINDOW_SECONDS: Final = 10.0
STRANGER: Final = Actor(t="anonymous", id="anonymous")
log = get_logger("failgate.sso")


class Refusals:
    """Records why answers were refused, in the log of their connection."""

    def __init__(self, audit: AuditLog, clock: Clock) -> None:
        self._audit = audit
        self._clock = clock
        self._floods: dict[str, tuple[Connection, Flood]] = {}

    async def record(self, connection: Connection, refusal: Refusal, account_id: str | None = None) -> None:
        """Record one refusal; the operator's own log has the detail too."""
        log.warning("sso.refused", connection=connection.slug, reason=refusal.reason, detail=refusal.detail)
        _, flood = self._floods.setdefault(connection.id, (connection, Flood(self._clock, WINDOW_SECONDS)))
        if flood.is_over:
            await self._flush(connection, flood)
        if flood.admits():
            await self._write(connection, refusal.reason, account_id, 1)

    async def sweep(self) -> None:
        """Record the number of those that were only counted. To be called once a minute."""
        for connection, flood in list(self._floods.values()):
            await self._flush(connection, flood)
        self._floods.clear()

    async def _flush(self, connection: Connection, flood: Flood) -> None:
        if count := flood.drain():
            await self._write(connection, "many", None, count)

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
