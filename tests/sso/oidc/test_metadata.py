"""Discovery documents: exact issuer, usable addresses, what the provider can do."""

import pytest

from failgate.sso.oidc.metadata import client_authentications, discovery_url, read_metadata
from failgate.sso.protocol import Refusal
from tests.sso.oidc.making import ISSUER, settings

RIGHT = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/auth",
    "token_endpoint": f"{ISSUER}/token",
    "jwks_uri": "https://keys.example/jwks",
    "response_types_supported": ["code", "code id_token"],
    "id_token_signing_alg_values_supported": ["HS256", "none", "RS256", "ES256"],
    "token_endpoint_auth_methods_supported": ["client_secret_post"],
    "authorization_response_iss_parameter_supported": True,
    "unknown": {"a": 1},
}


def test_a_right_document_is_read() -> None:
    metadata = read_metadata(RIGHT, settings())
    assert metadata.algorithms == ("RS256", "ES256")
    assert metadata.is_iss_returned
    assert metadata.client_authentications == {"client_secret_post"}


def test_what_a_document_leaves_out_has_its_default() -> None:
    short = {name: RIGHT[name] for name in ("issuer", "authorization_endpoint", "token_endpoint", "jwks_uri")}
    metadata = read_metadata(short, settings())
    assert metadata.client_authentications == {"client_secret_basic"}
    assert metadata.algorithms == ("RS256", "PS256", "ES256", "EdDSA")
    assert not metadata.is_iss_returned


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"issuer": "https://idp.example/"}, "issuer_mismatch"),
        ({"issuer": "https://evil.example"}, "issuer_mismatch"),
        ({"issuer": "https://IDP.example"}, "issuer_mismatch"),
        ({"issuer": None}, "metadata_malformed"),
        ({"token_endpoint": "http://idp.example/token"}, "metadata_malformed"),
        ({"token_endpoint": "javascript:alert(1)"}, "metadata_malformed"),
        ({"authorization_endpoint": "https://user:pw@idp.example/auth"}, "metadata_malformed"),
        ({"authorization_endpoint": "https://idp.example/auth#x"}, "metadata_malformed"),
        ({"jwks_uri": "file:///etc/passwd"}, "metadata_malformed"),
        ({"jwks_uri": 5}, "metadata_malformed"),
        ({"end_session_endpoint": "http://idp.example/end"}, "metadata_malformed"),
        ({"response_types_supported": ["id_token"]}, "provider_unsuitable"),
        ({"id_token_signing_alg_values_supported": ["HS256", "none"]}, "provider_unsuitable"),
    ],
)
def test_a_document_that_cannot_be_right_is_refused(changed: dict, reason: str) -> None:
    with pytest.raises(Refusal) as refused:
        read_metadata({**RIGHT, **changed}, settings())
    assert refused.value.reason == reason


@pytest.mark.parametrize("document", [None, [], "x", 5, {}])
def test_what_is_no_document_is_refused(document) -> None:
    with pytest.raises(Refusal) as refused:
        read_metadata(document, settings())
    assert refused.value.reason == "metadata_malformed"


def test_microsoft_has_one_document_for_many_tenants() -> None:
    base = "https://login.microsoftonline.com"
    document = {**RIGHT, "issuer": base + "/{tenantid}/v2.0"}
    for place in ("common", "organizations", "consumers"):
        read_metadata(document, settings(preset="microsoft", issuer=f"{base}/{place}/v2.0"))
    with pytest.raises(Refusal):
        read_metadata(document, settings(issuer=f"{base}/common/v2.0"))


def test_the_address_of_the_document() -> None:
    assert discovery_url("https://idp.example") == "https://idp.example/.well-known/openid-configuration"
    assert discovery_url("https://idp.example/realm/") == "https://idp.example/realm/.well-known/openid-configuration"


@pytest.mark.parametrize(
    ("offered", "has_secret", "found"),
    [
        ({"client_secret_post", "client_secret_basic"}, True, ("client_secret_basic", "client_secret_post")),
        ({"client_secret_post", "private_key_jwt"}, True, ("client_secret_post",)),
        ({"client_secret_basic"}, False, ("none",)),
    ],
)
def test_how_the_client_proves_itself(offered: set, has_secret: bool, found: tuple) -> None:
    assert client_authentications(frozenset(offered), has_secret=has_secret) == found


def test_a_provider_that_takes_no_secret_is_refused() -> None:
    with pytest.raises(Refusal):
        client_authentications(frozenset({"private_key_jwt"}), has_secret=True)


@pytest.mark.parametrize(
    ("said", "read"),
    [(None, ()), ([], ()), (["0", "gold"], ("0", "gold")), (["0", 1, None, {}], ("0",)), ("gold", ()), ({"a": 1}, ())],
)
def test_contexts_are_read_and_keep_nobody_out(said: object, read: tuple[str, ...]) -> None:
    assert read_metadata(RIGHT | {"acr_values_supported": said}, settings()).contexts == read
