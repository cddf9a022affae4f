"""A connection to one identity provider: its settings and how what it asserts becomes an account and a role. Pure."""

from dataclasses import dataclass, field
from typing import Literal

import msgspec

Binding = Literal["redirect", "post"]
Preset = Literal["generic", "google", "microsoft", "github"]


class SamlSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="saml", tag_field="kind"):
    """A SAML 2.0 identity provider. `certificates` are PEM, at most four; keys inside of a message are never used.

    `slo_response_url` is where our answers to its logout requests go, when that is not `slo_url`.
    """

    entity_id: str
    sso_url: str
    sso_binding: Binding = "redirect"
    slo_url: str | None = None
    slo_response_url: str | None = None
    slo_binding: Binding = "redirect"
    certificates: tuple[str, ...] = ()
    metadata_url: str | None = None
    metadata_expires_us: int | None = None
    name_id_format: str | None = None
    email_attribute: str | None = None
    name_attribute: str | None = None
    groups_attribute: str | None = None
    is_email_verified: bool = True
    is_idp_initiated_allowed: bool = False
    is_encryption_required: bool = False


class OidcSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="oidc", tag_field="kind"):
    """An OpenID provider, or GitHub's OAuth 2 flow. The client secret is kept sealed beside it, never in it.

    `is_email_trusted`: a company's own provider that does not say `email_verified`; what it denies stays denied.
    `tenants` are ids of Microsoft tenants; the three addresses replace GitHub's own. `is_logout_typed`: a logout token
    says in its header that it is one; False for a provider that writes `JWT` there, or nothing.
    """

    preset: Preset = "generic"
    issuer: str
    client_id: str
    scopes: tuple[str, ...] = ("openid", "email", "profile")
    tenants: tuple[str, ...] = ()
    email_claim: str = "email"
    name_claim: str = "name"
    groups_claim: str = "groups"
    is_email_trusted: bool = False
    is_logout_typed: bool = True
    authorize_url: str | None = None
    token_url: str | None = None
    api_url: str | None = None


Settings = SamlSettings | OidcSettings


@dataclass(frozen=True, slots=True)
class Connection:
    """One connection. `workspace_id` None: of the whole installation.

    `domains` are the mail domains whose people it may bring in (verified by the operator or by DNS record).
    `roles` maps a group to a role; `default_role` is given when no group maps (None: no membership).
    `is_listed` shows it on the sign-in page to everybody; others find it by their mail domain.
    `trusted_methods` lists values of `amr`, `acr` or AuthnContextClassRef that count as our second factor.
    """

    id: str
    slug: str
    title: str
    settings: Settings
    workspace_id: str | None = None
    domains: tuple[str, ...] = ()
    roles: tuple[tuple[str, str], ...] = ()
    default_role: str | None = None
    trusted_methods: tuple[str, ...] = ()
    is_enabled: bool = True
    is_listed: bool = True
    client_secret: str | None = field(default=None, repr=False)

    @property
    def kind(self) -> Literal["saml", "oidc"]:
        """Return the protocol that is spoken."""
        return "saml" if isinstance(self.settings, SamlSettings) else "oidc"

    @property
    def is_from_config(self) -> bool:
        """Tell whether it stands in the config file, for the whole installation, and not in a workspace."""
        return self.workspace_id is None
