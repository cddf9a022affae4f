"""What policies demand of those who decide, in a whole gate. E5 B6 B7, SECURITY section 4."""

import asyncio
from dataclasses import replace

import pytest

from failgate.base.errors import Conflict, Forbidden, StepUpRequired, Unprocessable
from failgate.gate.further import Wish
from failgate.gate.policy import Finding
from failgate.gate.terms import Group, Terms
from failgate.gate.verification import verify_gate
from tests.gate.conftest import EXPIRED, House, agent, refused

MINUTE_US = 60 * 1_000_000


class Demanding:
    def __init__(self, **terms) -> None:
        self.finding = Finding("abstain", "demands", score=80, reasons=("looks odd",), terms=Terms(**terms))

    async def judge(self, command, context):
        return self.finding

    def snapshot(self, workspace_id):
        return {}


async def demanding(house, need=1, **terms):
    await house.restart(need=need, extra={"demanding": Demanding(**terms)})


async def test_each_group_has_its_say(house):
    await demanding(house, groups=(Group("lead", 1, ("owner", "admin")), Group("peer", 1, ("reviewer",))))
    view = await house.submit(agent())
    assert (view.need, view.waiting_for) == (2, "reviewers: 1 of lead, 1 of peer")
    assert (await house.vote(await house.person("admin"), view)).state == "pending"
    assert (await house.vote(await house.person("owner"), view)).state == "pending", "two of one group are not enough"
    assert (await house.vote(await house.person("reviewer"), view)).state == "approved"


async def test_a_role_that_is_lost_before_the_quorum_leaves_its_group_open(house):
    await demanding(house, groups=(Group("lead", 1, ("admin",)), Group("peer", 1, ("reviewer",))))
    view, lead = await house.submit(agent()), await house.person("admin")
    await house.vote(lead, view)
    await house.sql("UPDATE membership SET role = 'reviewer' WHERE account_id = $1", lead.account_id)
    assert (await house.vote(await house.person("reviewer"), view)).state == "pending"
    assert (await house.vote(await house.person("admin"), view)).state == "approved"


async def test_fewer_denials_than_the_threshold_do_not_end_it(house):
    await demanding(house, deny_after=2)
    view = await house.submit(agent())
    assert view.deny_after == 2
    assert (await house.vote(await house.person(), view, "deny")).state == "pending"
    denied = await house.vote(await house.person(), view, "deny")
    assert denied.state == "denied"
    assert (await house.acts(view))[-3:] == ["vote.cast", "vote.cast", "command.denied"]
    other = await house.submit(agent())
    await house.vote(await house.person(), other, "deny")
    assert (await house.vote(await house.person(), other)).state == "approved"
    assert await verify_gate(house.db, house.audit, house.allowlist) == []


async def test_whom_a_policy_excludes_does_not_decide(house):
    excluded = await house.person()
    await demanding(house, excluded=(excluded.label.upper(),))
    view = await house.submit(agent())
    with pytest.raises(Forbidden, match="excludes"):
        await house.vote(excluded, view)


async def test_the_owner_s_other_account_does_not_decide(house):
    owner, other = await house.person(), await house.person()
    await house.sql("UPDATE account SET email = 'ann@example.org' WHERE id = $1", owner.account_id)
    await house.sql("UPDATE account SET email = 'Ann+second@example.org' WHERE id = $1", other.account_id)
    view = await house.submit(agent(owner.account_id))
    for person in (owner, other):
        with pytest.raises(Forbidden, match="their own"):
            await house.vote(person, view)
    assert (await house.vote(await house.person(), view)).state == "approved"


async def test_who_made_an_agent_s_token_does_not_approve_alone(house):
    """An admin who mints a token for somebody else's agent holds it, and could ask and approve."""
    admin = await house.person("admin")
    view = await house.submit(replace(agent(), maker_account_id=admin.account_id))
    waiting = await house.vote(admin, view)
    assert (waiting.state, waiting.waiting_for) == ("pending", "another reviewer")
    assert (await house.vote(await house.person(), view)).state == "approved"
    other = await house.submit(replace(agent(), maker_account_id=admin.account_id))
    assert (await house.vote(await house.person(), other)).state == "approved"
    assert await verify_gate(house.db, house.audit, house.allowlist) == []


