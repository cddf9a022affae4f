"""Exact rules: in memory, durable, never wider than they say. E2 E28."""

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from failgate_allowlist import Allowlist, plugin

from failgate.plugin import Argument, CommandContext, Conflict, NoSettings, Provides, Rule, RuleScope
from failgate.testing import FrozenClock, PolicyContract, command, host_at, opened

WS, OTHER = "w1", "w2"


def exact(*argv: str, **members) -> Rule:
    return Rule(kind="exact", effect=members.pop("effect", "allow"), argv=list(argv), **members)


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
async def allowlist(tmp_path: Path, clock: FrozenClock) -> AsyncIterator[Allowlist]:
    async with opened(plugin, NoSettings(), host_at(tmp_path, clock=clock)) as provides:
        yield provides.rulebook


async def add(allowlist: Allowlist, clock: FrozenClock, rule_id: str, rule: Rule, workspace: str = WS) -> None:
    await allowlist.add(workspace, rule_id, rule, created_by="ann", created_us=clock.now_us())


async def says(allowlist: Allowlist, clock: FrozenClock, *argv: str, workspace: str = WS, **members) -> str:
    context = CommandContext(workspace, "bot", "ann", clock.now_us())
    return (await allowlist.judge(command(*argv, **members), context)).says


class TestAllowlistContract(PolicyContract):
    @pytest.fixture
    async def policy(self, tmp_path: Path, context: CommandContext) -> AsyncIterator[Allowlist]:
        async with opened(plugin, NoSettings(), host_at(tmp_path)) as provides:
            judged = exact(*command().argv)
            await provides.rulebook.add(context.workspace_id, "r", judged, created_by="a", created_us=1)
            yield provides.approval_policy


async def test_it_is_policy_and_rulebook_in_one(tmp_path: Path):
    async with opened(plugin, NoSettings(), host_at(tmp_path)) as provides:
        assert isinstance(provides, Provides)
        assert provides.approval_policy is provides.rulebook
        assert await provides.health() is None


async def test_exact_is_every_token_and_nothing_else(allowlist, clock):
    await add(allowlist, clock, "r", exact("git", "status", "--short"))
    assert await says(allowlist, clock, "git", "status", "--short") == "allow"
    assert await says(allowlist, clock, "git", "status", "--short", cwd="/", env={"LANG": "C.UTF-8"}) == "allow"
    assert await says(allowlist, clock, "git", "status", "--short", env={"LD_PRELOAD": "/x"}) == "abstain"
    for other in (
        ["git"],
        ["git", "status"],
        ["git", "status", "--short", ""],
        ["git", "status", "--short", "."],
        ["git status --short"],
        ["git", "status --short"],
        ["git", "--short", "status"],
        ["git", "status", "--Short"],
        ["git", "status", "--short\n"],
        ["git", "status", " --short"],
        ["git", "status", "--short\u200b"],
        ["g\u0456t", "status", "--short"],
        ["/usr/bin/git", "status", "--short"],
        ["env", "git", "status", "--short"],
        ["sh", "-c", "git status --short; id"],
        ["sh", "-c", "git status --short > x"],
    ):
        assert await says(allowlist, clock, *other) == "abstain"
    assert await says(allowlist, clock, "sh", "-c", "git status --short") == "allow"  # it runs the same
    assert await says(allowlist, clock, "git", "status", "--short", workspace=OTHER) == "abstain"


async def test_no_variation_of_an_allowed_command_passes(allowlist, clock):
    """E28: 5,000 seeded variations."""
    argv = ["kubectl", "get", "pods", "--namespace", "payments"]
    await add(allowlist, clock, "r", exact(*argv))
    rolls = random.Random(11)
    letters = "abz-= ;&|$`\n\t\0\u200b\u202e\u0430/*?"
    for _ in range(5000):
        other = list(argv)
        for _ in range(rolls.randint(1, 2)):
            place = rolls.randrange(len(other))
            move = rolls.randrange(5)
            if move == 0:
                cut = rolls.randint(0, len(other[place]))
                other[place] = other[place][:cut] + rolls.choice(letters) + other[place][cut:]
            elif move == 1:
                other[place] = other[place][:-1]
            elif move == 2:
                other.insert(place, rolls.choice(letters))
            elif move == 3 and len(other) > 1:
                del other[place]
            else:
                other[place] = other[place].swapcase()
        if other != argv:
            assert await says(allowlist, clock, *other) == "abstain", other


