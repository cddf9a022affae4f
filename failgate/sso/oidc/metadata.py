"""A provider's discovery document, read and judged. Pure.

Source: OpenID Connect Discovery 1.0 sections 3 and 4.3; RFC 8414 section 3.3; RFC 9207 section 3.
"""

from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec

from failgate.base.destination import OutboundRefused, parse_destination
from failgate.sso.connection import OidcSettings
from failgate.sso.oidc.presets import expected_metadata_issuer
from failgate.sso.protocol import Refusal

# Asymmetric alone: with a shared secret a leak of the secret would sign tokens. `none` and HS256 are never in it.
ALGORITHMS: Final = ("RS256", "PS256", "ES256", "EdDSA")
WELL_KNOWN: Final = "/.well-known/openid-configuration"

ClientAuthentication = Literal["client_secret_basic", "client_secret_post", "none"]


class _Document(msgspec.Struct, frozen=True):
    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    end_session_endpoint: str | None = None
    id_token_signing_alg_values_supported: list[str] | None = None
    response_types_supported: list[str] | None = None
    token_endpoint_auth_methods_supported: list[str] | None = None
    authorization_response_iss_parameter_supported: bool = False
    acr_values_supported: Any = None  # a wish at a step-up: nobody is kept out by how it is written


@dataclass(frozen=True, slots=True)
class ProviderMetadata:
    """What the provider says of itself. `issuer` is the one of the connection, or a template of Microsoft's.

    `algorithms` are those of ours that the provider signs with. `is_iss_returned`: its answers carry `iss` (RFC 9207).
    `contexts` are the values of `acr` that it can be asked for.
    """

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None
    end_session_endpoint: str | None
    algorithms: tuple[str, ...]
    client_authentications: frozenset[str]
    is_iss_returned: bool
    contexts: tuple[str, ...] = ()


def discovery_url(issuer: str) -> str:
    """Return where the discovery document of `issuer` lies. Source: OpenID Connect Discovery 1.0 section 4.1."""
    return issuer.removesuffix("/") + WELL_KNOWN


def read_metadata(document: Any, settings: OidcSettings) -> ProviderMetadata:
    """Return `document`, the discovery document of the connection's issuer, when it is of that issuer and usable.

    Raises: Refusal (`metadata_malformed`, `issuer_mismatch`, `provider_unsuitable`).
    """
    try:
        read = msgspec.convert(document, _Document)
    except msgspec.ValidationError as error:
        raise Refusal("metadata_malformed", f"The discovery document cannot be used: {error}.") from None
    expected = expected_metadata_issuer(settings)
    if read.issuer != expected:  # to the character: OpenID Connect Discovery 1.0 section 4.3
        raise Refusal(
            "issuer_mismatch",
            f"The discovery document is of the issuer {read.issuer[:200]!r}, the connection names {settings.issuer!r}.",
        )
    _check_endpoints(read, settings)
    if read.response_types_supported is not None and "code" not in read.response_types_supported:
        raise Refusal("provider_unsuitable", "The provider does not offer the authorization code flow.")
    offered = read.id_token_signing_alg_values_supported
    algorithms = tuple(name for name in ALGORITHMS if offered is None or name in offered)
    if not algorithms:
        raise Refusal("provider_unsuitable", f"The provider signs with none of {', '.join(ALGORITHMS)}.")
    methods = read.token_endpoint_auth_methods_supported
    return ProviderMetadata(
        issuer=read.issuer,
        authorization_endpoint=read.authorization_endpoint,
        token_endpoint=read.token_endpoint,
        jwks_uri=read.jwks_uri,
        userinfo_endpoint=read.userinfo_endpoint,
        end_session_endpoint=read.end_session_endpoint,
        algorithms=algorithms,
        # Absent means basic: OpenID Connect Discovery 1.0 section 3.
        client_authentications=frozenset(("client_secret_basic",) if methods is None else methods),
        is_iss_returned=read.authorization_response_iss_parameter_supported,
        contexts=_texts(read.acr_values_supported),
    )


def client_authentications(offered: frozenset[str], *, has_secret: bool) -> tuple[ClientAuthentication, ...]:
    """Return how this client may prove itself at the token endpoint, the preferred way first.

    Providers say what they can do, not what this one client is set up for: with both on offer the second is tried when
    the first is not taken.

    Raises: Refusal (`provider_unsuitable`).
    """
    if not has_secret:
        return ("none",)
    found: list[ClientAuthentication] = []
    if "client_secret_basic" in offered:
        found.append("client_secret_basic")
    if "client_secret_post" in offered:
        found.append("client_secret_post")
    if not found:
        raise Refusal("provider_unsuitable", "The provider takes neither client_secret_basic nor client_secret_post.")
    return tuple(found)


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def _check_endpoints(read: _Document, settings: OidcSettings) -> None:
    is_plain_allowed = settings.issuer.startswith("http://")  # fetched already, so it is loopback and allowed
    for name in ("authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint", "end_session_endpoint"):
        url: str | None = getattr(read, name)
        if url is None:
            continue
        try:
            destination = parse_destination(url)
        except OutboundRefused:
            raise Refusal("metadata_malformed", f"The discovery document's {name} is no usable address.") from None
        if destination.scheme != "https" and not is_plain_allowed:
            raise Refusal("metadata_malformed", f"The discovery document's {name} is not https.")
