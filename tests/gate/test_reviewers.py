"""How reviewers decide: who approves whatever comes, without the time to read it, is seen. Nothing is kept for it."""

from failgate.base.clock import MICROSECONDS
from failgate.base.ids import new_id
from failgate.gate import reviewers
from failgate.gate.reviewers import DAYS, FEW, STAMP_SECONDS, reviewed_in
from tests.gate.conftest import House, agent

DAY = 86_400


async def decide(house: House, person, seconds: float, decision: str = "approve", waited: float = 0.0) -> None:
    view = await house.submit(agent(), "make", ttl_seconds=3600)
    house.clock.advance(waited + seconds)
    await house.vote(person, view, decision)


async def read(house: House) -> dict[str, tuple[int, int, int, float, bool]]:
    found = await reviewed_in(house.db, house.workspace, house.clock.now_us())
    return {
        one.account_id: (one.decided, one.approved, one.percent, one.median_us / MICROSECONDS, one.is_stamp)
        for one in found
    }


async def test_the_share_of_approvals_and_the_median_of_the_time_are_of_each_persons_votes(house: House):
    mara, ben, cleo = [await house.person() for _ in range(3)]
    for seconds, decision in ((10, "approve"), (40, "deny"), (20, "approve")):
        await decide(house, mara, seconds, decision)
    for seconds in (2, 4):
        await decide(house, ben, seconds)
    found = await read(house)
    assert {key: value[:3] for key, value in found.items()} == {
        mara.account_id: (3, 2, 66), ben.account_id: (2, 2, 100),
    }  # fmt: skip
    assert [round(found[one.account_id][3], 1) for one in (mara, ben)] == [20.0, 2.0]
    assert cleo.account_id not in found


async def test_what_waited_long_and_was_decided_in_a_row_was_not_read_long(house: House):
    """The time since the request came says nothing of a hundred that are decided in a hundred seconds."""
    mara = await house.person()
    views = [await house.submit(agent(), "make", ttl_seconds=3600) for _ in range(FEW)]
    house.clock.advance(600)
    for view in views:
        house.clock.advance(1)
        await house.vote(mara, view)
    decided, approved, percent, median, is_stamp = (await read(house))[mara.account_id]
    assert (decided, approved, percent, round(median, 1), is_stamp) == (FEW, FEW, 100, 1.0, True)


async def test_who_denies_some_or_takes_their_time_or_decided_little_is_no_stamp(house: House):
    mara, ben, cleo = [await house.person() for _ in range(3)]
    for number in range(FEW):
        await decide(house, mara, 1, "deny" if number == 3 else "approve")
        await decide(house, ben, STAMP_SECONDS)
    for _ in range(FEW - 1):
        await decide(house, cleo, 1)
    found = await read(house)
    assert [found[one.account_id][4] for one in (mara, ben, cleo)] == [False, False, False]


async def test_it_is_of_this_workspace_of_its_members_and_of_thirty_days(house: House):
    mara, ben = await house.person(), await house.person()
    await decide(house, mara, 10)
    await decide(house, ben, 10)
    await house.sql("DELETE FROM membership WHERE account_id = $1", ben.account_id)
    assert list(await read(house)) == [mara.account_id]
    assert await reviewed_in(house.db, new_id(), house.clock.now_us()) == []
    house.clock.advance(DAYS * DAY - 11)
    assert list(await read(house)) == [mara.account_id]
    house.clock.advance(2)
    assert await read(house) == {}


async def test_votes_are_found_by_voter_and_time(house: House):
    """Without the index every vote of a workspace's years would be looked at, each time the page is opened."""
    if house.db.dialect != "sqlite":
        found = await house.db.fetch("SELECT indexdef FROM pg_indexes WHERE indexname = 'gate_vote_voter'")
        assert "(account_id, at_us)" in found[0]["indexdef"]
        return
    plan = await house.db.fetch(f"EXPLAIN QUERY PLAN {reviewers._READ}", house.workspace, 0)
    assert any("gate_vote_voter (account_id=? AND at_us>?)" in row["detail"] for row in plan)
