"""An approval is used for the call that it was given to, and for no other. # E5 E8 P4"""

import pytest

from failgate.base.errors import Conflict
from failgate.gate.verification import verify_gate
from failgate.wire.gate import Consume
from tests.gate.conftest import agent


async def test_something_else_about_to_be_executed_is_refused_audited_once_and_changes_nothing(house):
    bot = agent()
    view = await house.submit(bot)
    with pytest.raises(Conflict):
        await house.gate.consume(bot, house.workspace, view.id, Consume(digest="A" * 43))
    assert "command.mismatched" not in await house.acts(view)  # nobody has approved anything yet
    await house.vote(await house.person(), view)
    for digest in ("B" * 43, "another-call", "rm -rf /; a text of the agent", ""):
        with pytest.raises(Conflict):
            await house.gate.consume(bot, house.workspace, view.id, Consume(digest=digest))
    assert (await house.acts(view)).count("command.mismatched") == 1
    records = await house.audit.newest(house.workspace, limit=1000, obj_id=view.id)
    [noted] = [one.record for one in records if one.record["act"] == "command.mismatched"]
    assert (noted["data"], noted["out"]) == ({"digest": view.digest, "digest_found": "B" * 43}, "deny")
    assert (await house.consume(bot, view)).state == "executed"
    assert await verify_gate(house.db, house.audit) == []


async def test_no_text_of_an_agent_gets_into_the_record(house):
    bot = agent()
    view = await house.submit(bot)
    await house.vote(await house.person(), view)
    with pytest.raises(Conflict):
        await house.gate.consume(bot, house.workspace, view.id, Consume(digest="a text of the agent"))
    records = await house.audit.newest(house.workspace, limit=1000, obj_id=view.id)
    assert [one.record["data"] for one in records if one.record["act"] == "command.mismatched"] == [
        {"digest": view.digest}
    ]
