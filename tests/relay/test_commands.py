"""Sealed commands, decisions, receipts as the server keeps them: ciphertext, commitments, and nothing else (E10 E15)."""

import asyncio

import pytest
from failgate_e2ee import E2eeSettings

from failgate.access.principal import Principal
from failgate.audit.record import Actor
from failgate.base.canonical import base64url
from failgate.base.clock import MICROSECONDS
from failgate.base.errors import Conflict, Forbidden, NotFound, TooManyRequests
from failgate.base.ids import new_id
from failgate.plugin import Duration
from failgate.relay.commands import EXPIRE_TOGETHER
from failgate.sealed.keys import SigningKey
from failgate.sealed.receipt import Receipt, sign_receipt
from failgate.sealed.refusal import Refused
from tests.relay.conftest import Place
from tests.relay.parties import MARKER, Sealed


async def test_a_sealed_command_is_approved_and_executed_and_records_hold_commitments_alone(place) -> None:
    made = await place.sealed()
    [ann] = made.people
    body, ctx = made.asked()
    view = await place.submit(body)
    assert (view.id, view.state, view.digest, view.size_bytes) == (ctx.cid, "pending", ctx.commit, 4096)
    view = await place.decide(ann, ctx.cid, made.decided(ann, ctx))
    assert (view.state, len(view.decisions), view.sealed) == ("approved", 1, body)
    receipt = sign_receipt(Receipt(place.now, place.now + 2, 3, base64url(bytes(32))), ctx, made.agent)
    view = await place.finish(ctx.cid, receipt)
    assert (view.state, view.receipt) == ("executed", receipt)
    created, decided, finished = (await place.records())[-3:]
    assert [one["act"].partition(".")[2] for one in (created, decided, finished)] == ["created", "decided", "finished"]
    assert {one["obj"]["id"] for one in (created, decided, finished)} == {ctx.cid}
    assert {one["data"]["digest"] for one in (created, decided, finished)} == {ctx.commit}
    assert (finished["data"]["exit_code"], finished["data"]["duration_ms"]) == (3, 2000)
    assert decided["actor"]["id"] == ann.account


async def test_the_command_stands_nowhere_in_the_database_nor_in_the_log(place) -> None:
    made = await place.sealed()
    body, ctx = made.asked("/bin/echo", MARKER)
    await place.submit(body)
    await place.decide(made.people[0], ctx.cid, made.decided(made.people[0], ctx))
    for table in ("sealed_command", "sealed_decision", "key_manifest", "device_key", "audit_record"):
        rows = await place.db.fetch(f"SELECT * FROM {table}")
        assert rows
        assert MARKER not in repr([dict(row) for row in rows])


async def test_two_people_are_needed_where_the_policy_says_two_and_one_denial_ends_it(place) -> None:
    made = await place.sealed(people=2, need=2)
    ann, bob = made.people
    body, ctx = made.asked()
    await place.submit(body)
    assert (await place.decide(ann, ctx.cid, made.decided(ann, ctx))).state == "pending"
    with pytest.raises(Conflict, match="before"):
        await place.decide(ann, ctx.cid, made.decided(ann, ctx))
    assert (await place.decide(bob, ctx.cid, made.decided(bob, ctx))).state == "approved"
    body, ctx = made.asked()
    await place.submit(body)
    assert (await place.decide(ann, ctx.cid, made.decided(ann, ctx, "deny"))).state == "denied"
    with pytest.raises(Conflict) as late:
        await place.decide(bob, ctx.cid, made.decided(bob, ctx))
    assert late.value.facts["state"] == "denied"


async def test_two_last_approvals_at_once_do_not_miss_one_another(place) -> None:
    made = await place.sealed(people=2, need=2)
    ann, bob = made.people
    for _ in range(5):
        body, ctx = made.asked()
        await place.submit(body)
        await asyncio.gather(*(place.decide(one, ctx.cid, made.decided(one, ctx)) for one in (ann, bob)))
        assert (await place.room.commands.view(place.ws, ctx.cid, place.admin)).state == "approved"


async def test_a_decision_counts_for_its_own_person_about_its_own_command(place) -> None:
    made = await place.sealed(people=2, need=2)
    ann, bob = made.people
    body, ctx = made.asked()
    other, other_ctx = made.asked()
    await place.submit(body)
    await place.submit(other)
    with pytest.raises(Forbidden):
        await place.decide(bob, ctx.cid, made.decided(ann, ctx))
    for sent, reason in (
        (made.decided(ann, other_ctx), "claims"),
        (made.decided(ann, ctx)[:-4] + "AAAA", "signature"),
        ("not a signature", "shape"),
        (made.decided(place.reviewer(0), ctx), "unknown-key"),
    ):
        with pytest.raises(Refused) as refused:
            await place.decide(ann, ctx.cid, sent)
        assert refused.value.reason == reason
    assert (await place.room.commands.view(place.ws, ctx.cid, place.admin)).decisions == []


