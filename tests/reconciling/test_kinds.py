"""Rows of end-to-end mode against their records, on both databases: whatever is done behind the server is named.

P1 E13 E15
"""

from typing import Any

import pytest

from failgate.audit.record import Actor
from failgate.base.canonical import base64url
from failgate.base.clock import FrozenClock
from failgate.base.db import Database
from failgate.base.ids import new_id
from failgate.reconciling.reconciliation import Reconciliation
from failgate.sealed.receipt import Receipt, sign_receipt
from failgate.sealed.rules import sign_run
from tests.relay.conftest import Place
from tests.relay.conftest import place as _place
from tests.relay.test_rules import accept, ran, signed, tell

place = _place  # a fixture of the neighbours


async def found(place: Place) -> list[str]:
    room = Reconciliation(place.db, place.audit, place.clock)
    return [str(one) for one in (await room.run()).differences]


@pytest.fixture
async def lived(place: Place) -> tuple[Place, dict[str, str]]:
    """A workspace in which sealed commands ended in every way; their ids by how."""
    made = await place.sealed(people=2, need=2)
    ann, bob = made.people
    ids: dict[str, str] = {}
    for name in ("pending", "half", "approved", "denied", "executed", "cancelled", "expired"):
        body, ctx = made.asked(exp=place.now + 100) if name == "expired" else made.asked()
        await place.submit(body)
        ids[name] = ctx.cid
        if name in {"half", "approved", "executed"}:
            await place.decide(ann, ctx.cid, made.decided(ann, ctx))
        if name in {"approved", "executed"}:
            await place.decide(bob, ctx.cid, made.decided(bob, ctx))
        if name == "denied":
            await place.decide(bob, ctx.cid, made.decided(bob, ctx, "deny"))
        if name == "executed":
            receipt = Receipt(place.now, place.now, 0, base64url(bytes(32)))
            await place.finish(ctx.cid, sign_receipt(receipt, ctx, made.agent))
        if name == "cancelled":
            await place.withdraw(ctx.cid)
    view = await accept(place, signed(made))
    await tell(place, sign_run(ran(place, view.digest), place.ws, made.agent))
    place.clock.advance(102)
    assert await place.room.commands.expire_due() == 1
    spare = place.reviewer(3)
    await place.enrol_both(spare)
    for key in (await place.room.directory.in_force(place.db, place.ws)).values():
        if key.account_id == spare.account:
            await place.room.directory.revoke(place.ws, key.id, Actor.of(place.admin))
    return place, ids


async def test_where_everything_went_through_the_server_nothing_differs(lived: Any) -> None:
    place, _ = lived
    outcome = await Reconciliation(place.db, place.audit, place.clock).run()
    assert outcome.differences == ()
    assert outcome.rows >= 7 + 6 + 7 + 1 + 2  # commands, decisions, keys, the manifest, rules and a run


