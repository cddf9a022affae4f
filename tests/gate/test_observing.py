"""Observing: commands run although nothing let them pass, everything says so, and it ends by itself. B8"""

import asyncio

import pytest
from msgspec.structs import replace

from failgate.access.principal import Principal
from failgate.audit.record import Act, Actor, Event
from failgate.base.errors import Conflict, Forbidden, NotFound, Unprocessable
from failgate.base.idempotency import request_key
from failgate.base.ids import new_id
from failgate.gate.parts import GateLimits
from failgate.gate.policy import Finding
from failgate.gate.stored import load
from failgate.gate.terms import Group, Terms
from failgate.gate.verification import verify_gate
from failgate.web.pages.text import microseconds
from failgate.wire.gate import Outcome, Rule
from tests.gate.conftest import agent

DAY = 86_400


async def observe(house, days: int = 7, **wish):
    owner = await house.person("owner")
    return owner, await house.gate.observing.begin(owner, house.workspace, days=days, **wish)


async def refuse(house, *argv: str):
    owner = await house.person("owner")
    return await house.rules.create(
        Actor.of(owner), house.workspace, Rule(kind="prefix", effect="deny", argv=list(argv))
    )


async def test_a_command_that_would_have_waited_runs_and_is_called_observed(house):
    _, period = await observe(house)
    bot = agent()
    view = await house.submit(bot, "make", "deploy")
    assert (view.state, view.need) == ("approved", 1)
    assert view.verdict.decision == "approve"
    assert view.verdict.by == []
    assert view.verdict.observed == view.observed
    assert (view.observed.would, view.observed.by, view.observed.waiting_for) == ("wait", ["quorum"], "a reviewer")
    assert view.observed.observing == period.id
    await house.consume(bot, view)
    done = await house.gate.outcome(
        bot, house.workspace, view.id, Outcome(digest=view.digest, exit_code=0, duration_ms=1)
    )
    assert (done.state, done.observed.would) == ("executed", "wait")
    assert await house.acts(view) == ["command.observed", "command.consumed", "command.finished"]
    assert await verify_gate(house.db, house.audit, house.allowlist) == []


async def test_who_would_have_been_asked_is_kept_with_the_command(house):
    terms = Terms(groups=(Group("security", 2, roles=("admin",)),), deny_after=2)

    class Two:
        async def judge(self, command, context):
            return Finding("ask", "two of them", need=2, terms=terms)

        def snapshot(self, workspace_id):
            return {}

    await house.restart(extra={"two": Two()})
    await observe(house)
    view = await house.submit(agent(), "make")
    assert (view.observed.need, view.observed.waiting_for) == (2, "reviewers: 2 of security")
    assert await verify_gate(house.db, house.audit) == []


async def test_a_rule_that_lets_pass_and_a_rule_that_refuses_do_what_they_always_do(house):
    await refuse(house, "rm")
    owner = await house.person("owner")
    await house.rules.create(Actor.of(owner), house.workspace, Rule(kind="exact", effect="allow", argv=["ls"]))
    await observe(house)
    allowed, denied = await house.submit(agent(), "ls"), await house.submit(agent(), "rm", "-rf", "x")
    assert (allowed.state, allowed.observed) == ("approved", None)
    assert allowed.verdict.by == ["allowlist"]
    assert (denied.state, denied.observed) == ("denied", None)
    assert await house.acts(denied) == ["command.refused"]


async def test_a_refusal_is_only_observed_where_the_owner_wanted_that(house):
    await refuse(house, "rm")
    await observe(house, denials=True)
    view = await house.submit(agent(), "rm", "-rf", "x")
    assert (view.state, view.observed.would, view.observed.need) == ("approved", "deny", 0)
    assert view.observed.by == ["allowlist"]
    assert view.observed.reason.startswith("allowlist: ")
    assert view.observed.waiting_for == ""
    assert await verify_gate(house.db, house.audit, house.allowlist) == []


async def test_of_one_agent_the_others_wait(house):
    one, other = agent(), agent()
    await house.sql(
        "INSERT INTO agent (id, workspace_id, name, owner_account_id, created_us) VALUES ($1, $2, 'one', $3, 1)",
        one.agent_id, house.workspace, one.owner_account_id,
    )  # fmt: skip
    owner, period = await observe(house, agent_id=one.agent_id)
    assert (await house.submit(one, "make")).observed.observing == period.id
    assert (await house.submit(other, "make")).state == "pending"
    assert (await house.submit(await house.person("developer"), "make")).state == "pending"
    wide = await house.gate.observing.begin(owner, house.workspace, days=1, denials=True)
    await refuse(house, "rm")
    assert (await house.submit(other, "rm")).observed.observing == wide.id
    assert (await house.submit(one, "rm")).state == "denied"  # its own time comes before that of all
    with pytest.raises(NotFound):
        await house.gate.observing.begin(owner, house.workspace, days=1, agent_id=new_id())


