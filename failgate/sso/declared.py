"""The connections of the config file as values of this room, and metadata by URL, fetched when it is due.

The server starts without a route to anywhere: a provider's metadata by URL is fetched at the first sign-in and then
every few hours, not at the start.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Final, cast

import msgspec

from failgate.audit.record import SERVER
from failgate.base.clock import Clock
from failgate.base.errors import FailgateError, StartRefused
from failgate.base.log import get_logger
from failgate.config.sso import SsoConnection, SsoTable
from failgate.sso.connection import Connection, OidcSettings, Preset, SamlSettings, Settings
from failgate.sso.connections import Connections
from failgate.sso.draft import Declared, Draft
from failgate.sso.protocol import Refusal
from failgate.sso.speaking import Speakers

REFRESH_SECONDS: Final = 6 * 3600
RETRY_SECONDS: Final = 300
ReadMetadata = Callable[[bytes], Awaitable[SamlSettings]]
log = get_logger("failgate.sso")


async def declared_of(table: SsoTable, read_metadata: ReadMetadata) -> list[Declared]:
    """Return the connections that the config declares.

    Raises: StartRefused (a metadata file cannot be read).
    """
    return [await _declared(slug, one, read_metadata) for slug, one in table.connections.items()]


async def _declared(slug: str, one: SsoConnection, read_metadata: ReadMetadata) -> Declared:
    settings = await _saml(slug, one, read_metadata) if one.protocol == "saml" else _oidc(one)
    draft = Draft(
        title=one.title,
        settings=settings,
        roles=tuple((rule.group, f"{rule.workspace}:{rule.role}") for rule in one.roles),
        trusted_methods=one.trusted_methods,
        is_listed=one.listed,
        client_secret=one.client_secret.reveal() if one.client_secret is not None else None,
    )
    return Declared(slug, one.domains, draft)


async def _saml(slug: str, one: SsoConnection, read_metadata: ReadMetadata) -> SamlSettings:
    if one.metadata_file is not None:
        try:
            settings = await read_metadata(one.metadata_file.read_bytes())
        except OSError as error:
            raise StartRefused(
                f"[sso.connections.{slug}]: {one.metadata_file} cannot be read: {error.strerror}.",
                hint="Name the file with the provider's metadata.",
            ) from None
        except FailgateError as error:
            raise StartRefused(f"[sso.connections.{slug}]: {error.sentence}", hint=error.hint) from None
    else:
        settings = SamlSettings(entity_id=one.entity_id or "", sso_url="", metadata_url=one.metadata_url)
    return msgspec.structs.replace(
        settings,
        email_attribute=one.email_attribute,
        name_attribute=one.name_attribute,
        groups_attribute=one.groups_attribute,
        is_idp_initiated_allowed=one.idp_initiated,
        is_encryption_required=one.require_encryption,
        is_email_verified=one.email_verified is not False,
    )


def _oidc(one: SsoConnection) -> OidcSettings:
    preset = "generic" if one.protocol == "oidc" else one.protocol
    more: dict[str, Any] = {"scopes": one.scopes} if one.scopes is not None else {}
    more |= {"groups_claim": one.groups_claim} if one.groups_claim is not None else {}
    return OidcSettings(
        preset=cast("Preset", preset),
        issuer=one.issuer_or_own,
        client_id=one.client_id or "",
        tenants=one.tenants,
        is_email_trusted=one.email_verified is True,
        is_logout_typed=one.logout_type != "any",
        **more,
    )


def with_metadata(before: SamlSettings, fetched: SamlSettings) -> SamlSettings:
    """Return `before` with what metadata decides taken from `fetched`: addresses, certificates and their end."""
    return msgspec.structs.replace(
        before,
        entity_id=fetched.entity_id,
        sso_url=fetched.sso_url,
        sso_binding=fetched.sso_binding,
        slo_url=fetched.slo_url,
        slo_response_url=fetched.slo_response_url,
        slo_binding=fetched.slo_binding,
        certificates=fetched.certificates,
        metadata_expires_us=fetched.metadata_expires_us,
    )


def kept_metadata(before: Settings, declared: Settings) -> Settings:
    """Return `declared` with the metadata that was fetched before from the same address, until it is fetched again."""
    if not (isinstance(before, SamlSettings) and isinstance(declared, SamlSettings)):
        return declared
    if declared.metadata_url is None or declared.metadata_url != before.metadata_url or declared.certificates:
        return declared
    return with_metadata(declared, before)


class Refreshing:
    """Fetches metadata by URL when it is due. An owner's own change of it comes with the page."""

    def __init__(self, clock: Clock, connections: Connections, speakers: Speakers) -> None:
        self._clock = clock
        self._connections = connections
        self._speakers = speakers
        self._tried: dict[str, float] = {}

    async def ready(self, connection: Connection) -> Connection:
        """Return `connection` with its metadata, fetched now when it was never fetched or has expired since.

        Raises: Refusal (it cannot be fetched).
        """
        settings = connection.settings
        if not isinstance(settings, SamlSettings) or settings.metadata_url is None:
            return connection
        ends_us = settings.metadata_expires_us
        if settings.certificates and (ends_us is None or ends_us > self._clock.now_us()):
            return connection
        try:
            return await self.refresh(connection)
        except FailgateError as error:
            raise Refusal("metadata_unreachable", str(error)) from None

    async def refresh(self, connection: Connection) -> Connection:
        """Fetch the metadata of `connection` now and keep it; return the connection as it is then.

        Raises: Unprocessable, TooLarge, OutboundRefused.
        """
        settings = connection.settings
        if not isinstance(settings, SamlSettings) or settings.metadata_url is None:
            return connection
        self._tried[connection.id] = self._clock.monotonic()
        fetched = await self._speakers.fetch_metadata(settings.metadata_url, settings.entity_id or None)
        fresh = with_metadata(settings, fetched)
        if fresh == settings:
            return connection
        await self._connections.replace_settings(connection, fresh, "metadata", SERVER)
        return replace(connection, settings=fresh)

    async def sweep(self) -> None:
        """Fetch what was fetched too long ago. A failure is logged and tried again; what was fetched stays in use."""
        now = self._clock.monotonic()
        for connection in await self._connections.with_metadata_url():
            tried = self._tried.get(connection.id)
            if tried is None:  # since the start: spread over the first hours, not all at once
                self._tried[connection.id] = now - REFRESH_SECONDS + RETRY_SECONDS
            elif now - tried >= REFRESH_SECONDS:
                try:
                    await self.refresh(connection)
                except FailgateError as error:
                    log.warning("sso.metadata_failed", connection=connection.slug, reason=str(error))
                    self._tried[connection.id] = now - REFRESH_SECONDS + RETRY_SECONDS
