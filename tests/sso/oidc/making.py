"""Keys of our own, tokens made with them, and a connection to the provider that they stand for."""

from typing import Any

from joserfc import jws
from joserfc.jwk import ECKey, OKPKey, RSAKey

from failgate.sso.connection import Connection, OidcSettings

ISSUER = "https://idp.example"
CLIENT = "failgate"
NOW = 1_700_000_000
NOW_US = NOW * 1_000_000
NONCE = "n-0S6_WzA2Mj"

RSA = RSAKey.generate_key(3072, {"kid": "rsa", "use": "sig", "alg": "RS256"})
RSA_OTHER = RSAKey.generate_key(3072, {"kid": "rsa"})
PSS = RSAKey.generate_key(3072, {"kid": "pss", "alg": "PS256"})
EC = ECKey.generate_key("P-256", {"kid": "ec"})
ED = OKPKey.generate_key("Ed25519", {"kid": "ed"})
KEYS = tuple(key.as_dict(private=False) for key in (RSA, PSS, EC, ED))


class AnyAlgorithm(jws.JWSRegistry):
    """Signs whatever an attacker would."""

    max_header_length = 100_000

    def get_alg(self, name: str) -> Any:
        return self.algorithms[name]


def claims(**changed: Any) -> dict[str, Any]:
    """Claims that are right; a changed one that is `...` is left out."""
    right = {
        "iss": ISSUER,
        "sub": "alice",
        "aud": CLIENT,
        "exp": NOW + 300,
        "iat": NOW,
        "nonce": NONCE,
        "email": "alice@example.org",
        "email_verified": True,
        "name": "Alice",
        **changed,
    }
    return {name: value for name, value in right.items() if value is not ...}


def sign(payload: Any, key: Any = RSA, algorithm: str = "RS256", **header: Any) -> str:
    import json

    body = payload if isinstance(payload, bytes | str) else json.dumps(payload)
    named = {"kid": key.kid} if getattr(key, "kid", None) else {}
    full = {
        name: value for name, value in {"alg": algorithm, "typ": "JWT", **named, **header}.items() if value is not ...
    }
    return jws.serialize_compact(full, body, key, registry=AnyAlgorithm(strict_check_header=False))


def settings(**changed: Any) -> OidcSettings:
    return OidcSettings(**{"issuer": ISSUER, "client_id": CLIENT, **changed})


def connection(given: OidcSettings | None = None, **changed: Any) -> Connection:
    full = {"id": "c1", "slug": "peer", "title": "Peer", "client_secret": "s3cret", **changed}
    return Connection(settings=given or settings(), **full)
