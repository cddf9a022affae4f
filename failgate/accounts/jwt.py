"""Access tokens as signed text: the only module that joserfc is imported by on this floor, and itself imported lazily.

One algorithm, one curve; a key is handed in, never taken from the token.
Source: RFC 8725 section 3, RFC 8037 section 3.1.
"""

from typing import Any, Final, final

from joserfc import jwt
from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwa import JWSAlgModel
from joserfc.jwk import OKPKey
from joserfc.jws import JWSRegistry

ALGORITHM: Final = "EdDSA"
TYPE: Final = "at+jwt"


@final
class _OnlyEdDsa(JWSRegistry):
    """A registry that knows one algorithm, by the name that verifiers have known since RFC 8037."""

    def get_alg(self, name: str) -> JWSAlgModel:
        """Return EdDSA, and nothing else."""
        if name != ALGORITHM:
            raise UnsupportedAlgorithmError(f"Algorithm of '{name}' is not allowed")
        return self.algorithms[ALGORITHM]


_REGISTRY: Final = _OnlyEdDsa(algorithms=[ALGORITHM])


def sign(claims: dict[str, Any], private_jwk: dict[str, str]) -> str:
    """Return the access token that states `claims`, signed by `private_jwk`, whose `kid` it names."""
    header = {"alg": ALGORITHM, "typ": TYPE, "kid": private_jwk["kid"]}
    return jwt.encode(header, claims, OKPKey.import_key(dict(private_jwk)), registry=_REGISTRY)


def verified_claims(text: str, public_jwk: dict[str, str]) -> dict[str, Any] | None:
    """Return the claims of `text` when `public_jwk` signed it, else None. They are not judged here."""
    try:
        return dict(jwt.decode(text, OKPKey.import_key(dict(public_jwk)), registry=_REGISTRY).claims)
    except (JoseError, ValueError, TypeError, KeyError, RecursionError):
        return None
