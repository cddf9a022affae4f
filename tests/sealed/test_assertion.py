"""What browsers and authenticators say, held against what was to be signed."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failgate.sealed.assertion import check_client_data, read_authenticator_data
from failgate.sealed.decision import challenge_of
from failgate.sealed.refusal import Refused
from tests.sealed.parties import ALICE, BOB, ORIGIN, Authenticator, payload
from tests.sealed.test_decision import believed
from tests.sealed.test_form import refused


@pytest.mark.parametrize(
    "change",
    [
        {"more": {}},
        {"more": {"crossOrigin": False, "other": ["do not compare"]}},
        {"flags": 0x0D},
        {"flags": 0x1D},
        {"counter": 0},
        {"counter": 2**32 - 1},
        {"flags": 0x85, "after": bytes.fromhex("a1636f6e651864")},
        {"flags": 0x85, "after": bytes.fromhex("a0")},
        {"flags": 0x85, "after": bytes.fromhex("a161618201f5")},
    ],
)
def test_what_authenticators_may_add(change: dict[str, Any]) -> None:
    assert believed(Authenticator(**change).decides(payload())).uid == "bob"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"kind": "webauthn.create"}, "client-data"),
        ({"kind": "payment.get"}, "client-data"),
        ({"origin": "https://x.gate.corp.example"}, "origin"),
        ({"origin": "http://gate.corp.example"}, "origin"),
        ({"origin": "https://gate.corp.example/"}, "origin"),
        ({"origin": "https://GATE.corp.example"}, "origin"),
        ({"origin": None}, "origin"),
        ({"origin": [ORIGIN]}, "origin"),
        ({"more": {"crossOrigin": True}}, "origin"),
        ({"more": {"crossOrigin": "false"}}, "origin"),
        ({"more": {"crossOrigin": None}}, "origin"),
        ({"more": {"topOrigin": ORIGIN}}, "origin"),
        ({"rp": "corp.example"}, "relying-party"),
        ({"flags": 0x00}, "presence"),
        ({"flags": 0x01}, "presence"),
        ({"flags": 0x04}, "presence"),
        ({"flags": 0x15}, "authenticator-data"),
        ({"flags": 0x45}, "authenticator-data"),
        ({"flags": 0x85}, "authenticator-data"),
        ({"after": b"\xa0"}, "authenticator-data"),
        ({"flags": 0x85, "after": b"\xa0\x00"}, "authenticator-data"),
        ({"flags": 0x85, "after": b"\x80"}, "authenticator-data"),
        ({"flags": 0x85, "after": b"\xbf\xff"}, "authenticator-data"),
        ({"flags": 0x85, "after": b"\xa1\x61a"}, "authenticator-data"),
        ({"flags": 0x85, "after": b"\xbb" + b"\xff" * 8}, "authenticator-data"),
        ({"flags": 0x85, "after": b"\xa1\x01" + b"\x81" * 500 + b"\x01"}, "authenticator-data"),
        ({"key": ALICE}, "class"),
    ],
)
def test_what_is_not_believed(change: dict[str, Any], reason: str) -> None:
    refused(reason, believed, Authenticator(**change).decides(payload()))


def test_a_counter_never_falls() -> None:
    for counter in (9, 10):
        assert believed(Authenticator(counter=counter).decides(payload()), counters={BOB.jkt: 9}).counter == counter
    refused("counter", believed, Authenticator(counter=8).decides(payload()), counters={BOB.jkt: 9})
    refused("counter", believed, Authenticator(counter=0).decides(payload()), counters={BOB.jkt: 9})


def test_the_challenge_is_of_this_payload() -> None:
    other = Authenticator().client_data(challenge_of(payload()))
    refused("challenge", believed, Authenticator().decides(payload(), other))
    claims = payload()
    padded = Authenticator().client_data(challenge_of(claims)).replace(b'", "origin', b'=", "origin')
    refused("challenge", believed, Authenticator().decides(claims, padded))


@pytest.mark.parametrize(
    "spoil", [lambda d: b"\xef\xbb\xbf" + d, lambda d: d[:-1], lambda d: b"[]", lambda d: b"[" * 9000]
)
def test_client_data_are_an_object(spoil: Any) -> None:
    claims = payload()
    with pytest.raises(Refused) as refusal:
        believed(Authenticator().decides(claims, spoil(Authenticator().client_data(challenge_of(claims)))))
    assert refusal.value.reason in {"client-data", "shape", "too-large"}


def test_no_member_of_client_data_stands_twice() -> None:
    claims = payload()
    data = Authenticator().client_data(challenge_of(claims))
    twice = data[:-1] + b', "origin": "https://gate.corp.example"}'
    refused("client-data", believed, Authenticator().decides(claims, twice))


@given(st.binary(max_size=80))
def test_anything_else_raises_our_refusal_and_nothing_else(content: bytes) -> None:
    for call in (
        lambda: read_authenticator_data(content, "x"),
        lambda: read_authenticator_data(bytes(32) + b"\x85" + bytes(4) + b"\xa1" + content, "x"),
        lambda: check_client_data(content, challenge="c", origins=(ORIGIN,), place="x"),
        lambda: check_client_data(json.dumps(list(content)).encode(), challenge="c", origins=(), place="x"),
    ):
        try:
            call()
        except Refused:
            continue
