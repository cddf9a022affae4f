"""The gate's verbs over real storage, on both engines. E1 E5 E8 B6."""

import asyncio

import pytest

from failgate.access.principal import Principal
from failgate.base.errors import (
    BadInput,
    Conflict,
    FailgateError,
    Forbidden,
    NotFound,
    StepUpRequired,
    TooLarge,
    TooManyRequests,
    Unprocessable,
)
from failgate.base.idempotency import request_key
from failgate.base.ids import new_id
from failgate.gate.parts import GateLimits
from failgate.gate.policy import Finding
from failgate.gate.verification import verify_gate
from failgate.wire.gate import Consume, Outcome, Rule, Vote
from tests.gate.conftest import agent, command, submission


async def allow(house, *argv, **members):
    admin = await house.person("admin")
    from failgate.audit.record import Actor

    return await house.rules.create(
        Actor.of(admin), house.workspace, Rule(kind="exact", effect="allow", argv=list(argv), **members)
    )


async def test_a_command_waits_is_approved_used_once_and_finished(house):
    """The whole path, with its records. E5 E8."""
    bot, reviewer = agent(), await house.person()
    view = await house.submit(bot, "rm", "-rf", "build", reason="clean up")
    assert (view.state, view.waiting_for, view.need, view.verdict) == ("pending", "a reviewer", 1, None)
    approved = await house.vote(reviewer, view, note="fine")
    assert approved.state == "approved"
    assert approved.verdict is not None
    assert (approved.verdict.decision, approved.verdict.digest, approved.verdict.id) == (
        "approve",
        view.digest,
        view.id,
    )
    assert approved.verdict.by == [reviewer.label]
    used = await house.consume(bot, view)
    assert used.state == "executed"
    with pytest.raises(Conflict) as twice:
        await house.consume(bot, view)
    assert twice.value.facts["state"] == "executed"
    report = new_id()
    outcome = Outcome(digest=view.digest, exit_code=2, duration_ms=1500, report_id=report)
    done = await house.gate.outcome(bot, house.workspace, view.id, outcome)
    assert done.outcome == outcome
    with pytest.raises(Conflict):
        await house.gate.outcome(bot, house.workspace, view.id, outcome)
    assert await house.acts(view) == [
        "command.created",
        "vote.cast",
        "command.approved",
        "command.consumed",
        "command.finished",
    ]
    seen = await house.gate.view(house.workspace, view.id, bot)
    assert seen.command["argv"] == ["rm", "-rf", "build"]
    assert await verify_gate(house.db, house.audit, house.allowlist) == []


async def test_a_denial_ends_it_and_its_reason_reaches_the_agent(house):
    bot, reviewer, other = agent(), await house.person(), await house.person()
    view = await house.submit(bot)
    denied = await house.vote(reviewer, view, "deny", note="not on Friday")
    assert (denied.state, denied.verdict.decision, denied.verdict.note) == ("denied", "deny", "not on Friday")
    with pytest.raises(Conflict) as late:
        await house.vote(other, view)
    assert late.value.facts["state"] == "denied"
    with pytest.raises(Conflict):
        await house.consume(bot, view)


async def test_a_digest_that_does_not_fit_is_refused_and_nothing_is_kept(house):
    good = submission()
    from msgspec.structs import replace

    with pytest.raises(Unprocessable):
        await house.gate.submit(agent(), house.workspace, replace(good, digest=submission().digest))
    assert await house.db.fetch("SELECT id FROM gate_command") == []
    assert await house.audit.size(house.workspace) == 0


async def test_a_vote_with_a_foreign_digest_changes_nothing(house):
    bot, reviewer = agent(), await house.person()
    view, other = await house.submit(bot), await house.submit(bot)
    for digest in (other.digest, "", view.digest[:-1], view.digest + "="):
        with pytest.raises(Conflict) as refused:
            await house.vote(reviewer, view, digest=digest)
        assert refused.value.facts["state"] == "pending"
    assert await house.acts(view) == ["command.created"]
    assert await house.db.fetch("SELECT id FROM gate_vote") == []
    await house.vote(reviewer, view)
    with pytest.raises(Conflict):
        await house.consume(bot, view, other.digest)
    assert await house.state(view) == "approved"


