"""Approving in another form: another request, another digest, the same laws. B8 E5 E8 P4, SECURITY section 4."""

import asyncio
from dataclasses import replace

import msgspec
import pytest

from failgate.audit.record import Actor
from failgate.base.canonical import digest_of
from failgate.base.errors import Conflict, Forbidden, NotFound, StepUpRequired, TooLarge, Unprocessable
from failgate.base.idempotency import request_key
from failgate.base.ids import new_id
from failgate.gate.policy import Finding
from failgate.gate.terms import Group, Terms
from failgate.gate.verification import verify_gate
from failgate.wire.edits import Edit, EditWish
from failgate.wire.gate import Consume, Origin, Rule
from tests.gate.conftest import House, agent, command, submission

MINUTE_US = 60 * 1_000_000
ASKED = ("rm", "-rf", "--force", "build")
EDITED = ["rm", "-r", "build"]


class Wary:
    """A policy that denies what holds a word, and demands `terms` of what holds another."""

    def __init__(self, denies="production", demands="staging", **terms) -> None:
        self.denies, self.demands, self.terms, self.asked = denies, demands, Terms(**terms), []

    async def judge(self, command, context):
        self.asked.append((command.argv, context.agent_id, context.requester_account_id))
        if self.denies in command.argv:
            return Finding("deny", f"nothing goes to {self.denies}")
        if self.demands in command.argv:
            return Finding("abstain", "demands", terms=self.terms)
        return Finding("abstain", "nothing to say")

    def snapshot(self, workspace_id):
        return {"denies": self.denies}


async def tried(house, person, view, argv):
    return await house.gate.try_edit(person, house.workspace, view.id, EditWish(view.digest, list(argv)))


async def edit(house: House, person, view, argv=EDITED, **members):
    key = members.pop("key", None)
    found = members.pop("edited_digest", None)
    if found is None:
        found = (await tried(house, person, view, argv)).digest
    wish = Edit(members.pop("digest", view.digest), list(argv), found, **members)
    return await house.gate.edit(person, house.workspace, view.id, wish, key)


async def seen(house, view, principal):
    return await house.gate.view(house.workspace, view.id, principal)


async def records(house, view, act):
    found = await house.audit.newest(house.workspace, limit=1000, obj_id=view.id)
    return [one.record for one in found if one.record["act"] == act]


async def test_an_edit_denies_what_was_asked_and_approves_another_request_with_another_digest(house):
    asker, person = agent(), await house.person()
    raw = command(*ASKED, env={"LANG": "C"}, stdin_sha256="0" * 64)
    view = await house.gate.submit(asker, house.workspace, submission(raw, reason="clean up"))
    trial = await tried(house, person, view, EDITED)
    assert (trial.decision, trial.need, trial.challenge) == ("ask", 1, "click")
    assert [(one.before, one.now) for one in trial.changes] == [("-rf", "-r"), ("--force", None)]
    assert (await seen(house, view, asker)).state == "pending", "a trial decides nothing"
    made = await edit(house, person, view, note="not by force")
    asked = await seen(house, view, asker)
    assert (asked.state, asked.command["argv"]) == ("denied", list(ASKED)), "what was asked stays as it was asked"
    assert (asked.verdict.wants_changes, asked.verdict.decision, asked.verdict.note) == (True, "deny", "not by force")
    assert (asked.verdict.edited.id, asked.verdict.edited.argv) == (made.id, EDITED)
    assert made.digest == asked.verdict.edited.digest == trial.digest == digest_of(raw | {"argv": EDITED})
    now = await seen(house, made, asker)
    assert now.command == raw | {"argv": EDITED}, "nothing but the arguments changed"
    assert (now.state, now.edits, now.verdict.digest, now.agent) == ("approved", view.id, made.digest, "deploy-bot")
    assert now.reason == "clean up"
    used = await house.gate.consume(asker, house.workspace, made.id, Consume(made.digest))
    assert used.state == "executed"
    with pytest.raises(Conflict):
        await house.gate.consume(asker, house.workspace, made.id, Consume(made.digest))
    assert await verify_gate(house.db, house.audit, house.allowlist) == []


