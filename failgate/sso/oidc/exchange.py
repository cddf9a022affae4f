"""What the server asks the provider itself: the token for a code, and the claims for an access token.

Source: OpenID Connect Core 1.0 sections 3.1.3 and 5.3; RFC 6749 sections 2.3.1, 4.1.3 and 5; RFC 6750 section 2.1.
"""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote_plus, urlencode

from failgate.base.destination import OutboundRefused
from failgate.base.outbound import Answer, Outbound
from failgate.sso.oidc.documents import provider_refused, read_json
from failgate.sso.oidc.metadata import ClientAuthentication
from failgate.sso.protocol import Refusal

_MAX_BYTES: Final = 64 * 1024
_MAX_ACCESS_TOKEN: Final = 16 * 1024
_FORM: Final = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
_ERRORS: Final = {
    "invalid_grant": ("code_refused", "The provider does not take the code: it was used, or it expired."),
    "bad_verification_code": ("code_refused", "The provider does not take the code: it was used, or it expired."),
    "invalid_client": ("client_refused", "The provider does not take the client id and its secret."),
    "incorrect_client_credentials": ("client_refused", "The provider does not take the client id and its secret."),
    "unauthorized_client": ("client_refused", "The provider does not let this client use the code flow."),
    "redirect_uri_mismatch": ("client_refused", "The provider knows another redirect address of this client."),
}


@dataclass(frozen=True, slots=True)
class Tokens:
    """What the token endpoint gave. `id_token` is unchecked; GitHub gives none."""

    access_token: str = field(repr=False)
    id_token: str | None = field(repr=False)


async def redeem_code(
    outbound: Outbound,
    endpoint: str,
    *,
    code: str,
    verifier: str,
    redirect_uri: str,
    client_id: str,
    client_secret: str | None,
    authentications: tuple[ClientAuthentication, ...],
) -> Tokens:
    """Return the tokens for `code`, which the provider takes once, with the verifier of this sign-in.

    The ways of `authentications` are tried in turn while the provider does not know the client by one.

    Raises: Refusal (`provider_…`, `code_refused`, `client_refused`, `token_response`).
    """
    from authlib.oauth2.rfc6749.parameters import prepare_token_request

    fields = {"code": code, "code_verifier": verifier}
    body: str = prepare_token_request("authorization_code", redirect_uri=redirect_uri, **fields)
    for way in authentications:
        headers, more = _client_proof(way, client_id, client_secret or "")
        try:
            answer = await outbound.post(
                endpoint, (body + more).encode(), headers={**_FORM, **headers}, max_bytes=_MAX_BYTES
            )
        except OutboundRefused as error:
            raise provider_refused(error) from None
        try:
            return _read_tokens(answer, endpoint)
        except Refusal as refusal:
            if refusal.reason != "client_refused" or way == authentications[-1]:
                raise
    raise AssertionError("unreachable: there is at least one way")


async def fetch_claims(outbound: Outbound, endpoint: str, tokens: Tokens, subject: str) -> Mapping[str, Any]:
    """Return the claims of the userinfo endpoint, when they are of `subject` (OpenID Connect Core 1.0 section 5.3.2).

    Raises: Refusal (`provider_…`, `userinfo_malformed`, `userinfo_subject`).
    """
    try:
        answer = await outbound.get(endpoint, headers=bearer(tokens), max_bytes=_MAX_BYTES)
    except OutboundRefused as error:
        raise provider_refused(error) from None
    if answer.media_type == "application/jwt":
        raise Refusal("userinfo_malformed", "The userinfo endpoint signs its answers: let it answer with plain JSON.")
    claims = read_json(answer, endpoint)
    if not isinstance(claims, dict):
        raise Refusal("userinfo_malformed", "The userinfo endpoint does not answer with an object.")
    if claims.get("sub") != subject:
        raise Refusal("userinfo_subject", "The userinfo endpoint answers with another person's claims.")
    return claims


def bearer(tokens: Tokens) -> dict[str, str]:
    """Return the header that carries the access token."""
    return {"Authorization": f"Bearer {tokens.access_token}"}


def _client_proof(way: ClientAuthentication, client_id: str, client_secret: str) -> tuple[dict[str, str], str]:
    """Return the headers and the rest of the form that prove the client."""
    if way == "client_secret_basic":
        # Each is form-encoded first, so that a colon or a letter beyond ASCII survives: RFC 6749 section 2.3.1.
        pair = f"{quote_plus(client_id)}:{quote_plus(client_secret)}"
        return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}, ""
    form = {"client_id": client_id} | ({"client_secret": client_secret} if way == "client_secret_post" else {})
    return {}, "&" + urlencode(form)


def _read_tokens(answer: Answer, endpoint: str) -> Tokens:
    if answer.status in {200, 400, 401}:
        found = _read_object(answer)
        if found is not None and "error" in found:  # GitHub says so with status 200
            word = str(found["error"])
            reason, detail = _ERRORS.get(word, ("provider_error", "The provider refuses the token request."))
            raise Refusal(reason, detail)
    found = read_json(answer, endpoint)
    if not isinstance(found, dict):
        raise Refusal("token_response", "The token endpoint does not answer with an object.")
    access_token, id_token, kind = found.get("access_token"), found.get("id_token"), found.get("token_type")
    if not isinstance(access_token, str) or not re.fullmatch(r"[\x21-\x7e]+", access_token):
        raise Refusal("token_response", "The token endpoint gives no usable access token.")
    if len(access_token) > _MAX_ACCESS_TOKEN or not isinstance(kind, str) or kind.lower() != "bearer":
        raise Refusal("token_response", "The token endpoint gives a token of another kind than bearer.")
    if id_token is not None and not isinstance(id_token, str):
        raise Refusal("token_response", "The token endpoint gives an ID token that is no text.")
    return Tokens(access_token, id_token)


def _read_object(answer: Answer) -> dict[str, Any] | None:
    try:
        found = answer.json()
    except OutboundRefused:
        return None
    return found if isinstance(found, dict) else None
