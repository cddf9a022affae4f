"""Documents that wait for their turn stay as small as they came. # SECURITY 2"""

import asyncio
import threading
from typing import Any, cast

from failgate.access.principal import ANONYMOUS
from failgate.base.clock import FrozenClock
from failgate.drafts import Reading
from failgate.reports.ingestion import AT_ONCE, Ingestion


class Slow:
    """A format that reads until it is told to go on."""

    name = "slow"

    def __init__(self) -> None:
        self.go_on = threading.Event()

    def drafts(self, document: bytes) -> Reading:
        assert self.go_on.wait(10)
        return Reading((), {})


async def test_what_waits_is_not_unpacked() -> None:
    reader, unpacked, missing = Slow(), [], cast("Any", None)

    async def scanner_of(_workspace: str) -> Any:
        return None

    def unpack(body: bytes) -> bytes:
        unpacked.append(body)
        return body * 100

    room = Ingestion(missing, missing, FrozenClock(), formats={"slow": reader}, scanner_of=scanner_of, per_minute=1)
    tasks = [asyncio.create_task(room.take(ANONYMOUS, "w", "slow", b"packed", unpack=unpack)) for _ in range(10)]
    while len(unpacked) < AT_ONCE:
        await asyncio.sleep(0.005)
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(unpacked) == AT_ONCE
    reader.go_on.set()
    await asyncio.gather(*tasks)
    assert len(unpacked) == 10
