"""Rules are recorded before they take effect, and prove their record at start. E2 E28."""

import sqlite3

import pytest

from failgate.audit.record import SERVER, Actor
from failgate.base.errors import BadInput, Conflict, NotFound, StorageUnavailable, TooLarge, Unprocessable
from failgate.base.idempotency import request_key
from failgate.base.ids import new_id
from failgate.gate.known_rules import KnownRules
from failgate.gate.rules import Rules
from failgate.gate.verification import verify_gate
from failgate.wire.gate import Rule
from tests.gate.conftest import agent, command, submission

ANN = Actor("user", new_id())


def exact(*argv: str, **members) -> Rule:
    return Rule(kind="exact", effect=members.pop("effect", "allow"), argv=list(argv), **members)


async def rule_acts(house, rule_id: str) -> list[str]:
    return [each.record["act"] for each in reversed(await house.audit.newest(house.workspace, obj_id=rule_id))]


async def make(house, *argv: str, **members) -> Rule:
    return await house.rules.create(ANN, house.workspace, exact(*argv, **members))


async def edit(house, statement: str, *args) -> None:
    """Change the allowlist's own database, as somebody with the file does while the server stands still."""
    await house.stop()
    with sqlite3.connect(house.folder / "plugins" / "allowlist" / "allowlist.sqlite") as connection:
        connection.execute(statement, args)
    connection.close()
    await house.start()


async def dies(*_, **__) -> None:
    raise StorageUnavailable("killed")


async def test_a_rule_is_recorded_effective_listed_and_ended(house):
    rule = await make(house, "ls", note="harmless", ttl_seconds=60, max_uses=5)
    assert (rule.argv, rule.created_by, rule.uses, rule.max_uses) == (["ls"], ANN.id, 0, 5)
    assert (await house.rules.page(house.workspace)).items == [rule]
    assert (await house.rules.page(new_id())).items == []
    for wrong in (new_id(), "x"):
        with pytest.raises(NotFound):
            await house.rules.revoke(ANN, house.workspace, wrong)
    with pytest.raises(NotFound):
        await house.rules.revoke(ANN, new_id(), rule.id)
    await house.rules.revoke(ANN, house.workspace, rule.id)
    assert (await house.rules.page(house.workspace)).items == []
    assert await rule_acts(house, rule.id) == ["rule.created", "rule.revoked"]
    with pytest.raises(NotFound):
        await house.rules.revoke(ANN, house.workspace, rule.id)


async def test_pages_of_rules_go_through_all_of_them_once(house):
    made = [(await make(house, "ls", str(n))).id for n in range(5)]
    seen, after = [], None
    while True:
        page = await house.rules.page(house.workspace, 2, after)
        seen += [rule.id for rule in page.items]
        if (after := page.next) is None:
            break
    assert seen == made
    with pytest.raises(BadInput):
        await house.rules.page(house.workspace, 0)
    with pytest.raises(BadInput):
        await house.rules.page(house.workspace, 5, "x")


@pytest.mark.parametrize(
    ("rule", "error"),
    [
        (exact(), Unprocessable),
        (exact("a\0"), Unprocessable),
        (exact("\ud800"), Unprocessable),
        (exact("x" * 70_000), TooLarge),
        (exact("ls", ttl_seconds=0), Unprocessable),
        (exact("ls", max_uses=0), Unprocessable),
        (exact("ls", note="\ud800"), Unprocessable),
        (exact("ls", note="x" * 5000), TooLarge),
    ],
)
async def test_a_rule_that_cannot_match_is_refused_before_it_is_recorded(house, rule, error):
    with pytest.raises(error):
        await house.rules.create(ANN, house.workspace, rule)
    assert await house.audit.size(house.workspace) == 0


async def test_without_a_rulebook_there_are_no_rules(house):
    rules = Rules(house.db, house.audit, house.clock, None)
    with pytest.raises(Conflict):
        await rules.create(ANN, house.workspace, exact("ls"))
    assert (await rules.page(house.workspace)).items == []
    assert await rules.check() == []


async def test_rules_and_the_uses_of_limited_ones_survive_a_restart(house):
    await make(house, "ls", max_uses=2)
    await make(house, "rm", effect="deny")
    assert (await house.submit(agent(), "ls")).state == "approved"
    await house.restart()
    assert [rule.uses for rule in (await house.rules.page(house.workspace)).items] == [1, 0]
    assert (await house.submit(agent(), "ls")).state == "approved"
    assert (await house.submit(agent(), "ls")).state == "pending"
    assert (await house.submit(agent(), "rm")).state == "denied"
    assert await verify_gate(house.db, house.audit, house.allowlist) == []


