"""Breaking the glass: one person lets a command run without its quorum, and another has to review that. E5"""

import asyncio
from dataclasses import replace

import pytest
from failgate_quorum import Quorum, QuorumSettings

from failgate.audit.record import Actor
from failgate.base.errors import Conflict, Forbidden, StepUpRequired, Unprocessable
from failgate.base.idempotency import request_key
from failgate.gate.glass import REMIND_SECONDS
from failgate.gate.policy import Finding
from failgate.gate.terms import Terms
from failgate.gate.verification import verify_gate
from failgate.wire.gate import Rule
from failgate.wire.glass import GlassBreak, GlassVerdict
from tests.gate.conftest import EXPIRED, agent, refused

OTHERS = [
    "UPDATE gate_command SET broken_by = NULL, glass = NULL WHERE id = $1",
    "UPDATE gate_command SET glass = 'justified' WHERE id = $1",
    "UPDATE gate_command SET broken_by = 'somebody' WHERE id = $1",
    "UPDATE gate_glass SET review = 'justified' WHERE command_id = $1",
    "UPDATE gate_glass SET account_id = 'somebody' WHERE command_id = $1",
    "DELETE FROM gate_glass WHERE command_id = $1",
]


class Asks:
    """A policy that asks on its own terms."""

    def __init__(self, terms: Terms = Terms()) -> None:
        self.finding = Finding("ask", "it asks", need=1, terms=terms)

    async def judge(self, command, context):
        return self.finding

    def snapshot(self, workspace_id):
        return {}


@pytest.fixture
async def breakable(house):
    await allow(house, "reviewer")
    return house


async def allow(house, who, **extra):
    """Let `who` break the glass, of a quorum of three."""
    await house.restart(extra={"quorum": Quorum(QuorumSettings(need=3, break_glass=who)), **extra})


async def fresh(house, role="reviewer"):
    """A person whose second factor is of this moment."""
    return with_factor(await house.person(role), house)


def with_factor(person, house):
    return replace(person, second_factor_us=house.clock.now_us())


async def smash(house, person, view, reason="The shop is down", confirm="build-1", digest=None, key=None):
    wish = GlassBreak(digest or view.digest, reason, confirm)
    return await house.gate.glass.break_glass(person, house.workspace, view.id, wish, key)


async def judge(house, person, view, verdict="justified", words="It was down", key=None):
    return await house.gate.glass.review(person, house.workspace, view.id, GlassVerdict(verdict, words), key)


async def test_one_person_lets_it_run_and_another_reviews_it(breakable):
    house, bot, ann, bob = breakable, agent(), await fresh(breakable), await fresh(breakable)
    view = await house.submit(bot, "reboot")
    assert (view.need, view.break_glass) == (3, "reviewer")
    broken = await smash(house, ann, view)
    assert (broken.state, broken.glass, broken.verdict.glass, broken.break_glass) == ("approved", "open", "open", None)
    assert (broken.verdict.by, broken.verdict.note) == ([ann.label], "The shop is down")
    await house.consume(bot, view)
    assert await house.db.fetch("SELECT * FROM gate_familiar") == []
    [waiting] = await house.gate.glass.listed(house.workspace)
    assert (waiting.review, waiting.account_id) == ("open", ann.account_id)
    done = await judge(house, bob, view, "unjustified", "It was not down")
    assert (done.state, done.glass) == ("executed", "unjustified")
    [row] = await house.gate.glass.listed(house.workspace)
    assert (row.review, row.reviewer_label, row.words) == ("unjustified", bob.label, "It was not down")
    assert await house.acts(view) == ["command.created", "glass.broken", "command.consumed", "glass.reviewed"]
    assert await verify_gate(house.db, house.audit, house.allowlist) == []


async def test_by_default_nobody_breaks_it(house):
    owner = await fresh(house, "owner")
    view = await house.submit(agent(), "reboot")
    assert view.break_glass is None
    with pytest.raises(Forbidden):
        await smash(house, owner, view)
    assert await house.state(view) == "pending"


async def test_where_owners_alone_may_no_reviewer_does(house):
    await allow(house, "owner")
    view = await house.submit(agent(), "reboot")
    for role in ("reviewer", "admin"):
        with pytest.raises(Forbidden):
            await smash(house, await fresh(house, role), view)
    assert (await smash(house, await fresh(house, "owner"), view)).glass == "open"


