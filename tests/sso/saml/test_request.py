"""E24: our requests, read as a provider reads them."""

import base64
from urllib.parse import parse_qs, urlsplit

import pytest
from lxml import etree
from onelogin.saml2.utils import OneLogin_Saml2_Utils
from onelogin.saml2.xml_utils import OneLogin_Saml2_XML

from failgate.sso.protocol import Refusal
from failgate.sso.saml.request import begin
from tests.sso.saml.provider import NS, PERSISTENT, Provider, now_us, service

SP = service()
IDP = Provider()


def check(document: bytes, request_id: str) -> etree._Element:
    assert not isinstance(OneLogin_Saml2_XML.validate_xml(document, "saml-schema-protocol-2.0.xsd"), str)
    root = etree.fromstring(document)
    assert root.get("ID") == request_id
    assert root.get("Destination") == "https://idp.example.org/sso?a=1&b=2"
    assert root.get("AssertionConsumerServiceURL") == SP.acs_url
    assert root.find("a:Issuer", NS).text == SP.entity_id
    return root


def test_a_redirect_carries_a_signed_query_and_keeps_the_providers_own() -> None:
    departure = begin(IDP.connection(), SP, now_us())
    parts = urlsplit(departure.url)
    fields = {name: values[0] for name, values in parse_qs(parts.query).items()}
    assert (fields["a"], fields["b"], fields["RelayState"]) == ("1", "2", departure.request_id)
    assert departure.fields == ()
    covered = parts.query[parts.query.index("SAMLRequest=") : parts.query.index("&Signature=")]
    assert OneLogin_Saml2_Utils.validate_binary_sign(
        covered, base64.b64decode(fields["Signature"]), SP.signing.certificate, fields["SigAlg"]
    )
    root = check(OneLogin_Saml2_Utils.decode_base64_and_inflate(fields["SAMLRequest"]), departure.request_id)
    assert root.get("ForceAuthn") is None
    assert root.find("p:NameIDPolicy", NS).get("Format") is None


def test_a_post_carries_an_enveloped_signature() -> None:
    connection = IDP.connection(sso_binding="post", name_id_format=PERSISTENT)
    departure = begin(connection, SP, now_us(), is_forced=True)
    fields = dict(departure.fields)
    document = base64.b64decode(fields["SAMLRequest"])
    assert fields["RelayState"] == departure.request_id
    assert OneLogin_Saml2_Utils.validate_sign(
        document, cert=SP.signing.certificate, xpath="/samlp:AuthnRequest/ds:Signature"
    )
    root = check(document, departure.request_id)
    assert root.get("ForceAuthn") == "true"
    assert root.find("p:NameIDPolicy", NS).get("Format") == PERSISTENT
    assert b"xmldsig-more#rsa-sha256" in document


def test_no_two_requests_share_an_id() -> None:
    assert len({begin(IDP.connection(), SP, now_us()).request_id for _ in range(20)}) == 20


def test_expired_metadata_begins_nothing() -> None:
    with pytest.raises(Refusal):
        begin(IDP.connection(metadata_expires_us=now_us() - 1), SP, now_us())