async def test_the_requester_and_the_owner_of_the_agent_do_not_vote(house):
    """Nor does somebody without the role, the factor, or an enabled account. E5."""
    owner, person = await house.person("admin"), await house.person("admin")
    bot = agent(owner.account_id)
    view, own = await house.submit(bot), await house.submit(person)
    with pytest.raises(Forbidden):
        await house.vote(owner, view)
    with pytest.raises(Forbidden):
        await house.vote(person, own)
    key = Principal(kind="api_key", account_id=person.account_id, workspace_id=house.workspace, label="ci")
    by_key = await house.submit(key)
    for nobody in (
        person,
        await house.person("developer"),
        await house.person("auditor"),
        await house.person(""),
        await house.person(factor=False),
        await house.person(disabled=True),
        key,
        bot,
    ):
        with pytest.raises(Forbidden):
            await house.vote(nobody, by_key, "deny")
    from dataclasses import replace

    with pytest.raises(StepUpRequired):
        await house.vote(replace(await house.person(), second_factor_us=None), view)
    assert await house.acts(by_key) == ["command.created"]


async def test_two_people_are_two_people(house):
    """The same person twice counts once. E5."""
    await house.restart(need=2)
    bot, one, two = agent(), await house.person(), await house.person()
    view = await house.submit(bot)
    assert (view.need, view.waiting_for) == (2, "2 reviewers")
    for _ in range(3):
        voted = await house.vote(one, view)
        assert (voted.state, voted.waiting_for, len(voted.votes)) == ("pending", "a reviewer", 1)
    assert (await house.vote(two, view)).state == "approved"
    assert (await house.acts(view)).count("vote.cast") == 2


@pytest.mark.parametrize(
    "loss",
    [
        "UPDATE membership SET role = 'developer' WHERE account_id = $1",
        "DELETE FROM membership WHERE account_id = $1",
        "UPDATE account SET disabled_us = 5 WHERE id = $1",
        "DELETE FROM totp_secret WHERE account_id = $1",
    ],
)
async def test_a_vote_is_void_when_its_person_may_not_vote_any_more(house, loss):
    """Every counted approval is checked again when the quorum completes. E5."""
    await house.restart(need=2)
    one, two, three = [await house.person() for _ in range(3)]
    view = await house.submit(agent())
    await house.vote(one, view)
    await house.sql(loss, one.account_id)
    assert (await house.vote(two, view)).state == "pending"
    assert (await house.vote(three, view)).state == "approved"
    assert await verify_gate(house.db, house.audit) == []


async def test_a_policy_that_asks_for_less_later_does_not_lower_what_is_pending(house):
    await house.restart(need=2)
    view = await house.submit(agent())
    rebuilt = await house.restart(need=1)
    assert rebuilt.pending == 1
    assert (await house.vote(await house.person(), view)).state == "pending"
    assert (await house.vote(await house.person(), view)).state == "approved"


async def test_an_approval_may_become_a_denial(house):
    await house.restart(need=2)
    person = await house.person()
    view = await house.submit(agent())
    await house.vote(person, view)
    assert (await house.vote(person, view, "deny")).state == "denied"
    assert await verify_gate(house.db, house.audit) == []


async def test_nothing_is_approved_at_or_after_its_expiry(house):
    """B6: a read and a vote see the expiry before the timer does."""
    bot, reviewer = agent(), await house.person()
    view = await house.submit(bot, ttl_seconds=10)
    house.clock.advance(9.999999)
    assert (await house.gate.view(house.workspace, view.id, bot)).state == "pending"
    house.clock.advance(0.000001)
    assert (await house.gate.view(house.workspace, view.id, bot)).state == "expired"
    assert (await house.gate.page(house.workspace, "expired")).items[0].id == view.id
    assert (await house.gate.page(house.workspace, "pending")).items == []
    with pytest.raises(Conflict) as late:
        await house.vote(reviewer, view)
    assert late.value.facts["state"] == "expired"
    assert await house.acts(view) == ["command.created", "command.expired"]
    assert await house.state(view) == "expired"
    assert await verify_gate(house.db, house.audit) == []


async def test_the_timer_expires_what_is_due_and_nothing_else(house):
    short, long = await house.submit(agent(), ttl_seconds=1), await house.submit(agent(), ttl_seconds=100)
    house.clock.advance(1)
    assert await house.gate.expire_due() == 1
    assert (await house.state(short), await house.state(long)) == ("expired", "pending")
    assert house.gate.pending_count() == 1
    assert await house.acts(short) == ["command.created", "command.expired"]