async def test_it_ends_by_itself_on_its_last_day(house):
    _, period = await observe(house, days=1)
    bot = agent()
    house.clock.advance(DAY - 1)
    late = await house.submit(bot, "make")
    assert late.observed.observing == period.id
    assert microseconds(late.verdict.use_by) == period.expires_us
    house.clock.advance(1)
    assert house.gate.observing.running(house.workspace) == []
    assert (await house.submit(bot, "make")).state == "pending"
    with pytest.raises(Conflict):
        await house.consume(bot, late)
    _, again = await observe(house, days=1)
    assert again.id != period.id
    assert await verify_gate(house.db, house.audit) == []


async def test_an_owner_ends_it_and_what_was_let_pass_a_moment_ago_does_not_run(house):
    owner, period = await observe(house)
    bot, other = agent(), await house.person("owner")
    view = await house.submit(bot, "make")
    await house.gate.observing.end(other, house.workspace, period.id)
    with pytest.raises(Conflict) as refused:
        await house.consume(bot, view)
    assert "gated again" in str(refused.value)
    assert (await house.submit(bot, "make")).state == "pending"
    with pytest.raises(NotFound):
        await house.gate.observing.end(owner, house.workspace, period.id)
    assert await verify_gate(house.db, house.audit) == []


@pytest.mark.parametrize("role", ["admin", "reviewer", "developer", "auditor"])
async def test_nobody_but_an_owner_switches_it(house, role):
    _, period = await observe(house)
    someone = await house.person(role)
    with pytest.raises(Forbidden):
        await house.gate.observing.begin(someone, house.workspace, days=1)
    with pytest.raises(Forbidden):
        await house.gate.observing.end(someone, house.workspace, period.id)


async def test_no_key_and_no_agent_switches_it_for_an_owner(house):
    owner = await house.person("owner")
    for program in (
        Principal(kind="api_key", account_id=owner.account_id, auth=("token",), label="key"),
        agent(owner.account_id),
    ):
        with pytest.raises(Forbidden):
            await house.gate.observing.begin(program, house.workspace, days=1)


@pytest.mark.parametrize("days", [-1, 0, 91, 10**9])
async def test_it_has_an_end_within_90_days(house, days):
    with pytest.raises(Unprocessable):
        await observe(house, days=days)


async def test_the_same_is_observed_once_and_asked_again_with_its_key_it_is_the_same(house):
    owner = await house.person("owner")
    key = request_key("k", owner.id, ("observing.begin", house.workspace), [7])
    first = await house.gate.observing.begin(owner, house.workspace, days=7, key=key)
    assert await house.gate.observing.begin(owner, house.workspace, days=7, key=key) == first
    with pytest.raises(Conflict):
        await house.gate.observing.begin(owner, house.workspace, days=7)


async def test_what_the_operator_forbids_nobody_observes(house):
    owner, _ = await observe(house)
    bot = agent()
    view = await house.submit(bot, "make")
    await house.restart(limits=GateLimits(allow_observing=False))
    assert house.gate.observing.running(house.workspace) == []
    assert (await house.submit(bot, "make")).state == "pending"
    with pytest.raises(Conflict):
        await house.consume(bot, view)
    with pytest.raises(Forbidden):
        await house.gate.observing.begin(owner, house.workspace, days=1)


@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE gate_observing SET expires_us = expires_us + 1",
        "UPDATE gate_observing SET denials = 1",
        "UPDATE gate_observing SET agent_id = 'somebody'",
        "UPDATE gate_observing SET ended_us = NULL, ended_by = NULL",
        "DELETE FROM gate_observing",
    ],
)
async def test_a_row_that_was_edited_observes_nothing_and_is_named(house, edit):
    owner, period = await observe(house)
    if "ended_us" in edit:
        await house.gate.observing.end(owner, house.workspace, period.id)
    await house.sql(edit)
    await house.restart()
    assert (await house.submit(agent(), "make")).state == "pending"
    found = await verify_gate(house.db, house.audit)
    assert [(one.kind, one.id) for one in found] == [("observing", period.id)]


