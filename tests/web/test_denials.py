"""How many denials are noted."""

from failgate.access.permission import Permission
from failgate.access.principal import Principal
from failgate.audit.log import AuditLog
from failgate.base.clock import FrozenClock
from failgate.web.denials import Denials
from failgate.web.door import Door
from failgate.web.routes import API

WS = "0190a1b2-c3d4-7000-8000-000000000001"
DOOR: Door = next(door for door in API if door.name == "audit.records")


def someone(name):
    return Principal(kind="user", account_id=name)


async def denied(audit: AuditLog):
    return [one.record for one in await audit.records(WS, None, 1000)]


async def test_twenty_a_minute_are_noted_and_the_next_minute_says_how_many_were_not(services):
    clock = FrozenClock()
    denials = Denials(services.audit, clock)
    for _ in range(50):
        denials.note(WS, someone("a"), DOOR, "role_lacks_it")
    denials.note(WS, someone("b"), DOOR, "role_lacks_it")
    await denials.close()
    assert len(await denied(services.audit)) == 21
    clock.advance(61)
    denials.note(WS, someone("a"), DOOR, "role_lacks_it")
    await denials.close()
    last = (await denied(services.audit))[-1]
    assert last["data"] == {
        "count": 30,
        "permission": str(Permission.WORKSPACE_AUDIT_READ),
        "reason": "role_lacks_it",
    }
    assert last["out"] == "deny"
    assert last["obj"] == {"id": "audit.records", "t": "door"}
