"""What Google and Microsoft do in a way of their own, on top of OpenID Connect. Pure.

Google says which company an account belongs to by `hd`. Microsoft has one set of keys for all tenants, so that the
issuer is checked together with the tenant (`tid`); its `email` is whatever a tenant's administrator wrote, so it
vouches for nothing unless one tenant alone is accepted or the tenant proved the domain (`xms_edov`).
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from failgate.accounts.email_address import normalised_or_none
from failgate.sso.connection import Connection, OidcSettings
from failgate.sso.protocol import Refusal

_MANY_TENANTS: Final = re.compile(r"(?P<before>https?://[^/]+)/(?:common|organizations|consumers)/v2\.0\Z")
_TENANT: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z", re.ASCII)
_PLACEHOLDER: Final = "{tenantid}"


def expected_metadata_issuer(settings: OidcSettings) -> str:
    """Return the `issuer` that the discovery document has: a template where one document stands for many tenants."""
    if settings.preset == "microsoft" and (found := _MANY_TENANTS.match(settings.issuer)):
        return f"{found['before']}/{_PLACEHOLDER}/v2.0"
    return settings.issuer


def check_issuer(settings: OidcSettings, claims: Mapping[str, Any], key_issuer: str | None) -> str:
    """Return the issuer of a token with `claims`, which is the connection's own, or one of the tenants it accepts.

    `key_issuer` is what Microsoft's key set says of the key that signed: a tenant's own key signs for no other tenant.

    Raises: Refusal (`token_issuer`, `tenant_not_allowed`).
    """
    issuer, expected = claims.get("iss"), expected_metadata_issuer(settings)
    if settings.preset == "microsoft":
        tenant = _check_tenant(settings, claims, is_list_needed=_PLACEHOLDER in expected)
        expected = expected.replace(_PLACEHOLDER, tenant)
        if key_issuer is not None and key_issuer.replace(_PLACEHOLDER, tenant) != expected:
            raise Refusal("token_issuer", "The token is signed with another tenant's key.")
    if not isinstance(issuer, str) or issuer != expected:
        raise Refusal("token_issuer", f"The token is of the issuer {str(issuer)[:200]!r}, not of {expected!r}.")
    return issuer


def is_accepted_issuer(settings: OidcSettings, issuer: str) -> bool:
    """Tell whether `issuer`, the parameter of the provider's answer (RFC 9207), is the one that was asked."""
    expected = expected_metadata_issuer(settings)
    if _PLACEHOLDER in expected:
        return any(issuer == expected.replace(_PLACEHOLDER, tenant.lower()) for tenant in settings.tenants)
    return issuer == expected


def check_organisation(connection: Connection, claims: Mapping[str, Any]) -> None:
    """Refuse a Google account that is not of the connection's domains: `hd` is absent from private accounts.

    Raises: Refusal (`domain_not_allowed`).
    """
    settings = connection.settings
    if not isinstance(settings, OidcSettings) or settings.preset != "google" or not connection.domains:
        return
    domain = claims.get("hd")
    if not isinstance(domain, str) or domain.lower() not in {name.lower() for name in connection.domains}:
        raise Refusal(
            "domain_not_allowed", f"The account is of {str(domain)[:200]!r}, which is no domain of this connection."
        )


def is_email_vouched_for(settings: OidcSettings, claims: Mapping[str, Any], email: str) -> bool:
    """Tell whether the provider vouches that `email` is the person's own; what it denies is never believed."""
    said = claims.get("email_verified")
    # Some providers write their booleans as text.
    if said is not None and said is not True and said != "true":
        return False
    is_said_of_this = said is not None and normalised_or_none(str(claims.get("email", ""))) == email
    if settings.preset == "microsoft":
        owner = claims.get("xms_edov")
        if owner is not None:
            return str(owner).lower() in {"1", "true"}  # a boolean, a number or a text, as the tenant is set up
        return is_said_of_this or len(accepted_tenants(settings)) == 1
    return is_said_of_this or settings.is_email_trusted


def accepted_tenants(settings: OidcSettings) -> frozenset[str]:
    """Return the tenants whose people come in: those listed, else the one that the issuer names."""
    if settings.tenants:
        return frozenset(tenant.lower() for tenant in settings.tenants)
    found = re.search(r"/([0-9a-fA-F-]{36})/v2\.0\Z", settings.issuer)
    return frozenset((found[1].lower(),)) if found else frozenset()


def authorization_extras(connection: Connection) -> dict[str, str]:
    """Return what the preset adds to the authorization request."""
    settings = connection.settings
    if isinstance(settings, OidcSettings) and settings.preset == "google" and connection.domains:
        # A wish, for the account chooser; what counts is the claim.
        return {"hd": connection.domains[0] if len(connection.domains) == 1 else "*"}
    return {}


def _check_tenant(settings: OidcSettings, claims: Mapping[str, Any], *, is_list_needed: bool) -> str:
    tenant = claims.get("tid")
    if not isinstance(tenant, str) or not _TENANT.match(tenant):
        raise Refusal("tenant_not_allowed", "The token names no tenant.")
    if (settings.tenants or is_list_needed) and tenant not in accepted_tenants(settings):
        raise Refusal("tenant_not_allowed", f"The tenant {tenant} is not one that this connection accepts.")
    return tenant
