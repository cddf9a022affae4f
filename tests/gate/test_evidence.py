"""What the records of a request do not prove lets nothing run. # E1 E5"""

import pytest

from failgate.base.errors import Conflict
from failgate.base.ids import new_id
from failgate.gate import lifecycle as life
from failgate.gate.verification import verify_gate
from tests.gate.conftest import agent, refused


async def test_a_record_that_cannot_be_lets_nothing_run(house):
    """An approval that no vote stands behind, with a row to match: its hash is right, and the law is not kept."""
    bot, view = agent(), await house.submit(agent())
    view = await house.submit(bot)
    use_by_us = house.clock.now_us() + 60_000_000
    await house.forge(life.Approved(view.digest, house.clock.now_us(), use_by_us, 1), view)
    await house.sql(
        "UPDATE gate_command SET state = 'approved', decided_us = 1, use_by_us = $1 WHERE id = $2", use_by_us, view.id
    )
    words = (
        "The stored command differs from its audit record: it is not executed."
        " Ask the operator to run `failgate audit verify --gate`."
    )
    await refused(house, view, lambda: house.consume(bot, view), words, state="approved")
    assert {one.id for one in await verify_gate(house.db, house.audit)} == {view.id}


async def test_a_record_that_cannot_be_puts_what_waits_apart(house):
    person, view = await house.person(), await house.submit(agent())
    await house.forge(life.Approved(view.digest, house.clock.now_us(), house.clock.now_us() + 60_000_000, 1), view)
    with pytest.raises(Conflict, match="The command is quarantined"):
        await house.vote(person, view)
    assert await house.state(view) == "quarantined"
    assert await house.db.fetch("SELECT * FROM gate_vote") == []
    [apart] = [one.record for one in await house.audit.newest(house.workspace, limit=1, obj_id=view.id)]
    assert apart["act"] == "command.quarantined"
    assert apart["data"]["reason"].endswith("(command.approved) is impossible: the quorum is not complete")


async def test_a_record_of_another_workspace_proves_nothing(house):
    """The bytes of the record were changed in the database, so that it speaks of another workspace."""
    bot, person = agent(), await house.person()
    view = await house.submit(bot)
    await house.vote(person, view)
    off = (
        "DROP TRIGGER audit_record_stays"
        if house.db.dialect == "sqlite"
        else "ALTER TABLE audit_record DISABLE TRIGGER ALL"
    )
    await house.sql(off)
    for row in await house.db.fetch("SELECT position, leaf FROM audit_record WHERE obj_id = $1", view.id):
        leaf = row["leaf"].replace(house.workspace.encode(), new_id().encode())
        assert leaf != row["leaf"]
        await house.sql("UPDATE audit_record SET leaf = $1 WHERE position = $2", leaf, row["position"])
    words = (
        "The stored command differs from its audit record: it is not executed."
        " Ask the operator to run `failgate audit verify --gate`."
    )
    await refused(house, view, lambda: house.consume(bot, view), words, state="approved")
