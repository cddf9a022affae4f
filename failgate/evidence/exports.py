"""Exports that a person asks for on the page: on record before the first byte leaves.

The bundle is the one of `failgate audit export`, a pack that of `failgate audit evidence`: the same files, made by the
same code.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from failgate import __version__
from failgate.audit.bundle import Head, Period, files_of, span_of
from failgate.audit.checkpoint import read_unverified
from failgate.audit.log import AuditLog
from failgate.audit.packing import tar_of
from failgate.audit.record import SYSTEM, Act, Actor, Event
from failgate.base.canonical import JSON
from failgate.base.clock import MICROSECONDS, Clock
from failgate.base.db import Database
from failgate.base.errors import BadInput
from failgate.evidence.packs import Making, Pack, Place, make

TOOL: Final = f"failgate {__version__}"
BUNDLE: Final = "bundle"


@dataclass(frozen=True, slots=True)
class Exported:
    """What leaves: its bytes as they are made, their media type, and the end of a file's name."""

    pieces: AsyncIterator[bytes]
    media_type: str
    suffix: str


class Exports:
    """Makes exports of one log at a time."""

    def __init__(self, database: Database, audit: AuditLog, clock: Clock, folder: Path) -> None:
        """Export from `audit`; what does not fit into memory waits in `folder` until it is sent."""
        self._database = database
        self._audit = audit
        self._clock = clock
        self._folder = folder
        self._one_pack = asyncio.Semaphore(1)  # reading a pack is long: the next one waits

    async def bundle(self, actor: Actor, log: str, period: Period) -> Exported:
        """Begin to export a period as a bundle; that is on record when this returns.

        The bundle is of the log as it was before that record.

        Raises: BadInput (no record in the period), StorageUnavailable (a record is missing).
        """
        head = await head_of(self._audit, log)
        await self.record(actor, head, period, BUNDLE)
        made_us = self._clock.now_us()
        files = files_of(self._audit, head, period, tool=TOOL, made_us=made_us)
        return Exported(tar_of(files, made_us // MICROSECONDS), "application/x-tar", "tar")

    async def pack(self, actor: Actor, log: str, place: Place, pack: Pack, period: Period) -> Exported:
        """Make an evidence pack of a period; that is on record before the first record is read.

        Raises: BadInput (no record in the period, too many lines), StorageUnavailable (a record is missing).
        """
        heads = await self.heads(log)
        await self.record(actor, heads[0], period, pack.id)
        making = Making(self._database, self._audit, self._folder, TOOL)
        async with self._one_pack:
            pieces = await make(making, pack, place, heads, period, self._clock.now_us())
        return Exported(pieces, "application/x-tar", "tar")

    async def heads(self, log: str) -> tuple[Head, Head]:
        """Return the signed heads of `log` and of the log `system`."""
        return await head_of(self._audit, log), await head_of(self._audit, SYSTEM)

    async def record(self, actor: Actor, head: Head, period: Period, kind: str) -> None:
        """Record that what the signed head says of `period` leaves. Raises: BadInput (no record in the period)."""
        span = await span_of(self._audit, head, period)
        facts: dict[str, JSON] = {
            "kind": kind,
            "first": span.first,
            "last": span.last,
            "size": head.checkpoint.size,
            "from_us": period.from_us,
            "to_us": period.to_us,
        }
        await self._audit.record(Event(Act.AUDIT_EXPORTED, head.log, "log", head.log, actor, facts))


async def head_of(audit: AuditLog, log: str) -> Head:
    """Return the signed head of `log`."""
    note = await audit.checkpoint(log)
    return Head(log, read_unverified(note), note, await audit.vkey(log))


def must_be_a_period(period: Period, *, begin: str, end: str) -> None:
    """Return when the period has a length. Raises: BadInput, which calls its ends `begin` and `end`."""
    if period.from_us is not None and period.to_us is not None and period.from_us >= period.to_us:
        raise BadInput(
            f"{begin} is not before {end}.", hint=f"{begin} is included, {end} is not any more. Both are UTC."
        )