async def test_an_approval_is_used_in_time_or_not_at_all(house):
    bot = agent()
    view = await house.submit(bot)
    await house.vote(await house.person(), view)
    house.clock.advance(60)
    assert (await house.gate.view(house.workspace, view.id, bot)).state == "expired"
    with pytest.raises(Conflict) as late:
        await house.consume(bot, view)
    assert late.value.facts["state"] == "expired"
    assert (await house.acts(view))[-1] == "command.expired"
    assert await verify_gate(house.db, house.audit) == []


async def test_a_wall_clock_that_goes_back_freezes_approvals_and_extends_nothing(house):
    bot, reviewer = agent(), await house.person()
    first, second, ready = [await house.submit(bot, ttl_seconds=100) for _ in range(3)]
    await house.vote(reviewer, ready)
    house.clock.step_wall(-3600)
    assert house.gate.is_frozen()
    with pytest.raises(Conflict):
        await house.vote(reviewer, first)
    with pytest.raises(Conflict):
        await house.consume(bot, ready)
    assert (await house.vote(reviewer, first, "deny")).state == "denied"
    house.clock.advance(100)
    assert (await house.gate.view(house.workspace, second.id, bot)).state == "expired"
    house.clock.step_wall(3600)
    assert not house.gate.is_frozen()
    with pytest.raises(Conflict):
        await house.vote(reviewer, second)
    assert await verify_gate(house.db, house.audit) == []


async def test_a_clock_that_was_set_back_while_the_server_stood_revives_nothing(house):
    """E8: time goes on from the latest audit record."""
    reviewer = await house.person()
    view = await house.submit(agent(), ttl_seconds=60)
    house.clock.step_wall(-86_400)
    await house.restart()
    assert house.gate.is_frozen()
    with pytest.raises(Conflict):
        await house.vote(reviewer, view)
    house.clock.advance(60)
    assert await house.gate.expire_due() == 1


async def test_a_clock_that_jumps_ahead_expires_at_once(house):
    view = await house.submit(agent(), ttl_seconds=60)
    house.clock.step_wall(3600)
    assert await house.gate.expire_due() == 1
    assert await house.state(view) == "expired"


@pytest.mark.parametrize(("wish", "seconds"), [(None, 60), (1, 1), (86_400, 300), (300, 300)])
async def test_the_time_to_live_is_never_longer_than_the_operator_allows(house, wish, seconds):
    await house.restart(limits=GateLimits(max_ttl_seconds=300))
    view = await house.submit(agent(), ttl_seconds=wish)
    rows = await house.db.fetch("SELECT created_us, expires_us FROM gate_command WHERE id = $1", view.id)
    assert rows[0]["expires_us"] - rows[0]["created_us"] == seconds * 1_000_000


@pytest.mark.parametrize("wish", [0, -1, 86_401])
async def test_a_time_to_live_outside_the_range_is_refused(house, wish):
    with pytest.raises(Unprocessable):
        await house.submit(agent(), ttl_seconds=wish)


async def test_only_the_requester_cancels(house):
    bot, owner = agent(), await house.person("admin")
    mine, owned = await house.submit(bot), await house.submit(agent(owner.account_id))
    with pytest.raises(NotFound):
        await house.gate.cancel(agent(), house.workspace, mine.id)
    with pytest.raises(Forbidden):
        await house.gate.cancel(owner, house.workspace, mine.id)
    assert (await house.gate.cancel(bot, house.workspace, mine.id)).state == "cancelled"
    assert (await house.gate.cancel(owner, house.workspace, owned.id)).state == "cancelled"
    with pytest.raises(Conflict) as again:
        await house.gate.cancel(bot, house.workspace, mine.id)
    assert again.value.facts["state"] == "cancelled"
    assert await verify_gate(house.db, house.audit) == []


async def test_another_workspace_and_another_agent_find_nothing(house):
    """F5: foreign is the same answer as absent."""
    bot, reviewer = agent(), await house.person()
    view = await house.submit(bot)
    sentences = set()
    for ask in (
        house.gate.view(new_id(), view.id, reviewer),
        house.gate.view(house.workspace, new_id(), reviewer),
        house.gate.view(house.workspace, "..", reviewer),
        house.gate.view(house.workspace, view.id, agent()),
        house.gate.wait(house.workspace, view.id, agent(), 0),
        house.gate.vote(reviewer, new_id(), view.id, Vote(decision="approve", digest=view.digest)),
        house.gate.consume(agent(), house.workspace, view.id, Consume(digest=view.digest)),
        house.gate.cancel(bot, new_id(), view.id),
    ):
        with pytest.raises(NotFound) as missing:
            await ask
        sentences.add(str(missing.value))
    assert len(sentences) == 1


