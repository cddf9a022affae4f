"""While nobody decides, the people of each step are told, once, in turn, over restarts, and on record. B6 B9 E3."""

from dataclasses import replace
from typing import Any

import pytest

from failgate.access.role import Role
from failgate.audit.record import SERVER, Actor
from failgate.base.ids import new_id
from failgate.gate.absences import Absence
from failgate.notify.escalating import Escalating
from tests.notify.conftest import House

STEPS = """
[plugins.quorum.escalation.oncall]
after = "20s"
members = ["bob@acme.example", "eve@acme.example"]
[plugins.quorum.escalation.leads]
after = "40s"
roles = ["owner", "admin"]
"""


@pytest.fixture
def settings() -> str:
    return STEPS


async def told(house: House, target: str) -> list[str]:
    return [entry.event for entry in await house.room.outbox.page(house.workspace, target, 100)]


async def recorded(house: House, command_id: str) -> list[dict[str, Any]]:
    records = await house.services.audit.newest(house.workspace, limit=100, obj_id=command_id)
    return [one.record["data"] for one in reversed(records) if one.record["act"] == "command.escalated"]


async def look(house: House) -> int:
    number = await house.room.escalating.run_once()
    await house.route()
    return number


async def test_each_step_is_told_once_when_its_time_has_come_and_is_on_record(house: House) -> None:
    bob, ada = await house.person("bob"), await house.person("ada", Role.ADMIN)
    stranger = await house.person("eve", None)
    hook = await house.hook("command.escalated")
    agent = house.agent(ada)  # who is never asked about their own
    view = await house.ask(agent)
    house.advance(19)
    assert await look(house) == 0
    house.advance(1)
    assert [await look(house), await look(house)] == [1, 0]
    assert await told(house, bob.account_id or "") == ["command.escalated"]
    for other in (ada, house.owner, stranger):
        assert await told(house, other.account_id or "") == []
    assert await told(house, hook) == ["command.escalated"]
    house.advance(20)
    assert [await look(house), await look(house)] == [1, 0]
    assert await told(house, house.owner.account_id or "") == ["command.escalated"]
    assert await told(house, ada.account_id or "") == []
    assert await told(house, bob.account_id or "") == ["command.escalated"], "not of the second step"
    newest, _ = await house.room.outbox.page(house.workspace, hook, 9)
    assert (newest.notification.facts["group"], newest.notification.facts["step"]) == ("leads", 2)
    first, second = await recorded(house, view.id)
    assert first == {"group": "oncall", "step": 1, "accounts": [bob.account_id], "waited_us": 20_000_000}
    assert (second["group"], second["waited_us"]) == ("leads", 40_000_000)
    assert (await house.vote(bob, view)).state == "approved", "the ladder takes no vote from anybody"


async def test_a_restart_forgets_no_step_and_repeats_none(house: House) -> None:
    bob = await house.person("bob")
    view = await house.ask(house.agent(bob))
    house.advance(20)
    assert await look(house) == 1
    await house.restart()
    assert await look(house) == 0
    house.advance(20)
    assert await look(house) == 1
    await house.restart()
    assert await look(house) == 0
    assert [one["step"] for one in await recorded(house, view.id)] == [1, 2]
    assert await told(house, house.owner.account_id or "") == ["command.escalated"]


async def test_what_fell_due_while_the_server_stood_is_told_when_it_is_back(house: House) -> None:
    owner = await house.person("ann")
    view, late = await house.ask(house.agent(owner)), await house.ask(house.agent(owner))
    await house.vote(house.owner, late, "deny")
    await house.restart()
    house.advance(45)
    assert [await look(house), await look(house)] == [2, 0]
    assert [one["step"] for one in await recorded(house, view.id)] == [1, 2]
    assert await recorded(house, late.id) == []


async def test_what_is_decided_or_over_climbs_no_further(house: House) -> None:
    ann = await house.person("ann")
    decided, over = await house.ask(house.agent(ann)), await house.ask(house.agent(ann))
    await house.vote(house.owner, decided)
    house.advance(61)
    assert await look(house) == 0
    await house.services.gate.expire_due()
    assert await recorded(house, decided.id) + await recorded(house, over.id) == []


async def test_a_decision_that_comes_between_the_look_and_the_record_wins(house: House) -> None:
    ann = await house.person("ann")
    view = await house.ask(house.agent(ann))
    house.advance(25)
    seen = house.services.gate.silent()
    assert [one.command_id for one in seen] == [view.id]
    await house.vote(house.owner, view, "deny")
    services = house.services
    slow = Escalating(
        services.db,
        services.audit,
        workspaces=services.workspaces,
        accounts=services.accounts,
        silent=lambda: seen,
        stand_ins=services.absences.stand_ins,
    )
    assert await slow.run_once() == 0
    assert await recorded(house, view.id) == []


async def test_one_that_cannot_be_told_keeps_no_other_silent(house: House) -> None:
    ann = await house.person("ann")
    view = await house.ask(house.agent(ann))
    house.advance(25)
    [seen] = house.services.gate.silent()
    services = house.services
    ghosts = [replace(seen, command_id=new_id()), replace(seen, workspace_id=new_id())]
    looking = Escalating(
        services.db, services.audit, workspaces=services.workspaces, accounts=services.accounts,
        silent=lambda: [*ghosts, seen], stand_ins=services.absences.stand_ins,
    )  # fmt: skip
    assert [await looking.run_once(), await looking.run_once()] == [1, 0]
    assert [one["step"] for one in await recorded(house, view.id)] == [1]


async def test_who_is_disabled_is_not_named(house: House) -> None:
    bob, ann = await house.person("bob"), await house.person("ann")
    view = await house.ask(house.agent(ann))
    await house.services.accounts.disable(bob.account_id or "", SERVER)
    house.advance(20)
    assert await look(house) == 1
    assert [one["accounts"] for one in await recorded(house, view.id)] == [[]]


async def test_it_looks_by_itself_and_ends_with_the_room(house: House) -> None:
    bob = await house.person("bob")
    await house.ask(house.agent(house.owner))
    house.room.start()
    house.advance(20)
    await house.until(lambda: house.mailbox.subjects(bob.label) != [])
    assert house.mailbox.subjects(bob.label)[0] == "[acme] Nobody decided yet: rm on build-1"
    await house.room.close()


async def test_a_step_tells_who_stands_in_for_whom_it_names(house: House) -> None:
    bob, ann, eve = await house.person("bob"), await house.person("ann"), await house.person("eva")
    for who, stand_in in ((bob, ann), (ann, eve)):
        now_us = house.clock.now_us()
        absence = Absence(house.workspace, who.account_id or "", now_us, now_us + 10**9, "UTC", stand_in.account_id)
        await house.services.absences.declare(Actor.of(who), absence)
    await house.room.preferences.choose(Actor.of(ann), house.workspace, ann.account_id or "", [])
    view = await house.ask(house.agent(house.owner))
    house.advance(20)
    assert await look(house) == 1
    assert [one["accounts"] for one in await recorded(house, view.id)] == [[ann.account_id]]
    assert await told(house, ann.account_id or "") == ["command.escalated"]
    for other in (bob, eve):
        assert await told(house, other.account_id or "") == [], "chains are not followed"