@pytest.mark.parametrize("role", ["developer", "auditor", ""])
async def test_who_may_not_vote_neither_breaks_nor_reviews(breakable, role):
    view = await breakable.submit(agent(), "reboot")
    someone = await fresh(breakable, role)
    with pytest.raises(Forbidden):
        await smash(breakable, someone, view)
    await smash(breakable, await fresh(breakable), view)
    with pytest.raises(Forbidden):
        await judge(breakable, someone, view)


async def test_a_program_never_breaks_nor_reviews(breakable):
    ann = await fresh(breakable, "owner")
    view = await breakable.submit(agent(), "reboot")
    for program in (agent(ann.account_id), replace(ann, kind="api_key")):
        with pytest.raises(Forbidden):
            await smash(breakable, program, view)
        with pytest.raises(Forbidden):
            await judge(breakable, program, view)


async def test_it_takes_a_fresh_factor_the_host_and_a_reason(breakable):
    house, ann = breakable, await fresh(breakable)
    view = await house.submit(agent(), "reboot", ttl_seconds=3600)
    for wrong, error in (
        ({"reason": "  "}, Unprocessable),
        ({"reason": "x" * 10_000}, Exception),
        ({"confirm": "other"}, Unprocessable),
        ({"confirm": ""}, Unprocessable),
        ({"digest": "x" * 43}, Conflict),
    ):
        with pytest.raises(error):
            await smash(house, ann, view, **wrong)
    house.clock.advance(301)
    with pytest.raises(StepUpRequired):
        await smash(house, ann, view)
    assert await house.state(view) == "pending"
    assert await house.gate.glass.listed(house.workspace) == []


async def test_nobody_breaks_it_for_their_own_request_nor_reviews_that(breakable):
    house, ann, bob, cy = breakable, *[await fresh(breakable) for _ in range(3)]
    own = await house.submit(agent(ann.account_id), "reboot")
    with pytest.raises(Forbidden):
        await smash(house, ann, own)
    await smash(house, bob, own)
    for person in (ann, bob):
        with pytest.raises(Forbidden):
            await judge(house, person, own)
    await judge(house, cy, own)
    mine = await house.submit(await house.person("developer"), "reboot")
    assert (await smash(house, ann, mine)).glass == "open"


async def test_another_account_of_the_same_mailbox_is_the_same_person(breakable):
    house, ann, twin = breakable, await fresh(breakable), await fresh(breakable)
    await house.sql("UPDATE account SET email = 'ann@example.org' WHERE id = $1", ann.account_id)
    await house.sql("UPDATE account SET email = 'Ann+2@example.org' WHERE id = $1", twin.account_id)
    view, other = await house.submit(agent(), "reboot"), await house.submit(agent(), "reboot")
    await smash(house, ann, view)
    with pytest.raises(Forbidden):
        await judge(house, twin, view)
    with pytest.raises(Conflict):
        await smash(house, twin, other)
    own = await house.submit(agent(twin.account_id), "reboot")
    with pytest.raises(Forbidden):
        await smash(house, ann, own)


async def test_who_owes_a_review_breaks_no_more_until_it_is_closed(breakable):
    house, ann, bob = breakable, await fresh(breakable), await fresh(breakable)
    first, second = await house.submit(agent(), "a"), await house.submit(agent(), "b")
    await smash(house, ann, first)
    with pytest.raises(Conflict) as owed:
        await smash(house, ann, second)
    assert "review" in str(owed.value)
    assert await house.state(second) == "pending"
    await judge(house, bob, first)
    assert (await smash(house, ann, second)).glass == "open"
    assert await verify_gate(house.db, house.audit) == []


async def test_a_review_is_given_once_and_has_words(breakable):
    house, ann, bob, cy = breakable, *[await fresh(breakable) for _ in range(3)]
    view = await house.submit(agent(), "reboot")
    with pytest.raises(Conflict):
        await judge(house, bob, view)
    await smash(house, ann, view)
    with pytest.raises(Unprocessable):
        await judge(house, bob, view, words=" ")
    await judge(house, bob, view)
    with pytest.raises(Conflict):
        await judge(house, cy, view, "unjustified")


