"""The queue comes back from storage, and only what its records prove. E1 E8."""

import pytest

from failgate.base.errors import Conflict
from failgate.base.ids import new_id
from failgate.gate.stored import COLUMNS
from failgate.gate.verification import verify_gate
from tests.gate.conftest import agent


async def test_the_queue_is_rebuilt_with_its_votes(house):
    """A kill between ask and answer loses nothing: the same request is decided after the restart. E1."""
    await house.restart(need=2)
    bot, one, two = agent(), await house.person(), await house.person()
    waiting, voted, done = [await house.submit(bot) for _ in range(3)]
    await house.vote(one, voted)
    await house.vote(one, done, "deny")
    rebuilt = await house.restart()
    assert (rebuilt.pending, rebuilt.expired, rebuilt.quarantined) == (2, 0, ())
    assert [view.id for view in house.gate.pending(house.workspace)] == [waiting.id, voted.id]
    assert (await house.vote(two, voted)).state == "approved"
    assert (await house.consume(bot, voted)).state == "executed"


async def test_what_expired_while_the_server_stood_is_expired_at_start(house):
    view = await house.submit(agent(), ttl_seconds=10)
    house.clock.advance(3600)
    rebuilt = await house.restart()
    assert (rebuilt.pending, rebuilt.expired) == (0, 1)
    assert await house.state(view) == "expired"
    assert (await house.acts(view))[-1] == "command.expired"


async def test_an_approval_survives_a_restart_and_is_used_once(house):
    bot = agent()
    view = await house.submit(bot)
    await house.vote(await house.person(), view)
    await house.restart()
    assert (await house.consume(bot, view)).state == "executed"
    await house.restart()
    with pytest.raises(Conflict):
        await house.consume(bot, view)


EDITS = {
    "the command": "UPDATE gate_command SET body = replace(body, 'pytest', 'pyteST') WHERE id = $1",
    "command and digest": "UPDATE gate_command SET body = '{}', digest = 'RBNvo1WzZ4oRRq0W9-hknpT7T8If536DEMBg9hyq_4o' WHERE id = $1",
    "a command that is no JSON": "UPDATE gate_command SET body = '{' WHERE id = $1",
    "the digest": "UPDATE gate_command SET digest = 'x' WHERE id = $1",
    "the expiry": "UPDATE gate_command SET expires_us = expires_us + 1 WHERE id = $1",
    "the need": "UPDATE gate_command SET need = 1 WHERE id = $1",
    "the need to nobody": "UPDATE gate_command SET need = 0 WHERE id = $1",
    "the policy": "UPDATE gate_command SET policy = 'x' WHERE id = $1",
    "the requester": "UPDATE gate_command SET requester_id = 'x' WHERE id = $1",
    "the excluded": "UPDATE gate_command SET excluded = '[]' WHERE id = $1",
    "the workspace": "UPDATE gate_command SET workspace_id = 'x' WHERE id = $1",
    "a vote": "INSERT INTO gate_vote (id, command_id, account_id, label, decision, at_us)"
    " VALUES ('v', $1, 'somebody', 's', 'approve', 1)",
}


@pytest.mark.parametrize("what", EDITS)
async def test_a_pending_row_that_was_edited_is_quarantined_and_never_offered(house, what):
    """E1."""
    await house.restart(need=2)
    bot, reviewer = agent(), await house.person()
    edited, intact = await house.submit(bot), await house.submit(bot)
    await house.sql(EDITS[what], edited.id)
    rebuilt = await house.restart()
    assert rebuilt.quarantined == (edited.id,)
    assert [view.id for view in house.gate.pending(house.workspace)] == [intact.id]
    assert await house.state(edited) == "quarantined"
    if what != "the workspace":
        with pytest.raises(Conflict):
            await house.vote(reviewer, edited)
        assert (await house.acts(edited))[-1] == "command.quarantined"
    assert (await house.restart()).quarantined == ()


@pytest.mark.parametrize(
    "what", [each for each in EDITS if each not in {"the workspace", "the digest", "command and digest"}]
)
async def test_a_row_that_is_edited_while_the_server_runs_is_not_decided_either(house, what):
    await house.restart(need=2)
    view, reviewer = await house.submit(agent()), await house.person()
    await house.sql(EDITS[what], view.id)
    with pytest.raises(Conflict) as refused:
        await house.vote(reviewer, view)
    assert refused.value.facts["state"] == "quarantined"
    assert house.gate.pending(house.workspace) == []
    assert await house.state(view) == "quarantined"


@pytest.mark.parametrize("end", ["deny", "cancel", "expire"])
async def test_what_was_ended_and_is_edited_back_to_pending_is_not_resurrected(house, end):
    bot = agent()
    view = await house.submit(bot, ttl_seconds=600)
    if end == "deny":
        await house.vote(await house.person(), view, "deny")
    elif end == "cancel":
        await house.gate.cancel(bot, house.workspace, view.id)
    else:
        house.clock.advance(600)
        await house.gate.expire_due()
    await house.sql("UPDATE gate_command SET state = 'pending', expires_us = $2 WHERE id = $1", view.id, 2**60)
    assert (await house.restart()).quarantined == (view.id,)


@pytest.mark.parametrize("state", ["pending", "denied", "executed"])
async def test_a_row_that_is_edited_into_an_approval_lets_nothing_run(house, state):
    bot = agent()
    view = await house.submit(bot)
    if state != "pending":
        await house.vote(await house.person(), view, "deny" if state == "denied" else "approve")
    if state == "executed":
        await house.consume(bot, view)
    await house.sql(
        "UPDATE gate_command SET state = 'approved', consumed_us = NULL, use_by_us = $2 WHERE id = $1", view.id, 2**60
    )
    for _ in range(2):
        with pytest.raises(Conflict):
            await house.consume(bot, view)
        await house.restart()
    assert (await house.acts(view)).count("command.consumed") == (state == "executed")


async def test_a_row_without_any_record_is_quarantined(house):
    view = await house.submit(agent())
    forged = new_id()
    await house.sql(
        f"INSERT INTO gate_command ({', '.join(COLUMNS)}) SELECT $1, {', '.join(COLUMNS[1:])} FROM gate_command"
        " WHERE id = $2",
        forged,
        view.id,
    )
    rebuilt = await house.restart()
    assert rebuilt.quarantined == (forged,)
    assert rebuilt.pending == 1


async def test_hundreds_of_pending_requests_come_back(house):
    views = [await house.submit(agent(), ttl_seconds=3600) for _ in range(150)]
    assert (await house.restart()).pending == 150
    assert [view.id for view in house.gate.pending(house.workspace)] == [view.id for view in views]
    assert await verify_gate(house.db, house.audit) == []
