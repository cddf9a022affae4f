"""An audit log over a real database, and events for it."""

from collections.abc import AsyncIterator

import pytest

from failgate.audit.log import AuditLog
from failgate.audit.record import Act, Actor, Event

WS = "0197f0c2-0000-7000-8000-000000000001"


@pytest.fixture
async def audit(database, clock, tmp_path) -> AsyncIterator[AuditLog]:
    log = AuditLog(database, clock, tmp_path)
    await log.open()
    yield log
    await log.close()


def event(number: int = 0, ws: str = WS, **members) -> Event:
    """A vote on the command `number`."""
    defaults = {
        "act": Act.VOTE_CAST,
        "ws": ws,
        "obj_t": "command",
        "obj_id": f"command-{number}",
        "actor": Actor("user", "u1", ("pwd", "otp")),
        "data": {"digest": "d" * 43, "decision": "approve"},
    }
    return Event(**(defaults | members))


async def fill(database, audit, count: int, ws: str = WS) -> None:
    """Append `count` records in transactions of 100."""
    for start in range(0, count, 100):

        async def verb(tx, start=start):
            for number in range(start, min(start + 100, count)):
                await audit.append(tx, event(number, ws))

        await database.write(verb)