async def test_asked_again_with_its_key_each_answers_what_it_answered(breakable):
    house, ann, bob = breakable, await fresh(breakable), await fresh(breakable)
    view = await house.submit(agent(), "reboot")
    key = request_key("k", ann.id, ("glass", view.id), ["x"])
    first = await smash(house, ann, view, key=key)
    assert await smash(house, ann, view, key=key) == first
    other = request_key("k", bob.id, ("review", view.id), ["x"])
    done = await judge(house, bob, view, key=other)
    assert await judge(house, bob, view, key=other) == done


async def test_no_glass_is_broken_past_a_denial_or_a_refusal(house):
    await house.restart(extra={"quorum": Quorum(QuorumSettings(need=3, deny_after=2, break_glass="reviewer"))})
    ann, bob = await fresh(house), await fresh(house)
    view = await house.submit(agent(), "reboot")
    await house.vote(bob, view, "deny")
    with pytest.raises(Conflict) as refused:
        await smash(house, ann, view)
    assert "denied" in str(refused.value)
    await house.rules.create(Actor.of(ann), house.workspace, Rule(kind="exact", effect="deny", argv=["halt"]))
    denied = await house.submit(agent(), "halt")
    assert denied.state == "denied"
    with pytest.raises((Conflict, Forbidden)):
        await smash(house, ann, denied)


async def test_every_policy_that_asks_has_to_let_itself_be_passed_by(house):
    await allow(house, "reviewer", other=Asks())
    assert (await house.submit(agent(), "reboot")).break_glass is None
    await allow(house, "reviewer", other=Asks(Terms(break_glass="owner")))
    assert (await house.submit(agent(), "reboot")).break_glass == "owner"


async def test_who_is_excluded_or_made_the_credential_breaks_nothing(house):
    ann, bob = await fresh(house), await fresh(house)
    settings = QuorumSettings(need=2, break_glass="reviewer", exclude=(ann.label,))
    await house.restart(extra={"quorum": Quorum(settings)})
    bot = replace(agent(), maker_account_id=bob.account_id)
    view = await house.submit(bot, "reboot")
    for person in (ann, bob):
        with pytest.raises(Forbidden):
            await smash(house, person, view)


async def test_what_expired_or_was_decided_is_not_broken(breakable):
    house, ann = breakable, await fresh(breakable)
    gone = await house.submit(agent(), "reboot", ttl_seconds=10)
    house.clock.advance(10)
    with pytest.raises(Conflict):
        await smash(house, ann, gone)
    cancelled, bot = await house.submit(agent(), "reboot"), agent()
    mine = await house.submit(bot, "reboot")
    await house.gate.cancel(bot, house.workspace, mine.id)
    with pytest.raises(Conflict):
        await smash(house, ann, mine)
    house.clock.step_wall(-3600)
    with pytest.raises(Conflict):
        await smash(house, with_factor(ann, house), cancelled)


async def test_every_four_hours_people_are_told_again_until_somebody_reviewed(breakable):
    house, ann, bob = breakable, await fresh(breakable), await fresh(breakable)
    view = await house.submit(agent(), "reboot")
    await smash(house, ann, view)
    await house.gate.glass.remind()
    assert "glass.reminded" not in await house.acts(view)
    for number in (1, 2):
        house.clock.advance(REMIND_SECONDS)
        await house.gate.glass.remind()
        await house.gate.glass.remind()
        assert (await house.acts(view)).count("glass.reminded") == number
    await judge(house, with_factor(bob, house), view)
    house.clock.advance(REMIND_SECONDS)
    await house.gate.glass.remind()
    assert (await house.acts(view)).count("glass.reminded") == 2
    assert await verify_gate(house.db, house.audit) == []


@pytest.mark.parametrize("edit", OTHERS)
async def test_broken_glass_is_not_hidden_in_the_database(breakable, edit):
    view = await breakable.submit(agent(), "reboot")
    await smash(breakable, await fresh(breakable), view)
    await breakable.sql(edit, view.id)
    assert {one.id for one in await verify_gate(breakable.db, breakable.audit)} == {view.id}


async def test_an_approval_without_quorum_is_not_passed_off_as_broken_glass(breakable):
    """A row that was edited lets nothing run: its records do not prove it."""
    bot = agent()
    view = await breakable.submit(bot, "reboot")
    await breakable.sql(
        "UPDATE gate_command SET state = 'approved', decided_us = 1, use_by_us = 9000000000000000,"
        " broken_by = 'x', glass = 'justified' WHERE id = $1", view.id,
    )  # fmt: skip
    with pytest.raises(Conflict):
        await breakable.consume(bot, view)
    assert {one.id for one in await verify_gate(breakable.db, breakable.audit)} == {view.id}


