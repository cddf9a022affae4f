"""A vote of who was deactivated counts no more, also when its voter comes back. # B1 E5"""

from failgate.audit.record import Actor
from failgate.gate.verification import verify_gate
from tests.gate.conftest import agent

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
