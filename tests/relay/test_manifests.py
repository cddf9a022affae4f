"""Signed manifests: accepted only when they hold, and then for good (E10 E15, P3)."""

import pytest

from failgate.audit.record import Actor
from failgate.base.errors import Conflict, Unprocessable
from failgate.base.ids import new_id
from failgate.relay.room import build_relay
from failgate.sealed.keys import SigningKey
from failgate.sealed.refusal import Refused
from tests.relay.parties import Sealed


async def test_a_manifest_is_kept_recorded_and_given_as_it_was_signed(place) -> None:
    assert await place.room.manifests.newest(place.db, place.ws) is None
    made = Sealed(place.ws, [place.reviewer(0)], place.now)
    await place.enrol_both(made.people[0])
    await place.enrol_agent(made)
    signed = made.next()
    kept = await place.accept(signed, [made.policy])
    assert (kept.epoch, kept.digest) == (1, made.prev)
    [given] = await place.room.manifests.after(place.ws, 0)
    assert (given.signed, given.policies, given.account_id) == (signed, [made.policy], place.admin.account_id)
    assert await place.room.manifests.after(place.ws, 1) == []
    record = (await place.records())[-1]
    assert (record["act"], record["obj"]["id"]) == ("key_manifest.accepted", made.prev)
    assert (record["data"]["epoch"], record["data"]["people"], record["data"]["threshold"]) == (1, 1, 1)


async def test_each_manifest_is_signed_by_the_roots_of_the_one_before(place) -> None:
    made = await place.sealed()
    thief = SigningKey.generate()
    stolen = made.payload(roots={"keys": [thief.jkt], "m": 1})
    foreign = made.signed(stolen, thief) | {"keys": [thief.public_jwk()]}
    with pytest.raises(Refused, match="Too few roots"):
        await place.accept(foreign, [made.policy])
    second = await place.accept(made.next(), [made.policy])
    assert second.epoch == 2


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"epoch": 1}, "epoch"),
        ({"epoch": 3}, "epoch"),
        ({"prev": "A" * 43}, "chain"),
        ({"ws": "8d440d1d-b0a9-4df4-8284-fac5c7fdb7fc"}, "workspace"),
    ],
)
async def test_a_manifest_that_does_not_follow_is_refused(place, changes, reason) -> None:
    made = await place.sealed()
    with pytest.raises(Refused) as refused:
        await place.accept(made.signed(made.payload(**changes)), [made.policy])
    assert refused.value.reason == reason
    assert (await place.room.manifests.newest(place.db, place.ws)).epoch == 1


async def test_a_changed_payload_an_expired_one_and_one_of_another_workspace_are_refused(place) -> None:
    made = Sealed(place.ws, [place.reviewer(0)], place.now)
    await place.enrol_both(made.people[0])
    await place.enrol_agent(made)
    good, other = made.signed(made.payload()), made.signed(made.payload(iat=place.now - 1))
    for signed, reason in (
        (good | {"payload": other["payload"]}, "signature"),
        (made.signed(made.payload(iat=place.now - 100, exp=place.now - 1)), "expired"),
        (made.signed(made.payload(iat=place.now + 31)), "ahead"),
        (made.signed(made.payload(ws=new_id())), "workspace"),
    ):
        with pytest.raises(Refused) as refused:
            await place.accept(signed, [made.policy])
        assert refused.value.reason == reason
    assert not await place.room.manifests.is_sealed(place.ws)


async def test_only_keys_that_their_people_enrolled_and_did_not_revoke_may_stand_in_it(place) -> None:
    made = Sealed(place.ws, [place.reviewer(0)], place.now)
    [ann] = made.people
    with pytest.raises(Unprocessable, match="members"):
        await place.accept(made.signed(made.payload()), [made.policy])
    await place.enrol_both(ann)
    with pytest.raises(Unprocessable, match="agents"):
        await place.accept(made.signed(made.payload()), [made.policy])
    key = await place.enrol_agent(made)
    for member in (
        ann.member | {"uid": new_id()},
        ann.member | {"sig": [{"class": "browser", "jkt": ann.signing.jkt}]},
        ann.member | {"enc": ann.signing.jkt, "sig": [{"class": "native", "jkt": ann.opening.jkt}]},
    ):
        with pytest.raises(Unprocessable, match="members"):
            await place.accept(made.signed(made.payload(members=[member])), [made.policy])
    await place.room.directory.revoke(place.ws, key.id, Actor.of(place.admin))
    with pytest.raises(Unprocessable, match="agents"):
        await place.accept(made.signed(made.payload()), [made.policy])
    assert await place.room.manifests.newest(place.db, place.ws) is None


async def test_the_policies_are_exactly_those_that_it_names(place) -> None:
    made = Sealed(place.ws, [place.reviewer(0)], place.now)
    await place.enrol_both(made.people[0])
    await place.enrol_agent(made)
    signed = made.signed(made.payload())
    for bodies in ([], [made.policy | {"need": 2}], [made.policy, made.policy | {"id": "other"}]):
        with pytest.raises(Refused) as refused:
            await place.accept(signed, bodies)
        assert refused.value.reason == "policy"


async def test_a_sealed_workspace_takes_nothing_in_the_clear_whatever_plugins_there_are(place) -> None:
    await place.room.refuse_clear(place.ws)
    await place.sealed()
    without = build_relay(place.db, place.audit, place.clock, None)
    for room in (place.room, without):
        with pytest.raises(Conflict, match="sealed"):
            await room.refuse_clear(place.ws)
    await without.refuse_clear(new_id())
    with pytest.raises(Conflict, match="relays no sealed"):
        without.opened()