EDITS = {
    "the arguments": 'UPDATE rule SET argv = \'["rm","-rf","/"]\'',
    "arguments that are none": "UPDATE rule SET argv = '{'",
    "a surrogate": "UPDATE rule SET argv = '[\"\\ud800\"]'",
    "the effect": "UPDATE rule SET effect = 'deny'",
    "an effect that is none": "UPDATE rule SET effect = 'x'",
    "the workspace": "UPDATE rule SET workspace_id = 'other'",
    "the limit": "UPDATE rule SET max_uses = NULL",
    "the time": "UPDATE rule SET ttl_seconds = ttl_seconds * 10",
    "the creator": "UPDATE rule SET created_by = 'me'",
    "the beginning": "UPDATE rule SET created_us = created_us + 1",
    "the id": "UPDATE rule SET id = 'x'",
    "the kind": "UPDATE rule SET kind = 'prefix'",
    "a kind that is none": "UPDATE rule SET kind = 'glob'",
    "the members": """UPDATE rule SET members = '{"env":["APP"]}'""",
    "members that are none": "UPDATE rule SET members = '[]'",
}


@pytest.mark.parametrize("what", EDITS)
async def test_a_rule_that_was_edited_is_set_apart(house, what):
    """E2."""
    rule = await make(house, "ls", ttl_seconds=60, max_uses=9)
    await edit(house, EDITS[what])
    found = await verify_gate(house.db, house.audit, house.allowlist)
    assert {each.kind for each in found} == {"rule"}
    assert len(found) == (2 if what == "the id" else 1)  # one that nobody recorded, and one that is gone
    set_apart = await house.rules.check()
    assert set_apart == ["x" if what == "the id" else rule.id]
    assert (await house.rules.page(house.workspace)).items == []
    for argv in (["ls"], ["rm", "-rf", "/"]):
        assert (await house.submit(agent(), *argv)).state == "pending"
    await house.restart()
    assert await house.rules.check() == []


async def test_a_rule_that_nobody_recorded_is_set_apart(house):
    await edit(
        house,
        "INSERT INTO rule (id, workspace_id, effect, argv, note, ttl_seconds, max_uses, created_by, created_us, uses, is_over)"
        " VALUES ('0197f0c2-0000-7000-8000-000000000009', ?, 'allow', '[\"rm\"]', NULL, NULL, NULL, 'me', 1, 0, 0)",
        house.workspace,
    )
    assert len(await house.rules.check()) == 1
    assert (await house.submit(agent(), "rm")).state == "pending"


async def test_a_rule_that_was_revoked_stays_revoked(house):
    rule = await make(house, "ls")
    await house.rules.revoke(SERVER, house.workspace, rule.id)
    await edit(house, "UPDATE rule SET is_over = 0")
    found = await verify_gate(house.db, house.audit, house.allowlist)
    assert [each.id for each in found] == [rule.id]
    await house.rules.check()
    assert (await house.submit(agent(), "ls")).state == "pending"


async def test_the_same_key_makes_one_rule(house):
    key = request_key("k", ANN.id, ("rules.create",), exact("ls"))
    first = await house.rules.create(ANN, house.workspace, exact("ls"), key)
    assert await house.rules.create(ANN, house.workspace, exact("ls"), key) == first
    assert (await house.rules.page(house.workspace)).items == [first]
    assert await rule_acts(house, first.id) == ["rule.created"]
    other = request_key("k", ANN.id, ("rules.create",), exact("rm"))
    with pytest.raises(Unprocessable):
        await house.rules.create(ANN, house.workspace, exact("rm"), other)


async def test_a_rule_that_was_recorded_and_not_kept_leaves_its_key_unanswered(house, monkeypatch):
    """The rulebook has a database of its own: what is kept in between is told, not guessed."""
    key = request_key("k", ANN.id, ("rules.create",), exact("ls"))
    monkeypatch.setattr(house.allowlist, "add", dies)
    with pytest.raises(StorageUnavailable):
        await house.rules.create(ANN, house.workspace, exact("ls"), key)
    monkeypatch.undo()
    with pytest.raises(Conflict, match="has no answer yet"):
        await house.rules.create(ANN, house.workspace, exact("ls"), key)
    assert (await house.rules.page(house.workspace)).items == []


async def test_a_rule_that_is_recorded_and_gone_is_named_and_can_be_ended(house):
    """Deleted behind the server's back, or lost between its record and its row."""
    rule = await make(house, "rm", effect="deny")
    await edit(house, "DELETE FROM rule")
    found = await verify_gate(house.db, house.audit, house.allowlist)
    assert [(each.id, each.sentence) for each in found] == [(rule.id, "it is recorded, and not stored")]
    with pytest.raises(NotFound):
        await house.rules.revoke(ANN, new_id(), rule.id)  # another workspace's: the same answer as for no rule
    await house.rules.revoke(ANN, house.workspace, rule.id)
    assert await verify_gate(house.db, house.audit, house.allowlist) == []
    with pytest.raises(NotFound):
        await house.rules.revoke(ANN, house.workspace, rule.id)


