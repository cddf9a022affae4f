"""Keys by their thumbprints: ES256 for signing, RSA-OAEP-256 for opening, and nothing else.

Source: RFC 7517, RFC 7518 (sections 3.4, 4.3, 6.2, 6.3), RFC 7638.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Final, Protocol, final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from failgate.base.canonical import base64url, digest_of
from failgate.sealed import form
from failgate.sealed.refusal import Refused

RSA_BITS_LEAST: Final = 3072
RSA_BITS_MOST: Final = 8192  # opening costs time in the third power of it
RSA_EXPONENT: Final = "AQAB"  # 65537
SIGNATURE_BYTES: Final = 64  # r and s, 32 bytes each
_COORDINATE_BYTES: Final = 32
_FIELD: Final = 2**256 - 2**224 + 2**192 + 2**96 - 1
_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_SMALL_PRIMES: Final = math.prod(n for n in range(2, 752) if all(n % d for d in range(2, math.isqrt(n) + 1)))
_OAEP: Final = padding.OAEP(mgf=padding.MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=None)
_EC_PUBLIC: Final = ("crv", "kty", "x", "y")
_RSA_PUBLIC: Final = ("e", "kty", "n")
_RSA_SECRET: Final = ("d", "p", "q", "dp", "dq", "qi")


class Signs(Protocol):
    """A private P-256 key, wherever it is kept: in memory, in a chip."""

    @property
    def jkt(self) -> str:
        """Return the thumbprint of its public key."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Return r and s of ECDSA over SHA-256(`message`), 64 bytes."""
        ...


