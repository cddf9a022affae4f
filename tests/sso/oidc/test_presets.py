"""Google's `hd`, Microsoft's tenants, and when an address counts as verified."""

import pytest

from failgate.sso.oidc.presets import authorization_extras, check_organisation, is_accepted_issuer, is_email_vouched_for
from failgate.sso.protocol import Refusal
from tests.sso.oidc.making import connection, settings

GOOGLE = settings(preset="google", issuer="https://accounts.google.com")
TENANT = "72f988bf-86f1-41af-91ab-2d7cd011db47"
OTHER = "9188040d-6c67-4c5b-b112-36a304b66dad"


def microsoft(place: str = TENANT, tenants: tuple[str, ...] = ()):
    return settings(preset="microsoft", issuer=f"https://login.microsoftonline.com/{place}/v2.0", tenants=tenants)


def test_google_lets_the_domains_of_the_connection_in() -> None:
    bound = connection(GOOGLE, domains=("Example.org", "example.com"))
    check_organisation(bound, {"hd": "example.org"})
    check_organisation(connection(GOOGLE), {})
    for claims in ({}, {"hd": "evil.example"}, {"hd": ["example.org"]}, {"hd": "example.org.evil.example"}):
        with pytest.raises(Refusal) as refused:
            check_organisation(bound, claims)
        assert refused.value.reason == "domain_not_allowed"


def test_another_preset_has_no_hd() -> None:
    check_organisation(connection(domains=("example.org",)), {})


def test_google_is_asked_for_the_domain() -> None:
    assert authorization_extras(connection(GOOGLE, domains=("example.org",))) == {"hd": "example.org"}
    assert authorization_extras(connection(GOOGLE, domains=("a.example", "b.example"))) == {"hd": "*"}
    assert authorization_extras(connection(GOOGLE)) == {}
    assert authorization_extras(connection(domains=("example.org",))) == {}


@pytest.mark.parametrize(
    ("given", "claims", "is_vouched_for"),
    [
        (settings(), {"email_verified": True}, True),
        (settings(), {"email_verified": "true"}, True),
        (settings(), {"email_verified": False}, False),
        (settings(), {"email_verified": "false"}, False),
        (settings(), {"email_verified": 1.5}, False),
        (settings(), {"email_verified": ["true"]}, False),
        (settings(), {}, False),
        (settings(is_email_trusted=True), {}, True),
        (settings(is_email_trusted=True), {"email_verified": False}, False),
        (settings(email_claim="upn"), {"email_verified": True, "email": "other@example.org"}, False),
        (microsoft(), {}, True),
        (microsoft(), {"xms_edov": False}, False),
        (microsoft(), {"xms_edov": "0"}, False),
        (microsoft(), {"xms_edov": ["1"]}, False),
        (microsoft("organizations", (TENANT,)), {}, True),
        (microsoft("organizations", (TENANT, OTHER)), {}, False),
        (microsoft("organizations", (TENANT, OTHER)), {"xms_edov": True}, True),
        (microsoft("organizations", (TENANT, OTHER)), {"xms_edov": 1}, True),
        (microsoft("organizations", (TENANT, OTHER)), {"xms_edov": "1"}, True),
        (microsoft("organizations", (TENANT, OTHER)), {"email_verified": True}, True),
        (microsoft("common"), {}, False),
    ],
)
def test_who_vouches_for_an_address(given, claims: dict, is_vouched_for: bool) -> None:
    full = {"email": "alice@example.org", **claims}
    assert is_email_vouched_for(given, full, "alice@example.org") is is_vouched_for


def test_the_issuer_of_an_answer() -> None:
    assert is_accepted_issuer(settings(), "https://idp.example")
    assert not is_accepted_issuer(settings(), "https://idp.example/")
    many = microsoft("common", (TENANT,))
    assert is_accepted_issuer(many, f"https://login.microsoftonline.com/{TENANT}/v2.0")
    assert not is_accepted_issuer(many, f"https://login.microsoftonline.com/{OTHER}/v2.0")
