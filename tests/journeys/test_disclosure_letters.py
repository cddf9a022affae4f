"""A report that nobody acknowledges becomes a letter: config, desk, outbox and mail as they are. F25 B6"""

import asyncio

import pytest
from failgate_disclosure import watch

from failgate.audit.record import SERVER
from failgate.plugin import Actor, Asked
from tests.notify.conftest import House, house, mailbox, receiver

__all__ = ["house", "mailbox", "receiver"]  # fixtures

DESK = """
[plugins.disclosure]
contacts = ["mailto:security@acme.example"]
expires = 2099-05-01
changed = 2026-11-20
"""
FIELDS = {name: f"SECRET {name} says" for name in ("title", "affected", "steps", "actual")}
ADDRESS = "ann@acme.example"


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(watch, "EVERY_SECONDS", 0.05)
    return DESK


async def report(house: House) -> None:
    """Send a report as the reporter's page does."""
    [pages] = [one.provides.pages for one in house.services.plugins.plugins if one.identity.name == "disclosure"]
    assert pages is not None
    doors = {door.name: door.handler for door in pages.doors}
    asked = Asked("/x", Actor("anonymous", "anonymous"))
    stamp = (await doors["form"](asked)).view.stamp
    house.advance(5)
    await doors["send"](Asked("/x", asked.actor, {}, {"stamp": stamp, **FIELDS}, "192.0.2.1"))


async def until_letters(house: House, number: int) -> list[str]:
    async with asyncio.timeout(60):
        while len(house.mailbox.letters) < number:
            house.room.outbox.filled.set()
            await asyncio.sleep(0.02)
    return house.mailbox.subjects(ADDRESS)


async def test_the_clock_of_a_report_writes_to_the_platforms_people_once_each_over_restarts(house: House) -> None:
    ann = await house.person("ann", None)
    await house.services.accounts.grant_platform_role(ann.account_id or "", SERVER)
    await report(house)
    house.room.delivering.start()
    house.clock.step_wall(25 * 3600)
    near = "[failgate] A report of a vulnerability waits: 24 hours are left"
    late = "[failgate] A report of a vulnerability waits for more than 48 hours"
    assert await until_letters(house, 1) == [near]
    await house.restart()
    house.room.delivering.start()
    house.clock.step_wall(24 * 3600)
    assert await until_letters(house, 2) == [near, late]
    await house.restart()
    house.room.delivering.start()
    await report(house)
    house.clock.step_wall(49 * 3600)
    assert await until_letters(house, 3) == [near, late, late]
    said = "".join(str(letter) for letter in house.mailbox.letters)
    assert "SECRET" not in said
    assert "http://127.0.0.1:8440/platform/x/disclosure/" in said
    records = [one.record["data"] for one in await house.services.audit.records("system", None, 1000)]
    told = [one["state"] for one in records if one.get("act") == "disclosure.escalated"]
    assert told == ["reminded", "overdue", "overdue"]
