"""Signed heads of rules and what ran by them, as the server keeps them: never what they say (E13)."""

from typing import Any

import pytest

from failgate.access.principal import Principal
from failgate.audit.record import Actor
from failgate.base.canonical import base64url, digest_of
from failgate.base.errors import Conflict, Forbidden, Unprocessable
from failgate.base.ids import new_id
from failgate.sealed.keys import SigningKey
from failgate.sealed.receipt import Receipt
from failgate.sealed.refusal import Refused
from failgate.sealed.rules import Run, sign_head, sign_run
from tests.relay.conftest import Place
from tests.relay.parties import MARKER, Sealed

BODY = {"v": 1, "nonce": base64url(bytes(32)), "rules": [{"id": "a", "kind": "exact", "argv": ["echo", MARKER]}]}


def signed(made: Sealed, *signers: SigningKey, **changes: Any) -> dict[str, Any]:
    payload = {
        "typ": "failgate-rules", "v": 1, "ws": made.ws, "epoch": 1, "manifest": made.prev, "iat": made.now,
        "exp": made.now + 600, "rules": digest_of(BODY), **changes,
    }  # fmt: skip
    by = signers or tuple(made.roots)
    return {**sign_head(payload, by), "keys": [one.public_jwk() for one in by]}


async def accept(place: Place, head: dict[str, Any]):
    actor = Actor.of(place.admin)
    return await place.db.write(lambda tx: place.room.rules.accept(tx, place.relay, place.ws, head, actor))


async def tell(place: Place, token: str, bot: Principal | None = None):
    return await place.db.write(
        lambda tx: place.room.rules.take_run(tx, place.relay, place.ws, bot or place.bot, token)
    )


def ran(place: Place, digest: str, **times: int) -> Run:
    receipt = Receipt(times.get("started", place.now), times.get("ended", place.now), 0, base64url(bytes(32)))
    return Run(new_id(), digest, digest_of(new_id()), receipt)


async def test_heads_follow_one_another_and_each_has_its_record(place: Place) -> None:
    made = await place.sealed()
    assert await place.room.rules.newest(place.db, place.ws) is None
    first = signed(made)
    view = await accept(place, first)
    assert (view.epoch, await place.room.rules.newest(place.db, place.ws)) == (1, first)
    last = (await place.records())[-1]
    assert (last["act"], last["obj"]["id"], last["data"]["rules"]) == (
        "sealed_rules.accepted", view.digest, digest_of(BODY)
    )  # fmt: skip
    for wrong in (first, signed(made, epoch=3)):
        with pytest.raises(Conflict, match="2 is next"):
            await accept(place, wrong)
    second = signed(made, epoch=2)
    await accept(place, second)
    assert await place.room.rules.newest(place.db, place.ws) == second


async def test_a_head_of_others_than_the_roots_or_of_another_manifest_is_refused(place: Place) -> None:
    with pytest.raises(Conflict, match="not sealed"):
        await accept(place, {})
    made = await place.sealed()
    for wrong, reason in (
        (signed(made, SigningKey.generate()), "unknown-key"),
        (signed(made, made.agent), "unknown-key"),
        (signed(made, ws=new_id()), "workspace"),
        (signed(made, manifest=digest_of({})), "chain"),
        (signed(made, iat=made.now - 700, exp=made.now - 1), "expired"),
    ):
        with pytest.raises(Refused) as refused:
            await accept(place, wrong)
        assert refused.value.reason == reason
    assert await place.room.rules.newest(place.db, place.ws) is None


async def test_what_ran_by_them_is_kept_as_its_agent_signed_it(place: Place) -> None:
    made = await place.sealed()
    view = await accept(place, signed(made))
    run = ran(place, view.digest)
    token = sign_run(run, place.ws, made.agent)
    told = await tell(place, token)
    assert (told.id, told.digest, told.rules, told.run) == (run.rid, run.commit, view.digest, token)
    assert await place.room.rules.runs(place.ws, 10) == [told]
    last = (await place.records())[-1]
    assert (last["act"], last["obj"]["id"], last["actor"]["id"]) == (
        "sealed_run.finished", run.rid, place.bot.agent_id
    )  # fmt: skip
    with pytest.raises(Conflict, match="before"):
        await tell(place, token)
    for table in ("sealed_rules", "sealed_run", "audit_record"):
        rows = await place.db.fetch(f"SELECT * FROM {table}")
        assert rows
        assert MARKER not in repr([dict(row) for row in rows])


async def test_a_run_that_is_not_believed_is_not_kept(place: Place) -> None:
    made = await place.sealed()
    view = await accept(place, signed(made))
    good = ran(place, view.digest)
    stranger = Principal(kind="agent", agent_id=new_id(), workspace_id=place.ws)
    for token, bot, kind in (
        (sign_run(good, place.ws, made.agent), stranger, Refused),
        (sign_run(good, place.ws, made.agent), place.admin, Forbidden),
        (sign_run(good, place.ws, SigningKey.generate()), place.bot, Refused),
        (sign_run(good, new_id(), made.agent), place.bot, Refused),
        (sign_run(ran(place, digest_of({})), place.ws, made.agent), place.bot, Unprocessable),
        (sign_run(ran(place, view.digest, started=place.now + 601, ended=place.now + 601), place.ws, made.agent),
         place.bot, Unprocessable),
        ("x.y.z", place.bot, Refused),
    ):  # fmt: skip
        with pytest.raises(kind):
            await tell(place, token, bot)
    assert await place.room.rules.runs(place.ws, 10) == []