LOSSES = {
    "deleted": "DELETE FROM rule WHERE effect = 'deny'",
    "said to be over": "UPDATE rule SET is_over = 1 WHERE effect = 'deny'",
    "edited": "UPDATE rule SET argv = '[\"true\"]' WHERE effect = 'deny'",
    "moved": "UPDATE rule SET workspace_id = 'x' WHERE effect = 'deny'",
}


@pytest.mark.parametrize("how", LOSSES)
async def test_where_a_denial_is_lost_nothing_passes_without_people(house, how):
    """E2: the denial does not bind any more, so neither does what allows."""
    denial = await make(house, "rm", effect="deny")
    await make(house, "ls")
    elsewhere = new_id()
    await house.rules.create(ANN, elsewhere, exact("ls"))
    assert (await house.submit(agent(), "ls")).state == "approved"
    await edit(house, LOSSES[how])
    await house.rules.check()
    for argv in ("ls", "rm"):
        assert (await house.submit(agent(), argv)).state == "pending"
    assert (await house.gate.submit(agent(), elsewhere, submission(command("ls")))).state == "approved"
    assert (await rule_acts(house, denial.id))[-1] == "rule.lost"
    assert "1 rule is missing" in house.rules.trouble
    await house.restart()
    assert (await house.submit(agent(), "ls")).state == "pending"
    await house.rules.revoke_anywhere(ANN, denial.id)
    assert house.rules.trouble is None
    assert (await house.submit(agent(), "ls")).state == "approved"
    assert await verify_gate(house.db, house.audit, house.allowlist) == []
    with pytest.raises(NotFound):
        await house.rules.revoke_anywhere(ANN, denial.id)
    await house.restart()
    assert (await house.submit(agent(), "ls")).state == "approved"


async def test_a_file_that_is_back_opens_the_workspace_at_the_next_start(house):
    """An older copy of the whole file lacks what was made since; the right copy is the mend."""
    path = house.folder / "plugins" / "allowlist" / "allowlist.sqlite"
    await make(house, "ls")
    await house.stop()
    old = path.read_bytes()
    await house.start()
    await make(house, "rm", effect="deny")
    await house.stop()
    right = path.read_bytes()
    for content, state in ((old, "pending"), (b"", "pending"), (right, "approved")):
        path.write_bytes(content)
        await house.start()
        await house.rules.check()
        assert (await house.submit(agent(), "ls")).state == state
        await house.stop()
    await house.start()


async def test_a_crash_between_record_and_rule_closes_nothing_and_is_cleared_at_the_next_start(house, monkeypatch):
    await make(house, "ls")
    monkeypatch.setattr(house.allowlist, "add", dies)
    with pytest.raises(StorageUnavailable):
        await make(house, "rm", effect="deny")
    [lost] = await verify_gate(house.db, house.audit, house.allowlist)
    await house.restart()
    assert (await house.submit(agent(), "ls")).state == "approved"
    assert await rule_acts(house, lost.id) == ["rule.created", "rule.revoked"]
    assert await verify_gate(house.db, house.audit, house.allowlist) == []


async def test_a_crash_after_the_rule_and_before_its_mark_loses_nothing(house, monkeypatch):
    monkeypatch.setattr(KnownRules, "keep", dies)
    with pytest.raises(StorageUnavailable):
        await make(house, "rm", effect="deny")
    monkeypatch.undo()
    await house.restart()
    assert (await house.submit(agent(), "rm")).state == "denied"
    await edit(house, "DELETE FROM rule")
    await house.rules.check()
    assert house.rules.trouble is not None


async def test_rules_from_before_the_list_was_kept_are_taken_into_it(house):
    await make(house, "rm", effect="deny")
    await house.sql("DELETE FROM gate_known_rule")
    await house.restart()
    await edit(house, "DELETE FROM rule")
    await house.rules.check()
    assert house.rules.trouble is not None


async def test_a_lost_rule_that_has_expired_closes_nothing(house):
    await make(house, "rm", effect="deny", ttl_seconds=60)
    await make(house, "ls")
    house.clock.advance(61)
    await edit(house, "DELETE FROM rule WHERE effect = 'deny'")
    await house.rules.check()
    assert house.rules.trouble is None
    assert (await house.submit(agent(), "ls")).state == "approved"
