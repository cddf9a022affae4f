"""Which ID token signs somebody in: the claims, after the signature. Pure.

Source: OpenID Connect Core 1.0 sections 2, 3.1.3.6, 3.1.3.7.
"""

import hmac
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from failgate.base.clock import MICROSECONDS
from failgate.sso.connection import OidcSettings
from failgate.sso.oidc.presets import check_issuer
from failgate.sso.oidc.token import SignedToken
from failgate.sso.protocol import REQUEST_SECONDS, Refusal

LEEWAY_SECONDS: Final = 30
MAX_AGE_SECONDS: Final = REQUEST_SECONDS  # a token of this sign-in was made after it began
MAX_LIFETIME_SECONDS: Final = 31 * 24 * 3600  # longer is a mistake of units or of a clock
MAX_SUBJECT_CHARACTERS: Final = 255
ID_TOKEN_TYPES: Final = ("jwt", None)


@dataclass(frozen=True, slots=True)
class CheckedIdToken:
    """Who signed in: `issuer` and `subject`, and everything else the token says."""

    issuer: str
    subject: str
    claims: Mapping[str, Any]


def check_id_token(
    token: SignedToken, settings: OidcSettings, *, nonce: str, access_token: str | None, now_us: int
) -> CheckedIdToken:
    """Return who signed in, when `token` is of this issuer, for this client, of this sign-in, and of now.

    Raises: Refusal (`token_issuer`, `tenant_not_allowed`, `token_audience`, `token_azp`, `token_time`, `token_expired`,
    `token_future`, `token_nonce`, `token_at_hash`, `token_subject`).
    """
    claims = token.claims
    issuer = check_issuer(settings, claims, token.key_issuer)
    check_audience(claims, settings.client_id)
    check_times(claims, now_us, max_age_seconds=MAX_AGE_SECONDS)
    found = claims.get("nonce")
    if not isinstance(found, str) or not hmac.compare_digest(found.encode(errors="replace"), nonce.encode()):
        raise Refusal("token_nonce", "The token is of another sign-in: its nonce differs.")
    _check_access_token(token, access_token)
    return CheckedIdToken(issuer, read_subject(claims), claims)


def check_audience(claims: Mapping[str, Any], client_id: str) -> None:
    """Do nothing when the token is for `client_id`; with several audiences it was also issued to it (`azp`).

    Raises: Refusal (`token_audience`, `token_azp`).
    """
    audience, party = claims.get("aud"), claims.get("azp")
    audiences = [audience] if isinstance(audience, str) else audience
    if not isinstance(audiences, list) or not all(isinstance(name, str) for name in audiences):
        raise Refusal("token_audience", "The token names no audience.")
    if client_id not in audiences:
        raise Refusal("token_audience", "The token is for another client.")
    if (party is not None or len(audiences) > 1) and party != client_id:
        raise Refusal("token_azp", "The token was issued to another client: its azp is not this one.")


def check_times(claims: Mapping[str, Any], now_us: int, *, max_age_seconds: int) -> int:
    """Return `exp` in seconds since 1970 when the token is of now, with 30 s for clocks that differ.

    Raises: Refusal (`token_time`, `token_expired`, `token_future`).
    """
    now = now_us / MICROSECONDS
    expires, issued = _instant(claims, "exp"), _instant(claims, "iat")
    begins = _instant(claims, "nbf") if "nbf" in claims else issued
    if now >= expires + LEEWAY_SECONDS:
        raise Refusal("token_expired", f"The token expired {now - expires:.0f} s ago; compare the clocks.")
    if now < issued - LEEWAY_SECONDS or now < begins - LEEWAY_SECONDS:
        raise Refusal(
            "token_future", f"The token begins {max(issued, begins) - now:.0f} s from now; compare the clocks."
        )
    if now > issued + max_age_seconds + LEEWAY_SECONDS:
        raise Refusal("token_expired", f"The token was made {now - issued:.0f} s ago; compare the clocks.")
    if expires > now + MAX_LIFETIME_SECONDS:
        raise Refusal("token_time", "The token is valid for more than 31 days; its times are in seconds.")
    return math.floor(expires)


def read_subject(claims: Mapping[str, Any]) -> str:
    """Return `sub`: 1 to 255 printable ASCII characters.

    Raises: Refusal (`token_subject`).
    """
    subject = claims.get("sub")
    if (
        not isinstance(subject, str)
        or not 0 < len(subject) <= MAX_SUBJECT_CHARACTERS
        or not (subject.isascii() and subject.isprintable())
        or subject != subject.strip()
    ):
        raise Refusal("token_subject", "The token names nobody: its sub is missing, too long or not printable ASCII.")
    return subject


def _instant(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 2**53:
        raise Refusal("token_time", f"The token's {name} is no time.")
    return float(value)


def _check_access_token(token: SignedToken, access_token: str | None) -> None:
    if "at_hash" not in token.claims:
        return  # optional in the code flow, where both come over one connection
    from authlib.oidc.core.util import create_half_hash

    found = token.claims["at_hash"]
    expected: bytes | None = create_half_hash(access_token, token.algorithm) if access_token else None
    if not isinstance(found, str) or not expected or not hmac.compare_digest(found.encode(errors="replace"), expected):
        raise Refusal("token_at_hash", "The access token beside the ID token is not the one it was made with.")