async def test_the_records_tell_both_digests_and_no_text(house):
    person = await house.person()
    view = await house.submit(agent(), *ASKED)
    made = await edit(house, person, view)
    (denied,), (created,) = await records(house, view, "command.denied"), await records(house, made, "command.created")
    assert denied["data"] == {
        "digest": view.digest, "reason": "edited", "edited": made.id, "edited_digest": made.digest,
    }  # fmt: skip
    assert (created["data"]["edits"], created["data"]["edits_digest"]) == (view.id, view.digest)
    assert created["data"]["digest"] == made.digest
    assert (created["actor"]["id"], created["data"]["requester"]) != (person.account_id, person.account_id)
    assert await house.acts(view) == ["command.created", "vote.cast", "command.denied"]
    assert await house.acts(made) == ["command.created", "vote.cast", "command.approved"]
    assert "build" not in str([denied, created])


async def test_what_was_approved_lets_nothing_else_run(house):
    asker, person = agent(), await house.person()
    view = await house.submit(asker, *ASKED)
    made = await edit(house, person, view)
    for number, digest in ((view.id, view.digest), (view.id, made.digest), (made.id, view.digest)):
        with pytest.raises(Conflict):
            await house.gate.consume(asker, house.workspace, number, Consume(digest))
    with pytest.raises(NotFound):
        await house.gate.consume(agent(), house.workspace, made.id, Consume(made.digest))
    again = await house.submit(asker, *EDITED)
    assert again.state == "pending", "the same words are another call"


async def test_votes_are_over_the_edited_digest_alone(house):
    await house.restart(need=2)
    ann, ben, eve = await house.person(), await house.person(), await house.person()
    view = await house.submit(agent(), *ASKED)
    await house.vote(ann, view)
    made = await edit(house, ben, view)
    assert (made.state, [vote.reviewer for vote in made.votes]) == ("pending", [ben.label])
    with pytest.raises(Conflict, match="digest"):
        await house.vote(eve, made, digest=view.digest)
    with pytest.raises(Conflict):
        await house.vote(eve, view)
    assert (await house.vote(ann, made)).state == "approved"


async def test_an_edit_never_makes_fewer_people_an_easier_challenge_or_more_time_enough(house):
    wary = Wary(groups=(Group("lead", 1, ("admin",)),), challenge="host", decide_within_seconds=20)
    await house.restart(extra={"wary": wary})
    asker, person, lead = agent(), await house.person(), await house.person("admin")
    view = await house.submit(asker, "deploy", "staging", ttl_seconds=300)
    trial = await tried(house, person, view, ["deploy", "test"])
    assert (trial.challenge, trial.groups) == ("host", ["1 of lead"]), "what was demanded of the first still is"
    with pytest.raises(Unprocessable, match="host"):
        await edit(house, person, view, ["deploy", "test"])
    assert (await seen(house, view, asker)).state == "pending", "nothing of it was kept"
    made = await edit(house, person, view, ["deploy", "test"], confirm="build-1")
    assert (made.state, made.waiting_for) == ("pending", "reviewers: 1 of lead")
    assert made.expires_at == view.expires_at, "an edit gives no time"
    assert (await house.vote(lead, made, confirm="build-1")).state == "approved"
    other = await house.submit(asker, "deploy", "test", ttl_seconds=300)
    stricter = await edit(house, person, other, ["deploy", "staging"], confirm="build-1")
    assert (stricter.state, stricter.waiting_for, stricter.challenge) == ("pending", "reviewers: 1 of lead", "host")
    assert stricter.expires_at < other.expires_at, "the policy's time to decide holds for the edited command"


async def test_policies_judge_the_edited_command_as_the_agent_s_and_a_denial_is_no_way_around(house):
    wary = Wary()
    await house.restart(extra={"wary": wary})
    owner, person = await house.person("developer"), await house.person()
    asker = agent(owner.account_id)
    view = await house.submit(asker, "deploy", "test")
    trial = await tried(house, person, view, ["deploy", "production"])
    assert (trial.decision, trial.reason) == ("deny", "wary: nothing goes to production")
    assert wary.asked[-1] == (["deploy", "production"], asker.id, owner.account_id)
    with pytest.raises(Unprocessable, match="nothing goes to production"):
        await edit(house, person, view, ["deploy", "production"])
    assert await house.acts(view) == ["command.created"]
    rule = Rule(kind="exact", effect="deny", argv=["deploy", "elsewhere"])
    await house.rules.create(Actor.of(person), house.workspace, rule)
    with pytest.raises(Unprocessable, match="denies"):
        await edit(house, person, view, ["deploy", "elsewhere"])