async def test_glass_that_was_broken_while_a_review_was_owed_is_caught(breakable):
    """Records that a server forged: each hash is right, and the law is not kept."""
    house, ann = breakable, await fresh(breakable)
    first, second = await house.submit(agent(), "a"), await house.submit(agent(), "b")
    await smash(house, ann, first)

    async def owes_nothing(tx, stored, voter):
        return None

    house.gate.glass._must_owe_no_review = owes_nothing
    with pytest.raises(Conflict):  # the database's own index
        await smash(house, ann, second)
    await house.sql("DROP INDEX gate_glass_open")
    await smash(house, ann, second)
    assert {one.id for one in await verify_gate(house.db, house.audit)} == {second.id}


async def test_of_two_who_break_it_at_once_one_does(breakable):
    house, people = breakable, [await fresh(breakable) for _ in range(4)]
    view = await house.submit(agent(), "reboot")
    found = await asyncio.gather(*(smash(house, one, view) for one in people), return_exceptions=True)
    assert sum(isinstance(one, Conflict) for one in found) == 3
    assert len(await house.gate.glass.listed(house.workspace)) == 1


async def test_one_who_breaks_two_at_once_breaks_one(breakable):
    house, ann = breakable, await fresh(breakable)
    views = [await house.submit(agent(), "reboot", str(number)) for number in range(3)]
    found = await asyncio.gather(*(smash(house, ann, one) for one in views), return_exceptions=True)
    assert sum(isinstance(one, Conflict) for one in found) == 2
    assert len(await house.gate.glass.listed(house.workspace)) == 1


async def test_suggestions_and_history_learn_nothing_from_broken_glass(breakable):
    house, ann = breakable, await fresh(breakable)
    bot = agent()
    view = await house.submit(bot, "ticket", "1")
    await smash(house, ann, view)
    again = await house.submit(bot, "ticket", "1")
    history = await house.gate.history(house.workspace, again.id, ann)
    assert (history.asked, history.approved, history.compared) == (1, 0, None)


async def test_a_row_that_differs_from_its_records_is_put_apart_and_its_glass_stays_whole(house):
    await allow(house, "reviewer")
    ann, view = await fresh(house), await house.submit(agent(), "reboot")
    await house.sql("UPDATE gate_command SET need = 1 WHERE id = $1", view.id)
    with pytest.raises(Conflict) as error:
        await smash(house, ann, view)
    assert error.value.facts == {"state": "quarantined"}
    assert await house.state(view) == "quarantined", "what the answer says is so"
    assert await house.acts(view) == ["command.created", "command.quarantined"]
    assert (await house.gate.glass.listed(house.workspace), house.gate.pending_count()) == ([], 0)


async def test_glass_is_not_broken_once_the_time_went_by_meanwhile(house):
    await allow(house, "reviewer")
    ann, view = await fresh(house), await house.submit(agent(), "reboot", ttl_seconds=10)
    house.clock.advance(9)
    with house.slow(2):
        await refused(house, view, lambda: smash(house, ann, view), EXPIRED, state="expired")


async def test_the_glass_of_what_somebody_else_had_first_stays_whole(house):
    await allow(house, "reviewer")
    ann, view = await fresh(house), await house.submit(agent(), "reboot")
    async with house.unmoved("gate_command"):
        words = "The command is pending. Submit it again if it is still wanted."
        await refused(house, view, lambda: smash(house, ann, view), words)
    assert (await smash(house, ann, view)).glass == "open"


async def test_a_review_takes_a_second_factor_and_a_review_that_is_open(house):
    await allow(house, "reviewer")
    ann, bob, view = await fresh(house), await fresh(house), await house.submit(agent(), "reboot")
    await smash(house, ann, view)
    words = "A review needs a second factor. Prove it, then review again."
    await refused(
        house, view, lambda: judge(house, replace(bob, second_factor_us=None), view), words, StepUpRequired, None
    )
    for table in ("gate_glass", "gate_command"):
        async with house.unmoved(table):
            words = "No review of this command is open."
            await refused(house, view, lambda: judge(house, bob, view), words, state="approved")
    assert (await judge(house, with_factor(bob, house), view)).glass == "justified"
