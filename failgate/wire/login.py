"""The answers about who speaks."""

import msgspec


class MembershipView(msgspec.Struct, frozen=True):
    """One workspace of the principal."""

    workspace: str
    role: str


class WhoAmI(msgspec.Struct, frozen=True):
    """`GET /api/v1/whoami`."""

    kind: str
    id: str
    label: str
    workspaces: list[MembershipView]
    email: str | None = None


class DeviceAuthorization(msgspec.Struct, frozen=True):
    """`POST /oauth/device_authorization`: two codes; times are seconds. Source: RFC 8628 section 3.2."""

    device_code: str
    user_code: str
    verification_uri: str
    expires_in: int
    interval: int


class TokenAnswer(msgspec.Struct, frozen=True):
    """`POST /oauth/token`: `expires_in` is of the access token, in seconds. Source: RFC 6749 section 5.1."""

    access_token: str
    token_type: str
    expires_in: int
    refresh_token: str


class AuthorizationServer(msgspec.Struct, frozen=True, kw_only=True):
    """`GET /.well-known/oauth-authorization-server`. Source: RFC 8414 section 2, RFC 8628 section 4."""

    issuer: str
    token_endpoint: str
    device_authorization_endpoint: str
    revocation_endpoint: str
    jwks_uri: str
    grant_types_supported: list[str]
    response_types_supported: tuple[str, ...] = ()
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("none",)
    revocation_endpoint_auth_methods_supported: tuple[str, ...] = ("none",)


class JwkSet(msgspec.Struct, frozen=True):
    """`GET /.well-known/jwks.json`."""

    keys: list[dict[str, str]]