async def test_a_denial_beats_every_allowance(allowlist, clock):
    await add(allowlist, clock, "r1", exact("rm"))
    await add(allowlist, clock, "r2", exact("rm", effect="deny", ttl_seconds=60))
    await add(allowlist, clock, "r3", exact("rm"))
    assert await says(allowlist, clock, "rm") == "deny"
    clock.advance(60)
    assert await says(allowlist, clock, "rm") == "allow"


async def test_a_rule_ends_with_its_time(allowlist, clock):
    await add(allowlist, clock, "r", exact("ls", ttl_seconds=60))
    clock.advance(59.999999)
    assert await says(allowlist, clock, "ls") == "allow"
    assert await allowlist.use(WS, "r")
    clock.advance(0.000001)
    assert await says(allowlist, clock, "ls") == "abstain"
    assert not await allowlist.use(WS, "r")
    assert await allowlist.rules(WS) == []


async def test_a_limited_rule_is_used_up_also_by_many_at_once(allowlist, clock):
    await add(allowlist, clock, "r", exact("ls", max_uses=10))
    used = await asyncio.gather(*(allowlist.use(WS, "r") for _ in range(50)))
    assert sum(used) == 10
    assert await says(allowlist, clock, "ls") == "abstain"


async def test_judging_counts_nothing(allowlist, clock):
    await add(allowlist, clock, "r", exact("ls", max_uses=1))
    for _ in range(5):
        assert await says(allowlist, clock, "ls") == "allow"
    assert [rule.uses for rule in await allowlist.rules(WS)] == [0]


async def test_a_rule_of_another_workspace_is_not_used_nor_revoked(allowlist, clock):
    await add(allowlist, clock, "r", exact("ls"))
    assert not await allowlist.use(OTHER, "r")
    assert not await allowlist.revoke(OTHER, "r")
    assert await says(allowlist, clock, "ls") == "allow"
    assert await allowlist.revoke(WS, "r")
    assert not await allowlist.revoke(WS, "r")
    assert await says(allowlist, clock, "ls") == "abstain"
    assert not await allowlist.use(WS, "r")


async def test_adding_the_same_rule_again_changes_nothing_and_another_under_its_id_is_refused(allowlist, clock):
    await add(allowlist, clock, "r", exact("ls"))
    await add(allowlist, clock, "r", exact("ls"))
    assert len(await allowlist.rules(WS)) == 1
    with pytest.raises(Conflict):
        await add(allowlist, clock, "r", exact("rm"))
    await allowlist.revoke(WS, "r")
    with pytest.raises(Conflict):
        await add(allowlist, clock, "r", exact("ls"))
    assert await says(allowlist, clock, "ls") == "abstain"


async def test_rules_and_uses_are_there_after_a_restart(tmp_path: Path, clock):
    host = host_at(tmp_path, clock=clock)
    async with opened(plugin, NoSettings(), host) as provides:
        book = provides.rulebook
        await add(book, clock, "r1", exact("ls", note="n"))
        await add(book, clock, "r2", exact("rm", max_uses=3))
        await add(book, clock, "r3", exact("gone"))
        await add(book, clock, "r4", exact("apart"))
        await book.revoke(WS, "r3")
        await book.quarantine("r4")
        for rule_id in ("r1", "r1", "r2"):
            assert await book.use(WS, rule_id)
        before, stored, snapshot = await book.rules(WS), await book.stored(), book.snapshot(WS)
    async with opened(plugin, NoSettings(), host) as provides:
        book = provides.rulebook
        assert await book.rules(WS) == before
        assert [(rule.id, rule.uses) for rule in before] == [("r1", 2), ("r2", 1)]
        assert await book.stored() == stored
        assert book.snapshot(WS) == snapshot
        assert await says(book, clock, "apart") == "abstain"


async def test_the_snapshot_tells_rule_sets_apart_and_not_their_uses(allowlist, clock):
    empty = allowlist.snapshot(WS)
    await add(allowlist, clock, "r", exact("ls"))
    one = allowlist.snapshot(WS)
    await allowlist.use(WS, "r")
    assert allowlist.snapshot(WS) == one != empty
    assert allowlist.snapshot(OTHER) == empty
    await allowlist.revoke(WS, "r")
    assert allowlist.snapshot(WS) == empty