@final
class VerifyingKey:
    """A public P-256 key."""

    __slots__ = ("_key", "jkt")

    def __init__(self, jkt: str, key: ec.EllipticCurvePublicKey) -> None:
        self.jkt = jkt
        self._key = key

    @classmethod
    def from_jwk(cls, jwk: object, place: str = "jwk") -> VerifyingKey:
        """Return the key that `jwk` describes.

        Raises: Refused (`key`, `thumbprint`, or of its form).
        """
        found = form.members(jwk, place, _EC_PUBLIC, also=("kid",))
        if found["kty"] != "EC" or found["crv"] != "P-256":
            raise Refused("key", place)
        x, y = (_coordinate(found[name], f"{place}.{name}") for name in ("x", "y"))
        try:
            key = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
        except ValueError:  # not a point of the curve
            raise Refused("key", place) from None
        return cls(_thumbprint(found, _EC_PUBLIC, place), key)

    def verify(self, signature: bytes, message: bytes, place: str) -> None:
        """Accept r and s (64 bytes, each from 1 to n-1, s high or low) over SHA-256(`message`).

        Raises: Refused (`signature`).
        """
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        if len(signature) != SIGNATURE_BYTES or not (0 < r < _ORDER and 0 < s < _ORDER):
            raise Refused("signature", place)
        self._check(encode_dss_signature(r, s), message, place)

    def verify_der(self, signature: bytes, message: bytes, place: str) -> None:
        """Accept a signature in DER, as authenticators make it; no other spelling of the same numbers.

        Raises: Refused (`signature`).
        """
        try:
            r, s = decode_dss_signature(signature)
        except ValueError:
            raise Refused("signature", place) from None
        if not (0 < r < _ORDER and 0 < s < _ORDER) or encode_dss_signature(r, s) != signature:
            raise Refused("signature", place)
        self._check(signature, message, place)

    def _check(self, signature: bytes, message: bytes, place: str) -> None:
        try:
            self._key.verify(signature, message, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            raise Refused("signature", place) from None


@final
class SigningKey:
    """A private P-256 key in memory. See `Signs` for others."""

    __slots__ = ("_key", "jkt")

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        """Use `key`.

        Raises: Refused (`key`: of another curve).
        """
        if not isinstance(key.curve, ec.SECP256R1):
            raise Refused("key", "key")
        self._key = key
        self.jkt = VerifyingKey.from_jwk(self.public_jwk()).jkt

    @classmethod
    def generate(cls) -> SigningKey:
        """Return a new key."""
        return cls(ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def from_jwk(cls, jwk: object, place: str = "jwk") -> SigningKey:
        """Return the private key that `jwk` describes.

        Raises: Refused (`key`, `thumbprint`, or of its form).
        """
        found = form.members(jwk, place, (*_EC_PUBLIC, "d"), also=("kid",))
        public = VerifyingKey.from_jwk({name: found[name] for name in found if name != "d"}, place)
        secret = int.from_bytes(
            form.octets(found["d"], f"{place}.d", least=_COORDINATE_BYTES, most=_COORDINATE_BYTES), "big"
        )
        if not 0 < secret < _ORDER:
            raise Refused("key", f"{place}.d")
        made = cls(ec.derive_private_key(secret, ec.SECP256R1()))
        if made.jkt != public.jkt:
            raise Refused("key", f"{place}.d")
        return made

    def private_jwk(self) -> dict[str, str]:
        """Return the key itself, for a file that nobody else reads."""
        secret = self._key.private_numbers().private_value
        return {**self.public_jwk(), "d": base64url(secret.to_bytes(_COORDINATE_BYTES, "big"))}

    def public_jwk(self) -> dict[str, str]:
        """Return what others verify with."""
        numbers = self._key.public_key().public_numbers()
        x, y = (base64url(one.to_bytes(_COORDINATE_BYTES, "big")) for one in (numbers.x, numbers.y))
        return {"crv": "P-256", "kty": "EC", "x": x, "y": y}

    def sign(self, message: bytes) -> bytes:
        """Return r and s over SHA-256(`message`), 64 bytes."""
        r, s = decode_dss_signature(self._key.sign(message, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


@final
class SealingKey:
    """A public RSA key to which commands are sealed."""

    __slots__ = ("_key", "jkt")

    def __init__(self, jkt: str, key: rsa.RSAPublicKey) -> None:
        self.jkt = jkt
        self._key = key

    @classmethod
    def from_jwk(cls, jwk: object, place: str = "jwk") -> SealingKey:
        """Return the key that `jwk` describes: 3,072 to 8,192 bits, e = 65537, no small factor.

        Raises: Refused (`key`, `thumbprint`, or of its form).
        """
        found = form.members(jwk, place, _RSA_PUBLIC, also=("kid",))
        if found["kty"] != "RSA" or found["e"] != RSA_EXPONENT:
            raise Refused("key", place)
        n = _number(found["n"], f"{place}.n")
        if not RSA_BITS_LEAST <= n.bit_length() <= RSA_BITS_MOST or math.gcd(n, _SMALL_PRIMES) != 1:
            raise Refused("key", place)
        jkt = _thumbprint(found, _RSA_PUBLIC, place)
        return cls(jkt, rsa.RSAPublicNumbers(65537, n).public_key())

    def wrap(self, content_key: bytes) -> bytes:
        """Return `content_key` so that only the private key gives it back. Source: RFC 7518 section 4.3."""
        return self._key.encrypt(content_key, _OAEP)


@final
class OpeningKey:
    """A private RSA key of a reviewer."""

    __slots__ = ("_key", "jkt")

    def __init__(self, key: rsa.RSAPrivateKey) -> None:
        """Use `key`.

        Raises: Refused (`key`: too short, another exponent).
        """
        self._key = key
        self.jkt = SealingKey.from_jwk(self.public_jwk()).jkt

    @classmethod
    def generate(cls, bits: int = RSA_BITS_LEAST) -> OpeningKey:
        """Return a new key of `bits`."""
        return cls(rsa.generate_private_key(65537, bits))

    @classmethod
    def from_jwk(cls, jwk: object, place: str = "jwk") -> OpeningKey:
        """Return the private key that `jwk` describes.

        Raises: Refused (`key`, `thumbprint`, or of its form).
        """
        found = form.members(jwk, place, (*_RSA_PUBLIC, *_RSA_SECRET), also=("kid",))
        public = {name: found[name] for name in (*_RSA_PUBLIC, "kid") if name in found}
        SealingKey.from_jwk(public, place)
        d, p, q, dp, dq, qi = (_number(found[name], f"{place}.{name}") for name in _RSA_SECRET)
        numbers = rsa.RSAPrivateNumbers(
            p, q, d, dp, dq, qi, rsa.RSAPublicNumbers(65537, _number(found["n"], f"{place}.n"))
        )
        try:
            return cls(numbers.private_key())
        except ValueError:
            raise Refused("key", place) from None

    def private_jwk(self) -> dict[str, str]:
        """Return the key itself, for a file that nobody else reads."""
        own = self._key.private_numbers()
        secret = (own.d, own.p, own.q, own.dmp1, own.dmq1, own.iqmp)
        named = zip(_RSA_SECRET, secret, strict=True)
        return {**self.public_jwk(), **{name: base64url(_minimal(number)) for name, number in named}}

    def public_jwk(self) -> dict[str, str]:
        """Return what others seal with."""
        numbers = self._key.public_key().public_numbers()
        return {"e": base64url(_minimal(numbers.e)), "kty": "RSA", "n": base64url(_minimal(numbers.n))}

    def unwrap(self, wrapped: bytes, place: str) -> bytes:
        """Return the content key.

        Raises: Refused (`does-not-open`).
        """
        try:
            return self._key.decrypt(wrapped, _OAEP)
        except ValueError:
            raise Refused("does-not-open", place) from None


def ring_of(jwks: Iterable[object], place: str = "keys") -> dict[str, VerifyingKey]:
    """Return the public P-256 keys of `jwks` by their thumbprints.

    Raises: Refused, when one of them is none.
    """
    found = (VerifyingKey.from_jwk(jwk, f"{place}[{number}]") for number, jwk in enumerate(jwks))
    return {key.jkt: key for key in found}


def safety_number(jkt: str) -> str:
    """Return the thumbprint `jkt` (or any digest) as people compare it: eight groups of five digits.

    Raises: Refused (it is no digest).
    """
    number = int.from_bytes(form.octets(jkt, "jkt", least=form.DIGEST_BYTES, most=form.DIGEST_BYTES), "big")
    digits = f"{number % 10**40:040d}"
    return " ".join(digits[at : at + 5] for at in range(0, 40, 5))


def named(ring: Mapping[str, VerifyingKey], jkt: str, place: str) -> VerifyingKey:
    """Return the key of `ring` that has the thumbprint `jkt`.

    Raises: Refused (`unknown-key`; `thumbprint` where the ring names a key as another one).
    """
    key = ring.get(jkt)
    if key is None:
        raise Refused("unknown-key", place)
    if key.jkt != jkt:
        raise Refused("thumbprint", place)
    return key


def _thumbprint(jwk: Mapping[str, object], names: tuple[str, ...], place: str) -> str:
    jkt = digest_of({name: jwk[name] for name in names})
    if "kid" in jwk and jwk["kid"] != jkt:
        raise Refused("thumbprint", f"{place}.kid")
    return jkt


def _coordinate(value: object, place: str) -> int:
    number = int.from_bytes(form.octets(value, place, least=_COORDINATE_BYTES, most=_COORDINATE_BYTES), "big")
    if number >= _FIELD:
        raise Refused("key", place)
    return number


def _number(value: object, place: str) -> int:
    """Return the positive number that `value` spells without leading zeros. Source: RFC 7518 section 2."""
    content = form.octets(value, place, least=1, most=RSA_BITS_MOST // 8)
    if content[0] == 0:
        raise Refused("key", place)
    return int.from_bytes(content, "big")


def _minimal(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")
