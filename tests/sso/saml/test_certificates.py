"""What is shown of a provider's certificate."""

import pytest

from failgate.base.errors import Unprocessable
from failgate.sso.saml.certificates import bare, certificate_facts, read_certificate
from tests.sso.saml.provider import key_pair, now_us


def test_facts_are_what_an_owner_compares() -> None:
    facts = certificate_facts(key_pair("idp").certificate)
    assert (facts.subject, facts.key, len(facts.sha256)) == ("CN=idp", "RSA 2048", 64)
    assert facts.not_before_us < now_us() < facts.not_after_us
    assert not facts.is_expired(now_us())
    assert facts.is_expired(facts.not_after_us)


def test_pem_and_bare_base64_are_one_certificate() -> None:
    pem = key_pair("idp").certificate
    assert read_certificate(bare(pem)) == read_certificate(f"\n{pem}\n") == pem


@pytest.mark.parametrize("text", ["", "x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"])
def test_what_is_no_certificate_is_refused(text: str) -> None:
    with pytest.raises(Unprocessable):
        read_certificate(text)


def test_two_in_one_field_are_refused() -> None:
    with pytest.raises(Unprocessable, match="more than one"):
        read_certificate(key_pair("idp").certificate + key_pair("idp2").certificate)
