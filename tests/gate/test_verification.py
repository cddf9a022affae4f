"""The journal is folded again and compared; a contradiction names the command and the record. E3 E7."""

import pytest

from failgate.base.ids import new_id
from failgate.gate.verification import verify_gate
from failgate.wire.gate import Outcome
from tests.gate.conftest import agent


async def everything(house):
    """One command in each state."""
    bot, reviewer = agent(), await house.person()
    views = {
        name: await house.submit(bot, name, ttl_seconds=600) for name in ("approved", "denied", "cancelled", "executed")
    }
    await house.vote(reviewer, views["approved"])
    await house.vote(reviewer, views["denied"], "deny")
    await house.gate.cancel(bot, house.workspace, views["cancelled"].id)
    await house.vote(reviewer, views["executed"])
    await house.consume(bot, views["executed"])
    outcome = Outcome(digest=views["executed"].digest, exit_code=0, duration_ms=1)
    await house.gate.outcome(bot, house.workspace, views["executed"].id, outcome)
    views["expired"] = await house.submit(bot, "expired", ttl_seconds=1)
    house.clock.advance(1)
    await house.gate.expire_due()
    views["pending"] = await house.submit(bot, "pending", ttl_seconds=600)
    return views


async def test_an_intact_gate_has_no_contradiction(house):
    await everything(house)
    assert await verify_gate(house.db, house.audit, house.allowlist) == []


@pytest.mark.parametrize("name", ["approved", "denied", "cancelled", "executed", "expired", "pending"])
async def test_every_other_state_is_a_contradiction(house, name):
    views = await everything(house)
    for state in ("approved", "denied", "cancelled", "executed", "expired", "pending", "quarantined"):
        await house.sql("UPDATE gate_command SET state = $2 WHERE id = $1", views[name].id, state)
        found = await verify_gate(house.db, house.audit)
        assert {each.id for each in found} == (set() if name == state else {views[name].id})


@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE gate_command SET body = replace(body, 'executed', 'executeD') WHERE id = $1",
        "UPDATE gate_command SET digest = 'x' WHERE id = $1",
        "UPDATE gate_command SET need = 2 WHERE id = $1",
        "UPDATE gate_command SET use_by_us = use_by_us + 1 WHERE id = $1",
        "UPDATE gate_command SET finished_us = NULL WHERE id = $1",
        "UPDATE gate_vote SET account_id = 'somebody' WHERE command_id = $1",
        "UPDATE gate_vote SET decision = 'deny' WHERE command_id = $1",
        "DELETE FROM gate_vote WHERE command_id = $1",
    ],
)
async def test_an_edited_row_names_its_command_and_a_record_of_it(house, edit):
    view = (await everything(house))["executed"]
    await house.sql(edit, view.id)
    found = await verify_gate(house.db, house.audit)
    assert {each.id for each in found} == {view.id}
    assert found[0].seq is not None
    record = (await house.audit.record_at(house.workspace, found[0].seq)).record
    assert record["obj"]["id"] == view.id
    assert view.id in str(found[0])
    assert f"record {found[0].seq} " in str(found[0])


async def test_a_row_that_is_gone_and_a_row_that_was_forged_are_named(house):
    view = (await everything(house))["pending"]
    forged = new_id()
    await house.sql("UPDATE gate_command SET id = $2 WHERE id = $1", view.id, forged)
    found = {each.id: each for each in await verify_gate(house.db, house.audit)}
    assert found.keys() == {view.id, forged}
    assert found[forged].seq is None
    assert found[view.id].seq is not None
