"""Rules that others approve. E28; SECURITY section 4."""

import pytest

from failgate.access.principal import Principal
from failgate.audit.record import Actor
from failgate.base.errors import Conflict, Forbidden, NotFound, Unprocessable
from failgate.base.idempotency import RequestKey, request_key
from failgate.base.ids import new_id
from failgate.gate.rule_proposals import RuleProposals
from failgate.wire.gate import Rule
from tests.gate.conftest import agent

RULES = [Rule(kind="prefix", effect="allow", argv=["ls"]), Rule(kind="exact", effect="allow", argv=["git", "status"])]


@pytest.fixture
async def proposals(house) -> RuleProposals:
    made = RuleProposals(house.db, house.audit, house.clock, house.rules)
    await made.set_approvers(Actor("user", new_id()), house.workspace, 2)
    return made


async def effective(house) -> list[list[str]]:
    return [rule.argv for rule in (await house.rules.page(house.workspace)).items]


async def test_two_others_approve_and_then_the_rules_hold(house, proposals):
    ann, bob, cy = [await house.person("admin") for _ in range(3)]
    with pytest.raises(Conflict):
        await house.rules.create(Actor.of(ann), house.workspace, RULES[0])
    made = await proposals.propose(ann, house.workspace, RULES)
    assert (await house.submit(agent(), "ls")).state == "pending"
    with pytest.raises(Forbidden):
        await proposals.approve(ann, house.workspace, made.id, made.digest)
    await proposals.approve(bob, house.workspace, made.id, made.digest)
    with pytest.raises(Conflict):
        await proposals.approve(bob, house.workspace, made.id, made.digest)
    assert await effective(house) == []
    await proposals.approve(cy, house.workspace, made.id, made.digest)
    assert await effective(house) == [["ls"], ["git", "status"]]
    assert (await house.submit(agent(), "ls", "-l")).state == "approved"
    assert await proposals.waiting(house.workspace) == []
    acts = [each.record["act"] for each in await house.audit.newest(house.workspace, obj_id=made.id)]
    assert sorted(acts) == ["rule.approved", "rule.approved", "rule.proposed"]
    with pytest.raises(NotFound):
        await proposals.approve(bob, house.workspace, made.id, made.digest)


async def test_who_answers_for_the_proposing_program_does_not_approve(house, proposals):
    ann = await house.person("admin")
    key = Principal(kind="agent", agent_id=new_id(), owner_account_id=ann.account_id, auth=("token",), label="bot")
    made = await proposals.propose(key, house.workspace, RULES)
    with pytest.raises(Forbidden):
        await proposals.approve(ann, house.workspace, made.id, made.digest)
    with pytest.raises(Forbidden):
        await proposals.approve(agent(), house.workspace, made.id, made.digest)


async def test_an_approval_counts_only_while_its_giver_may_make_rules(house, proposals):
    ann, bob, cy, dee = [await house.person("admin") for _ in range(4)]
    made = await proposals.propose(ann, house.workspace, RULES)
    await proposals.approve(bob, house.workspace, made.id, made.digest)
    await house.sql("UPDATE membership SET role = 'reviewer' WHERE account_id = $1", bob.account_id)
    await proposals.approve(cy, house.workspace, made.id, made.digest)
    assert await effective(house) == []
    await proposals.approve(dee, house.workspace, made.id, made.digest)
    assert len(await effective(house)) == 2


async def test_fewer_approvers_later_lower_nothing_that_waits(house, proposals):
    ann, bob = [await house.person("admin") for _ in range(2)]
    made = await proposals.propose(ann, house.workspace, RULES)
    await proposals.set_approvers(Actor.of(ann), house.workspace, 0)
    await proposals.approve(bob, house.workspace, made.id, made.digest)
    assert await effective(house) == []
    assert (await house.rules.create(Actor.of(ann), house.workspace, RULES[0])).argv == ["ls"]
    with pytest.raises(Conflict):
        await proposals.propose(ann, house.workspace, RULES)