async def test_a_time_that_was_made_up_in_the_database_observes_nothing_and_is_named(house):
    made = new_id()
    await house.sql(
        "INSERT INTO gate_observing (id, workspace_id, agent_id, denials, begun_us, expires_us, begun_by)"
        " VALUES ($1, $2, '', 1, 1, 9000000000000000, 'x')", made, house.workspace,
    )  # fmt: skip
    await house.restart()
    assert (await house.submit(agent(), "make")).state == "pending"
    assert [one.id for one in await verify_gate(house.db, house.audit)] == [made]


@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE gate_command SET observed = NULL, observing_id = NULL WHERE id = $1",
        "UPDATE gate_command SET observed = 'deny' WHERE id = $1",
        "UPDATE gate_command SET observing_id = 'other' WHERE id = $1",
        "UPDATE gate_command SET need = 0 WHERE id = $1",
        "UPDATE gate_command SET terms = '{}' WHERE id = $1",
    ],
)
async def test_an_observed_command_is_not_passed_off_as_an_approved_one(house, edit):
    await observe(house)
    view = await house.submit(agent(), "make")
    await house.sql(edit, view.id)
    assert {one.id for one in await verify_gate(house.db, house.audit)} == {view.id}


@pytest.mark.parametrize("when", ["never", "ended", "over", "another agent", "refusal"])
async def test_an_observed_run_outside_of_its_time_is_caught(house, when):
    """Records that a server forged: each hash is right, and the time that they name is not."""
    bot = agent()
    if when == "another agent":
        other = agent()
        await house.sql(
            "INSERT INTO agent (id, workspace_id, name, owner_account_id, created_us) VALUES ($1, $2, 'o', 'x', 1)",
            other.agent_id, house.workspace,
        )  # fmt: skip
        await observe(house, agent_id=other.agent_id)
    elif when == "never":
        await observe(house)
    else:
        owner, period = await observe(house)
        if when == "ended":
            await house.gate.observing.end(owner, house.workspace, period.id)
        if when == "over":
            house.clock.advance(8 * DAY)
    period = (await house.gate.observing.newest(house.workspace))[0]
    if when == "never":
        period = replace(period, id=new_id())
    if when == "refusal":
        await refuse(house, "make")
        period = replace(period, denials=True)

    def covering(workspace_id, principal):
        return replace(period, expires_us=9_000_000_000_000_000)

    async def must_hold(tx, stored, at_us):
        return None

    house.gate.observing.covering, house.gate.observing.must_hold = covering, must_hold
    view = await house.submit(bot, "make")
    assert view.observed is not None
    assert [one.id for one in await verify_gate(house.db, house.audit)] == [view.id]


async def test_a_time_that_ends_between_the_judgement_and_the_record_lets_nothing_pass(house):
    owner, period = await observe(house)
    begun = house.gate.observing._begun
    house.gate.observing._begun = {workspace: dict(periods) for workspace, periods in begun.items()}
    as_it_was = house.gate.observing._begun
    house.gate.observing._begun = begun
    await house.gate.observing.end(owner, house.workspace, period.id)
    house.gate.observing._begun = as_it_was  # as whoever judged before the end still sees it
    with pytest.raises(Conflict):
        await house.submit(agent(), "make")
    assert (await house.submit(agent(), "make")).state == "pending"
    assert await verify_gate(house.db, house.audit) == []


async def test_it_goes_on_after_a_restart(house):
    _, period = await observe(house)
    await house.restart()
    assert (await house.submit(agent(), "make")).observed.observing == period.id


async def test_a_workspace_whose_rulebook_lacks_a_rule_is_gated(house):
    rule = await refuse(house, "rm")
    await observe(house, denials=True)
    await house.allowlist.quarantine(rule.id)
    house.gate._parts.known_rules.close(house.workspace, rule.id)
    assert (await house.submit(agent(), "rm")).state == "pending"


async def test_a_clock_that_went_back_observes_nothing(house):
    await observe(house)
    house.clock.step_wall(-3600)
    assert (await house.submit(agent(), "make")).state == "pending"


async def test_what_was_only_observed_makes_no_program_known(house):
    await observe(house)
    bot = agent()
    view = await house.submit(bot, "make")
    await house.consume(bot, view)
    assert await house.db.fetch("SELECT * FROM gate_familiar") == []


