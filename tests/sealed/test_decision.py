"""Decisions: each is about one request, by one listed key in its own form. E15."""

import base64
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import ECKey

from failgate.base.canonical import base64url, canonical
from failgate.sealed.decision import Decision, decision_payload, sign_decision, verify_decision
from failgate.sealed.keys import VerifyingKey
from failgate.sealed.refusal import Refused
from tests.sealed.parties import (
    AGENT,
    ALICE,
    BOB,
    CAROL,
    CAROLS_PASSKEY,
    ERIN,
    NOW,
    RING,
    ROOTS,
    STRANGER,
    Authenticator,
    context,
    decided,
    manifest,
    manifest_payload,
    payload,
)
from tests.sealed.test_form import JSON_VALUES, refused

NODE = shutil.which("node")
SCRIPT = Path(__file__).with_name("webcrypto.mjs")


def believed(sent: object, **named: Any) -> Decision:
    return verify_decision(
        sent, **{"ctx": context(), "manifest": manifest(), "keys": RING, "now": NOW, "counters": {}, **named}
    )


def test_a_decision_says_whose_it_is() -> None:
    found = believed(decided(CAROL))
    assert (found.uid, found.key_class, found.decision, found.counter) == ("carol", "native", "approve", 0)
    assert believed(decided(ALICE, decision="deny")).decision == "deny"
    assert believed(decided(ALICE, note_sha256="A" * 43)).note_sha256 == "A" * 43
    by_passkey = believed(Authenticator().decides(payload()))
    assert (by_passkey.uid, by_passkey.key_class, by_passkey.counter) == ("bob", "webauthn", 9)


def test_only_listed_reviewers_decide_and_each_key_in_its_form() -> None:
    for key in (STRANGER, AGENT, ROOTS[0]):
        refused("unknown-key", believed, decided(key))
    refused("role", believed, decided(ERIN))
    refused("class", believed, decided(BOB))
    refused("class", believed, decided(CAROLS_PASSKEY))
    refused("class", believed, Authenticator(ALICE).decides(payload()))
    refused("unknown-key", believed, decided(ALICE), keys={})
    refused("thumbprint", believed, decided(ALICE), keys={ALICE.jkt: RING[BOB.jkt]})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"typ": "failgate-receipt"}, "value"),
        ({"v": True}, "value"),
        ({"decision": "allow"}, "value"),
        ({"decision": True}, "value"),
        ({"decision": ["approve"]}, "value"),
        ({"agent": ERIN.jkt}, "claims"),
        ({"cid": "00000000-0000-4000-8000-000000000000"}, "claims"),
        ({"commit": "A" * 43}, "claims"),
        ({"ctx_sha256": "A" * 43}, "claims"),
        ({"epoch": 2}, "claims"),
        ({"epoch": True}, "claims"),
        ({"policy": "A" * 43}, "claims"),
        ({"ws": "00000000-0000-4000-8000-000000000000"}, "claims"),
        ({"iat": NOW + 31}, "ahead"),
        ({"iat": NOW - 51}, "lifetime"),
        ({"exp": NOW + 281}, "lifetime"),
        ({"exp": NOW - 9}, "lifetime"),
        ({"exp": NOW - 1}, "expired"),
        ({"jti": ""}, "value"),
        ({"jti": 1}, "value"),
        ({"jti": "x" * 129}, "value"),
        ({"note_sha256": "x"}, "encoding"),
        ({"extra": 1}, "members"),
    ],
)
def test_a_decision_repeats_the_request(change: dict[str, Any], reason: str) -> None:
    refused(reason, believed, decided(ALICE, **change))
    refused(reason, believed, Authenticator().decides(payload(**change)))


def test_times_at_their_edges() -> None:
    assert believed(decided(ALICE, iat=NOW + 30))
    assert believed(decided(ALICE, iat=NOW - 50))
    assert believed(decided(ALICE, exp=NOW + 280))
    assert believed(decided(ALICE, exp=NOW))
    refused("lifetime", decision_payload, context(), "approve", jti="j", iat=NOW, exp=NOW + 281)


