"""A signed token opened with the provider's keys: size, header, key, signature, in this order. Pure.

Which claims are right is said in `id_token.py` and `logout_token.py`. The header chooses among the keys of the pinned
issuer and nothing else: a key or an address inside of it is a reason to refuse.
Source: RFC 7515 section 4.1; RFC 8725 sections 3.1 to 3.11; OpenID Connect Core 1.0 section 10.1.
"""

import base64
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from failgate.sso.protocol import RSA_BITS, Refusal, short_key

if TYPE_CHECKING:
    from joserfc.jwk import ECKey, OKPKey, RSAKey
    from joserfc.jws import JWSRegistry

MAX_TOKEN_BYTES: Final = 8192  # before anything is parsed: RFC 8725 section 3.11, CVE-2024-33664
MAX_HEADER_BYTES: Final = 2048
MAX_KEYS: Final = 100
# Each names a key or its place from inside the message (jwk: CVE-2018-0114), or changes what is signed.
_FORBIDDEN_HEADERS: Final = ("jku", "jwk", "x5u", "x5c", "crit", "b64", "zip", "enc")
_KEY_TYPES: Final = {"RS256": "RSA", "PS256": "RSA", "ES256": "EC", "EdDSA": "OKP"}
_CURVES: Final = {"ES256": "P-256", "EdDSA": "Ed25519"}
_PUBLIC_MEMBERS: Final = frozenset({"kty", "kid", "alg", "n", "e", "crv", "x", "y"})

Jwk = Mapping[str, Any]


class KeyUnknown(Refusal):
    """No key of the set at hand signed this: the provider may have changed its keys since."""

    def __init__(self, detail: str) -> None:
        """Keep the `detail`."""
        super().__init__("token_key_unknown", detail)


@dataclass(frozen=True, slots=True)
class SignedToken:
    """A token whose signature is right. `key_issuer` is what the key set says whose key it is (Microsoft alone)."""

    algorithm: str
    claims: Mapping[str, Any]
    key_issuer: str | None = None


def read_key_set(document: Any) -> tuple[Jwk, ...]:
    """Return the keys of a JWK set; what each is good for is judged when a token asks for it.

    Raises: Refusal (`keys_malformed`).
    """
    keys = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(keys, list) or not 0 < len(keys) <= MAX_KEYS:
        raise Refusal("keys_malformed", f"The provider's key set is not a list of 1 to {MAX_KEYS} keys.")
    return tuple(key for key in keys if isinstance(key, dict))


def open_token(
    token: str,
    keys: Sequence[Jwk],
    *,
    algorithms: Collection[str],
    types: Collection[str | None],
    rsa_bits: int = RSA_BITS,
) -> SignedToken:
    """Return the claims of `token`, signed with one of `keys` by one of `algorithms`, of one of `types`.

    `types` are values of the `typ` header in lower case; None: without it. RSA keys have `rsa_bits` at least.

    Raises: Refusal (`token_malformed`, `token_too_large`, `token_algorithm`, `token_header`, `token_type`,
    `token_signature`), KeyUnknown.
    """
    header = _read_header(token)
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in algorithms or algorithm not in _KEY_TYPES:
        raise Refusal("token_algorithm", f"The token is signed by {str(algorithm)[:40]!r}, which is not accepted.")
    if forbidden := [name for name in _FORBIDDEN_HEADERS if name in header]:
        raise Refusal("token_header", f"The token's header has {', '.join(forbidden)}.")
    _check_type(header, types)
    kid = header.get("kid")
    if kid is not None and not isinstance(kid, str):
        raise Refusal("token_header", "The token's kid is no text.")
    jwk = _choose(keys, algorithm, kid)
    claims = _verify(token, jwk, algorithm, kid, rsa_bits)
    issuer = jwk.get("issuer")
    return SignedToken(algorithm, claims, issuer if isinstance(issuer, str) else None)


def _read_header(token: str) -> dict[str, Any]:
    if len(token) > MAX_TOKEN_BYTES:
        raise Refusal("token_too_large", f"The token has {len(token)} characters; {MAX_TOKEN_BYTES} are read.")
    parts = token.split(".")
    if len(parts) != 3 or not token.isascii() or len(parts[0]) > MAX_HEADER_BYTES:
        raise Refusal("token_malformed", "The token is no signed JWT.")
    try:
        raw = _decode(parts[0])
    except ValueError:
        raise Refusal("token_malformed", "The token's header is no base64url.") from None
    return _read_object(raw, "header")


