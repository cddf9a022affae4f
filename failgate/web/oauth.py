"""The OAuth doors: where a command line asks to be signed in, polls, renews and signs out; and what describes them.

They take HTML forms and answer JSON of OAuth, errors included; a cookie or a token in a header counts for nothing here.
Sources: RFC 6749 sections 5.1 and 5.2, RFC 7009, RFC 8414, RFC 8628.
"""

import contextlib
from typing import Any, Final

import msgspec
from litestar import Request, Response

from failgate.accounts.access_tokens import AccessToken
from failgate.accounts.device_grant import GrantRefused, shown_user_code
from failgate.accounts.device_login import CLIENTS, check_client
from failgate.accounts.refresh_tokens import PREFIX
from failgate.audit.record import Actor
from failgate.base.errors import NotFound
from failgate.web.context import services_of, visit_of
from failgate.web.forms import read_form
from failgate.wire.login import AuthorizationServer, DeviceAuthorization, JwkSet, TokenAnswer

DEVICE_CODE: Final = "urn:ietf:params:oauth:grant-type:device_code"
REFRESH_TOKEN: Final = "refresh_token"  # noqa: S105  # the name of a grant, no secret
RETRY_KEY_CHARACTERS: Final = range(22, 129)  # 128 bits at least, in any spelling
_encode = msgspec.json.Encoder().encode

Asking = Request[Any, Any, Any]
Answer = Response[bytes]


async def device_authorization(request: Asking) -> Answer:
    """Begin a request for a login; answer its codes."""
    visit, services = visit_of(request), services_of(request)
    form = await read_form(request)
    begun = await services.device_login.begin(
        _client(form),
        host=form.get("host", ""),
        address=visit.ip or "",
        user_agent=request.headers.get("user-agent", ""),
    )
    # No verification_uri_complete: a code that nobody typed must not be approved by a click.
    return _answer(
        DeviceAuthorization(
            begun.device_code,
            shown_user_code(begun.user_code),
            f"{services.access_tokens.issuer}/device",
            begun.expires_in_seconds,
            begun.interval_seconds,
        )
    )


async def token(request: Asking) -> Answer:
    """Answer fresh tokens for a device code that was approved, or for a refresh token."""
    form = await read_form(request)
    client_id = _client(form)
    grant_type = _needed(form, "grant_type")
    if grant_type == DEVICE_CODE:
        return await _for_device_code(request, _needed(form, "device_code"), client_id)
    if grant_type == REFRESH_TOKEN:
        return await _for_refresh_token(request, _needed(form, "refresh_token"), client_id)
    raise GrantRefused("unsupported_grant_type", "This server knows device codes and refresh tokens.")


async def revoke(request: Asking) -> Answer:
    """End the login that a token belongs to; a token that is none is answered alike."""
    services = services_of(request)
    form = await read_form(request)
    client_id, text = _client(form), _needed(form, "token")
    if text.startswith(PREFIX):
        await services.refresh_tokens.revoke(text, client_id)
    elif (login := await services.access_tokens.login_of(text)) is not None and login.client_id == client_id:
        with contextlib.suppress(NotFound):  # it ended meanwhile
            await services.logins.close_own(login.account_id, login.id, Actor.of(login.principal))
    return _answer({})


async def metadata(request: Asking) -> Answer:
    """Describe this authorization server. Source: RFC 8414 section 2."""
    issuer = services_of(request).access_tokens.issuer
    return _published(
        AuthorizationServer(
            issuer=issuer,
            token_endpoint=f"{issuer}/oauth/token",
            device_authorization_endpoint=f"{issuer}/oauth/device_authorization",
            revocation_endpoint=f"{issuer}/oauth/revoke",
            jwks_uri=f"{issuer}/.well-known/jwks.json",
            grant_types_supported=[DEVICE_CODE, REFRESH_TOKEN],
        )
    )


async def keys(request: Asking) -> Answer:
    """Publish the keys that verify access tokens, the newest first. Source: RFC 7517 section 5."""
    return _published(JwkSet([key.jwk for key in await services_of(request).signing_keys.published()]))


async def _for_device_code(request: Asking, device_code: str, client_id: str) -> Answer:
    collected = await services_of(request).device_login.poll(device_code, client_id, visit_of(request).ip or "")
    return _tokens(collected.access, collected.refresh_token)


async def _for_refresh_token(request: Asking, text: str, client_id: str) -> Answer:
    services = services_of(request)
    retry_key = request.headers.get("idempotency-key")
    if retry_key is not None and (len(retry_key) not in RETRY_KEY_CHARACTERS or not retry_key.isascii()):
        raise GrantRefused("invalid_request", "The Idempotency-Key needs 22 to 128 characters that nobody can guess.")
    refreshed = await services.refresh_tokens.refresh(text, client_id, visit_of(request).ip or "", retry_key)
    access = await services.access_tokens.sign(refreshed.login_id, refreshed.account_id, client_id)
    return _tokens(access, refreshed.token)


def _tokens(access: AccessToken, refresh_token: str) -> Answer:
    return _answer(TokenAnswer(access.text, "Bearer", access.expires_in_seconds, refresh_token))


def _client(form: dict[str, str]) -> str:
    """Return the client that the form names. Raises: GrantRefused `invalid_client`."""
    client_id = form.get("client_id", "")
    check_client(client_id)
    assert client_id in CLIENTS
    return client_id


def _needed(form: dict[str, str], name: str) -> str:
    value = form.get(name)
    if not value:
        raise GrantRefused("invalid_request", f"The parameter {name} is missing.")
    return value


def _answer(content: Any) -> Answer:
    headers = {"cache-control": "no-store", "pragma": "no-cache"}
    return Response(_encode(content), media_type="application/json", headers=headers)


def _published(content: Any) -> Answer:
    headers = {"cache-control": "public, max-age=300"}
    return Response(_encode(content), media_type="application/json", headers=headers)
