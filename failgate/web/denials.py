"""Denials, noted in the audit log of the workspace that they happened in.

They are noted beside the answer, never before it, so that its time tells nothing; and only so many for each principal
and minute, so that nobody fills the log by knocking: the next one that is noted says how many were not.
"""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from failgate.access.principal import Principal
from failgate.audit.log import AuditLog
from failgate.audit.record import Act, Actor, Event
from failgate.base.clock import Clock
from failgate.base.errors import FailgateError
from failgate.base.log import get_logger
from failgate.web.door import Door

WINDOW_SECONDS: Final = 60
NOTED_IN_WINDOW: Final = 20
_REMEMBERED: Final = 10_000

log = get_logger(__name__)


@dataclass(slots=True)
class _Window:
    began: float
    noted: int = 0
    passed_over: int = 0


class Denials:
    """Notes denials; one object for the whole server."""

    def __init__(self, audit: AuditLog, clock: Clock) -> None:
        self._audit = audit
        self._clock = clock
        self._windows: OrderedDict[tuple[str, str], _Window] = OrderedDict()
        self._writing: set[asyncio.Task[None]] = set()

    def note(self, workspace_id: str, principal: Principal, door: Door, reason: str) -> None:
        """Have the denial noted soon, unless this principal has been denied too often in this minute."""
        key = (workspace_id, principal.id)
        window = self._windows.get(key)
        now = self._clock.monotonic()
        passed_over = 0
        if window is None or now - window.began >= WINDOW_SECONDS:
            passed_over = window.passed_over if window is not None else 0
            window = self._windows[key] = _Window(now)
            if len(self._windows) > _REMEMBERED:
                self._windows.popitem(last=False)
        if window.noted >= NOTED_IN_WINDOW:
            window.passed_over += 1
            return
        window.noted += 1
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
