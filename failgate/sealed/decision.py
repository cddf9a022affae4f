"""A reviewer's decision: one request, one word, one key; signed plainly or by a passkey."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final, Literal, NamedTuple, cast

from failgate.base.canonical import base64url, canonical
from failgate.sealed import form
from failgate.sealed.assertion import (
    AUTHENTICATOR_DATA_BYTES,
    CLIENT_DATA_BYTES,
    check_authenticator,
    check_client_data,
    read_authenticator_data,
)
from failgate.sealed.command import Context
from failgate.sealed.keys import Signs, VerifyingKey, named
from failgate.sealed.manifest import DecisionKey, Manifest
from failgate.sealed.policy import KeyClass
from failgate.sealed.refusal import Refused
from failgate.sealed.signing import read, sign

TYP: Final = "failgate-decision"
SIGNATURE_TYP: Final = "failgate-decision+jws"
PAYLOAD_BYTES: Final = 4096
_DER_BYTES: Final = 72  # the longest for P-256
_MEMBERS: Final = (
    "agent",
    "cid",
    "commit",
    "ctx_sha256",
    "decision",
    "epoch",
    "exp",
    "iat",
    "jti",
    "policy",
    "typ",
    "v",
    "ws",
)

Word = Literal["approve", "deny"]


class Decision(NamedTuple):
    """A decision that was verified: whose, by which key, until when. `counter` is a passkey's, else 0."""

    uid: str
    jkt: str
    key_class: KeyClass
    decision: Word
    jti: str
    exp: int
    counter: int
    note_sha256: str | None


def decision_payload(
    ctx: Context, decision: Word, *, jti: str, iat: int, exp: int, note_sha256: str | None = None
) -> dict[str, object]:
    """Return what a reviewer signs about the request of `ctx`; times are seconds since 1970.

    Raises: Refused, when nobody would believe it.
    """
    payload: dict[str, object] = {
        **_claims(ctx),
        "decision": decision,
        "exp": exp,
        "iat": iat,
        "jti": jti,
        "typ": TYP,
        "v": 1,
        **({} if note_sha256 is None else {"note_sha256": note_sha256}),
    }
    _check_payload(payload, ctx, now=iat, place="decision")
    return payload


def sign_decision(payload: Mapping[str, object], signer: Signs) -> str:
    """Return `payload` (of `decision_payload`) as a compact JWS."""
    return sign(canonical(payload), SIGNATURE_TYP, signer)


def challenge_of(payload: Mapping[str, object]) -> bytes:
    """Return the challenge that a passkey signs for `payload`: 32 bytes."""
    return _challenge(canonical(payload))


def verify_decision(
    sent: object,
    *,
    ctx: Context,
    manifest: Manifest,
    keys: Mapping[str, VerifyingKey],
    now: int,
    counters: Mapping[str, int],
    place: str = "decision",
) -> Decision:
    """Return the decision `sent` about the request of `ctx`: a compact JWS, or the object of a passkey's assertion.

    `counters` holds the highest count seen of each passkey, by thumbprint.
    Raises: Refused.
    """
    if isinstance(sent, str):
        jws = read(sent, SIGNATURE_TYP, place, most=PAYLOAD_BYTES)
        person, key = manifest.decider(jws.kid, f"{place}.header.kid")
        if key.key_class == "webauthn":
            raise Refused("class", place)
        named(keys, jws.kid, place).verify(jws.signature, jws.signed, f"{place}.signature")
        payload, counter = jws.payload, 0
    else:
        found = form.members(sent, place, ("kid", "payload", "webauthn"))
        kid = form.digest(found["kid"], f"{place}.kid")
        person, key = manifest.decider(kid, f"{place}.kid")
        if key.key_class != "webauthn":
            raise Refused("class", place)
        payload = form.octets(found["payload"], f"{place}.payload", most=PAYLOAD_BYTES)
        counter = _check_assertion(
            found["webauthn"], payload, key, named(keys, kid, place), counters.get(kid, 0), f"{place}.webauthn"
        )
    claims = form.read_object(payload, f"{place}.payload")
    _check_payload(claims, ctx, now=now, place=place)
    return Decision(
        uid=person.uid,
        jkt=key.jkt,
        key_class=key.key_class,
        decision=cast("Word", claims["decision"]),
        jti=str(claims["jti"]),
        exp=cast("int", claims["exp"]),
        counter=counter,
        note_sha256=cast("str | None", claims.get("note_sha256")),
    )


def _claims(ctx: Context) -> dict[str, str | int]:
    """Return what a decision repeats of the request that it is about."""
    return {
        "agent": ctx.agent,
        "cid": ctx.cid,
        "commit": ctx.commit,
        "ctx_sha256": ctx.digest(),
        "epoch": ctx.epoch,
        "policy": ctx.policy,
        "ws": ctx.ws,
    }


def _check_payload(value: object, ctx: Context, *, now: int, place: str) -> None:
    found = form.members(value, place, _MEMBERS, also=("note_sha256",))
    form.exactly(found["typ"], TYP, f"{place}.typ")
    form.exactly(found["v"], 1, f"{place}.v")
    if not isinstance(found["decision"], str) or found["decision"] not in {"approve", "deny"}:
        raise Refused("value", f"{place}.decision")
    form.word(found["jti"], f"{place}.jti")
    if "note_sha256" in found:
        form.digest(found["note_sha256"], f"{place}.note_sha256")
    for name, wanted in _claims(ctx).items():
        if type(found[name]) is not type(wanted) or found[name] != wanted:
            raise Refused("claims", f"{place}.{name}")
    iat, exp = (form.integer(found[name], f"{place}.{name}") for name in ("iat", "exp"))
    if iat < ctx.iat - form.SKEW_SECONDS or not iat <= exp <= ctx.exp:
        raise Refused("lifetime", f"{place}.exp")
    form.check_now(iat, exp, now, place)


def _check_assertion(
    value: object, payload: bytes, key: DecisionKey, verifier: VerifyingKey, stored_counter: int, place: str
) -> int:
    """Accept an assertion of `key` over `payload`; return its counter."""
    found = form.members(value, place, ("authenticatorData", "clientDataJSON", "signature"))
    client_data = form.octets(found["clientDataJSON"], f"{place}.clientDataJSON", most=CLIENT_DATA_BYTES)
    content = form.octets(found["authenticatorData"], f"{place}.authenticatorData", most=AUTHENTICATOR_DATA_BYTES)
    signature = form.octets(found["signature"], f"{place}.signature", most=_DER_BYTES)
    challenge = base64url(_challenge(payload))
    check_client_data(client_data, challenge=challenge, origins=key.origins, place=f"{place}.clientDataJSON")
    authenticator = read_authenticator_data(content, f"{place}.authenticatorData")
    check_authenticator(authenticator, rp=key.rp, stored_counter=stored_counter, place=f"{place}.authenticatorData")
    verifier.verify_der(signature, content + hashlib.sha256(client_data).digest(), f"{place}.signature")
    return authenticator.counter


def _challenge(payload: bytes) -> bytes:
    return hashlib.sha256(b"failgate-decision\n" + payload).digest()