async def test_a_rule_that_would_let_it_pass_spares_nobody_and_is_not_used(house):
    await house.restart(need=2)
    person = await house.person()
    rule = Rule(kind="exact", effect="allow", argv=["ls", "-l"], max_uses=1)
    await house.rules.create(Actor.of(person), house.workspace, rule)
    view = await house.submit(agent(), "ls", "-la")
    made = await edit(house, person, view, ["ls", "-l"])
    assert (made.state, made.need) == ("pending", 2)
    assert [one.uses for one in await house.allowlist.rules(house.workspace)] == [0]
    assert (await house.submit(agent(), "ls", "-l")).state == "approved"


async def test_nobody_edits_their_own_agent_s_request_nor_without_role_or_factor(house):
    owner, view = await house.person(), None
    asker = agent(owner.account_id)
    view = await house.submit(asker, *ASKED)
    found = (await tried(house, owner, view, EDITED)).digest
    refused = [
        (owner, Forbidden),
        (await house.person("developer"), Forbidden),
        (await house.person(factor=False), Forbidden),
        (await house.person(disabled=True), Forbidden),
        (asker, Forbidden),
        (replace(await house.person(), second_factor_us=None), StepUpRequired),
        (replace(owner, kind="api_key"), Forbidden),
    ]
    for who, error in refused:
        with pytest.raises(error):
            await edit(house, who, view, edited_digest=found)
    assert await house.acts(view) == ["command.created"]
    assert len((await house.gate.page(house.workspace)).items) == 1


async def test_an_edit_that_cannot_be_changes_nothing(house):
    person = await house.person()
    view = await house.submit(agent(), *ASKED)
    for argv, error, words in (
        (ASKED, Unprocessable, "no edit"),
        (["sudo", *ASKED], Unprocessable, "program cannot be edited"),
        ([], Unprocessable, "program cannot be edited"),
        (["rm", "a\0b"], Unprocessable, "NUL"),
        (["rm", "\ud800"], Unprocessable, "surrogate"),
        (["rm", *["x"] * 5000], TooLarge, "arguments"),
        (["rm", "x" * 70_000], TooLarge, "bytes"),
    ):
        with pytest.raises(error, match=words):
            await tried(house, person, view, argv)
        with pytest.raises(error, match=words):
            await edit(house, person, view, argv, edited_digest="x")
    with pytest.raises(Unprocessable, match="another one than was shown"):
        await edit(house, person, view, edited_digest=view.digest)
    with pytest.raises(Conflict, match="digest"):
        await tried(house, person, msgspec.structs.replace(view, digest="x"), EDITED)
    with pytest.raises(Conflict, match="digest"):
        await edit(house, person, view, edited_digest=(await tried(house, person, view, EDITED)).digest, digest="x")
    with pytest.raises(NotFound):
        other = agent()
        await tried(house, other, view, EDITED)
    assert await house.acts(view) == ["command.created"]


async def test_who_does_not_end_it_alone_does_not_replace_it(house):
    class Two:
        async def judge(self, command, context):
            return Finding("abstain", "demands", terms=Terms(deny_after=2))

        def snapshot(self, workspace_id):
            return {}

    await house.restart(extra={"two": Two()})
    ann, ben = await house.person(), await house.person()
    view = await house.submit(agent(), *ASKED)
    with pytest.raises(Unprocessable, match="2 denials"):
        await tried(house, ann, view, EDITED)
    digest = digest_of((await seen(house, view, ann)).command | {"argv": EDITED})
    with pytest.raises(Unprocessable, match="2 denials"):
        await edit(house, ann, view, edited_digest=digest)
    assert await house.acts(view) == ["command.created"]
    await house.vote(ann, view, "deny")
    with pytest.raises(Unprocessable, match="2 denials"):
        await edit(house, ann, view, edited_digest=digest)  # their own denial is there already
    assert (await edit(house, ben, view)).state == "approved"


async def test_of_many_edits_at_once_one_stands(house):
    people = [await house.person() for _ in range(6)]
    asker = agent()
    view = await house.submit(asker, *ASKED)
    found = [(await tried(house, one, view, ["rm", str(place)])).digest for place, one in enumerate(people)]
    ended = await asyncio.gather(
        *(edit(house, one, view, ["rm", str(place)], edited_digest=found[place]) for place, one in enumerate(people)),
        house.vote(await house.person(), view),
        house.vote(await house.person(), view, "deny"),
        return_exceptions=True,
    )
    won = [one for one in ended if not isinstance(one, BaseException)]
    assert len(won) == 1
    assert all(isinstance(one, Conflict) for one in ended if isinstance(one, BaseException)), ended
    rows = (await house.gate.page(house.workspace)).items
    assert sum(row.state == "approved" for row in rows) <= 1
    assert len(rows) <= 2
    assert await verify_gate(house.db, house.audit, house.allowlist) == []


