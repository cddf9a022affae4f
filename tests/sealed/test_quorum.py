"""A quorum is people, not keys; one denial ends it. E15."""

from typing import Any

import pytest

from failgate.sealed.quorum import Quorum, decide
from tests.sealed.parties import (
    ALICE,
    BOB,
    CAROL,
    CAROLS_PASSKEY,
    CID,
    CRITICAL,
    NOW,
    RING,
    STRANGER,
    Authenticator,
    context,
    decided,
    manifest,
    payload,
    policy,
)
from tests.sealed.test_form import refused


def counted(sent: object, **named: Any) -> Quorum:
    return decide(
        sent, **{"ctx": context(), "policy": policy(), "manifest": manifest(), "keys": RING, "now": NOW, **named}
    )


def test_two_people_are_enough_and_the_agent_learns_what_to_keep() -> None:
    mine, theirs = payload(), payload()
    found = counted([decided(ALICE, jti="a"), Authenticator(counter=12).decides(mine)])
    assert found.approved_by == ("alice", "bob")
    assert found.counters == {BOB.jkt: 12}
    assert found.jtis == {"a": NOW + 270, mine["jti"]: NOW + 270}
    assert counted([decided(ALICE), decided(CAROL), Authenticator().decides(theirs)]).approved_by == (
        "alice",
        "bob",
        "carol",
    )


def test_two_keys_of_one_person_are_one_person() -> None:
    both = [decided(CAROL), Authenticator(CAROLS_PASSKEY).decides(payload())]
    refused("quorum", counted, both)
    assert counted([*both, decided(ALICE)]).approved_by == ("alice", "carol")


@pytest.mark.parametrize("sent", [[], None, "", {}, [None], [[]]])
def test_too_few_or_nothing_is_refused(sent: object) -> None:
    with pytest.raises(Exception, match=r"\(decision"):
        counted(sent)
    refused("quorum", counted, decided(ALICE))
    refused("quorum", counted, [decided(ALICE)])
    refused("too-large", counted, [None] * 1025)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_denial_ends_it_wherever_it_stands(place: int) -> None:
    sent = [decided(ALICE), Authenticator().decides(payload())]
    sent.insert(place, decided(CAROL, decision="deny"))
    refused("denied", counted, sent)
    refused("denied", counted, [*sent, decided(ALICE, decision="deny")])


def test_one_that_does_not_hold_refuses_all() -> None:
    enough = [decided(ALICE), decided(CAROL)]
    assert counted(enough)
    refused("unknown-key", counted, [*enough, decided(STRANGER)])
    refused("shape", counted, [*enough, None])


def test_a_class_that_is_demanded_is_counted_in_people() -> None:
    ctx = context(policy=policy(CRITICAL).digest)
    passkey, native = Authenticator().decides(payload(ctx)), decided(CAROL, ctx)
    named = {"ctx": ctx, "policy": policy(CRITICAL)}
    assert counted([passkey, native], **named).approved_by == ("bob", "carol")
    refused("class-quorum", counted, [passkey, decided(ALICE, ctx)], **named)


def test_the_policy_is_the_one_of_the_request_and_of_the_manifest() -> None:
    sent = [decided(ALICE), decided(CAROL)]
    refused("policy", counted, sent, policy=policy({**CRITICAL, "id": "default", "need": 1, "require": {}}))
    refused("policy", counted, sent, policy=policy(CRITICAL))
    renamed = manifest(policies={"other": policy().digest})
    refused("policy", counted, sent, manifest=renamed)
    refused("policy", counted, sent, manifest=manifest(policies={"default": policy(CRITICAL).digest}))


def test_nothing_is_used_twice() -> None:
    sent = [decided(ALICE, jti="a"), decided(CAROL, jti="b")]
    refused("replayed", counted, sent, used={"b"})
    refused("replayed", counted, sent, used={CID})
    refused("replayed", counted, [*sent, sent[0]])
    refused("replayed", counted, [*sent, Authenticator().decides(payload(jti="a"))])


def test_time_and_manifest_are_asked_again() -> None:
    sent = [decided(ALICE), decided(CAROL)]
    assert counted(sent, now=NOW + 270)
    refused("expired", counted, sent, now=NOW + 271)
    refused("expired", counted, sent, now=NOW + 281)
    refused("epoch", counted, sent, manifest=manifest(epoch=2))
    refused("expired", counted, sent, manifest=manifest(exp=NOW - 1))
