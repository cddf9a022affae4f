"""E24: our metadata, and what is taken from a provider's."""

import base64
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from lxml import etree
from onelogin.saml2.utils import OneLogin_Saml2_Utils
from onelogin.saml2.xml_utils import OneLogin_Saml2_XML

from failgate.base.errors import TooLarge, Unprocessable
from failgate.sso.saml.certificates import bare
from failgate.sso.saml.instants import read_instant, write_instant
from failgate.sso.saml.metadata import is_address, metadata, read_metadata
from tests.sso.saml.provider import key_pair, now_us, service

MD = {"m": "urn:oasis:names:tc:SAML:2.0:metadata", "d": "http://www.w3.org/2000/09/xmldsig#"}
REDIRECT, POST = (f"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-{name}" for name in ("Redirect", "POST"))
SOAP = "urn:oasis:names:tc:SAML:2.0:bindings:SOAP"


def key(name: str = "idp", use: str = "signing") -> str:
    stated = f' use="{use}"' if use else ""
    return (
        f"<md:KeyDescriptor{stated}><ds:KeyInfo><ds:X509Data><ds:X509Certificate>{bare(key_pair(name).certificate)}"
        "</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>"
    )


def endpoint(name: str, binding: str = REDIRECT, location: str = "https://idp.example/sso", more: str = "") -> str:
    return f'<md:{name} Binding="{binding}" Location="{location}"{more}/>'


def entity(
    inner: str, *, entity_id: str = "https://idp.example", more: str = "", role: str = "IDPSSODescriptor"
) -> str:
    return (
        f'<md:EntityDescriptor xmlns:md="{MD["m"]}" xmlns:ds="{MD["d"]}" entityID="{entity_id}"{more}>'
        f'<md:{role} protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">{inner}</md:{role}></md:EntityDescriptor>'
    )


SSO = endpoint("SingleSignOnService")


def read(text: str, **more: Any) -> Any:
    return read_metadata(text.encode(), now_us(), **more)


def test_our_metadata_is_signed_valid_and_names_both_keys_of_a_rollover() -> None:
    provider = service(keys=("sp", "sp2"))
    document = metadata(provider, now_us())
    assert not isinstance(OneLogin_Saml2_XML.validate_xml(document, "saml-schema-metadata-2.0.xsd"), str)
    assert OneLogin_Saml2_Utils.validate_metadata_sign(document, cert=provider.signing.certificate)
    root = etree.fromstring(document)
    assert root.get("entityID") == provider.entity_id
    assert read_instant(root.get("validUntil")) > now_us() + 13 * 86400 * 1_000_000
    role = root.find("m:SPSSODescriptor", MD)
    assert (role.get("AuthnRequestsSigned"), role.get("WantAssertionsSigned")) == ("true", "true")
    for use in ("signing", "encryption"):
        found = role.findall(f"m:KeyDescriptor[@use='{use}']//d:X509Certificate", MD)
        assert [element.text for element in found] == [bare(pair.certificate) for pair in provider.keys]
    assert role.find("m:AssertionConsumerService", MD).get("Location") == provider.acs_url
    assert {element.get("Binding") for element in role.findall("m:SingleLogoutService", MD)} == {REDIRECT, POST}
    first = role.find("m:KeyDescriptor/m:EncryptionMethod", MD)
    assert first.get("Algorithm").endswith("gcm")


def test_a_providers_metadata_becomes_settings() -> None:
    end = write_instant(now_us() + 86400_000_000)
    settings = read(
        entity(
            "<!-- current and next -->"
            + key()
            + key("idp2", "")
            + key("idp3", "encryption")
            + endpoint("SingleLogoutService", SOAP, "https://idp.example/soap")
            + endpoint(
                "SingleLogoutService", POST, "https://idp.example/slo", ' ResponseLocation="https://idp.example/slor"'
            )
            + "<md:NameIDFormat>urn:oasis:names:tc:SAML:2.0:nameid-format:transient</md:NameIDFormat>"
            + "<md:NameIDFormat>urn:oasis:names:tc:SAML:2.0:nameid-format:persistent</md:NameIDFormat>"
            + endpoint("SingleSignOnService", POST, "https://idp.example/post")
            + SSO,
            more=f' validUntil="{end}"',
        )
    )
    assert settings.entity_id == "https://idp.example"
    assert (settings.sso_binding, settings.sso_url) == ("redirect", "https://idp.example/sso")
    assert (settings.slo_binding, settings.slo_url) == ("post", "https://idp.example/slo")
    assert settings.slo_response_url == "https://idp.example/slor"
    assert settings.certificates == (key_pair("idp").certificate, key_pair("idp2").certificate)
    assert settings.metadata_expires_us == read_instant(end)
    assert settings.name_id_format == "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"


def test_a_provider_that_takes_posts_alone_gets_posts() -> None:
    settings = read(entity(key() + endpoint("SingleSignOnService", POST, "https://idp.example/post")))
    assert (settings.sso_binding, settings.sso_url, settings.slo_url) == ("post", "https://idp.example/post", None)