DAMAGES = {
    "an approval is made up": (
        "UPDATE sealed_command SET state = 'approved' WHERE cid = '{half}'", "sealed command {half}", "say pending",
    ),
    "a denial is taken back": (
        "UPDATE sealed_command SET state = 'approved' WHERE cid = '{denied}'", "sealed command {denied}", "say denied",
    ),
    "what was withdrawn waits again": (
        "UPDATE sealed_command SET state = 'pending' WHERE cid = '{cancelled}'", "sealed command {cancelled}",
        "say cancelled",
    ),
    "what expired waits again": (
        "UPDATE sealed_command SET state = 'pending', expires_us = expires_us + 900000000 WHERE cid = '{expired}'",
        "sealed command {expired}", "say expired",
    ),
    "time is added": (
        "UPDATE sealed_command SET expires_us = expires_us + 1 WHERE cid = '{pending}'", "sealed command {pending}",
        "its expires_us is not what is recorded",
    ),
    "another command is put in its place": (
        "UPDATE sealed_command SET commitment = 'x' WHERE cid = '{approved}'", "sealed command {approved}",
        "its digest is not what is recorded",
    ),
    "a receipt is lost": (
        "UPDATE sealed_command SET receipt = NULL WHERE cid = '{executed}'", "sealed command {executed}",
        "it is executed without a receipt",
    ),
    "a command is lost": (
        "DELETE FROM sealed_command WHERE cid = '{pending}'", "sealed command {pending}", "recorded, and not stored",
    ),
    "a command is put in": (
        ("INSERT INTO sealed_command (id, workspace_id, cid, agent_id, agent_jkt, commitment, epoch, policy, size_bytes,"
         " body, state, created_us, expires_us) SELECT '{new}', workspace_id, '{new}', agent_id, agent_jkt, commitment,"
         " epoch, policy, size_bytes, body, 'approved', created_us, expires_us FROM sealed_command"
         " WHERE cid = '{pending}'"),
        "sealed command {new}", "no record tells of it",
    ),
    "a decision is lost": (
        "DELETE FROM sealed_decision WHERE cid = '{denied}'", "sealed decision {denied} ", "recorded, and not stored",
    ),
    "a decision is turned round": (
        "UPDATE sealed_decision SET decision = 'approve' WHERE cid = '{denied}'", "sealed decision {denied} ",
        "say deny",
    ),
    "a decision is put in": (
        ("INSERT INTO sealed_decision (id, workspace_id, cid, account_id, jkt, decision, body, decided_us)"
         " SELECT '{new}', workspace_id, cid, '{new}', '{new}', decision, body, decided_us FROM sealed_decision"
         " WHERE cid = '{half}'"),
        "sealed decision {half} {new}", "no record tells of it",
    ),
    "a revoked key is put in force": (
        "UPDATE device_key SET revoked_us = NULL WHERE revoked_us IS NOT NULL", "device key ", "say revoked",
    ),
    "a key is another's": (
        "UPDATE device_key SET jkt = '{new}' WHERE purpose = 'asking'", "device key ", "its jkt is not what is recorded",
    ),
    "rules live longer": (
        "UPDATE sealed_rules SET expires_us = expires_us + 1", "sealed rules ", "its expires_us is not what is recorded",
    ),
    "rules are lost": ("DELETE FROM sealed_rules", "sealed rules ", "recorded, and not stored"),
    "a run ended well": ("UPDATE sealed_run SET exit_code = 9", "sealed run ", "its exit_code is not what is recorded"),
    "a run is lost": ("DELETE FROM sealed_run", "sealed run ", "recorded, and not stored"),
    "a manifest is lost": ("DELETE FROM key_manifest", "key manifest ", "recorded, and not stored"),
    "a manifest lives longer": (
        "UPDATE key_manifest SET expires_us = expires_us + 1", "key manifest ", "its expires_us is not what is recorded",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGES)
async def test_what_is_done_behind_the_servers_back_is_named(lived: Any, name: str) -> None:
    place, ids = lived
    query, begins, says = DAMAGES[name]
    names = {**ids, "new": new_id()}
    await place.db.write(lambda tx: tx.execute(query.format(**names)))
    lines = await found(place)
    assert any(line.startswith(begins.format(**names)) and says in line for line in lines), lines


async def test_a_record_that_is_not_there_is_missed(place: Place, database: Database, clock: FrozenClock) -> None:
    """A change of the row and no record of it: the other way round."""
    made = await place.sealed()
    body, ctx = made.asked()
    await place.submit(body)
    assert await found(place) == []
    [ann] = made.people
    insert = (
        "INSERT INTO sealed_decision (id, workspace_id, cid, account_id, jkt, decision, body, decided_us)"
        " VALUES ($1, $2, $3, $4, $5, 'approve', $6, 1)"
    )
    sent = f'"{made.decided(ann, ctx)}"'

    async def unrecorded(tx: Any) -> None:
        await tx.execute(insert, new_id(), place.ws, ctx.cid, ann.account, ann.signing.jkt, sent)
        await tx.execute("UPDATE sealed_command SET state = 'approved' WHERE cid = $1", ctx.cid)

    await database.write(unrecorded)
    lines = await found(place)
    assert len(lines) == 2
    assert lines[0].startswith(f"sealed command {ctx.cid}: it is approved, and its records say pending")
    assert lines[1].startswith(f"sealed decision {ctx.cid} {ann.signing.jkt}: it is stored, and no record tells of it")
