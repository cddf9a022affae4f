"""Speaking a connection's protocol: what is ours (addresses, keys, the way out) joined with `saml/` and `oidc/`.

SAML is synchronous and loads heavy libraries, so it is imported and run in a thread.
"""

import asyncio
import functools
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from msgspec import structs

from failgate.base.clock import Clock
from failgate.base.errors import Unprocessable
from failgate.base.outbound import Outbound
from failgate.base.secret import Secret
from failgate.sso.connection import Connection, OidcSettings, SamlSettings
from failgate.sso.connections import Connections
from failgate.sso.oidc.oidc import OpenIdConnect
from failgate.sso.protocol import RSA_BITS, CheckedResponse, Departure, Expected, ProviderLogout, Refusal
from failgate.sso.saml.service import KeyPair, ServiceProvider, make_key_pair, service_of

if TYPE_CHECKING:
    from failgate.sso.saml.logout import LogoutAnswer, LogoutDemand

METADATA_BYTES: Final = 256 * 1024


class Speakers:
    """Speaks SAML and OpenID Connect for every connection."""

    def __init__(
        self,
        clock: Clock,
        outbound: Outbound,
        connections: Connections,
        *,
        base_url: str,
        allow_loopback: bool,
        rsa_bits: int = RSA_BITS,
    ) -> None:
        """Build our addresses from `base_url`; fetch through `outbound`. Providers' RSA keys have `rsa_bits` at least.

        Also those of connections from before: what was taken in once is judged again at each use.
        """
        self._clock = clock
        self._outbound = outbound
        self._connections = connections
        self._base_url = base_url.rstrip("/")
        self._allow_loopback = allow_loopback
        self._rsa_bits = rsa_bits
        self.oidc = OpenIdConnect(outbound, clock, rsa_bits=rsa_bits)

    # Signing in

    async def begin(self, connection: Connection, *, is_forced: bool = False) -> Departure:
        """Return how a browser leaves for the provider of `connection`; `is_forced`: to sign the person in anew.

        Raises: Refusal.
        """
        if isinstance(connection.settings, OidcSettings):
            return await self.oidc.begin(connection, self.url(connection, "callback"), is_forced=is_forced)
        service = await self.service(connection)
        return await asyncio.to_thread(_begin_saml, connection, service, self._clock.now_us(), is_forced)

    async def finish(
        self, connection: Connection, fields: Mapping[str, str], expected: Expected | None
    ) -> CheckedResponse:
        """Return what the answer in `fields` asserts. Raises: Refusal."""
        if isinstance(connection.settings, SamlSettings):
            service = await self.service(connection)
            return await asyncio.to_thread(
                _finish_saml, self._rsa_bits, connection, service, fields, expected, self._clock.now_us()
            )
        if expected is None:
            raise Refusal("request_unknown", "The answer belongs to no sign-in that was begun here.")
        redirect_uri = self.url(connection, "callback")
        assertion = await self.oidc.finish(connection, redirect_uri, fields, expected.kept)
        return CheckedResponse(assertion, (), self._clock.now_us())

    # What we are

    def url(self, connection: Connection, door: str) -> str:
        """Return the absolute address of one of the connection's doors."""
        return f"{self._base_url}/sso/{quote(connection.slug, safe='')}/{door}"

    async def service(self, connection: Connection) -> ServiceProvider:
        """Return what we are to a SAML provider; our key is made at first use."""
        material = await self._connections.signing_material(connection, functools.partial(self._make_keys, connection))
        return service_of(self._base_url, connection.slug, _keys_of(material))

    async def metadata(self, connection: Connection) -> bytes:
        """Return our SAML metadata for `connection`."""
        service = await self.service(connection)
        return await asyncio.to_thread(_metadata, service, self._clock.now_us())

    async def with_next_key(self, connection: Connection) -> bytes:
        """Return key material that has a next key beside the one in use; it keeps one that it has already."""
        keys = (await self.service(connection)).keys[:1]
        fresh = await asyncio.to_thread(make_key_pair, f"failgate {connection.slug}", self._clock.now_us())
        return _material_of((*keys, fresh))

    async def with_switched_key(self, connection: Connection) -> bytes:
        """Return key material in which the next key is the only one.

        Raises: Unprocessable (there is no next key).
        """
        keys = (await self.service(connection)).keys
        if len(keys) < 2:
            raise Unprocessable("There is no next key.", hint="Make one, and give the provider our metadata again.")
        return _material_of(keys[1:])

    # What providers are

    async def read_metadata(self, document: bytes) -> SamlSettings:
        """Return the settings that a provider's metadata holds. Raises: Unprocessable, TooLarge."""
        return await asyncio.to_thread(
            _read_metadata, document, self._clock.now_us(), self._allow_loopback, None, self._rsa_bits
        )

    async def fetch_metadata(self, url: str, entity_id: str | None = None) -> SamlSettings:
        """Return the settings in the metadata at `url`, of `entity_id` where given.

        Raises: Unprocessable, TooLarge; OutboundRefused.
        """
        answer = await self._outbound.get(url, max_bytes=METADATA_BYTES)
        if answer.status != 200:
            raise Unprocessable(f"The metadata address answers {answer.status}.", hint="Open it in a browser.")
        return await asyncio.to_thread(
            _read_metadata, answer.body, self._clock.now_us(), self._allow_loopback, entity_id, self._rsa_bits
        )

    # Logout

    async def begin_logout(
        self, connection: Connection, hint: str | None, provider_session: str | None
    ) -> Departure | None:
        """Return how the browser ends its session at the provider too; None where that cannot be."""
        if isinstance(connection.settings, OidcSettings):
            return await self._end_oidc_session(connection, hint)
        if connection.settings.slo_url is None or hint is None:
            return None
        service = await self.service(connection)
        try:
            return await asyncio.to_thread(
                _begin_saml_logout, connection, service, hint, provider_session, self._clock.now_us()
            )
        except Refusal:
            return None

    async def read_saml_logout(
        self, connection: Connection, *, query: str | None, form: Mapping[str, str] | None, expected: Expected | None
    ) -> "LogoutDemand | LogoutAnswer":
        """Return what a logout message of the provider says. Raises: Refusal."""
        service = await self.service(connection)
        return await asyncio.to_thread(
            _read_saml_logout, self._rsa_bits, connection, service, self._clock.now_us(), query, form, expected
        )

    async def answer_saml_logout(self, connection: Connection, demand: "LogoutDemand") -> Departure:
        """Return our answer to the provider's demand. Raises: Refusal (it takes none)."""
        service = await self.service(connection)
        return await asyncio.to_thread(_answer_saml_logout, connection, service, demand, self._clock.now_us())

    async def read_logout_token(self, connection: Connection, token: str) -> ProviderLogout:
        """Return whose sessions an OpenID provider ends. Raises: Refusal."""
        return await self.oidc.read_logout_token(connection, token)

    async def _end_oidc_session(self, connection: Connection, hint: str | None) -> Departure | None:
        url = await self.oidc.end_session_url(
            connection, id_token_hint=hint, return_to=self.url(connection, "logout"), state=""
        )
        return Departure(url=url) if url is not None else None

    async def _make_keys(self, connection: Connection) -> bytes:
        return _material_of(
            (await asyncio.to_thread(make_key_pair, f"failgate {connection.slug}", self._clock.now_us()),)
        )


