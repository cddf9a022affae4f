"""What owners type about identity providers, read as settings; metadata by URL is fetched on the way."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

import msgspec

from failgate.base.errors import BadInput
from failgate.sso.connection import Connection, OidcSettings, Preset, SamlSettings
from failgate.sso.declared import with_metadata
from failgate.sso.draft import Draft, draft_of
from failgate.sso.speaking import Speakers
from failgate.web.pages.connections_view import MOST_ROWS

ISSUERS: Final = {
    "google": "https://accounts.google.com",
    "microsoft": "https://login.microsoftonline.com/organizations/v2.0",
    "github": "https://github.com",
}
_MOST: Final = 300
_LONG: Final = 2000


async def draft_from(form: Mapping[str, str], kind: str, speakers: Speakers, *, allow_loopback: bool) -> Draft:
    """Return the draft of a new connection of `kind`.

    Raises: BadInput, Unprocessable, TooLarge, OutboundRefused.
    """
    title = _text(form, "title")
    if kind == "saml":
        return Draft(title=title, settings=await saml_from(form, SamlSettings(entity_id="", sso_url=""), speakers))
    settings, secret = oidc_from(form, kind, allow_loopback=allow_loopback)
    return Draft(title=title, settings=settings, client_secret=secret)


async def saml_from(form: Mapping[str, str], before: SamlSettings, speakers: Speakers) -> SamlSettings:
    """Return SAML settings: the provider's metadata where some was given, and the choices of the form."""
    document, url = form.get("metadata", "").strip(), _text(form, "metadata_url")
    settings = before
    if document:
        settings = with_metadata(before, await speakers.read_metadata(document.encode("utf-8", "replace")))
        settings = msgspec.structs.replace(settings, metadata_url=None)
    elif url and url != before.metadata_url:
        settings = with_metadata(before, await speakers.fetch_metadata(url))
        settings = msgspec.structs.replace(settings, metadata_url=url)
    if not settings.sso_url:
        raise BadInput("The provider's metadata is missing.", hint="Paste it, choose the file, or name its address.")
    return msgspec.structs.replace(
        settings,
        email_attribute=_text(form, "email_attribute") or None,
        name_attribute=_text(form, "name_attribute") or None,
        groups_attribute=_text(form, "groups_attribute") or None,
        is_idp_initiated_allowed="idp_initiated" in form,
        is_encryption_required="require_encryption" in form,
        is_email_verified="email_unverified" not in form,
    )


def oidc_from(form: Mapping[str, str], kind: str, *, allow_loopback: bool) -> tuple[OidcSettings, str | None]:
    """Return OpenID settings and the client secret, None when none was typed. Raises: BadInput."""
    issuer = _text(form, "issuer") or ISSUERS.get(kind, "")
    _check_address(issuer, allow_loopback=allow_loopback)
    client_id = _text(form, "client_id")
    if not client_id:
        raise BadInput("The client ID is missing.", hint="Copy it from the provider.")
    preset: Preset = "generic" if kind == "oidc" else kind  # type: ignore[assignment]  # one of KINDS
    scopes = tuple(_text(form, "scopes").split())
    settings = OidcSettings(
        preset=preset,
        issuer=issuer,
        client_id=client_id,
        tenants=tuple(_text(form, "tenants").replace(",", " ").split()),
        groups_claim=_text(form, "groups_claim") or "groups",
        is_email_trusted="email_verified" in form,
        is_logout_typed="logout_untyped" not in form,
    )
    if scopes:
        settings = msgspec.structs.replace(settings, scopes=scopes)
    return settings, _text(form, "client_secret") or None


async def changed_from(
    form: Mapping[str, str], connection: Connection, speakers: Speakers, *, allow_loopback: bool
) -> Draft:
    """Return `connection` with the provider's settings as the form has them. Raises: as `draft_from`."""
    draft, settings = draft_of(connection), connection.settings
    secret = None
    if isinstance(settings, SamlSettings):
        fresh: SamlSettings | OidcSettings = await saml_from(form, settings, speakers)
    else:
        kind = "oidc" if settings.preset == "generic" else settings.preset
        fresh, secret = oidc_from(form, kind, allow_loopback=allow_loopback)
    title = _text(form, "title") or connection.title
    return replace(draft, title=title, settings=fresh, client_secret=secret, is_listed="listed" in form)


def rules_from(form: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return the rules of the form, empty rows left out. Raises: BadInput."""
    rules: list[tuple[str, str]] = []
    for row in range(MOST_ROWS):
        group, role = form.get(f"group_{row}", "").strip(), form.get(f"role_{row}", "").strip()
        if group and not role:
            raise BadInput(f"The group {group[:80]} is given no role.", hint="Choose one, or empty the row.")
        if group:
            rules.append((group, role))
    return tuple(rules)


def methods_from(form: Mapping[str, str]) -> tuple[str, ...]:
    """Return the trusted methods of the form: words apart."""
    return tuple(form.get("trusted_methods", "").split())


def _text(form: Mapping[str, str], name: str) -> str:
    value = form.get(name, "").strip()
    if len(value) > _LONG or not value.isprintable():
        raise BadInput(f"What stands under {name} is too long or does not print.", hint="Copy it again.")
    return value


def _check_address(url: str, *, allow_loopback: bool) -> None:
    try:
        parts = urlsplit(url)
        is_address = bool(parts.hostname) and parts.username is None and url.isascii() and len(url) <= _MOST
        is_loopback = parts.hostname in {"localhost", "127.0.0.1", "::1"}
    except ValueError:
        is_address, parts, is_loopback = False, urlsplit(""), False
    if not is_address or not (parts.scheme == "https" or (parts.scheme == "http" and is_loopback and allow_loopback)):
        raise BadInput("The issuer is no https address.", hint="Copy it from the provider: https://id.example.")
