"""Denials, noted in the audit log of the workspace that they happened in.

They are noted beside the answer, never before it, so that its time tells nothing; and only so many for each principal
and minute, so that nobody fills the log by knocking: the next one that is noted says how many were not.
"""

import asyncio
from collections import OrderedDict
from typing import Final

from failgate.access.principal import Principal
from failgate.audit.flood import Flood
from failgate.audit.log import AuditLog
from failgate.audit.record import Act, Actor, Event
from failgate.base.clock import Clock
from failgate.base.errors import FailgateError
from failgate.base.log import get_logger
from failgate.web.door import Door

WINDOW_SECONDS: Final = 60
_REMEMBERED: Final = 10_000

log = get_logger(__name__)


class Denials:
    """Notes denials; one object for the whole server."""

    def __init__(self, audit: AuditLog, clock: Clock) -> None:
        self._audit = audit
        self._clock = clock
        self._floods: OrderedDict[tuple[str, str], Flood] = OrderedDict()
        self._writing: set[asyncio.Task[None]] = set()

    def note(self, workspace_id: str, principal: Principal, door: Door, reason: str) -> None:
        """Have the denial noted soon, unless this principal has been denied too often in this minute."""
        key = (workspace_id, principal.id)
        flood = self._floods.get(key)
        if flood is None:
            flood = self._floods[key] = Flood(self._clock, WINDOW_SECONDS)
            if len(self._floods) > _REMEMBERED:
                self._floods.popitem(last=False)
        passed_over = flood.drain() if flood.is_over else 0
        if not flood.admits():
            return
        facts = {"permission": str(door.permission), "reason": reason} | ({"count": passed_over} if passed_over else {})
        event = Event(
            act=Act.ACCESS_DENIED, ws=workspace_id, obj_t="door", obj_id=door.name, actor=Actor.of(principal),
            data=dict(facts), out="deny",
        )  # fmt: skip
        task = asyncio.create_task(self._record(event))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def close(self) -> None:
        """Return when everything that was to be noted is."""
        if self._writing:
            await asyncio.wait(self._writing)

    async def _record(self, event: Event) -> None:
        try:
            await self._audit.record(event)
        except FailgateError as error:
            log.warning("denial.unrecorded", error=error.slug)
