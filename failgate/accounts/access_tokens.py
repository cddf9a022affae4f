"""Access tokens: signed, good for ten minutes, checked without a query.

A token that was verified once is remembered by its SHA-256. Whether its login, its account and its key still stand is
asked of memory at every request, so revocation is seen in the moment of its commit.

Source: RFC 9068, RFC 8725 section 3.
"""

import asyncio
import base64
import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import msgspec

from failgate.access.principal import Principal
from failgate.accounts.logins import Login, Logins
from failgate.accounts.signing_keys import SigningKey, SigningKeys
from failgate.base.clock import MICROSECONDS, Clock
from failgate.base.ids import is_id, new_id

LIFETIME_SECONDS: Final = 600
LONGEST_BYTES: Final = 8192
CLOCK_SECONDS: Final = 60  # how far in the future a token may have been issued
MOST_REMEMBERED: Final = 20_000
_HEADER: Final = frozenset({"alg", "typ", "kid"})
_CLAIMS: Final = frozenset({"iss", "sub", "aud", "client_id", "iat", "exp", "jti", "sid"})


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A fresh token and how long it is good for."""

    text: str
    expires_in_seconds: int


class _Verified(NamedTuple):
    """What a verified token says."""

    login_id: str
    account_id: str
    key_id: str
    expires_us: int


class AccessTokens:
    """Signs and checks access tokens of one issuer, for itself as the audience."""

    def __init__(self, keys: SigningKeys, logins: Logins, clock: Clock, issuer: str) -> None:
        """Speak as `issuer`, the URL of this server without a slash at its end."""
        self._keys = keys
        self._logins = logins
        self._clock = clock
        self._verified: OrderedDict[bytes, _Verified] = OrderedDict()
        self.issuer = issuer

    async def sign(self, login_id: str, account_id: str, client_id: str) -> AccessToken:
        """Return a token by which the login speaks for ten minutes."""
        key = await self._keys.current()
        private = await self._keys.private_jwk(key)
        now = self._clock.now_us() // MICROSECONDS
        claims = {
            "iss": self.issuer, "sub": account_id, "aud": self.issuer, "client_id": client_id,
            "iat": now, "exp": now + LIFETIME_SECONDS, "jti": new_id(), "sid": login_id,
        }  # fmt: skip
        return AccessToken(await asyncio.to_thread(_sign, claims, private), LIFETIME_SECONDS)

    async def resolve(self, text: str) -> Principal | None:
        """Return who speaks by the token `text`, or None.

        None: malformed, forged, of another issuer or audience, expired, its login ended, its account disabled.
        """
        login = await self.login_of(text)
        return login.principal if login is not None else None

    async def login_of(self, text: str) -> Login | None:
        """Return the login that the token `text` belongs to, when it counts now."""
        if len(text) > LONGEST_BYTES or not text.isascii():
            return None
        digest = hashlib.sha256(text.encode()).digest()
        verified = self._verified.get(digest)
        if verified is None:
            verified = await self._verify(text)
            if verified is None:
                return None
            self._remember(digest, verified)
        now_us = self._clock.now_us()
        key = self._keys.peek(verified.key_id)
        if now_us >= verified.expires_us or key is None or not key.is_good(now_us):
            self._verified.pop(digest, None)
            return None
        login = self._logins.peek(verified.login_id) or await self._logins.find(verified.login_id)
        if login is None or login.account_id != verified.account_id or now_us >= login.expires_us:
            return None
        return login

    async def _verify(self, text: str) -> _Verified | None:
        key = await self._key_of(text)
        if key is None:
            return None
        claims = await asyncio.to_thread(_verified_claims, text, key.jwk)
        if claims is None or not self._are_acceptable(claims):
            return None
        return _Verified(claims["sid"], claims["sub"], key.id, claims["exp"] * MICROSECONDS)

    async def _key_of(self, text: str) -> SigningKey | None:
        """Return the key that the header names, when the header says what ours say and nothing more.

        A header with `jwk`, `jku`, `x5u`, `crit` or another algorithm is refused before any signature is looked at.
        """
        header = _header_of(text)
        if (
            header is None
            or _HEADER.symmetric_difference(header)
            or header["alg"] != "EdDSA"
            or header["typ"] != "at+jwt"
        ):
            return None
        key_id = header["kid"]
        if not isinstance(key_id, str) or not is_id(key_id):
            return None
        return await self._keys.find(key_id)

    def _are_acceptable(self, claims: Mapping[str, Any]) -> bool:
        if _CLAIMS.symmetric_difference(claims) or claims["iss"] != self.issuer or claims["aud"] != self.issuer:
            return False
        issued, expires = claims["iat"], claims["exp"]
        if type(issued) is not int or type(expires) is not int:
            return False
        names = (claims["sub"], claims["sid"], claims["jti"])
        if not all(isinstance(name, str) and is_id(name) for name in names) or not isinstance(claims["client_id"], str):
            return False
        now = self._clock.now_us() / MICROSECONDS
        return issued <= now + CLOCK_SECONDS and now < expires <= issued + LIFETIME_SECONDS

    def _remember(self, digest: bytes, verified: _Verified) -> None:
        self._verified[digest] = verified
        if len(self._verified) > MOST_REMEMBERED:
            self._verified.popitem(last=False)


def _header_of(text: str) -> dict[str, Any] | None:
    first, _, rest = text.partition(".")
    if rest.count(".") != 1 or len(first) > 512:
        return None
    try:
        header = msgspec.json.decode(base64.b64decode(first + "=" * (-len(first) % 4), altchars=b"-_", validate=True))
    except (ValueError, msgspec.MsgspecError):
        return None
    return header if isinstance(header, dict) else None


# The library is loaded with the first token, in a thread: it takes a fifth of a second.
def _sign(claims: dict[str, Any], private_jwk: dict[str, str]) -> str:
    from failgate.accounts.jwt import sign

    return sign(claims, private_jwk)


def _verified_claims(text: str, public_jwk: dict[str, str]) -> dict[str, Any] | None:
    from failgate.accounts.jwt import verified_claims

    return verified_claims(text, public_jwk)
