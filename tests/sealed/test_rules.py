"""Signed rules: who may sign them, when they count, what went back, and runs that an agent signs (E10 E13 P3)."""

from typing import Any

import pytest

from failgate.base.canonical import base64url, digest_of
from failgate.base.ids import new_id
from failgate.sealed.keys import SigningKey, VerifyingKey, ring_of
from failgate.sealed.manifest import Manifest, read_payload
from failgate.sealed.receipt import Receipt
from failgate.sealed.refusal import Refused
from failgate.sealed.rules import (
    Head,
    Run,
    check_times,
    read_body,
    read_head,
    sign_head,
    sign_run,
    verify_head,
    verify_run,
)
from tests.relay.parties import Reviewer, Sealed

NOW = 1_000_000
WS = "8d440d1d-b0a9-4df4-8284-fac5c7fdb7fc"
BODY: dict[str, Any] = {
    "v": 1,
    "nonce": base64url(bytes(32)),
    "rules": [{"id": "a", "kind": "exact", "argv": ["ls", "-l", ""]}, {"id": "b", "kind": "prefix", "argv": ["git"]}],
}


class Admins:
    """Three administrators, two of whom have to sign."""

    def __init__(self) -> None:
        self.roots = [SigningKey.generate() for _ in range(3)]
        self.sealed = Sealed(WS, [Reviewer("ann")], NOW, roots=self.roots)
        self.manifest: Manifest = read_payload(self.sealed.payload())

    def payload(self, **changes: Any) -> dict[str, Any]:
        return {
            "typ": "failgate-rules", "v": 1, "ws": WS, "epoch": 3, "manifest": self.manifest.digest, "iat": NOW,
            "exp": NOW + 60, "rules": digest_of(BODY), **changes,
        }  # fmt: skip

    def signed(self, *signers: SigningKey, **changes: Any) -> dict[str, Any]:
        by = signers or tuple(self.roots[:2])
        return {**sign_head(self.payload(**changes), by), "keys": [one.public_jwk() for one in by]}

    def verified(self, signed: object, now: int = NOW, last: tuple[int, str] | None = None) -> Head:
        return verify_head(signed, manifest=self.manifest, now=now, last=last)


@pytest.fixture(scope="module")
def admins() -> Admins:
    return Admins()


def reason(ask: Any) -> str:
    with pytest.raises(Refused) as refused:
        ask()
    return refused.value.reason


def test_a_head_that_enough_roots_signed_is_believed_until_its_last_second(admins: Admins) -> None:
    head = admins.verified(admins.signed())
    assert (head.epoch, head.rules, head.digest) == (3, digest_of(BODY), digest_of(admins.payload()))
    assert admins.verified(admins.signed(), NOW + 60) == head
    assert reason(lambda: admins.verified(admins.signed(), NOW + 61)) == "expired"
    assert reason(lambda: admins.verified(admins.signed(), NOW - 31)) == "ahead"


def test_too_few_others_and_the_same_twice_are_not_enough(admins: Admins) -> None:
    first, second, third = admins.roots
    stranger = SigningKey.generate()
    assert reason(lambda: admins.verified(admins.signed(first))) == "threshold"
    assert reason(lambda: admins.verified(admins.signed(first, first))) in {"signer-twice", "key-twice"}
    assert reason(lambda: admins.verified(admins.signed(first, second, stranger))) == "unknown-key"
    assert reason(lambda: admins.verified(admins.signed(admins.sealed.agent, first))) == "unknown-key"
    assert admins.verified(admins.signed(second, third)).epoch == 3
    signed = admins.signed()
    swapped = signed | {"payload": admins.signed(rules=digest_of({}))["payload"]}
    assert reason(lambda: admins.verified(swapped)) == "signature"
    unnamed = {name: value for name, value in signed.items() if name != "keys"}
    assert reason(lambda: admins.verified(unnamed)) == "unknown-key"


def test_another_workspace_and_another_manifest_are_not_believed(admins: Admins) -> None:
    assert reason(lambda: admins.verified(admins.signed(ws=new_id()))) == "workspace"
    assert reason(lambda: admins.verified(admins.signed(manifest=digest_of({})))) == "chain"


def test_what_is_older_than_what_was_seen_is_not_believed(admins: Admins) -> None:
    seen = admins.verified(admins.signed())
    last = (seen.epoch, seen.digest)
    assert admins.verified(admins.signed(), last=last) == seen
    assert admins.verified(admins.signed(epoch=4), last=last).epoch == 4
    assert reason(lambda: admins.verified(admins.signed(epoch=2), last=last)) == "epoch"
    assert reason(lambda: admins.verified(admins.signed(exp=NOW + 59), last=last)) == "epoch"  # another of its epoch


@pytest.mark.parametrize(
    "changes",
    [{"more": 1}, {"v": 2}, {"typ": "x"}, {"epoch": 0}, {"exp": NOW}, {"exp": NOW + 7 * 86_400 + 1}, {"rules": "x"}],
)
def test_a_head_of_another_form_is_refused(admins: Admins, changes: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        read_head(admins.payload(**changes))


@pytest.mark.parametrize("value", [None, 7, [], "x", {}, {"payload": "e30", "signatures": []}, {"payload": 7}])
def test_anything_else_is_refused_and_raises_nothing_else(admins: Admins, value: object) -> None:
    with pytest.raises(Refused):
        admins.verified(value)
    with pytest.raises(Refused):
        read_body(value)


def test_a_body_has_the_digest_that_the_head_names() -> None:
    rules, digest = read_body(BODY)
    assert digest == digest_of(BODY)
    assert [(one.id, one.kind, one.argv) for one in rules] == [
        ("a", "exact", ("ls", "-l", "")), ("b", "prefix", ("git",)),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "rules",
    [
        [{"id": "a", "kind": "re2", "argv": ["ls"]}],
        [{"id": "a", "kind": "exact", "argv": []}],
        [{"id": "a", "kind": "exact", "argv": [""]}],
        [{"id": "a", "kind": "exact", "argv": ["l\0s"]}],
        [{"id": "a", "kind": ["exact"], "argv": ["ls"]}],
        [{"id": "a", "kind": "exact", "argv": ["ls"], "effect": "deny"}],
        [{"id": "a", "kind": "exact", "argv": ["ls"]}] * 2,
        "ls",
    ],
)
def test_rules_of_another_form_are_refused(rules: object) -> None:
    with pytest.raises(Refused):
        read_body(BODY | {"rules": rules})


def test_a_run_is_its_agents_about_one_workspace(admins: Admins) -> None:
    agent, other = SigningKey.generate(), SigningKey.generate()
    run = Run(new_id(), digest_of(1), digest_of(2), Receipt(NOW, NOW + 2, 3, base64url(bytes(32))))
    token = sign_run(run, WS, agent)
    ring: dict[str, VerifyingKey] = ring_of([agent.public_jwk()])
    assert verify_run(token, ws=WS, agents=ring) == (run, agent.jkt)
    assert reason(lambda: verify_run(token, ws=new_id(), agents=ring)) == "workspace"
    assert reason(lambda: verify_run(sign_run(run, WS, other), ws=WS, agents=ring)) == "unknown-key"
    assert reason(lambda: sign_run(run._replace(receipt=Receipt(NOW, NOW - 1, 0, run.commit)), WS, agent)) == "times"
    head = admins.verified(admins.signed())
    check_times(run, head)
    late = run._replace(receipt=run.receipt._replace(started=NOW + 61, ended=NOW + 61))
    assert reason(lambda: check_times(late, head)) == "times"
