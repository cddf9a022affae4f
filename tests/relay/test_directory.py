"""Public keys: one person's or agent's, once, and revoked for good (E10 E15)."""

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from failgate.audit.record import Actor
from failgate.base.canonical import base64url
from failgate.base.errors import BadInput, Conflict, NotFound
from failgate.relay.directory import MOST_OF_ONE
from failgate.sealed.keys import OpeningKey, SigningKey
from failgate.sealed.refusal import Refused
from tests.relay.parties import Sealed


async def test_a_key_is_enrolled_listed_by_its_thumbprint_and_recorded(place) -> None:
    ann = place.reviewer(0)
    await place.enrol_both(ann)
    opening, deciding = await place.room.directory.list(place.ws)
    assert (opening.purpose, opening.jkt, opening.jwk) == ("opening", ann.opening.jkt, ann.opening.public_jwk())
    assert (deciding.purpose, deciding.jkt, deciding.key_class) == ("deciding", ann.signing.jkt, "native")
    assert {opening.holder, deciding.holder} == {ann.account}
    first, second = await place.records()
    assert (first["act"], first["data"]) == ("device_key.enrolled", {"purpose": "opening", "jkt": ann.opening.jkt})
    assert second["data"] == {"purpose": "deciding", "jkt": ann.signing.jkt, "class": "native"}
    assert first["actor"]["id"] == ann.account


async def test_what_is_no_key_for_its_purpose_is_refused_and_nothing_is_kept(place) -> None:
    ann, ec = place.reviewer(0), SigningKey.generate().public_jwk()
    small = rsa.generate_private_key(65537, 2048).public_key().public_numbers()
    weak = {"kty": "RSA", "e": "AQAB", "n": base64url(small.n.to_bytes(256, "big"))}
    for purpose, jwk, members in (
        ("opening", ec, {}),
        ("opening", weak, {}),
        ("deciding", ann.opening.public_jwk(), {"key_class": "native"}),
        ("deciding", ec | {"x": ec["y"]}, {"key_class": "native"}),
        ("deciding", ec | {"d": "AAAA"}, {"key_class": "native"}),
    ):
        with pytest.raises(Refused):
            await place.enrol(ann, purpose, jwk, **members)
    assert await place.room.directory.list(place.ws) == []
    assert await place.acts() == []


async def test_a_class_belongs_to_keys_that_decide_and_origins_to_passkeys(place) -> None:
    ann, ec = place.reviewer(0), SigningKey.generate().public_jwk()
    passkey = {"key_class": "webauthn", "rp": "gate.example", "origins": ["https://gate.example"]}
    for purpose, members in (
        ("deciding", {}),
        ("opening", {"key_class": "native"}),
        ("deciding", {"key_class": "native", "rp": "gate.example"}),
        ("deciding", passkey | {"origins": None}),
    ):
        with pytest.raises(BadInput):
            await place.enrol(ann, purpose, ec if purpose == "deciding" else ann.opening.public_jwk(), **members)
    kept = await place.enrol(ann, "deciding", ec, **passkey)
    [listed] = await place.room.directory.list(place.ws)
    assert listed == kept
    assert (kept.rp, kept.origins) == ("gate.example", ["https://gate.example"])


async def test_a_key_is_one_persons_once_and_does_not_come_back(place) -> None:
    ann, eve = place.reviewer(0), place.reviewer(0)
    kept = await place.enrol(ann, "opening", ann.opening.public_jwk())
    with pytest.raises(Conflict):
        await place.enrol(eve, "opening", ann.opening.public_jwk())
    await place.room.directory.revoke(place.ws, kept.id, Actor("user", ann.account), ann.account)
    with pytest.raises(Conflict):
        await place.enrol(ann, "opening", ann.opening.public_jwk())
    assert await place.room.directory.in_force(place.db, place.ws) == {}
    assert (await place.room.directory.list(place.ws))[0].revoked_us is not None