def _read_object(raw: bytes, part: str) -> dict[str, Any]:
    try:
        found = json.loads(raw.decode(), object_pairs_hook=_without_doubles, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Refusal("token_malformed", f"The token's {part} is no JSON object with each member once.")
    return found


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):  # two parsers would take different ones
        raise ValueError("a member stands twice")
    return found


def _no_constant(_name: str) -> Any:
    raise ValueError("NaN and Infinity are not JSON")


def _check_type(header: Mapping[str, Any], types: Collection[str | None]) -> None:
    found = header.get("typ")
    name = found.lower().removeprefix("application/") if isinstance(found, str) else None
    if (found is not None and name is None) or name not in types:
        raise Refusal("token_type", f"The token is of the type {str(found)[:40]!r}.")


def _choose(keys: Sequence[Jwk], algorithm: str, kid: str | None) -> Jwk:
    fitting = [key for key in keys if _is_fit(key, algorithm)]
    if kid is not None:
        fitting = [key for key in fitting if key.get("kid") == kid]
        if not fitting:
            raise KeyUnknown(f"The provider's key set has no {algorithm} key {kid[:100]!r}.")
    if len(fitting) != 1:
        raise KeyUnknown(
            f"The provider's key set has {len(fitting)} keys that could have signed this {algorithm} token."
        )
    return fitting[0]


def _is_fit(key: Jwk, algorithm: str) -> bool:
    if key.get("kty") != _KEY_TYPES[algorithm] or key.get("crv") != _CURVES.get(algorithm):
        return False
    operations = key.get("key_ops")
    return (
        key.get("use", "sig") == "sig"
        and key.get("alg", algorithm) == algorithm
        and (operations is None or (isinstance(operations, list) and "verify" in operations))
    )


def _verify(token: str, jwk: Jwk, algorithm: str, kid: str | None, rsa_bits: int) -> dict[str, Any]:
    from joserfc import jws
    from joserfc.errors import BadSignatureError, JoseError

    try:
        # The algorithm is named anew: what the header says is compared with it, never followed.
        payload = jws.deserialize_compact(token, _public_key(jwk, rsa_bits), registry=_registry(algorithm)).payload
    except BadSignatureError:
        if kid is None:  # the one key of the set may be the one before the last rotation
            raise KeyUnknown("The token's signature does not fit the provider's one key.") from None
        raise Refusal("token_signature", f"The token's signature does not fit the key {kid[:100]!r}.") from None
    except (JoseError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise Refusal("token_malformed", f"The token or its key cannot be read ({type(error).__name__}).") from None
    return _read_object(payload or b"", "payload")


def _public_key(jwk: Jwk, rsa_bits: int) -> "RSAKey | ECKey | OKPKey":
    from joserfc.jwk import ECKey, OKPKey, RSAKey

    public: dict[str, Any] = {name: value for name, value in jwk.items() if name in _PUBLIC_MEMBERS}
    if jwk["kty"] == "EC":
        return ECKey.import_key(public)
    if jwk["kty"] == "OKP":
        return OKPKey.import_key(public)
    modulus = int.from_bytes(_decode(public["n"]))
    bits = modulus.bit_length()
    if bits < rsa_bits:
        raise Refusal("key_length", f"The provider's RSA key has {bits} bits; {short_key(rsa_bits, bits)}")
    return RSAKey.import_key(public)


def _decode(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def _registry(algorithm: str) -> "JWSRegistry":
    from joserfc.jws import JWSRegistry

    class OneAlgorithm(JWSRegistry):
        max_header_length = MAX_HEADER_BYTES
        max_payload_length = MAX_TOKEN_BYTES

        def get_alg(self, name: str) -> Any:
            """Return the one algorithm; the base class would warn of `EdDSA`, whose name RFC 9864 retires."""
            if name != algorithm:
                raise ValueError("another algorithm than the one that was checked")
            return self.algorithms[name]

    return OneAlgorithm(algorithms=[algorithm], strict_check_header=False)  # unknown members: RFC 7515 section 4
