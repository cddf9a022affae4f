"""A workspace of test keys: three roots, two agents, three reviewers and an auditor. The keys are those of the vectors."""

import hashlib
import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from failgate.base.canonical import base64url, canonical, digest_of
from failgate.sealed.command import Context, commitment, read_context
from failgate.sealed.decision import challenge_of, decision_payload, sign_decision
from failgate.sealed.keys import OpeningKey, SealingKey, SigningKey, VerifyingKey
from failgate.sealed.manifest import NOTHING_BEFORE, Manifest, read_payload, sign_manifest
from failgate.sealed.policy import Policy, read_policy
from failgate.sealed.sealing import seal_command

VECTORS = Path(__file__).parents[1] / "vectors" / "sealed-vectors.json"
NOW = 1_766_000_020
WS = "8d440d1d-b0a9-4df4-8284-fac5c7fdb7fc"
CID = "9eab1a7a-53dd-403e-af7a-af295e6bee00"
ORIGIN = "https://gate.corp.example"
RP = "gate.corp.example"


@cache
def vector_file() -> dict[str, Any]:
    return json.loads(VECTORS.read_text())


@cache
def openers() -> tuple[OpeningKey, ...]:
    return tuple(OpeningKey.from_jwk(one) for one in vector_file()["reviewer_enc_keys"])


def signing_key(scalar: int) -> SigningKey:
    return SigningKey(ec.derive_private_key(scalar, ec.SECP256R1()))


ROOTS = [signing_key(100 + number) for number in range(3)]
NEW_ROOT = signing_key(150)
AGENT, OTHER_AGENT = signing_key(200), signing_key(201)
ALICE, BOB, CAROL, CAROLS_PASSKEY, ERIN = (signing_key(300 + number) for number in range(5))
STRANGER = signing_key(999)
EVERYBODY = [*ROOTS, NEW_ROOT, AGENT, OTHER_AGENT, ALICE, BOB, CAROL, CAROLS_PASSKEY, ERIN, STRANGER]
RING = {one.jkt: VerifyingKey.from_jwk(one.public_jwk()) for one in EVERYBODY}
AGENTS = {AGENT.jkt: RING[AGENT.jkt]}
POLICY = {"deny": "wins", "id": "default", "need": 2, "require": {}, "v": 1}
CRITICAL = {"deny": "wins", "id": "critical", "need": 2, "require": {"native": 1}, "v": 1}


def passkey(key: SigningKey) -> dict[str, Any]:
    return {"class": "webauthn", "jkt": key.jkt, "origins": [ORIGIN], "rp": RP}


def manifest_payload(**changes: Any) -> dict[str, Any]:
    """Return the first manifest's payload, with `changes`."""
    encs = [one.jkt for one in openers()]
    return {
        "typ": "failgate-keys",
        "v": 1,
        "ws": WS,
        "epoch": 1,
        "prev": NOTHING_BEFORE,
        "iat": NOW - 3600,
        "exp": NOW + 86_400,
        "roots": {"keys": sorted(one.jkt for one in ROOTS), "m": 2},
        "members": [
            {
                "uid": "alice",
                "enc": encs[0],
                "roles": ["reviewer"],
                "sig": [{"class": "browser", "jkt": ALICE.jkt}],
            },
            {"uid": "bob", "enc": encs[1], "roles": ["reviewer"], "sig": [passkey(BOB)]},
            {
                "uid": "carol",
                "enc": encs[2],
                "roles": ["admin", "reviewer"],
                "sig": [{"class": "native", "jkt": CAROL.jkt}, passkey(CAROLS_PASSKEY)],
            },
            {
                "uid": "erin",
                "enc": base64url(bytes(32)),
                "roles": ["auditor"],
                "sig": [{"class": "native", "jkt": ERIN.jkt}],
            },
        ],
        "policies": {"default": digest_of(POLICY), "critical": digest_of(CRITICAL)},
        "agents": sorted([AGENT.jkt, OTHER_AGENT.jkt]),
        "e2ee": "required",
        **changes,
    }


