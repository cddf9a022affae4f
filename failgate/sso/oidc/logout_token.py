"""Which logout token ends sessions. Pure.

Source: OpenID Connect Back-Channel Logout 1.0 sections 2.4 and 2.6.
"""

from collections.abc import Mapping
from typing import Any, Final

from failgate.base.clock import MICROSECONDS
from failgate.sso.connection import OidcSettings
from failgate.sso.oidc.id_token import LEEWAY_SECONDS, check_audience, check_times, read_subject
from failgate.sso.oidc.presets import check_issuer
from failgate.sso.oidc.token import SignedToken
from failgate.sso.protocol import ProviderLogout, Refusal

EVENT: Final = "http://schemas.openid.net/event/backchannel-logout"
MAX_AGE_SECONDS: Final = 600
MAX_ID_CHARACTERS: Final = 255
_TYPED: Final = ("logout+jwt",)
_UNTYPED: Final = (*_TYPED, "jwt", None)


def logout_token_types(settings: OidcSettings) -> tuple[str | None, ...]:
    """Return the types, in lower case, that the header of a logout token may say; None: none at all.

    The standard recommends its own type, ASVS 10.5.5 demands it. Where a connection says that its provider does not
    write it, `events` and the absent nonce alone keep an ID token out.
    """
    return _TYPED if settings.is_logout_typed else _UNTYPED


def check_logout_token(token: SignedToken, settings: OidcSettings, now_us: int) -> ProviderLogout:
    """Return whose sessions the provider ends. The `jti` in it is used once, by the caller.

    Raises: Refusal (`token_issuer`, `tenant_not_allowed`, `token_audience`, `token_azp`, `token_time`, `token_expired`,
    `token_future`, `token_event`, `token_nonce`, `token_id`, `token_subject`).
    """
    claims = token.claims
    issuer = check_issuer(settings, claims, token.key_issuer)
    check_audience(claims, settings.client_id)
    expires = check_times(_with_end(claims), now_us, max_age_seconds=MAX_AGE_SECONDS)
    events = claims.get("events")
    if not isinstance(events, dict) or not isinstance(events.get(EVENT), dict):
        raise Refusal("token_event", "The token is no logout token.")
    if "nonce" in claims:  # what an ID token has and a logout token must not
        raise Refusal("token_nonce", "The logout token has a nonce.")
    identity = _read_text(claims.get("jti"))
    if identity is None:
        raise Refusal("token_id", "The logout token has no usable jti.")
    subject = read_subject(claims) if "sub" in claims else None
    session = _read_text(claims.get("sid"))
    if "sid" in claims and session is None:
        raise Refusal("token_subject", "The logout token's sid is no usable text.")
    if subject is None and session is None:
        raise Refusal("token_subject", "The logout token names neither a person nor a session.")
    return ProviderLogout(
        issuer=issuer,
        subject=subject,
        provider_sessions=() if session is None else (session,),
        message_ids=(identity,),
        valid_until_us=(expires + LEEWAY_SECONDS) * MICROSECONDS,
    )


def _with_end(claims: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return `claims` with an `exp`: drafts before the final standard had none, and providers still follow them."""
    issued = claims.get("iat")
    if "exp" in claims or isinstance(issued, bool) or not isinstance(issued, int | float):
        return claims
    return {**claims, "exp": issued + MAX_AGE_SECONDS}


def _read_text(value: Any) -> str | None:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_ID_CHARACTERS or not value.isprintable():
        return None
    return value
