"""The way to the provider and the answer that the browser brings back: state, PKCE, issuer, error or code. Pure.

Source: RFC 6749 section 4.1; RFC 7636; RFC 9207; RFC 9700 sections 2.1 and 4.4.
"""

import hmac
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from failgate.sso.protocol import Departure, Refusal

MAX_CODE_CHARACTERS: Final = 8192
_VISIBLE: Final = re.compile(r"[\x21-\x7e]+\Z", re.ASCII)
_ERROR_WORD: Final = re.compile(r"[a-z_]{1,60}\Z", re.ASCII)
_CANCELLED: Final = frozenset({"access_denied", "user_cancelled_login", "consent_declined"})
_INTERACTION: Final = frozenset(
    {"login_required", "interaction_required", "consent_required", "account_selection_required"}
)


def depart(
    endpoint: str, *, issuer: str, client_id: str, redirect_uri: str, scopes: tuple[str, ...], extras: Mapping[str, str]
) -> Departure:
    """Return the departure to `endpoint`, with state, nonce and PKCE verifier of 256 bits each."""
    from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
    from authlib.oauth2.rfc7636 import create_s256_code_challenge

    state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
    url: str = prepare_grant_uri(
        endpoint,
        client_id,
        "code",
        redirect_uri=redirect_uri,
        scope=" ".join(scopes),
        state=state,
        nonce=nonce if "openid" in scopes else None,
        code_challenge=create_s256_code_challenge(verifier),
        code_challenge_method="S256",
        **extras,
    )
    kept = {"state": state, "nonce": nonce, "verifier": verifier, "issuer": issuer, "redirect_uri": redirect_uri}
    return Departure(url=url, request_id=state, kept=kept)


def anew(trusted_methods: Sequence[str], offered: Sequence[str]) -> dict[str, str]:
    """Return what asks a provider to sign the person in anew, and by which of the contexts that it offers.

    With `max_age` the ID token says when that was (`auth_time`). A context that a provider does not offer is not asked
    for: some refuse the whole request then.
    Source: OpenID Connect Core 1.0 section 3.1.2.1.
    """
    wanted = [name for name in trusted_methods if name in offered]
    return {"prompt": "login", "max_age": "0"} | ({"acr_values": " ".join(wanted)} if wanted else {})


def read_code(
    query: Mapping[str, str],
    kept: Mapping[str, str],
    *,
    issuer: str,
    redirect_uri: str,
    is_iss_expected: bool,
    is_accepted: Callable[[str], bool],
) -> str:
    """Return the authorization code of `query`, an answer to the departure that `kept` is of.

    `is_accepted` tells of an `iss` whether it is the provider's; `is_iss_expected`: it must be there (RFC 9207).

    Raises: Refusal (`state_mismatch`, `request_stale`, `response_issuer`, `consent_cancelled`,
    `interaction_required`, `provider_error`, `code_missing`).
    """
    state = query.get("state", "")
    if not hmac.compare_digest(state.encode(errors="replace"), kept.get("state", "\0").encode()):
        raise Refusal("state_mismatch", "The answer is not to this request: its state differs.")
    if kept.get("issuer") != issuer or kept.get("redirect_uri") != redirect_uri:
        raise Refusal("request_stale", "The connection was changed while the person was at the provider.")
    _check_issuer(query.get("iss"), is_iss_expected=is_iss_expected, is_accepted=is_accepted)
    if "error" in query:
        raise _refusal_of(query["error"])
    code = query.get("code", "")
    if len(code) > MAX_CODE_CHARACTERS or not _VISIBLE.match(code):
        raise Refusal("code_missing", "The answer has neither a usable code nor an error.")
    return code


def _check_issuer(found: str | None, *, is_iss_expected: bool, is_accepted: Callable[[str], bool]) -> None:
    """Refuse an answer of another provider than the one asked (mix-up, RFC 9700 section 4.4)."""
    if found is None:
        if is_iss_expected:
            raise Refusal("response_issuer", "The provider says that its answers name their issuer; this one does not.")
    elif not is_accepted(found):
        raise Refusal("response_issuer", f"The answer is of the issuer {found[:200]!r}.")


def _refusal_of(error: str) -> Refusal:
    if error in _CANCELLED:
        return Refusal("consent_cancelled", "The person, or a rule of the provider, said no.")
    if error in _INTERACTION:
        return Refusal("interaction_required", "The provider needs to ask the person something first.")
    word = error if _ERROR_WORD.match(error) else "an error without a proper name"
    return Refusal("provider_error", f"The provider answers with {word}.")
