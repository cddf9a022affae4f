"""The log of logs: now and then, and when the server stops, `system` records the heads of the logs that grew."""

import asyncio
from typing import Final

from failgate.audit.log import AuditLog
from failgate.audit.record import SYSTEM
from failgate.audit.recorded import head_event, newest_head
from failgate.base.background import Background
from failgate.base.db import Database, Transaction
from failgate.base.errors import FailgateError
from failgate.base.log import get_logger

EVERY_SECONDS: Final = 300.0
_log = get_logger("failgate.audit.log_of_logs")


class LogOfLogs:
    """Records heads of the logs of one database."""

    def __init__(self, database: Database, audit: AuditLog, *, every_seconds: float = EVERY_SECONDS) -> None:
        """Record at most once in `every_seconds`; `start` begins."""
        self._database = database
        self._audit = audit
        self._every_seconds = every_seconds
        self._sizes: dict[str, int] = {}  # as they were recorded last
        self._background = Background("audit-log-of-logs", self._step)

    def start(self) -> None:
        """Begin; whatever grew since it was recorded last is recorded after the first pause."""
        self._background.start()

    async def close(self) -> None:
        """Record what grew once more, and stop; a failure is logged: the next start goes on."""
        if self._background.is_running():
            await self._background.close()
            try:
                await self.record()
            except FailgateError as error:
                _log.error("heads.not_recorded", reason=error.sentence)

    async def record(self) -> int:
        """Record the head of every log that grew since it was recorded last; return how many. One transaction."""
        grown = [
            stored
            for stored in await self._audit.heads()
            if stored.log != SYSTEM and stored.head.size != await self._recorded(stored.log)
        ]
        if grown:
            events = [(head_event(stored), None) for stored in grown]

            async def verb(tx: Transaction) -> None:
                await self._audit.append_all(tx, SYSTEM, events)

            await self._database.write(verb)
            self._sizes |= {stored.log: stored.head.size for stored in grown}
        return len(grown)

    async def _recorded(self, log: str) -> int:
        if log not in self._sizes:
            newest = await newest_head(self._audit, log)
            self._sizes[log] = 0 if newest is None else newest.size
        return self._sizes[log]

    async def _step(self) -> None:
        await asyncio.sleep(self._every_seconds)
        await self.record()