async def test_an_allowlisted_command_passes_at_once_and_only_the_exact_one(house):
    """E2 E28, and one record for it."""
    rule = await allow(house, "git", "status")
    bot = agent()
    view = await house.submit(bot, "git", "status")
    assert (view.state, view.verdict.by, view.need) == ("approved", ["allowlist"], 0)
    assert await house.acts(view) == ["command.allowed"]
    record = (await house.audit.newest(house.workspace, obj_id=view.id))[0].record
    assert record["data"]["rule"] == rule.id
    for other in (
        ["git", "status", "."],
        ["git status"],
        ["git", "status "],
        ["Git", "status"],
        ["git", "st\u0430tus"],
    ):
        assert (await house.submit(bot, *other)).state == "pending"
    assert (await house.consume(bot, view)).state == "executed"
    await house.rules.revoke(__import__("failgate.audit.record", fromlist=["SERVER"]).SERVER, house.workspace, rule.id)
    assert (await house.submit(bot, "git", "status")).state == "pending"
    assert await verify_gate(house.db, house.audit, house.allowlist) == []


async def test_a_rule_is_used_no_more_often_than_it_says(house):
    await allow(house, "make", max_uses=3)
    views = await asyncio.gather(*(house.submit(agent(), "make") for _ in range(20)))
    assert sorted(view.state for view in views) == ["approved"] * 3 + ["pending"] * 17


class Says:
    def __init__(self, finding) -> None:
        self.finding = finding

    async def judge(self, command, context):
        if isinstance(self.finding, Exception):
            raise self.finding
        if self.finding is None:
            await asyncio.Event().wait()
        return self.finding

    def snapshot(self, workspace_id):
        return {}


@pytest.mark.parametrize(
    ("finding", "sentence"),
    [
        (Finding("deny", "never"), "strict: never"),
        (ZeroDivisionError(), "policy strict failed (ZeroDivisionError)"),
        (None, "policy strict did not answer within 0.05 seconds"),
        ("allow", "policy strict gave no usable answer"),
        (Finding("perhaps", "x"), "policy strict gave no usable answer"),
    ],
)
async def test_a_policy_that_fails_denies_by_its_name(house, finding, sentence):
    """Fail closed: also against a rule that allows."""
    await house.restart(extra={"strict": Says(finding)}, limits=GateLimits(policy_seconds=0.05))
    await allow(house, "ls")
    view = await house.submit(agent(), "ls")
    assert view.state == "denied"
    assert sentence in view.verdict.note
    assert await house.acts(view) == ["command.refused"]
    assert await verify_gate(house.db, house.audit) == []


async def test_an_idempotency_key_gives_the_first_answer_again(house):
    bot, raw = agent(), command()
    first = await house.gate.submit(bot, house.workspace, submission(raw), "k1")
    again = await house.gate.submit(bot, house.workspace, submission(raw), "k1")
    assert again.id == first.id
    with pytest.raises(Unprocessable):
        await house.gate.submit(bot, house.workspace, submission(), "k1")
    with pytest.raises(Unprocessable):
        await house.gate.submit(bot, house.workspace, submission(raw, reason="other"), "k1")
    assert (await house.gate.submit(agent(), house.workspace, submission(raw), "k1")).id != first.id
    together = await asyncio.gather(
        *(house.gate.submit(bot, house.workspace, submission(raw), "k2") for _ in range(10))
    )
    assert len({view.id for view in together}) == 1
    with pytest.raises(FailgateError):
        await house.gate.submit(bot, house.workspace, submission(raw), "")


async def test_explaining_submits_nothing_and_uses_nothing(house):
    rule = await allow(house, "ls", max_uses=1)
    explained = await house.gate.explain(agent(), house.workspace, command("ls"))
    assert explained.decision == "allow"
    assert [finding.policy for finding in explained.findings] == ["allowlist", "quorum"]
    assert (await house.gate.explain(agent(), house.workspace, command("rm"))).decision == "ask"
    assert await house.db.fetch("SELECT id FROM gate_command") == []
    assert (await house.allowlist.rules(house.workspace))[0].uses == 0
    assert rule.max_uses == 1


async def test_waiting_ends_with_the_decision(house):
    bot = agent()
    view = await house.submit(bot)
    waiting = [asyncio.create_task(house.gate.wait(house.workspace, view.id, bot, 50)) for _ in range(5)]
    forever = asyncio.create_task(house.gate.wait(house.workspace, view.id, bot, None))
    await asyncio.sleep(0)
    await house.vote(await house.person(), view)
    assert {(await each).state for each in [*waiting, forever]} == {"approved"}
    assert (await house.gate.wait(house.workspace, view.id, bot, 50)).state == "approved"
    other = await house.submit(bot)
    assert (await house.gate.wait(house.workspace, other.id, bot, 0)).state == "pending"
    assert (await house.gate.wait(house.workspace, other.id, bot, 0.01)).state == "pending"