@pytest.mark.parametrize("challenge", ["host", "factor", "passkey", "two"])
async def test_an_approval_meets_the_challenge_and_a_denial_need_not(house, challenge):
    await demanding(house, challenge=challenge)
    view = await house.submit(agent())
    assert (view.challenge, view.risk.score, view.need) == (challenge, 80, 2 if challenge == "two" else 1)
    now_us = house.clock.now_us()
    person = replace(await house.person(), second_factor_us=now_us, auth=("pwd", "otp", "passkey"))
    with pytest.raises(Unprocessable, match="host"):
        await house.vote(person, view)
    with pytest.raises(Unprocessable, match="host"):
        await house.vote(person, view, confirm="Build-1")
    stale = {
        "factor": [replace(person, second_factor_us=now_us - 6 * MINUTE_US), replace(person, auth=("pwd", "recovery"))],
        "passkey": [replace(person, auth=("passkey", "otp")), replace(person, second_factor_us=1)],
        "two": [replace(person, second_factor_us=1), replace(person, carries_proof=False)],
    }
    for late in stale.get(challenge, []):
        with pytest.raises(StepUpRequired):
            await house.vote(late, view, confirm="build-1")
    assert await house.acts(view) == ["command.created"]
    approved = await house.vote(person, view, confirm="build-1")
    assert approved.state == ("pending" if challenge == "two" else "approved")
    other = await house.submit(agent())
    assert (await house.vote(replace(person, second_factor_us=1), other, "deny")).state == "denied"


async def test_what_takes_a_challenge_each_time_becomes_no_rule(house):
    await demanding(house, challenge="host")
    view = await house.submit(agent(), "make")
    with pytest.raises(Unprocessable, match="each time"):
        await house.gate.further(house.workspace, view.id, await house.person(), Wish("session", 60))


async def test_both_clocks_are_shortened_and_neither_is_lengthened(house):
    await demanding(house, decide_within_seconds=5, use_within_seconds=3)
    bot = agent()
    view, late = await house.submit(bot, ttl_seconds=3600), await house.submit(bot, ttl_seconds=2)
    approved = await house.vote(await house.person(), view)
    house.clock.advance(4)
    with pytest.raises(Conflict):
        await house.consume(bot, approved)
    with pytest.raises(Conflict):
        await house.vote(await house.person(), late)
    third = await house.submit(bot, ttl_seconds=3600)
    house.clock.advance(6)
    with pytest.raises(Conflict, match="expired"):
        await house.vote(await house.person(), third)


async def test_a_command_that_passes_at_once_is_used_within_the_policy_s_time(house):
    class Passing(Demanding):
        def __init__(self, **terms) -> None:
            super().__init__(**terms)
            self.finding = Finding("allow", "passes", terms=Terms(**terms))

    await house.restart(extra={"passing": Passing(use_within_seconds=3, challenge="two")})
    bot = agent()
    view = await house.submit(bot)
    assert (view.state, view.challenge) == ("approved", "click")
    house.clock.advance(4)
    with pytest.raises(Conflict):
        await house.consume(bot, view)


async def test_terms_that_were_edited_in_storage_quarantine_the_request(house):
    await demanding(house, challenge="two")
    view = await house.submit(agent())
    await house.sql("UPDATE gate_command SET terms = NULL, need = 1 WHERE id = $1", view.id)
    await house.restart()
    assert await house.state(view) == "quarantined"


async def test_what_was_demanded_stays_when_the_policy_asks_for_less_later(house):
    await demanding(house, challenge="two")
    view = await house.submit(agent())
    await house.restart(extra={})
    person = replace(await house.person(), second_factor_us=house.clock.now_us())
    with pytest.raises(Unprocessable):
        await house.vote(person, view)
    assert (await house.vote(person, view, confirm="build-1")).state == "pending"


async def test_a_wish_for_changes_ends_the_request_and_reaches_the_agent(house: House) -> None:
    bot, mara = agent(), await house.person()
    view = await house.submit(bot, "git", "push", "-f")
    await house.vote(mara, view, "deny", note="without -f", wants_changes=True)
    told = await house.gate.wait(house.workspace, view.id, bot, 0)
    assert told.verdict is not None
    assert (told.state, told.verdict.wants_changes, told.verdict.note) == ("denied", True, "without -f")
    plain = await house.submit(bot, "git", "push", "-f")
    denied = await house.vote(mara, plain, "deny", note="no")
    assert denied.verdict is not None
    assert not denied.verdict.wants_changes
    [record] = [one.record for one in await house.audit.newest(house.workspace, limit=9, obj_id=view.id)
                if one.record["act"] == "command.denied"]  # fmt: skip
    assert record["data"]["reason"] == "wants changes"