def _material_of(keys: tuple[KeyPair, ...]) -> bytes:
    return json.dumps([[key.certificate, key.private_key.reveal()] for key in keys]).encode()


def _keys_of(material: bytes) -> tuple[KeyPair, ...]:
    pairs: list[list[str]] = json.loads(material)
    return tuple(KeyPair(certificate, Secret(private_key)) for certificate, private_key in pairs)


def _begin_saml(connection: Connection, service: ServiceProvider, now_us: int, is_forced: bool) -> Departure:
    from failgate.sso.saml.request import begin

    return begin(connection, service, now_us, is_forced=is_forced)


def _finish_saml(rsa_bits: int, connection: Connection, *arguments: Any) -> CheckedResponse:
    from failgate.sso.saml.response import finish

    return finish(_with_strong_keys(connection, rsa_bits), *arguments)


def _with_strong_keys(connection: Connection, rsa_bits: int) -> Connection:
    """Return `connection` without the certificates whose key is too short.

    Raises: Refusal (they all are).
    """
    from failgate.sso.saml.certificates import is_strong
    from failgate.sso.saml.refusals import Reason, refused

    settings = connection.settings
    if not isinstance(settings, SamlSettings) or not settings.certificates:
        return connection
    strong = tuple(pem for pem in settings.certificates if is_strong(pem, rsa_bits))
    if not strong:
        raise refused(Reason.KEY_LENGTH)
    return replace(connection, settings=structs.replace(settings, certificates=strong))


def _metadata(service: ServiceProvider, now_us: int) -> bytes:
    from failgate.sso.saml.metadata import metadata

    return metadata(service, now_us)


def _read_metadata(
    document: bytes, now_us: int, allow_loopback: bool, entity_id: str | None, rsa_bits: int
) -> SamlSettings:
    from failgate.sso.saml.metadata import read_metadata

    return read_metadata(document, now_us, allow_loopback=allow_loopback, entity_id=entity_id, rsa_bits=rsa_bits)


def _begin_saml_logout(*arguments: Any) -> Departure:
    from failgate.sso.saml.logout import begin_logout

    return begin_logout(*arguments)


def _read_saml_logout(
    rsa_bits: int,
    connection: Connection,
    service: ServiceProvider,
    now_us: int,
    query: str | None,
    form: Mapping[str, str] | None,
    expected: Expected | None,
) -> "LogoutDemand | LogoutAnswer":
    from failgate.sso.saml.logout import read_logout

    connection = _with_strong_keys(connection, rsa_bits)
    return read_logout(connection, service, now_us, query=query, form=form, expected=expected)


def _answer_saml_logout(
    connection: Connection, service: ServiceProvider, demand: "LogoutDemand", now_us: int
) -> Departure:
    from failgate.sso.saml.logout import answer_logout

    return answer_logout(connection, service, demand, now_us)
