"""A vote of who was deactivated counts no more, also when its voter comes back. # B1 E5"""

import asyncio

import pytest

from failgate.audit.record import Actor
from failgate.base.errors import Conflict
from failgate.base.ids import new_id
from failgate.gate.verification import verify_gate
from failgate.wire.gate import Vote
from tests.gate.conftest import House, agent

IDP = Actor(t="scim", id="connection-1")


async def void(house, person, *, workspace: str | None = None) -> None:
    async def verb(tx):
        if workspace is None:
            await house.gate.void_votes_of(tx, person.account_id, IDP)
        else:
            await house.gate.void_votes_in(tx, workspace, person.account_id, IDP)

    await house.db.write(verb)


async def test_a_voided_vote_does_not_count_and_may_be_cast_again(house):
    await house.restart(need=2)
    ann, bob = await house.person(), await house.person()
    view = await house.submit(agent())
    await house.vote(ann, view)
    await void(house, ann)
    assert house.gate.pending(house.workspace)[0].votes == []
    seen = await house.vote(bob, view)
    assert (seen.state, [vote.reviewer for vote in seen.votes]) == ("pending", [bob.label])
    assert (await house.vote(ann, view)).state == "approved"
    assert await house.acts(view) == [
        "command.created", "vote.cast", "vote.voided", "vote.cast", "vote.cast", "command.approved",
    ]  # fmt: skip
    assert await verify_gate(house.db, house.audit, house.allowlist) == []


async def test_who_is_disabled_and_enabled_again_has_not_voted(house):
    """The electorate alone would let the vote count again once its voter is back."""
    await house.restart(need=2)
    ann, bob = await house.person(), await house.person()
    view = await house.submit(agent())
    await house.vote(ann, view)
    await house.sql("UPDATE account SET disabled_us = 1 WHERE id = $1", ann.account_id)
    await void(house, ann)
    await house.sql("UPDATE account SET disabled_us = NULL WHERE id = $1", ann.account_id)
    assert (await house.vote(bob, view)).state == "pending"


async def test_only_the_workspace_that_was_left_loses_the_vote(house):
    await house.restart(need=2)
    ann = await house.person()
    view = await house.submit(agent())
    await house.vote(ann, view)
    await void(house, ann, workspace="another")
    assert len(house.gate.pending(house.workspace)[0].votes) == 1
    await void(house, ann, workspace=house.workspace)
    assert house.gate.pending(house.workspace)[0].votes == []


async def test_what_was_decided_stays_decided(house):
    ann = await house.person()
    view = await house.submit(agent())
    await house.vote(ann, view)
    await void(house, ann)
    assert await house.state(view) == "approved"
    assert "vote.voided" not in await house.acts(view)
    assert await verify_gate(house.db, house.audit, house.allowlist) == []


async def test_a_restart_keeps_the_request_without_the_vote(house):
    await house.restart(need=2)
    ann = await house.person()
    view = await house.submit(agent())
    await house.vote(ann, view)
    await void(house, ann)
    rebuilt = await house.restart()
    assert (rebuilt.pending, list(rebuilt.quarantined)) == (1, [])
    assert house.gate.pending(house.workspace)[0].votes == []


async def test_in_a_workspace_that_is_deleted_nothing_waits_and_whoever_waited_is_told(house):
    ann, bot = await house.person(), agent()
    first, second = await house.submit(bot, "make", "a"), await house.submit(bot, "make", "b")
    decided = await house.submit(bot, "make", "c")
    await house.vote(ann, decided)
    muted = await house.submit(bot, "make", "d")
    await house.gate.muting.mute(ann, house.workspace, muted.id, Vote("deny", muted.digest), "same", 60)
    other = House(house.db, house.clock, house.folder)
    told = asyncio.create_task(house.gate.wait(house.workspace, first.id, bot, 30))
    await asyncio.sleep(0)
    await house.db.write(lambda tx: house.gate.end_of_workspace(tx, other.workspace, IDP))
    assert (house.gate.pending_count(), len(house.gate._parts.mutes._known)) == (2, 1), "another one is deleted"
    await house.db.write(lambda tx: house.gate.end_of_workspace(tx, house.workspace, IDP))
    assert (await asyncio.wait_for(told, 5)).state == "cancelled"
    assert [await house.state(one) for one in (first, second, decided)] == ["cancelled", "cancelled", "approved"]
    assert await house.acts(first) == ["command.created", "command.cancelled"]
    [ended] = [one.record for one in await house.audit.newest(house.workspace, limit=1, obj_id=second.id)]
    assert (ended["data"]["reason"], ended["data"]["digest"]) == ("workspace_deleted", second.digest)
    assert house.gate.pending_count() == 0
    assert await house.gate.muting.mutes.running(house.workspace) == []
    with pytest.raises(Conflict, match="The command is cancelled"):
        await house.vote(ann, first)
    assert await verify_gate(house.db, house.audit, house.allowlist) == []


async def test_what_a_deleted_workspace_muted_or_had_run_is_not_remembered(house):
    ann, bot = await house.person(), agent()
    view = await house.submit(bot, "make")
    await house.vote(ann, view)
    await house.consume(bot, view)
    familiar = house.gate._parts.familiar
    assert (house.workspace, bot.id, "make") in familiar._met
    await house.db.write(lambda tx: house.gate.end_of_workspace(tx, new_id(), IDP))
    assert (house.workspace, bot.id, "make") in familiar._met
    await house.db.write(lambda tx: house.gate.end_of_workspace(tx, house.workspace, IDP))
    assert not familiar._met