@pytest.mark.parametrize("how", ["rules", "both"])
async def test_rules_that_were_edited_in_the_database_are_not_approved(house, proposals, how):
    ann, bob = [await house.person("admin") for _ in range(2)]
    made = await proposals.propose(ann, house.workspace, RULES)
    other = await proposals.propose(ann, house.workspace, RULES[:1])
    await house.sql(
        "UPDATE gate_rule_proposal SET rules = (SELECT rules FROM gate_rule_proposal WHERE id = $1) WHERE id = $2",
        other.id,
        made.id,
    )
    if how == "both":
        await house.sql("UPDATE gate_rule_proposal SET digest = $1 WHERE id = $2", other.digest, made.id)
    with pytest.raises(Conflict):
        await proposals.approve(bob, house.workspace, made.id, other.digest if how == "both" else made.digest)
    await proposals.withdraw(Actor.of(bob), house.workspace, made.id)
    with pytest.raises(NotFound):
        await proposals.withdraw(Actor.of(bob), house.workspace, made.id)


async def test_what_refuses_needs_nobody_and_a_foreign_workspace_sees_nothing(house, proposals):
    ann, bob = [await house.person("admin") for _ in range(2)]
    await house.rules.create(Actor.of(ann), house.workspace, Rule(kind="prefix", effect="deny", argv=["rm"]))
    made = await proposals.propose(ann, house.workspace, RULES)
    assert await proposals.waiting(new_id()) == []
    with pytest.raises(NotFound):
        await proposals.approve(bob, new_id(), made.id, made.digest)
    with pytest.raises(Conflict):
        await proposals.approve(bob, house.workspace, made.id, "x")
    for number in (-1, 11):
        with pytest.raises(Unprocessable):
            await proposals.set_approvers(Actor.of(ann), house.workspace, number)
    with pytest.raises(Unprocessable):
        await proposals.propose(ann, house.workspace, [Rule(kind="prefix", effect="allow", argv=["bash"])])


async def test_a_death_between_the_last_approval_and_the_rules_is_mended_by_approving_again(
    house, proposals, monkeypatch
):
    ann, bob, cy = [await house.person("admin") for _ in range(3)]
    made = await proposals.propose(ann, house.workspace, RULES)
    await proposals.approve(bob, house.workspace, made.id, made.digest)
    create = house.rules.create_approved

    async def dies(*args, **_):
        if args[2].kind == "exact":
            raise RuntimeError("killed")
        return await create(*args)

    monkeypatch.setattr(house.rules, "create_approved", dies)
    with pytest.raises(RuntimeError):
        await proposals.approve(cy, house.workspace, made.id, made.digest)
    monkeypatch.undo()
    await proposals.approve(cy, house.workspace, made.id, made.digest)
    assert await effective(house) == [["ls"], ["git", "status"]]


async def test_starter_rules_are_taken_over_or_proposed(house, proposals):
    ann = await house.person("admin")
    added, waiting = await proposals.take_starter(ann, house.workspace, ["/src/app"])
    assert (added, len(waiting.rules) > 150) == (0, True)
    await proposals.set_approvers(Actor.of(ann), house.workspace, 0)
    with pytest.raises(Unprocessable):
        await proposals.take_starter(ann, house.workspace, [])
    with pytest.raises(Unprocessable):
        await proposals.take_starter(ann, house.workspace, ["src"])


async def test_a_request_that_comes_twice_has_one_effect_and_one_answer(house, proposals):
    ann, bob, cy = [await house.person("admin") for _ in range(3)]

    def key(text: str, body: object = "") -> RequestKey:
        return request_key(text, "ann", ("door",), body)

    made = [await proposals.propose(ann, house.workspace, RULES, key("a")) for _ in range(2)]
    assert made[0] == made[1]
    with pytest.raises(Unprocessable):
        await proposals.propose(ann, house.workspace, RULES, key("a", "another body"))
    starter = [await proposals.take_starter(ann, house.workspace, ["/src"], None, key("s")) for _ in range(2)]
    assert starter[0] == starter[1]
    assert len(await proposals.waiting(house.workspace)) == 2
    for who, text in ((bob, "b"), (cy, "c")):
        first, again = [
            await proposals.approve(who, house.workspace, made[0].id, made[0].digest, key(text)) for _ in range(2)
        ]
        assert first == again
    assert await effective(house) == [["ls"], ["git", "status"]]
    await proposals.set_approvers(Actor.of(ann), house.workspace, 0)
    taken = [await proposals.take_starter(ann, house.workspace, ["/app"], None, key("t")) for _ in range(2)]
    assert taken[0] == taken[1]
    assert taken[0][0] > 150