def test_of_several_providers_one_is_named() -> None:
    both = "".join(entity(key() + SSO, entity_id=f"https://{name}.example") for name in "ab")
    other = entity(key() + endpoint("AssertionConsumerService"), entity_id="https://sp.example", role="SPSSODescriptor")
    whole = f'<md:EntitiesDescriptor xmlns:md="{MD["m"]}">{both}{other}</md:EntitiesDescriptor>'
    with pytest.raises(Unprocessable, match="several"):
        read(whole)
    assert read(whole, entity_id="https://b.example").entity_id == "https://b.example"
    with pytest.raises(Unprocessable, match="no SAML"):
        read(whole, entity_id="https://sp.example")


def weak_certificate(bits: int = 1024) -> str:
    small = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "weak")])
    strong = x509.load_pem_x509_certificate(key_pair("idp").certificate.encode())
    made = (
        x509.CertificateBuilder(name, name, small.public_key(), 1)
        .not_valid_before(strong.not_valid_before_utc)
        .not_valid_after(strong.not_valid_after_utc)
        .sign(small, hashes.SHA256())
    )
    return base64.b64encode(made.public_bytes(serialization.Encoding.DER)).decode()


def test_rsa_of_2048_bits_is_taken_where_the_config_says_so_and_nowhere_else() -> None:
    # ASVS 5.0 11.2.3
    text = entity(key().replace(bare(key_pair("idp").certificate), weak_certificate(2048)) + SSO)
    with pytest.raises(Unprocessable, match="rsa_bits asks for 3072") as refused:
        read(text)
    assert "rsa_bits = 2048 in [sso]" in (refused.value.hint or "")
    assert len(read(text, rsa_bits=2048).certificates) == 1
    with pytest.raises(Unprocessable, match="rsa_bits asks for 2048"):
        read(entity(key().replace(bare(key_pair("idp").certificate), weak_certificate()) + SSO), rsa_bits=2048)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "cannot be read"),
        ("<html/>", "not SAML metadata"),
        ("not xml", "cannot be read"),
        (f"<!DOCTYPE x>{entity(SSO)}", "cannot be read"),
        (f'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>{entity(SSO)}', "cannot be read"),
        (entity(SSO), "no signing certificate"),
        (lambda: entity(key(use="encryption") + SSO), "no signing certificate"),
        (lambda: entity(key()), "no sign-in address"),
        (
            lambda: entity(key() + endpoint("SingleSignOnService", location="http://idp.example/sso")),
            "no sign-in address",
        ),
        (
            lambda: entity(key() + endpoint("SingleSignOnService", location="http://127.0.0.1/sso")),
            "no sign-in address",
        ),
        (lambda: entity(key() + endpoint("SingleSignOnService", location="javascript:alert(1)")), "no sign-in address"),
        (lambda: entity(key() + endpoint("SingleSignOnService", SOAP)), "no sign-in address"),
        (lambda: entity(key() + SSO, entity_id=""), "no SAML"),
        (lambda: entity(key() + SSO, role="SPSSODescriptor"), "no SAML"),
        (lambda: entity(key() + SSO, entity_id="https://idp.example/" + "x" * 1024), "longer than 1024"),
        (lambda: entity(key() + SSO, more=' validUntil="2020-01-01T00:00:00Z"'), "expired"),
        (lambda: entity(key() + SSO, more=' validUntil="soon"'), "validUntil"),
        (lambda: entity(key().replace("MII", "MIX") + SSO), "not an X.509"),
        (
            lambda: entity(key().replace(bare(key_pair("idp").certificate), weak_certificate()) + SSO),
            "1024 bits",
        ),
    ],
)
def test_metadata_that_cannot_be_used_is_refused_with_the_mend(text: Any, says: str) -> None:
    with pytest.raises(Unprocessable, match=says):
        read(text() if callable(text) else text)


def test_metadata_of_256_kib_is_the_most() -> None:
    with pytest.raises(TooLarge):
        read("<a>" + " " * 256 * 1024 + "</a>")


@pytest.mark.parametrize(
    ("url", "is_good"),
    [
        ("https://idp.example/sso?x=1", True),
        ("https://[2001:db8::1]:8443/sso", True),
        ("http://127.0.0.1:8101/sso", None),
        ("http://localhost/sso", None),
        ("http://idp.example/sso", False),
        ("https://user@idp.example/", False),
        ("https://idp.example/#x", False),
        ("https://idp.example/a b", False),
        ("https://idp.example\\@evil.example/", False),
        ("https:///sso", False),
        ("https://[::1", False),
        ("//idp.example/sso", False),
        ("data:text/html,x", False),
        ("https://idp.exämple/", False),
        ("https://idp.example/\n", False),
        ("https://idp.example/" + "x" * 2048, False),
        ("", False),
        (None, False),
    ],
)
def test_a_browser_is_sent_to_https_alone(url: str | None, is_good: bool | None) -> None:
    """None: to this very machine, where that is allowed."""
    assert is_address(url, allow_loopback=False) is (is_good is True)
    assert is_address(url, allow_loopback=True) is (is_good is not False)
