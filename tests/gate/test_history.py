from failgate.audit.record import Actor
from failgate.wire.gate import Outcome, Rule
from tests.gate.conftest import House, agent, command, submission


async def ended(house: House, bot, view, exit_code: int) -> None:
    await house.consume(bot, view)
    outcome = Outcome(view.digest, exit_code, 5)
    await house.gate.outcome(bot, house.workspace, view.id, outcome)


async def test_what_went_before_is_counted_and_how_it_ended(house: House) -> None:
    bot, other, mara = agent(), agent(), await house.person()
    for decision, exit_code in (("approve", 0), ("approve", 2), ("deny", None), ("approve", None)):
        view = await house.submit(bot, "make", "all")
        await house.vote(mara, view, decision)
        if exit_code is not None:
            await ended(house, bot, view, exit_code)
    elsewhere = await house.submit(bot, "make", "clean")
    await house.vote(mara, elsewhere)
    now = await house.submit(other, "make", "all")
    found = await house.gate.history(house.workspace, now.id, mara)
    assert (found.asked, found.approved, found.denied, found.succeeded, found.failed) == (4, 3, 1, 1, 1)
    assert [one.state for one in found.last] == ["approved", "denied", "executed"]
    assert found.compared is not None
    assert found.compared.is_same
    assert found.compared.changes == []
    first = await house.gate.history(house.workspace, found.last[-1].id, mara)
    assert first.asked == 1  # what came later was not known


async def test_the_closest_approved_one_is_compared_token_by_token(house: House) -> None:
    bot, mara = agent(), await house.person()
    for argv in (["git", "push", "origin", "main"], ["git", "log", "-p"]):
        await house.vote(mara, await house.submit(bot, *argv))
    await house.vote(mara, await house.submit(bot, "git", "push", "origin", "denied"), "deny")
    now = await house.submit(bot, "git", "push", "origin", "prod")
    found = await house.gate.history(house.workspace, now.id, mara)
    assert found.asked == 0
    assert found.compared is not None
    assert not found.compared.is_same
    assert [(one.before, one.now, one.place) for one in found.compared.changes] == [("main", "prod", 3)]
    strange = await house.submit(bot, "git", "filter-branch", "--all", "-f", "--x")
    assert (await house.gate.history(house.workspace, strange.id, mara)).compared is None


async def test_another_program_file_under_the_same_words_is_told(house: House) -> None:
    bot, mara = agent(), await house.person()
    files = [{"path": "/usr/bin/make", "sha256": digit * 64} for digit in "01"]
    before, now = [await house.gate.submit(bot, house.workspace, submission(command("make", exe=exe))) for exe in files]
    await house.vote(mara, before)
    found = await house.gate.history(house.workspace, now.id, mara)
    assert found.compared is not None
    assert found.compared.is_same
    assert [one.what for one in found.compared.changes] == ["program"]


async def test_a_policys_decision_and_another_workspace_say_nothing(house: House) -> None:
    bot, mara = agent(), await house.person()
    rule = await house.rules.create(Actor("user", "x"), house.workspace, Rule("exact", "allow", ["ls"]))
    assert (await house.submit(bot, "ls")).state == "approved"
    await house.rules.revoke(Actor("user", "x"), house.workspace, rule.id)
    now = await house.submit(bot, "ls")
    found = await house.gate.history(house.workspace, now.id, mara)
    assert (found.asked, found.compared) == (0, None)
    await house.sql("UPDATE gate_command SET workspace_id = 'other' WHERE id = $1", now.id)
    again = await house.submit(bot, "ls")
    assert (await house.gate.history(house.workspace, again.id, mara)).asked == 0