def after(payload: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return the payload of the epoch after `payload`."""
    return {**payload, "epoch": payload["epoch"] + 1, "prev": digest_of(payload), **changes}


def signed(payload: dict[str, Any], *signers: SigningKey) -> dict[str, Any]:
    return sign_manifest(payload, signers or ROOTS[:2])


def manifest(**changes: Any) -> Manifest:
    return read_payload(manifest_payload(**changes))


def command(**changes: Any) -> dict[str, Any]:
    return {
        "argv": ["/usr/bin/pg_dump", "--dbname=orders"],
        "cwd": "/var/backups",
        "cwd_dev_ino": "254:655361",
        "env": {"PATH": "/usr/bin"},
        "exe": {"path": "/usr/bin/pg_dump", "sha256": base64url(hashlib.sha256(b"pg_dump").digest())},
        "host": "db-7",
        "nonce": base64url(bytes(range(32))),
        "uid": 998,
        "v": 1,
        **changes,
    }


def context(cmd: dict[str, Any] | None = None, **changes: Any) -> Context:
    value = {
        "agent": AGENT.jkt,
        "cid": CID,
        "commit": commitment(cmd or command()),
        "epoch": 1,
        "exp": NOW + 280,
        "iat": NOW - 20,
        "policy": digest_of(POLICY),
        "rcpt": sorted(one.jkt for one in openers()),
        "typ": "failgate-cmd",
        "v": 1,
        "ws": WS,
        **changes,
    }
    return read_context(value)


def readers() -> dict[str, SealingKey]:
    return {one.jkt: SealingKey.from_jwk(one.public_jwk()) for one in openers()}


def sealed(cmd: dict[str, Any] | None = None) -> dict[str, Any]:
    cmd = cmd or command()
    return seal_command(cmd, context(cmd), signer=AGENT, readers=readers())


def policy(body: dict[str, Any] | None = None) -> Policy:
    return read_policy(body or POLICY)


_count = iter(range(1, 1_000_000))


def payload(ctx: Context | None = None, decision: Any = "approve", **changes: Any) -> dict[str, Any]:
    jti = f"jti-{next(_count)}"
    made = decision_payload(ctx or context(), "approve", jti=jti, iat=NOW - 8, exp=NOW + 270)
    return {**made, "decision": decision, **changes}


def decided(key: SigningKey, ctx: Context | None = None, decision: Any = "approve", **changes: Any) -> str:
    return sign_decision(payload(ctx, decision, **changes), key)


@dataclass
class Authenticator:
    """What a browser and an authenticator answer; each part can be made wrong."""

    key: SigningKey = field(default_factory=lambda: BOB)
    rp: str = RP
    flags: int = 0x05
    counter: int = 9
    after: bytes = b""
    kind: str = "webauthn.get"
    origin: Any = ORIGIN
    more: dict[str, Any] = field(default_factory=lambda: {"crossOrigin": False})

    def client_data(self, challenge: bytes) -> bytes:
        return json.dumps(
            {"type": self.kind, "challenge": base64url(challenge), "origin": self.origin, **self.more}
        ).encode()

    def data(self) -> bytes:
        return (
            hashlib.sha256(self.rp.encode()).digest()
            + bytes([self.flags])
            + self.counter.to_bytes(4, "big")
            + self.after
        )

    def decides(self, claims: dict[str, Any], client_data: bytes | None = None) -> dict[str, Any]:
        client_data = client_data or self.client_data(challenge_of(claims))
        signature = self.key._key.sign(self.data() + hashlib.sha256(client_data).digest(), ec.ECDSA(hashes.SHA256()))
        return {
            "kid": self.key.jkt,
            "payload": base64url(canonical(claims)),
            "webauthn": {
                "authenticatorData": base64url(self.data()),
                "clientDataJSON": base64url(client_data),
                "signature": base64url(signature),
            },
        }
