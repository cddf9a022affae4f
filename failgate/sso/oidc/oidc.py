"""Sign-in and logout with OpenID providers and GitHub, as verbs: begin, finish, read a logout token, end a session.

Nothing is kept here but what providers publish. That an answer belongs to a browser and is used once, that a logout
token's id is used once, and which account this is, is `sso/sso.py`'s part.
"""

import asyncio
import importlib
from collections.abc import Mapping
from typing import Final, final

from failgate.base.clock import Clock
from failgate.base.outbound import Outbound
from failgate.sso.assertion import Assertion
from failgate.sso.connection import Connection, OidcSettings
from failgate.sso.oidc import authorization, exchange, github
from failgate.sso.oidc.claims import is_anything_missing, make_assertion
from failgate.sso.oidc.documents import Documents
from failgate.sso.oidc.id_token import ID_TOKEN_TYPES, check_id_token
from failgate.sso.oidc.logout_token import check_logout_token, logout_token_types
from failgate.sso.oidc.metadata import ProviderMetadata, client_authentications
from failgate.sso.oidc.presets import authorization_extras, check_organisation, is_accepted_issuer
from failgate.sso.oidc.token import KeyUnknown, SignedToken, open_token
from failgate.sso.protocol import RSA_BITS, Departure, ProviderLogout, Refusal

# Where the provider lacks an id token's claims, the userinfo endpoint is asked; the token's own claims stay.
_OF_THE_TOKEN: Final = frozenset({"iss", "sub", "aud", "exp", "iat", "nonce", "azp", "tid", "hd"})