async def test_who_answers_for_the_agent_and_whose_key_was_revoked_decide_nothing(place) -> None:
    made = await place.sealed(people=2)
    ann, bob = made.people
    own = Principal(kind="agent", agent_id=place.bot.agent_id, owner_account_id=ann.account, workspace_id=place.ws)
    body, ctx = made.asked()
    await place.submit(body, own)
    with pytest.raises(Forbidden, match="answers for"):
        await place.decide(ann, ctx.cid, made.decided(ann, ctx))
    key = (await place.room.directory.in_force(place.db, place.ws))[bob.signing.jkt]
    await place.room.directory.revoke(place.ws, key.id, Actor.of(place.admin))
    with pytest.raises(Refused) as refused:
        await place.decide(bob, ctx.cid, made.decided(bob, ctx))
    assert refused.value.reason == "unknown-key"


async def test_a_command_is_taken_from_its_own_agent_sealed_for_now_and_to_all_reviewers(place) -> None:
    made = await place.sealed(people=2)
    body, _ = made.asked()
    with pytest.raises(Forbidden, match="key of this agent"):
        await place.submit(body, Principal(kind="agent", agent_id=new_id(), workspace_id=place.ws))
    with pytest.raises(Forbidden, match="An agent asks"):
        await place.submit(body, place.admin)
    fewer = Sealed(place.ws, made.people[:1], place.now, roots=made.roots, agent=made.agent, epoch=1)
    for wrong, reason in (
        (fewer.asked()[0], "recipients"),
        (made.asked(iat=place.now - 100, exp=place.now - 1)[0], "expired"),
        (made.asked(ws=new_id())[0], "workspace"),
        (made.asked(epoch=2)[0], "epoch"),
        (body | {"tag": "AAAA"}, "value"),
    ):
        with pytest.raises(Refused) as refused:
            await place.submit(wrong)
        assert refused.value.reason == reason
    await place.submit(body)
    with pytest.raises(Conflict, match="before"):
        await place.submit(body)


async def test_after_the_keys_changed_a_command_is_asked_for_again(place) -> None:
    made = await place.sealed()
    [ann] = made.people
    body, ctx = made.asked()
    await place.submit(body)
    await place.accept(made.next(), [made.policy])
    with pytest.raises(Conflict, match="keys changed"):
        await place.decide(ann, ctx.cid, made.decided(ann, ctx))


async def test_a_command_expires_and_is_then_not_decided(place) -> None:
    made = await place.sealed()
    body, ctx = made.asked()
    await place.submit(body)
    place.clock.advance(301 * MICROSECONDS)
    view = await place.room.commands.view(place.ws, ctx.cid, place.admin)
    assert view.state == "expired"
    with pytest.raises(Conflict) as late:
        await place.decide(made.people[0], ctx.cid, made.decided(made.people[0], ctx))
    assert late.value.facts["state"] == "expired"


async def test_what_expired_is_written_down_once_and_never_what_was_decided(place) -> None:
    made = await place.sealed()
    [ann] = made.people
    (waits, waits_ctx), (body, ctx) = made.asked(), made.asked()
    await place.submit(waits)
    await place.submit(body)
    await place.decide(ann, ctx.cid, made.decided(ann, ctx))
    place.clock.advance(300)
    assert await place.room.commands.expire_due() == 0  # its last second still counts
    place.clock.advance(1)
    assert await place.room.commands.expire_due() == 1
    assert await place.room.commands.expire_due() == 0
    last = (await place.records())[-1]
    assert (last["act"], last["obj"]["id"]) == ("sealed_command.expired", waits_ctx.cid)
    assert (last["actor"]["t"], last["data"]) == ("system", {"digest": waits_ctx.commit})
    states = {one.id: one.state for one in await place.room.commands.list(place.ws, 10)}
    assert states == {waits_ctx.cid: "expired", ctx.cid: "approved"}
    with pytest.raises(Conflict, match="time to be decided is over") as late:
        await place.decide(ann, waits_ctx.cid, made.decided(ann, waits_ctx))
    assert late.value.facts["state"] == "expired"


async def test_more_expire_together_than_go_into_one_transaction(place) -> None:
    made = await place.sealed()
    for _ in range(EXPIRE_TOGETHER + 1):
        await place.submit(made.asked()[0])
    place.clock.advance(301)
    assert await place.room.commands.expire_due() == EXPIRE_TOGETHER + 1