async def test_a_decision_asks_no_database(allowlist, clock):
    """A closed database does not matter to a rule without a limit."""
    await add(allowlist, clock, "r", exact("ls"))
    await allowlist._database.close()
    assert await says(allowlist, clock, "ls") == "allow"
    assert await allowlist.use(WS, "r")


async def test_a_deleted_workspace_leaves_no_row_behind(tmp_path: Path, clock: FrozenClock) -> None:
    async with opened(plugin, NoSettings(), host_at(tmp_path, clock=clock)) as provides:
        book: Allowlist = provides.rulebook
        await add(book, clock, "r1", exact("/bin/a"))
        await add(book, clock, "r2", exact("/bin/b"))
        await add(book, clock, "r3", exact("/bin/a"), OTHER)
        await book.revoke(WS, "r2")
        await book.forget(WS)
        await book.forget(WS)
        assert (await book.rules(WS), [row[:2] for row in await book.stored()]) == ([], [(OTHER, "r3")])
        assert await says(book, clock, "/bin/a") == await says(book, clock, "/bin/b") != "allow"
        assert await says(book, clock, "/bin/a", workspace=OTHER) == "allow"


LATER = [
    Rule(kind="prefix", effect="deny", argv=["rm"], owner="ann", review_by="2027-01-31"),
    Rule(
        kind="argument", effect="allow", argv=["git", "log"], rest=Argument(one_of=["-1"]), scope=RuleScope(hosts=["h"])
    ),
    Rule(kind="re2", effect="allow", argv=[], pattern="tool [a-z]+", env=["APP"], max_uses=3),
    Rule(kind="path", effect="allow", argv=[], pattern="/srv/tools/", note="n"),
]


async def test_rules_of_every_kind_are_the_same_after_a_restart(tmp_path: Path, clock):
    host = host_at(tmp_path, clock=clock)
    async with opened(plugin, NoSettings(), host) as provides:
        for number, rule in enumerate(LATER):
            await add(provides.rulebook, clock, f"r{number}", rule)
        assert await provides.rulebook.use(WS, "r2")
        before, stored = await provides.rulebook.rules(WS), await provides.rulebook.stored()
    assert [view.last_used_at is not None for view in before] == [False, False, True, False]
    async with opened(plugin, NoSettings(), host) as provides:
        assert await provides.rulebook.rules(WS) == before
        assert await provides.rulebook.stored() == stored
        assert await says(provides.rulebook, clock, "rm", "x") == "deny"
        assert await says(provides.rulebook, clock, "tool", "x", env={"APP": "1"}) == "allow"


async def test_a_line_uses_the_rule_of_each_of_its_commands(allowlist, clock):
    await add(allowlist, clock, "r1", exact("a", max_uses=2))
    await add(allowlist, clock, "r2", exact("b"))
    finding = await allowlist.judge(command("sh", "-c", "a && b | a"), CommandContext(WS, "bot", "ann", clock.now_us()))
    assert (finding.says, finding.rule_id, finding.more_rule_ids) == ("allow", "r1", ("r2", "r1"))
    for rule_id in ("r1", "r2", "r1"):
        assert await allowlist.use(WS, rule_id)
    assert await says(allowlist, clock, "sh", "-c", "a && b") == "abstain"


async def test_one_refused_command_refuses_the_line_and_too_many_refuse_it_too(allowlist, clock):
    await add(allowlist, clock, "r1", exact("a"))
    await add(allowlist, clock, "r2", Rule(kind="prefix", effect="deny", argv=["rm"]))
    assert await says(allowlist, clock, "sh", "-c", "a; /bin/rm x") == "deny"
    assert await says(allowlist, clock, "sh", "-c", "a; unknown") == "abstain"
    assert await says(allowlist, clock, "sh", "-c", "a; $X") == "abstain"
    assert await says(allowlist, clock, "sh", "-c", ";".join(["a"] * 60)) == "deny"


async def test_an_old_rule_of_a_line_that_cannot_be_inspected_lets_nothing_pass(allowlist, clock):
    await add(allowlist, clock, "r1", exact("sh", "-c", "rm $X"))
    assert await says(allowlist, clock, "sh", "-c", "rm $X") == "abstain"