async def test_history_calls_nothing_approved_that_was_only_observed(house):
    owner, period = await observe(house)
    bot = agent()
    await house.consume(bot, await house.submit(bot, "make", "x"))
    await house.gate.observing.end(owner, house.workspace, period.id)
    view = await house.submit(bot, "make", "x")
    history = await house.gate.history(house.workspace, view.id, await house.person())
    assert (history.asked, history.approved, history.observed) == (0, 0, 1)
    assert [one.observed.would for one in history.last] == ["wait"]
    assert history.compared is None


async def test_suggestions_come_from_what_was_observed_and_say_so(house):
    await refuse(house, "make", "denied")
    await observe(house, denials=True)
    bot = agent()
    for number in range(4):
        await house.submit(bot, "make", f"target{number}")
    await house.submit(bot, "make", "denied")
    found = await house.gate.suggestions(house.workspace)
    assert (found.asked, found.answered, found.observed) == (4, 4, 4)


async def test_an_observed_command_takes_no_room_in_the_queue(house):
    await house.restart(limits=GateLimits(max_pending_each=1))
    await observe(house)
    bot = agent()
    for _ in range(3):
        assert (await house.submit(bot, "make")).observed is not None
    assert house.gate.pending_count() == 0


async def test_of_two_who_end_it_at_once_one_does(house):
    owner, period = await observe(house)
    async with house.unmoved("gate_observing"):
        with pytest.raises(NotFound) as none_runs:
            await house.gate.observing.end(owner, house.workspace, period.id)
    assert str(none_runs.value) == "No such time of observing runs. It may have ended meanwhile."
    assert [one.record["act"] for one in await house.audit.newest(house.workspace, limit=9, obj_id=period.id)] == [
        "observing.begun"
    ]
    assert house.gate.observing.running(house.workspace) == [period], "who was not the first ends nothing"
    ended = await asyncio.gather(
        *(house.gate.observing.end(owner, house.workspace, period.id) for _ in range(3)), return_exceptions=True
    )
    assert sorted(type(one).__name__ for one in ended) == ["NoneType", "NotFound", "NotFound"]
    assert await verify_gate(house.db, house.audit) == []


async def test_one_time_is_shown_in_its_own_workspace_alone(house):
    _, period = await observe(house)
    assert await house.gate.observing.one(house.workspace, period.id) == period
    for workspace, number in ((new_id(), period.id), (house.workspace, new_id())):
        with pytest.raises(NotFound, match="no such time of observing"):
            await house.gate.observing.one(workspace, number)


async def test_only_what_was_observed_is_held_to_the_time_of_observing(house):
    owner, period = await observe(house)
    view, other = await house.submit(agent(), "make"), await house.submit(agent(), "ls")
    observed = await load(house.db, house.workspace, view.id)
    approved = replace(await load(house.db, house.workspace, other.id), observing_id=None, observed=None)

    async def hold(*stored):
        await house.db.write(lambda tx: house.gate.observing.must_hold(tx, stored, house.clock.now_us()))

    await hold(approved, observed)
    await house.gate.observing.end(owner, house.workspace, period.id)
    await hold(approved)
    with pytest.raises(Conflict, match="gated again"):
        await hold(approved, observed)


async def test_the_end_of_one_time_leaves_the_others(house):
    one = agent()
    await house.sql(
        "INSERT INTO agent (id, workspace_id, name, owner_account_id, created_us) VALUES ($1, $2, 'one', $3, 1)",
        one.agent_id, house.workspace, one.owner_account_id,
    )  # fmt: skip
    owner, all_of_it = await observe(house)
    own = await house.gate.observing.begin(owner, house.workspace, days=1, agent_id=one.agent_id)
    await house.gate.observing.end(owner, house.workspace, all_of_it.id)
    assert house.gate.observing.running(house.workspace) == [own]
    assert (await house.submit(one, "make")).observed.observing == own.id
    assert (await house.submit(agent(), "make")).state == "pending"


async def test_records_of_another_kind_prove_no_time(house):
    """An object's records may hold others than those of its time; they neither begin nor end it."""
    _, period = await observe(house)
    await house.audit.record(
        Event(Act.MUTE_BEGUN, house.workspace, "observing", period.id, Actor("user", "x"), {
            "agent": "x", "command": "x", "what": "same", "expires_us": 1,
        })
    )  # fmt: skip
    await house.restart()
    bot = agent()
    view = await house.submit(bot, "make")
    assert view.observed.observing == period.id
    assert (await house.consume(bot, view)).state == "executed"
