"""Manifests: a chain that only its roots can lengthen, and nothing that was rolled back, forked or expired."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from failgate.base.canonical import base64url, digest_of
from failgate.sealed.manifest import Manifest, accept_chain, first_manifest, read_payload, sign_manifest
from failgate.sealed.refusal import Refused
from tests.sealed.parties import (
    AGENT,
    ALICE,
    BOB,
    CAROL,
    CRITICAL,
    NEW_ROOT,
    NOW,
    RING,
    ROOTS,
    STRANGER,
    after,
    manifest,
    manifest_payload,
    openers,
    policy,
    signed,
)
from tests.sealed.test_form import JSON_VALUES, refused

FIRST = manifest_payload()
SECOND = after(FIRST)


def accepted(*chain: Any, last: Manifest | None = None, now: int = NOW) -> Manifest:
    return accept_chain(list(chain), last=last or read_payload(FIRST), keys=RING, now=now)


def test_the_first_is_pinned_and_signed_by_its_own_roots() -> None:
    pin = digest_of(FIRST)
    found = first_manifest(signed(FIRST), pin=pin, keys=RING, now=NOW)
    assert found == read_payload(FIRST)
    assert found.recipients() == tuple(sorted(one.jkt for one in openers()))
    refused("pin", first_manifest, signed(FIRST), pin=digest_of(SECOND), keys=RING, now=NOW)
    refused("chain", first_manifest, signed(SECOND), pin=digest_of(SECOND), keys=RING, now=NOW)
    refused("threshold", first_manifest, signed(FIRST, ROOTS[0]), pin=pin, keys=RING, now=NOW)
    refused("unknown-key", first_manifest, signed(FIRST, *ROOTS[:2], STRANGER), pin=pin, keys=RING, now=NOW)
    refused("ahead", first_manifest, signed(FIRST), pin=pin, keys=RING, now=NOW - 3631)


def test_a_chain_leads_on_and_may_hold_an_expired_one() -> None:
    old = after(FIRST, iat=NOW - 800_000, exp=NOW - 700_000)
    third = after(old, iat=NOW, exp=NOW + 86_400)
    assert accepted(signed(old), signed(third)).epoch == 3
    refused("expired", accepted, signed(old))
    assert accepted(signed(SECOND), now=SECOND["exp"]).epoch == 2
    refused("expired", accepted, signed(SECOND), now=SECOND["exp"] + 1)
    refused("ahead", accepted, signed(after(FIRST, iat=NOW + 31)))
    assert accepted(signed(after(FIRST, iat=NOW + 30))).epoch == 2
    early = after(FIRST, iat=NOW + 31)  # in the middle too, where the newest is not ahead
    refused("ahead", accepted, signed(early), signed(after(early, iat=NOW)))


def test_rollback_forks_and_gaps_are_refused() -> None:
    last = read_payload(SECOND)
    refused("epoch", accepted, signed(FIRST), last=last)
    refused("epoch", accepted, signed(SECOND), last=last)
    refused("epoch", accepted, signed(after(SECOND, epoch=4)), last=last)
    fork = after(FIRST, exp=FIRST["exp"] + 1)
    refused("chain", accepted, signed(after(fork)), last=last)
    elsewhere = after(SECOND, ws="00000000-0000-4000-8000-000000000000")
    refused("workspace", accepted, signed(elsewhere), last=last)
    refused("value", accept_chain, [], last=last, keys=RING, now=NOW)
    refused("shape", accept_chain, None, last=last, keys=RING, now=NOW)


def test_new_roots_are_named_by_the_old_ones_and_agree() -> None:
    roots = {"keys": sorted([ROOTS[0].jkt, NEW_ROOT.jkt]), "m": 2}
    turned = after(FIRST, roots=roots)
    assert accepted(signed(turned, ROOTS[0], ROOTS[1], NEW_ROOT)).roots == tuple(roots["keys"])
    refused("threshold", accepted, signed(turned, ROOTS[0], NEW_ROOT))  # one of the old
    refused("threshold", accepted, signed(turned, ROOTS[0], ROOTS[1]))  # one of the new
    newer = after(turned)
    refused("unknown-key", accepted, signed(newer, ROOTS[0], NEW_ROOT, ROOTS[1]), last=read_payload(turned))


def test_a_signer_counts_once_and_every_signature_holds() -> None:
    refused("signer-twice", accepted, signed(SECOND, ROOTS[0], ROOTS[0], ROOTS[1]))
    refused("unknown-key", accepted, signed(SECOND, *ROOTS, STRANGER))
    spoilt = signed(SECOND, *ROOTS)
    spoilt["signatures"][2]["signature"] = spoilt["signatures"][1]["signature"]
    refused("signature", accepted, spoilt)
    other = {**signed(SECOND), "payload": signed(FIRST)["payload"]}
    refused("signature", accepted, other)
    refused("value", accepted, {**signed(SECOND), "signatures": []})


def test_keys_may_come_along_and_count_by_their_thumbprint() -> None:
    with_keys = {**signed(SECOND), "keys": [one.public_jwk() for one in ROOTS]}
    alone = {"last": read_payload(FIRST), "keys": {}, "now": NOW}
    assert accept_chain([with_keys], **alone).epoch == 2
    refused("unknown-key", accept_chain, [signed(SECOND)], **alone)
    strange = {**signed(SECOND, STRANGER, ROOTS[0]), "keys": [STRANGER.public_jwk(), ROOTS[0].public_jwk()]}
    refused("unknown-key", accept_chain, [strange], **alone)
    lying = {**with_keys, "keys": [{**STRANGER.public_jwk(), "kid": ROOTS[0].jkt}]}
    refused("thumbprint", accept_chain, [lying], **alone)


SAME = FIRST["members"]


def person(number: int, **changes: Any) -> list[dict[str, Any]]:
    return [{**one, **changes} if place == number else one for place, one in enumerate(SAME)]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"typ": "failgate-policy"}, "value"),
        ({"v": 2}, "value"),
        ({"v": True}, "value"),
        ({"e2ee": "optional"}, "value"),
        ({"e2ee": True}, "value"),
        ({"epoch": 0}, "value"),
        ({"epoch": True}, "value"),
        ({"epoch": 2**53}, "value"),
        ({"extra": 1}, "members"),
        ({"exp": NOW - 3600 + 7 * 86_400 + 1}, "lifetime"),
        ({"exp": NOW - 3600}, "lifetime"),
        ({"prev": digest_of(FIRST)[:-1] + "B"}, "encoding"),
        ({"ws": "x"}, "value"),
        ({"roots": {"keys": sorted(one.jkt for one in ROOTS), "m": 1}}, "value"),
        ({"roots": {"keys": sorted(one.jkt for one in ROOTS), "m": 4}}, "value"),
        ({"roots": {"keys": [ROOTS[0].jkt, ROOTS[0].jkt], "m": 2}}, "value"),
        ({"roots": {"keys": [], "m": 1}}, "value"),
        ({"members": []}, "value"),
        ({"members": person(0, uid="bob")}, "person-twice"),
        ({"members": person(0, enc=openers()[1].jkt)}, "key-twice"),
        ({"members": person(0, sig=[{"class": "native", "jkt": CAROL.jkt}])}, "key-twice"),
        ({"members": person(0, sig=[{"class": "native", "jkt": ALICE.jkt}] * 2)}, "key-twice"),
        ({"members": person(0, sig=[])}, "value"),
        ({"members": person(0, sig=[{"class": "phone", "jkt": ALICE.jkt}])}, "value"),
        ({"members": person(0, sig=[{"class": "webauthn", "jkt": ALICE.jkt}])}, "members"),
        ({"members": person(0, sig=[{"class": "native", "jkt": ALICE.jkt, "rp": "x"}])}, "members"),
        ({"members": person(1, sig=[{"class": "webauthn", "jkt": BOB.jkt, "rp": "x", "origins": []}])}, "value"),
        ({"members": person(0, roles=[])}, "value"),
        ({"members": person(0, roles=["reviewer", "reviewer"])}, "value"),
        ({"members": person(0, enc=None)}, "shape"),
        ({"members": person(0, uid="")}, "value"),
        ({"policies": {"default": "x"}}, "encoding"),
        ({"policies": []}, "shape"),
        ({"agents": [AGENT.jkt, AGENT.jkt]}, "value"),
        ({"agents": [ALICE.jkt]}, "key-twice"),
        ({"agents": [ROOTS[0].jkt]}, "key-twice"),
        ({"agents": None}, "shape"),
    ],
)
def test_what_a_manifest_may_not_say(change: dict[str, Any], reason: str) -> None:
    refused(reason, read_payload, manifest_payload(**change))
    refused(reason, sign_manifest, manifest_payload(**change), ROOTS)


def test_one_root_alone_may_have_a_threshold_of_one() -> None:
    assert manifest(roots={"keys": [ROOTS[0].jkt], "m": 1}).threshold == 1


def test_who_decides_is_a_reviewer_with_a_listed_key() -> None:
    found = manifest()
    assert found.decider(CAROL.jkt, "x")[0].uid == "carol"
    refused("unknown-key", found.decider, STRANGER.jkt, "x")
    erin = found.people[3].keys[0].jkt
    refused("role", found.decider, erin, "x")


def test_a_policy_counts_by_its_id_and_digest() -> None:
    manifest().check_policy(policy())
    refused("policy", manifest().check_policy, policy({**CRITICAL, "id": "default"}))
    refused("policy", manifest().check_policy, policy({**CRITICAL, "need": 1}))
    refused("policy", manifest().check_policy, policy({**CRITICAL, "id": "other"}))


SIGNED = signed(SECOND)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([("payload",), ("signatures", 0, "protected"), ("signatures", 1, "signature")]), st.data())
def test_any_changed_character_is_refused(path: tuple[Any, ...], data: st.DataObject) -> None:
    changed = copy.deepcopy(SIGNED)
    place: Any = changed
    for step in path[:-1]:
        place = place[step]
    text = place[path[-1]]
    where = data.draw(st.integers(0, len(text) - 1))
    character = data.draw(st.characters(max_codepoint=127).filter(lambda one: one != text[where]))
    place[path[-1]] = text[:where] + character + text[where + 1 :]
    with pytest.raises(Refused):
        accepted(changed)


@settings(deadline=None)
@given(JSON_VALUES)
def test_anything_else_is_refused_and_raises_nothing_else(value: object) -> None:
    payload = base64url(json.dumps(value).encode())
    for what in (value, [value], [{**SIGNED, "signatures": value}], [{**SIGNED, "payload": payload}]):
        with pytest.raises(Refused):
            accept_chain(what, last=read_payload(FIRST), keys=RING, now=NOW)
    for name in FIRST:
        if value != FIRST[name]:
            try:
                read_payload({**FIRST, name: value})
            except Refused:
                continue
