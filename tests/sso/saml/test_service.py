"""What we are to a provider comes from the configured base URL alone."""

import pytest

from failgate.sso.saml.service import service_of, toolkit_request
from tests.sso.saml.provider import key_pair, service


def test_addresses_come_from_the_base_url() -> None:
    made = service_of("https://gate.example.com/", "acme", (key_pair("sp"),))
    assert made.entity_id == "https://gate.example.com/sso/acme/metadata"
    assert made.acs_url == "https://gate.example.com/sso/acme/acs"
    assert made.logout_url == "https://gate.example.com/sso/acme/logout"


@pytest.mark.parametrize("base", ["https://gate.example.com", "http://127.0.0.1:8440", "https://gate.example.com:8443"])
def test_the_library_sees_our_address_whatever_the_request_said(base: str) -> None:
    from onelogin.saml2.utils import OneLogin_Saml2_Utils

    assert (
        OneLogin_Saml2_Utils.get_self_url_no_query(toolkit_request(service(base=base).acs_url))
        == f"{base}/sso/acme/acs"
    )


def test_a_key_does_not_print_itself() -> None:
    assert "PRIVATE" not in repr(service())