async def test_what_was_edited_can_be_edited_again(house):
    await house.restart(need=2)
    ann, ben = await house.person(), await house.person()
    view = await house.submit(agent(), *ASKED)
    first = await edit(house, ann, view)
    second = await edit(house, ben, first, ["rm", "-ri", "build"])
    assert (await seen(house, first, ann)).verdict.edited.id == second.id
    back = await edit(house, ann, second, list(ASKED))
    assert (back.digest, back.id != view.id) == (view.digest, True)
    assert (await house.vote(ben, back)).state == "approved"
    assert await verify_gate(house.db, house.audit, house.allowlist) == []


async def test_the_same_key_gives_the_first_answer(house):
    person = await house.person()
    view = await house.submit(agent(), *ASKED)
    key = request_key("k1", person.id, ("commands.edit",), [])
    first = await edit(house, person, view, key=key)
    again = await edit(house, person, view, key=key, edited_digest=first.digest)
    assert again.id == first.id
    assert len((await house.gate.page(house.workspace)).items) == 2


async def test_nothing_is_edited_after_its_time_nor_while_the_clock_is_wrong(house):
    person = await house.person()
    view = await house.submit(agent(), *ASKED, ttl_seconds=30)
    digest = (await tried(house, person, view, EDITED)).digest
    house.clock.advance(31)
    for act in (tried(house, person, view, EDITED), edit(house, person, view, edited_digest=digest)):
        with pytest.raises(Conflict) as caught:
            await act
        assert caught.value.facts["state"] == "expired"
    later = await house.submit(agent(), *ASKED, ttl_seconds=3000)
    house.clock.step_wall(-300)
    with pytest.raises(Conflict, match="clock"):
        await edit(house, person, later)
    assert await house.acts(later) == ["command.created"]


async def test_an_edited_row_of_the_database_is_quarantined_and_not_offered(house):
    await house.restart(need=2)
    person = await house.person()
    made = await edit(house, person, await house.submit(agent(), *ASKED))
    await house.sql("UPDATE gate_command SET body = replace(body, '\"-r\"', '\"-f\"') WHERE id = $1", made.id)
    assert (await house.restart()).quarantined == (made.id,)
    assert (await house.restart()).pending == 0


async def test_it_is_shown_with_the_run_of_what_was_asked(house):
    asker, person = agent(), await house.person()
    view = await house.submit(asker, *ASKED, origin=Origin(program="codex", run="r1", tool="Bash"))
    made = await edit(house, person, view)
    (run,) = await house.gate.runs(house.workspace, asker.id, 5)
    found = (await house.gate.run_commands(house.workspace, asker.id, run.id, 5))[1]
    assert [(one.id, tool) for one, tool in found] == [(made.id, "Bash"), (view.id, "Bash")]


async def test_the_feed_and_who_waits_hear_of_it(house):
    asker, person = agent(), await house.person()
    view = await house.submit(asker, *ASKED)
    waiting = asyncio.ensure_future(house.gate.wait(house.workspace, view.id, asker, 5))
    await asyncio.sleep(0)
    made = await edit(house, person, view)
    assert (await waiting).verdict.edited.id == made.id
    assert house.gate.pending(house.workspace) == []


async def test_what_took_two_people_still_does_until_the_same_moment(house):
    class ForTwo:
        async def judge(self, command, context):
            return Finding("ask", "two", need=2) if "staging" in command.argv else Finding("abstain", "")

        def snapshot(self, workspace_id):
            return {}

    await house.restart(extra={"two": ForTwo()})
    person = await house.person()
    view = await house.submit(agent(), "deploy", "staging", ttl_seconds=300)
    house.clock.advance(100)
    made = await edit(house, person, view, ["deploy", "test"])
    assert (made.state, made.need, made.expires_at) == ("pending", 2, view.expires_at)


async def test_what_is_not_there_is_not_edited(house):
    person, view = await house.person(), await house.submit(agent())
    before, wish = await house.kept(view), Edit(view.digest, ["pytest"], digest_of({"argv": ["pytest"]}))
    for workspace, number in ((new_id(), view.id), (house.workspace, new_id())):
        with pytest.raises(NotFound, match="There is no such command in this workspace"):
            await house.gate.edit(person, workspace, number, wish, None)
    assert await house.kept(view) == before
