"""A WebAuthn authenticator in software, as honest or as crooked as a test wants it.

Source: Web Authentication Level 3 sections 6.1 (authenticator data), 6.5.4 (attestation object), 5.8.1 (client data).
"""

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from webauthn.helpers import encode_cbor

PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40
AAGUID = bytes.fromhex("00112233445566778899aabbccddeeff")


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def raw(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class Authenticator:
    """One credential on one device; `origin` is the page that its browser is on."""

    origin: str
    counter: int = 0
    flags: int = PRESENT | VERIFIED
    rp_id: str | None = None
    cross_origin: bool = False
    kind: str | None = None
    is_rsa: bool = False
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    credential_id: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    user_handle: bytes | None = None

    def make(self, options: str, **client: Any) -> str:
        """Answer `navigator.credentials.create`."""
        asked = json.loads(options)
        self.user_handle = raw(asked["user"]["id"])
        if self.is_rsa:
            numbers = rsa.generate_private_key(65537, 2048).public_key().public_numbers()
            cose = encode_cbor({1: 3, 3: -257, -1: numbers.n.to_bytes(256, "big"), -2: b"\1\0\1"})
        else:
            point = self.key.public_key().public_numbers()
            cose = encode_cbor({1: 2, 3: -7, -1: 1, -2: point.x.to_bytes(32, "big"), -3: point.y.to_bytes(32, "big")})
        credential = AAGUID + len(self.credential_id).to_bytes(2, "big") + self.credential_id + cose
        data = self._data(asked["rp"]["id"], ATTESTED) + credential
        return self._answer(
            {
                "clientDataJSON": b64(self._client("webauthn.create", asked["challenge"], client)),
                "attestationObject": b64(encode_cbor({"fmt": "none", "attStmt": {}, "authData": data})),
                "transports": ["internal", "hybrid", "carrier-pigeon"],
            }
        )

    def show(self, options: str, **client: Any) -> str:
        """Answer `navigator.credentials.get`."""
        asked = json.loads(options)
        self.counter += 1 if self.counter else 0
        seen = self._client("webauthn.get", asked["challenge"], client)
        data = self._data(asked["rpId"], 0)
        signature = self.key.sign(data + hashlib.sha256(seen).digest(), ec.ECDSA(hashes.SHA256()))
        return self._answer(
            {
                "clientDataJSON": b64(seen),
                "authenticatorData": b64(data),
                "signature": b64(signature),
                "userHandle": b64(self.user_handle) if self.user_handle else None,
            }
        )

    def _client(self, kind: str, challenge: str, changed: dict[str, Any]) -> bytes:
        client = {"type": self.kind or kind, "challenge": challenge, "origin": self.origin}
        return json.dumps(client | {"crossOrigin": self.cross_origin} | changed).encode()

    def _data(self, rp_id: str, flags: int) -> bytes:
        name = hashlib.sha256((self.rp_id or rp_id).encode()).digest()
        return name + bytes([self.flags | flags]) + self.counter.to_bytes(4, "big")

    def _answer(self, response: dict[str, Any]) -> str:
        identifier = b64(self.credential_id)
        return json.dumps({"id": identifier, "rawId": identifier, "type": "public-key", "response": response})
