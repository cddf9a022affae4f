"""`[sso.connections.<slug>]`: identity providers of the whole installation, each setting with its type and bounds."""

import re
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

import msgspec

from failgate.base.secret import Secret
from failgate.config.bounds import Fits
from failgate.config.errors import SettingRefused

Protocol = Literal["saml", "oidc", "google", "microsoft", "github"]
RoleName = Literal["owner", "admin", "reviewer", "auditor", "developer"]

_SLUG: Final = re.compile(r"[a-z0-9](?:-?[a-z0-9]){1,39}", re.ASCII)
_DOMAIN: Final = re.compile(
    r"(?=.{4,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]", re.ASCII
)
_RESOLVER: Final = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[0-9.]+)(?::[0-9]{1,5})?", re.ASCII)
_ISSUERS: Final = {
    "google": "https://accounts.google.com",
    "microsoft": "https://login.microsoftonline.com/organizations/v2.0",
    "github": "https://github.com",
}
# What their documents name beside the issuer, and the interfaces for people and groups.
_HOSTS: Final = {
    "google": ("oauth2.googleapis.com", "openidconnect.googleapis.com", "www.googleapis.com"),
    "microsoft": ("graph.microsoft.com",),
    "github": ("api.github.com",),
}
_SAML_ONLY: Final = (
    "metadata_file", "metadata_url", "entity_id", "idp_initiated", "require_encryption", "email_attribute",
    "name_attribute", "groups_attribute",
)  # fmt: skip
_OIDC_ONLY: Final = ("issuer", "client_id", "client_secret", "scopes", "tenants", "groups_claim", "logout_type")


def _check_domain(text: str) -> None:
    if _DOMAIN.fullmatch(text) is None:
        raise ValueError('no mail domain: say "corp.example", in lower case')


def _check_url(text: str) -> None:
    try:
        parts = urlsplit(text)
        is_url = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.username is None
    except ValueError:
        is_url = False
    if not is_url or not text.isascii() or re.search(r"\s", text):
        raise ValueError('no web address: say "https://id.example/…"')


def _check_resolver(text: str) -> None:
    if _RESOLVER.fullmatch(text) is None:
        raise ValueError('no address of a name server: say "10.0.0.53" or "10.0.0.53:53"')


class SsoRole(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[[sso.connections.<slug>.roles]]`: a group, and the role that it gives in a workspace. `*` is everybody."""

    group: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    workspace: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9](-?[a-z0-9])*$", max_length=40)]
    role: RoleName


class SsoConnection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[sso.connections.<slug>]`: one identity provider."""

    protocol: Protocol
    title: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    domains: tuple[Annotated[str, Fits(_check_domain)], ...] = ()
    roles: tuple[SsoRole, ...] = ()
    trusted_methods: tuple[Annotated[str, msgspec.Meta(min_length=1, max_length=256)], ...] = ()
    listed: bool = True
    email_verified: bool | None = None
    metadata_file: Path | None = None
    metadata_url: Annotated[str, Fits(_check_url)] | None = None
    entity_id: str | None = None
    idp_initiated: bool = False
    require_encryption: bool = False
    email_attribute: str | None = None
    name_attribute: str | None = None
    groups_attribute: str | None = None
    issuer: Annotated[str, Fits(_check_url)] | None = None
    client_id: str | None = None
    client_secret: Secret | None = None
    scopes: tuple[str, ...] | None = None
    tenants: tuple[str, ...] = ()
    groups_claim: str | None = None
    logout_type: Literal["logout+jwt", "any"] | None = None

    def __post_init__(self) -> None:
        """Refuse what the protocol lacks or does not have.

        Raises: SettingRefused.
        """
        is_saml = self.protocol == "saml"
        for name in _OIDC_ONLY if is_saml else _SAML_ONLY:
            if getattr(self, name):
                raise SettingRefused(name, f'protocol = "{self.protocol}" has no such setting')
        if is_saml:
            if (self.metadata_file is None) == (self.metadata_url is None):
                raise SettingRefused("protocol", "SAML takes one of metadata_file and metadata_url")
            return
        if self.protocol == "oidc" and self.issuer is None:
            raise SettingRefused("protocol", "OpenID Connect takes the issuer: its address, without /.well-known/…")
        if self.protocol == "google" and self.issuer is not None:
            raise SettingRefused("issuer", f'protocol = "{self.protocol}" has an issuer of its own')
        if self.client_id is None:
            raise SettingRefused("protocol", f'protocol = "{self.protocol}" takes a client_id')

    @property
    def hosts(self) -> frozenset[str]:
        """Return the hosts that this connection names; those of a preset, where its issuer is the preset's own."""
        named = (self.issuer_or_own if self.protocol != "saml" else None, self.metadata_url)
        found = {urlsplit(address).hostname or "" for address in named if address is not None}
        own = _HOSTS.get(self.protocol, ()) if self.issuer in {None, _ISSUERS.get(self.protocol)} else ()
        return frozenset({*found, *own} - {""})

    @property
    def issuer_or_own(self) -> str:
        """Return the issuer, of a preset its own."""
        return self.issuer or _ISSUERS[self.protocol]


class SsoTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[sso]`: single sign-on of the installation."""

    resolvers: tuple[Annotated[str, Fits(_check_resolver)], ...] = ()
    rsa_bits: Literal[2048, 3072] = 3072
    connections: dict[str, SsoConnection] = {}

    def __post_init__(self) -> None:
        """Refuse names of connections that could not stand in an address.

        Raises: SettingRefused.
        """
        for slug in self.connections:
            if _SLUG.fullmatch(slug) is None:
                raise SettingRefused(
                    f"connections.{slug}", "a connection's name has 2 to 40 of a-z, 0-9 and single hyphens between them"
                )

    @property
    def name_servers(self) -> tuple[tuple[str, int], ...]:
        """Return address and port of each resolver."""
        return tuple(_address(text) for text in self.resolvers)


def _address(text: str) -> tuple[str, int]:
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        return host, int(rest.removeprefix(":") or 53)
    host, _, port = text.partition(":")
    return host, int(port or 53)
