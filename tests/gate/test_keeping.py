"""Commands that come at once are kept at once, each with its own record. E8"""

import asyncio

import pytest

from failgate.audit.beside import bodies_of
from failgate.base.errors import TooManyRequests
from failgate.base.log import RequestContext, request_context
from failgate.gate.verification import verify_gate
from tests.gate.conftest import agent, command, submission


async def asking(house, bot, name, *argv):
    """Ask as the request `name` would; return the view."""
    token = request_context.set(RequestContext(name, "192.0.2.1"))
    try:
        return await house.gate.submit(bot, house.workspace, submission(command(*argv)))
    finally:
        request_context.reset(token)


async def test_each_of_many_has_the_record_of_its_own_request(house):
    views = await asyncio.gather(*(asking(house, agent(), f"request-{n}", "make", str(n)) for n in range(20)))
    records = [stored.record for stored in await house.audit.records(house.workspace, limit=100)]
    told = {record["obj"]["id"]: record for record in records if record["act"] == "command.created"}
    bodies = await bodies_of(house.db, house.workspace, [record["seq"] for record in told.values()])
    assert [told[view.id]["req"] for view in views] == [f"request-{n}" for n in range(20)]
    assert [bodies[told[view.id]["seq"]].body for view in views] == [b'{"ip":"192.0.2.1"}'] * 20
    assert [told[view.id]["data"]["digest"] for view in views] == [view.digest for view in views]
    assert await verify_gate(house.db, house.audit, house.allowlist) == []


async def test_one_that_may_not_be_kept_takes_no_other_with_it(house, monkeypatch):
    left = [3]

    async def asked(_tx, _workspace_id, number):
        if number > left[0]:
            raise TooManyRequests("used up", retry_after_seconds=1)
        left[0] -= number

    object.__setattr__(house.gate._parts, "asked", asked)
    found = await asyncio.gather(
        *(asking(house, agent(), f"request-{n}", "make", str(n)) for n in range(5)), return_exceptions=True
    )
    assert [isinstance(each, TooManyRequests) for each in found] == [False, False, False, True, True]
    kept = {view.id for view in found[:3]}
    assert {view.id for view in house.gate.pending(house.workspace)} == kept
    assert await verify_gate(house.db, house.audit, house.allowlist) == []


async def test_who_leaves_does_not_take_the_command_back(house):
    bot = agent()
    leaving = asyncio.create_task(asking(house, bot, "leaves", "make", "1"))
    staying = asyncio.create_task(asking(house, bot, "stays", "make", "2"))
    await asyncio.sleep(0)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    await staying
    assert len(house.gate.pending(house.workspace)) == 2