@final
class OpenIdConnect:
    """A relying party to every provider that a connection names."""

    def __init__(self, outbound: Outbound, clock: Clock, *, rsa_bits: int = RSA_BITS) -> None:
        """Ask providers through `outbound`; `clock` judges their tokens, whose RSA keys have `rsa_bits` at least."""
        self._rsa_bits = rsa_bits
        self._outbound = outbound
        self._clock = clock
        self._documents = Documents(outbound, clock)
        self._is_ready = False

    async def begin(self, connection: Connection, redirect_uri: str, *, is_forced: bool = False) -> Departure:
        """Return how the browser leaves for the provider, which answers to `redirect_uri`, this connection's own.

        `is_forced` asks the provider to sign the person in anew, with a trusted method where it says that it can.

        Raises: Refusal (the provider cannot be asked, is another one, or cannot do what is needed).
        """
        settings = await self._settings(connection)
        if settings.preset == "github":
            if is_forced:
                raise Refusal("provider_unsuitable", "GitHub does not say when or how a person signed in.")
            return github.begin(settings, redirect_uri)
        metadata = await self._documents.metadata(settings)
        extras = authorization_extras(connection)
        if is_forced:
            extras |= authorization.anew(connection.trusted_methods, metadata.contexts)
        return authorization.depart(
            metadata.authorization_endpoint,
            issuer=settings.issuer,
            client_id=settings.client_id,
            redirect_uri=redirect_uri,
            scopes=settings.scopes if "openid" in settings.scopes else ("openid", *settings.scopes),
            extras=extras,
        )

    async def finish(
        self, connection: Connection, redirect_uri: str, query: Mapping[str, str], kept: Mapping[str, str]
    ) -> Assertion:
        """Return what the provider asserts: `query` is the answer in this browser, `kept` is of its departure.

        Raises: Refusal; its reason says which check failed.
        """
        settings = await self._settings(connection)
        if settings.preset == "github":
            return await github.finish(connection, settings, redirect_uri, query, kept, self._outbound)
        metadata = await self._documents.metadata(settings)
        code = authorization.read_code(
            query,
            kept,
            issuer=settings.issuer,
            redirect_uri=redirect_uri,
            is_iss_expected=metadata.is_iss_returned,
            is_accepted=lambda issuer: is_accepted_issuer(settings, issuer),
        )
        tokens = await exchange.redeem_code(
            self._outbound,
            metadata.token_endpoint,
            code=code,
            verifier=kept["verifier"],
            redirect_uri=redirect_uri,
            client_id=settings.client_id,
            client_secret=connection.client_secret,
            authentications=client_authentications(
                metadata.client_authentications, has_secret=bool(connection.client_secret)
            ),
        )
        return await self._assertion(connection, settings, metadata, tokens, kept["nonce"])

    async def read_logout_token(self, connection: Connection, token: str) -> ProviderLogout:
        """Return whose sessions the provider ends; the caller uses its `message_ids` once.

        Raises: Refusal.
        """
        settings = await self._settings(connection)
        if settings.preset == "github":
            raise Refusal("logout_unsupported", "GitHub sends no logout tokens.")
        metadata = await self._documents.metadata(settings)
        opened = await self._open(metadata, token, logout_token_types(settings))
        return check_logout_token(opened, settings, self._clock.now_us())

    async def end_session_url(
        self, connection: Connection, *, id_token_hint: str | None, return_to: str, state: str = ""
    ) -> str | None:
        """Return where the browser ends the session at the provider too, and comes back to `return_to` with `state`.

        None: the provider has no such place, or cannot be asked now; our own session has ended all the same.
        Source: OpenID Connect RP-Initiated Logout 1.0 section 2.
        """
        settings = await self._settings(connection)
        if settings.preset == "github":
            return None
        try:
            metadata = await self._documents.metadata(settings)
        except Refusal:
            return None
        if metadata.end_session_endpoint is None:
            return None
        from authlib.common.urls import add_params_to_uri

        fields = [("client_id", settings.client_id), ("post_logout_redirect_uri", return_to)]
        if state:
            fields.append(("state", state))
        if id_token_hint is not None:
            fields.append(("id_token_hint", id_token_hint))
        url: str = add_params_to_uri(metadata.end_session_endpoint, fields)
        return url

    async def probe(self, connection: Connection) -> ProviderMetadata | None:
        """Return what the provider says of itself now, and that its keys can be read; None for GitHub.

        For the page on which an owner sets a connection up: the reason stands in the refusal's `detail`.

        Raises: Refusal.
        """
        settings = await self._settings(connection)
        if settings.preset == "github":
            return None
        metadata = await self._documents.metadata(settings, is_fresh=True)
        await self._documents.keys(metadata, is_fresh=True)
        client_authentications(metadata.client_authentications, has_secret=bool(connection.client_secret))
        return metadata

    async def _assertion(
        self,
        connection: Connection,
        settings: OidcSettings,
        metadata: ProviderMetadata,
        tokens: exchange.Tokens,
        nonce: str,
    ) -> Assertion:
        if tokens.id_token is None:
            raise Refusal("token_response", "The token endpoint gives no ID token.")
        opened = await self._open(metadata, tokens.id_token, ID_TOKEN_TYPES)
        checked = check_id_token(
            opened, settings, nonce=nonce, access_token=tokens.access_token, now_us=self._clock.now_us()
        )
        check_organisation(connection, checked.claims)
        claims = dict(checked.claims)
        if metadata.userinfo_endpoint is not None and is_anything_missing(connection, settings, claims):
            more = await exchange.fetch_claims(self._outbound, metadata.userinfo_endpoint, tokens, checked.subject)
            # The signed token's word stays; `email_verified` is taken only together with the address it is about.
            added = {name: value for name, value in more.items() if name not in claims and name not in _OF_THE_TOKEN}
            if "email" in claims and more.get("email") != claims["email"]:
                added.pop("email_verified", None)
            claims |= added
        return make_assertion(connection, settings, checked, claims, tokens.id_token)

    async def _open(self, metadata: ProviderMetadata, token: str, types: tuple[str | None, ...]) -> SignedToken:
        keys = await self._documents.keys(metadata)
        try:
            return open_token(token, keys, algorithms=metadata.algorithms, types=types, rsa_bits=self._rsa_bits)
        except KeyUnknown:
            keys = await self._documents.keys(metadata, is_fresh=True)
            return open_token(token, keys, algorithms=metadata.algorithms, types=types, rsa_bits=self._rsa_bits)

    async def _settings(self, connection: Connection) -> OidcSettings:
        settings = connection.settings
        if not isinstance(settings, OidcSettings):
            raise Refusal("connection_kind", "The connection is not one of OpenID Connect.")
        if not self._is_ready:
            await asyncio.to_thread(_load_libraries)
            self._is_ready = True
        return settings


def _load_libraries() -> None:
    """Import what signs and fetches, off the loop: half a second at the first sign-in, nothing afterwards."""
    for name in ("authlib.oauth2.rfc7636", "authlib.oidc.core.util", "httpx2", "joserfc.jws"):
        importlib.import_module(name)