def test_headers_are_exact() -> None:
    token = decided(ALICE)
    _, body, signature = token.split(".")
    good = {"alg": "ES256", "kid": ALICE.jkt, "typ": "failgate-decision+jws"}
    for change in (
        {"alg": "none"},
        {"alg": "es256"},
        {"alg": "HS256"},
        {"typ": "JWT"},
        {"typ": "failgate-receipt+jws"},
        {"kid": None},
        {"jwk": STRANGER.public_jwk()},
        {"crit": ["b64"], "b64": False},
        {"x5u": "https://x"},
    ):
        header = base64url(canonical({**good, **change}))
        refused("header", believed, f"{header}.{body}.{signature}")
    for header, reason in (
        (json.dumps(good).encode(), "not-canonical"),
        (b'{"alg":"ES256","kid":"x","kid":"y","typ":"t"}', "not-canonical"),
        (b"[]", "shape"),
        (b"\xff", "not-canonical"),
    ):
        refused(reason, believed, f"{base64url(header)}.{body}.{signature}")
    for spoilt in (token + ".", token + ".x", token[1:], token.replace(".", "..", 1), body, "", token + "\n"):
        with pytest.raises(Refused):
            believed(spoilt)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_changed_character_is_refused(data: st.DataObject) -> None:
    token = TOKEN
    where = data.draw(st.integers(0, len(token) - 1))
    character = data.draw(st.characters(max_codepoint=127).filter(lambda one: one != token[where]))
    with pytest.raises(Refused):
        believed(token[:where] + character + token[where + 1 :])


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(["payload", "authenticatorData", "clientDataJSON", "signature"]), st.data())
def test_any_changed_byte_of_an_assertion_is_refused(member: str, data: st.DataObject) -> None:
    holder = ASSERTED if member == "payload" else ASSERTED["webauthn"]
    content = bytearray(base64.urlsafe_b64decode(holder[member] + "=="))
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    changed = {**holder, member: base64url(bytes(content))}
    with pytest.raises(Refused):
        believed(changed if member == "payload" else {**ASSERTED, "webauthn": changed})


TOKEN = decided(ALICE)
ASSERTED = Authenticator().decides(payload())


@settings(deadline=None)
@given(JSON_VALUES)
def test_anything_else_is_refused_and_raises_nothing_else(value: object) -> None:
    token = f"{TOKEN.split('.')[0]}.{base64url(json.dumps(value).encode())}.{TOKEN.split('.')[2]}"
    whole = sign_decision(value, ALICE) if isinstance(value, dict) and _is_canonical(value) else token
    for what in (value, token, whole, {**ASSERTED, "webauthn": value}, {**ASSERTED, "kid": value}):
        with pytest.raises(Refused):
            believed(what)


def _is_canonical(value: object) -> bool:
    try:
        canonical(value)
    except Exception:
        return False
    return True


def test_a_jose_library_verifies_what_we_sign() -> None:
    claims = payload()
    read = jws.deserialize_compact(
        sign_decision(claims, ALICE), ECKey.import_key(ALICE.public_jwk()), algorithms=["ES256"]
    )
    assert read.payload == canonical(claims)
    assert dict(read.headers()) == {"alg": "ES256", "kid": ALICE.jkt, "typ": "failgate-decision+jws"}


@pytest.mark.skipif(NODE is None, reason="node is missing: install the package `nodejs`")
def test_web_crypto_verifies_what_we_sign_and_the_reverse() -> None:
    claims = payload()
    ask = {
        "tokens": [sign_decision(claims, ALICE), decided(CAROL)],
        "keys": [ALICE.public_jwk(), CAROL.public_jwk()],
        "payload": base64url(canonical(claims)),
        "typ": "failgate-decision+jws",
    }
    done = subprocess.run(
        [str(NODE), SCRIPT, "sign"], input=json.dumps(ask), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["read"][0]["payload"] == claims
    theirs = VerifyingKey.from_jwk(answer["jwk"])
    assert theirs.jkt == answer["jkt"]
    members = json.loads(json.dumps(manifest_payload()["members"]).replace(ALICE.jkt, theirs.jkt))
    found = believed(answer["token"], manifest=manifest(members=members), keys={theirs.jkt: theirs})
    assert found.uid == "alice"
    swapped = {**ask, "keys": ask["keys"][::-1]}
    again = subprocess.run(
        [str(NODE), SCRIPT, "sign"], input=json.dumps(swapped), capture_output=True, text=True, timeout=60
    )
    assert "the signature does not hold" in again.stderr
