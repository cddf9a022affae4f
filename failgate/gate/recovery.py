"""The start: the queue is rebuilt from storage. What its audit records do not prove is quarantined, never offered."""

import asyncio
from dataclasses import dataclass
from typing import Final

from failgate.gate.deciding import Deciding
from failgate.gate.evidence import NoEvidence, proven
from failgate.gate.parts import Parts
from failgate.gate.stored import SELECT_PENDING, Stored, with_votes

READ_TOGETHER: Final = 64


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What the start found: how many requests are pending again, how many had expired, which were quarantined."""

    pending: int
    expired: int
    quarantined: tuple[str, ...]


async def rebuild(parts: Parts) -> Rebuilt:
    """Fill the queue with the pending rows that their audit records prove; expire and quarantine the others.

    Time goes on from the latest audit record, so that a clock that was set back while the server stood revives nothing.
    """
    deciding = Deciding(parts)
    for head in await parts.audit.heads():
        parts.time.raise_to(head.head.ts_us)
    stored = await with_votes(parts.db, await parts.db.fetch(SELECT_PENDING))
    quarantined: list[str] = []
    for start in range(0, len(stored), READ_TOGETHER):
        some = stored[start : start + READ_TOGETHER]
        faults = await asyncio.gather(*(_fault(parts, each) for each in some))
        for each, fault in zip(some, faults, strict=True):
            if fault is None:
                parts.queue.put(each)
            else:
                quarantined.append(each.id)
                await deciding.quarantine(each, fault)
    if parts.observing is not None:
        await parts.observing.rebuild()
    await parts.mutes.rebuild()
    expired = await deciding.expire_due()
    return Rebuilt(len(parts.queue), expired, tuple(quarantined))


async def _fault(parts: Parts, stored: Stored) -> str | None:
    try:
        await proven(parts.audit, stored)
    except NoEvidence as error:
        return str(error)
    return None