async def test_one_revokes_keys_of_ones_own_alone(place) -> None:
    ann, eve = place.reviewer(0), place.reviewer(1)
    kept = await place.enrol(ann, "opening", ann.opening.public_jwk())
    with pytest.raises(NotFound):
        await place.room.directory.revoke(place.ws, kept.id, Actor("user", eve.account), eve.account)
    with pytest.raises(NotFound):
        await place.room.directory.revoke("another", kept.id, Actor("user", ann.account), ann.account)
    assert list(await place.room.directory.in_force(place.db, place.ws)) == [ann.opening.jkt]


async def test_keys_end_with_membership_account_agent_and_its_owner(place) -> None:
    directory, by = place.room.directory, Actor("operator", "host")
    ann, bob = place.reviewer(0), place.reviewer(1)
    for verb in (
        lambda tx: directory.end_in_workspace(tx, place.ws, ann.account, by),
        lambda tx: directory.end_of_account(tx, bob.account, by),
        lambda tx: directory.end_of_agent(tx, place.bot.agent_id, by),
        lambda tx: directory.end_at_owner_change(tx, place.bot.agent_id, by),
        lambda tx: directory.end_of_workspace(tx, place.ws, by),
    ):
        for one in (ann, bob):
            await place.enrol(one, "deciding", SigningKey.generate().public_jwk(), key_class="native")
        await place.enrol_agent(Sealed(place.ws, [], place.now))
        before = len(await directory.in_force(place.db, place.ws))
        await place.db.write(verb)
        assert len(await directory.in_force(place.db, place.ws)) < before
    assert await directory.in_force(place.db, place.ws) == {}
    reasons = {one["data"]["reason"] for one in await place.records() if one["act"] == "device_key.revoked"}
    assert reasons == {"member_removed", "account_disabled", "agent_disabled", "owner_changed", "workspace_deleted"}


async def test_nobody_has_more_keys_than_a_manifest_takes(place) -> None:
    ann = place.reviewer(0)
    for _ in range(MOST_OF_ONE):
        await place.enrol(ann, "deciding", SigningKey.generate().public_jwk(), key_class="native")
    with pytest.raises(Conflict, match="keys in force"):
        await place.enrol(ann, "deciding", SigningKey.generate().public_jwk(), key_class="native")


async def test_copies_of_a_shared_key_are_kept_for_ones_own_devices_alone(place) -> None:
    """The server opens none; it refuses what could not be meant: another's key, a key that is gone, one that decides."""
    ann, bob, ec = place.reviewer(0), place.reviewer(1), SigningKey.generate()
    first = await place.enrol(ann, "opening", ann.opening.public_jwk())
    await place.enrol(bob, "opening", bob.opening.public_jwk())
    shared = OpeningKey.generate()
    for purpose, jwk, members in (
        ("opening", shared.public_jwk(), {"copies": {bob.opening.jkt: "a.b.c"}}),
        ("opening", shared.public_jwk(), {"copies": {"A" * 43: "a.b.c"}}),
        ("opening", shared.public_jwk(), {"copies": {}}),
        ("deciding", ec.public_jwk(), {"key_class": "browser", "copies": {ann.opening.jkt: "a.b.c"}}),
    ):
        with pytest.raises(BadInput) as refused:
            await place.enrol(ann, purpose, jwk, **members)
        assert refused.value.facts["member"] == "copies"
    kept = await place.enrol(ann, "opening", shared.public_jwk(), copies={ann.opening.jkt: "a.b.c"})
    listed = await place.room.directory.list(place.ws)
    assert [one.copies for one in listed] == [None, None, {ann.opening.jkt: "a.b.c"}]
    assert listed[-1] == kept
    assert (await place.records())[-1]["data"] == {"purpose": "opening", "jkt": shared.jkt}
    await place.room.directory.revoke(place.ws, first.id, Actor("user", ann.account))
    with pytest.raises(BadInput):
        await place.enrol(ann, "opening", OpeningKey.generate().public_jwk(), copies={ann.opening.jkt: "a.b.c"})