async def test_who_waits_is_told_without_asking_the_database(house, monkeypatch):
    bot = agent()
    view = await house.submit(bot)
    waiting = asyncio.create_task(house.gate.wait(house.workspace, view.id, bot, 50))
    person = await house.person()
    monkeypatch.setattr(house.db, "fetch", None)
    voted = await house.vote(person, view)
    told = await waiting
    assert told == voted
    assert told.verdict is not None


async def test_waiting_ends_when_the_gate_closes(house):
    bot = agent()
    view = await house.submit(bot)
    waiting = asyncio.create_task(house.gate.wait(house.workspace, view.id, bot, None))
    await asyncio.sleep(0.05)
    await house.gate.close()
    assert (await waiting).state == "pending"


async def test_the_timer_task_expires_by_itself(database, tmp_path):
    from failgate.base.clock import SystemClock
    from tests.gate.conftest import House

    made = House(database, SystemClock(), tmp_path)
    await made.start()
    made.gate.run()
    bot = agent()
    view = await made.submit(bot, ttl_seconds=1)
    assert (await made.gate.wait(made.workspace, view.id, bot, 10)).state == "expired"
    assert await made.state(view) == "expired"
    await made.stop()


async def test_a_full_queue_refuses_what_would_wait_and_lets_the_allowed_pass(house):
    await house.restart(limits=GateLimits(max_pending=2))
    await allow(house, "ls")
    bot = agent()
    first = await house.submit(bot)
    await house.submit(bot)
    with pytest.raises(TooManyRequests):
        await house.submit(bot)
    assert (await house.submit(bot, "ls")).state == "approved"
    await house.vote(await house.person(), first)
    assert (await house.submit(bot)).state == "pending"


async def test_a_hundred_kilobytes_of_arguments_are_refused_by_the_limit_s_name(house):
    with pytest.raises(TooLarge) as refused:
        await house.submit(agent(), "echo", "x" * 100_000)
    assert "65536" in str(refused.value)


async def test_pages_go_backwards_through_everything_once(house):
    bot = agent()
    ids = [(await house.submit(bot)).id for _ in range(7)]
    seen, after = [], None
    while True:
        page = await house.gate.page(house.workspace, limit=3, after=after)
        seen += [item.id for item in page.items]
        after = page.next
        if after is None:
            break
    assert seen == ids[::-1]
    assert [view.id for view in house.gate.pending(house.workspace)] == ids
    assert (await house.gate.page(new_id())).items == []


async def test_sixty_four_deciders_give_one_outcome(house):
    """E8: one terminal transition, the losers get 409 with the stored state."""
    people = [await house.person() for _ in range(64)]
    for round_ in range(3):
        view = await house.submit(agent())
        results = await asyncio.gather(
            *(
                house.vote(person, view, "approve" if (place + round_) % 2 else "deny")
                for place, person in enumerate(people)
            ),
            return_exceptions=True,
        )
        won = [result for result in results if not isinstance(result, Exception)]
        lost = [result for result in results if isinstance(result, Exception)]
        assert len(won) == 1
        assert {type(result) for result in lost} == {Conflict}
        assert {result.facts["state"] for result in lost} == {won[0].state} == {await house.state(view)}
        assert len(await house.acts(view)) == 3
    assert await verify_gate(house.db, house.audit) == []


async def test_of_many_consumers_one_executes(house):
    bot = agent()
    view = await house.submit(bot)
    await house.vote(await house.person(), view)
    results = await asyncio.gather(*(house.consume(bot, view) for _ in range(32)), return_exceptions=True)
    assert sum(not isinstance(result, Exception) for result in results) == 1
    assert (await house.acts(view)).count("command.consumed") == 1


async def test_a_caller_that_leaves_does_not_leave_half_a_decision(house):
    view = await house.submit(agent())
    reviewer = await house.person()
    voting = asyncio.create_task(house.vote(reviewer, view))
    await asyncio.sleep(0)
    voting.cancel()
    await asyncio.wait([voting])
    later = await house.submit(agent())
    assert await house.state(view) in {"approved", "pending"}
    assert (await house.acts(view))[-1] == (
        "command.approved" if await house.state(view) == "approved" else "command.created"
    )
    assert (house.gate._queue.get(view.id) is None) == (await house.state(view) == "approved")
    assert later.state == "pending"