@pytest.mark.parametrize(("decision", "note"), [("approve", "x"), ("deny", None), ("deny", "  ")])
async def test_a_wish_that_approves_or_says_nothing_is_no_vote(house: House, decision: str, note: str | None) -> None:
    mara, view = await house.person(), await house.submit(agent(), "make")
    with pytest.raises(Unprocessable):
        await house.vote(mara, view, decision, note=note, wants_changes=True)
    assert await house.state(view) == "pending"


@pytest.mark.parametrize("decision", ["approve", "deny"])
async def test_a_decision_that_comes_too_late_for_its_record_expires_the_request(house, decision):
    person, view = await house.person(), await house.submit(agent(), ttl_seconds=10)
    house.clock.advance(9)
    with house.slow(2), pytest.raises(Conflict) as late:
        await house.vote(person, view, decision)
    assert (str(late.value), late.value.facts) == (EXPIRED, {"state": "expired"})
    assert await house.state(view) == "expired"
    assert await house.acts(view) == ["command.created", "command.expired"]
    assert await house.db.fetch("SELECT * FROM gate_vote") == []
    assert await verify_gate(house.db, house.audit) == []


async def test_who_denied_does_not_approve_and_is_told_why(house):
    await house.restart(extra={"two": Demanding(deny_after=2)})
    ann, bob, view = await house.person(), await house.person(), await house.submit(agent())
    await house.vote(ann, view, "deny")
    words = "The vote does not count: a denial is not taken back. Let another reviewer decide."
    await refused(house, view, lambda: house.vote(ann, view), words)
    assert (await house.vote(bob, view)).state == "approved"


@pytest.mark.parametrize("decision", ["approve", "deny"])
async def test_a_decision_on_a_row_that_somebody_else_had_first_is_none(house, decision):
    person, view = await house.person(), await house.submit(agent())
    async with house.unmoved("gate_command"):
        words = "The command is pending. Submit it again if it is still wanted."
        await refused(house, view, lambda: house.vote(person, view, decision), words)
    assert (await house.vote(person, view, decision)).state in {"approved", "denied"}
    assert await verify_gate(house.db, house.audit) == []


async def test_what_somebody_else_had_first_is_not_withdrawn(house):
    bot = agent()
    view = await house.submit(bot)
    async with house.unmoved("gate_command"):
        words = "The command is pending. Submit it again if it is still wanted."
        await refused(house, view, lambda: house.gate.cancel(bot, house.workspace, view.id), words)
    assert (await house.gate.cancel(bot, house.workspace, view.id)).state == "cancelled"


async def test_what_expired_is_not_withdrawn(house):
    bot = agent()
    view = await house.submit(bot, ttl_seconds=10)
    house.clock.advance(10)
    with pytest.raises(Conflict) as late:
        await house.gate.cancel(bot, house.workspace, view.id)
    assert (str(late.value), late.value.facts) == (EXPIRED, {"state": "expired"})
    assert await house.acts(view) == ["command.created", "command.expired"]
    assert await verify_gate(house.db, house.audit) == []


@pytest.mark.parametrize(
    ("edit", "left"),
    [
        ("UPDATE gate_command SET state = 'cancelled' WHERE id = $1", ["cancelled"]),
        ("UPDATE gate_command SET expires_us = expires_us + 60000000 WHERE id = $1", ["pending"]),
        ("DELETE FROM gate_command WHERE id = $1", []),
    ],
)
async def test_what_is_not_stored_as_overdue_does_not_expire_and_waits_no_longer(house, edit, left):
    """Neither is it expired again and again: the timer would never come to an end."""
    view = await house.submit(agent(), ttl_seconds=10)
    await house.sql(edit, view.id)
    house.clock.advance(10)
    async with asyncio.timeout(5):
        assert await house.gate.expire_due() == 0
    assert house.gate.pending_count() == 0
    assert [row["state"] for row in await house.db.fetch("SELECT state FROM gate_command")] == left
    assert await house.acts(view) == ["command.created"]