async def test_an_agent_withdraws_its_own_and_who_decides_late_is_told_why(place) -> None:
    made = await place.sealed()
    [ann] = made.people
    body, ctx = made.asked()
    await place.submit(body)
    for stranger in (Principal(kind="agent", agent_id=new_id(), workspace_id=place.ws), place.admin):
        with pytest.raises(NotFound):
            await place.withdraw(ctx.cid, stranger)
    waiting = asyncio.create_task(place.room.commands.view(place.ws, ctx.cid, place.bot, 20))
    await asyncio.sleep(0.05)
    assert (await place.withdraw(ctx.cid)).state == "cancelled"
    assert (await asyncio.wait_for(waiting, 5)).state == "cancelled"
    last = (await place.records())[-1]
    assert (last["act"], last["obj"]["id"], last["data"]) == (
        "sealed_command.cancelled", ctx.cid, {"digest": ctx.commit}
    )  # fmt: skip
    assert last["actor"]["id"] == place.bot.agent_id
    with pytest.raises(Conflict, match="withdrew") as late:
        await place.decide(ann, ctx.cid, made.decided(ann, ctx))
    assert late.value.facts["state"] == "cancelled"
    with pytest.raises(Conflict):
        await place.withdraw(ctx.cid)
    place.clock.advance(301)
    assert await place.room.commands.expire_due() == 0


async def test_what_was_approved_and_not_executed_is_withdrawn_and_takes_no_receipt(place) -> None:
    made = await place.sealed()
    [ann] = made.people
    body, ctx = made.asked()
    await place.submit(body)
    await place.decide(ann, ctx.cid, made.decided(ann, ctx))
    assert (await place.withdraw(ctx.cid)).state == "cancelled"
    receipt = sign_receipt(Receipt(place.now, place.now, 0, base64url(bytes(32))), ctx, made.agent)
    with pytest.raises(Conflict, match="cancelled"):
        await place.finish(ctx.cid, receipt)


async def test_what_is_open_in_a_deleted_workspace_is_withdrawn(place) -> None:
    made = await place.sealed()
    body, ctx = made.asked()
    await place.submit(body)
    actor = Actor.of(place.admin)
    await place.db.write(lambda tx: place.room.commands.end_of_workspace(tx, place.ws, actor))
    assert (await place.room.commands.view(place.ws, ctx.cid, place.admin)).state == "cancelled"
    assert (await place.acts())[-1] == "sealed_command.cancelled"


async def test_an_agent_sees_and_finishes_its_own_and_only_what_was_approved(place) -> None:
    made = await place.sealed()
    [ann] = made.people
    body, ctx = made.asked()
    await place.submit(body)
    receipt = sign_receipt(Receipt(place.now, place.now, 0, base64url(bytes(32))), ctx, made.agent)
    with pytest.raises(Conflict):
        await place.finish(ctx.cid, receipt)
    await place.decide(ann, ctx.cid, made.decided(ann, ctx))
    stranger = Principal(kind="agent", agent_id=new_id(), workspace_id=place.ws)
    with pytest.raises(NotFound):
        await place.finish(ctx.cid, receipt, stranger)
    with pytest.raises(NotFound):
        await place.room.commands.view(place.ws, ctx.cid, stranger)
    with pytest.raises(NotFound):
        await place.room.commands.view(new_id(), ctx.cid, place.admin)
    with pytest.raises(Refused):
        await place.finish(ctx.cid, receipt[:-4] + "AAAA")
    with pytest.raises(Refused):
        await place.finish(
            ctx.cid,
            sign_receipt(
                Receipt(place.now, place.now, 0, base64url(bytes(32))),
                ctx._replace(agent=(other := SigningKey.generate()).jkt),
                other,
            ),
        )


async def test_whoever_waits_is_told_when_it_is_decided(place) -> None:
    made = await place.sealed()
    [ann] = made.people
    body, ctx = made.asked()
    await place.submit(body)
    waiting = asyncio.create_task(place.room.commands.view(place.ws, ctx.cid, place.bot, 20))
    await asyncio.sleep(0.05)
    await place.decide(ann, ctx.cid, made.decided(ann, ctx))
    assert (await asyncio.wait_for(waiting, 5)).state == "approved"
    assert place.room.commands._watched == {}


async def test_nothing_waits_longer_and_no_more_than_the_operator_lets_it(database, clock, tmp_path, place) -> None:
    narrow = Place(database, place.audit, clock, E2eeSettings(waiting_per_agent=2, longest_wait=Duration("5m")))
    made = await narrow.sealed()
    with pytest.raises(Refused, match="lives longer"):
        await narrow.submit(made.asked(exp=narrow.now + 301)[0])
    for _ in range(2):
        await narrow.submit(made.asked()[0])
    with pytest.raises(TooManyRequests):
        await narrow.submit(made.asked()[0])


async def test_the_list_shows_no_body(place) -> None:
    made = await place.sealed()
    first, second = made.asked(), made.asked()
    for body, _ in (first, second):
        await place.submit(body)
    listed = await place.room.commands.list(place.ws, 10)
    assert [one.id for one in listed] == [second[1].cid, first[1].cid]
    assert {one.sealed for one in listed} == {None}