async def test_no_record_holds_the_command_the_reason_or_a_note(house):
    """E18."""
    bot = agent()
    view = await house.submit(bot, "curl", "PLANTED-1", reason="PLANTED-2")
    await house.vote(await house.person(), view, note="PLANTED-3")
    for stored in await house.audit.records(house.workspace, limit=1000):
        assert b"PLANTED" not in stored.leaf


def keyed(who, route: str, body=None, text: str = "k"):
    return request_key(text, who.id, (route,), body)


async def test_a_lost_answer_to_a_verb_is_given_again_and_nothing_happens_twice(house):
    """Vote, consume and outcome, each asked three times with its key: one record each."""
    bot, ann, gate, where = agent(), await house.person(), house.gate, house.workspace
    view = await house.submit(bot)
    vote, consume = Vote("approve", view.digest), Consume(view.digest)
    outcome = Outcome(view.digest, exit_code=0, duration_ms=5)
    voted = [await gate.vote(ann, where, view.id, vote, keyed(ann, "vote")) for _ in range(3)]
    used = [await gate.consume(bot, where, view.id, consume, keyed(bot, "consume")) for _ in range(3)]
    told = [await gate.outcome(bot, where, view.id, outcome, keyed(bot, "outcome")) for _ in range(3)]
    assert voted == [voted[0]] * 3
    assert [one.state for one in used] == ["executed"] * 3
    assert used == [used[0]] * 3  # the first answer, though the outcome is known by now
    assert told == [told[0]] * 3
    assert used[0].outcome is None
    assert await gate.consume(bot, where, view.id, consume, keyed(bot, "consume")) == used[0]
    assert await house.acts(view) == [
        "command.created", "vote.cast", "command.approved", "command.consumed", "command.finished",
    ]  # fmt: skip
    with pytest.raises(Conflict):
        await gate.consume(bot, where, view.id, consume, keyed(bot, "consume", text="another"))
    with pytest.raises(Unprocessable):
        await gate.consume(bot, where, view.id, consume, keyed(bot, "consume", body={"digest": "other"}))


async def test_of_many_who_consume_together_only_the_holder_of_the_key_is_let_through(house):
    """P4: the key of one request opens the approval for its repetitions and for nobody else."""
    bot, ann = agent(), await house.person()
    view = await house.submit(bot)
    await house.vote(ann, view)
    keys = [keyed(bot, "consume", text=f"k{number % 4}") for number in range(20)]
    answers = await asyncio.gather(
        *(house.gate.consume(bot, house.workspace, view.id, Consume(view.digest), key) for key in keys),
        return_exceptions=True,
    )
    passed = {key.id for key, answer in zip(keys, answers, strict=True) if not isinstance(answer, Exception)}
    assert len(passed) == 1
    assert sum(not isinstance(answer, Exception) for answer in answers) == 5  # the first, and its repetitions
    assert all(isinstance(answer, Conflict) for answer in answers if isinstance(answer, Exception))
    assert (await house.acts(view)).count("command.consumed") == 1


async def test_cancelling_twice_with_one_key_answers_twice(house):
    bot = agent()
    view = await house.submit(bot)
    first, again = [await house.gate.cancel(bot, house.workspace, view.id, keyed(bot, "cancel")) for _ in range(2)]
    assert first == again
    assert first.state == "cancelled"
    assert await house.acts(view) == ["command.created", "command.cancelled"]


async def test_a_key_of_a_refused_verb_may_be_tried_again(house):
    bot, ann = agent(), await house.person()
    view = await house.submit(bot)
    with pytest.raises(Conflict):
        await house.gate.consume(bot, house.workspace, view.id, Consume(view.digest), keyed(bot, "consume"))
    await house.vote(ann, view)
    used = await house.gate.consume(bot, house.workspace, view.id, Consume(view.digest), keyed(bot, "consume"))
    assert used.state == "executed"


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"limit": 0}, "limit is 0; it has to lie between 1 and 200."),
        ({"limit": 201}, "limit is 201; it has to lie between 1 and 200."),
        ({"after": "x"}, "after is no identifier. Send the `next` of the page before."),
    ],
)
async def test_a_page_that_cannot_be_is_refused(house, wish, words):
    with pytest.raises(BadInput) as error:
        await house.gate.page(house.workspace, **wish)
    assert str(error.value) == words
