"""What is shown of a provider's certificate."""

import base64
import contextlib

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from hypothesis import given, settings
from hypothesis import strategies as st

from failgate.base.errors import Unprocessable
from failgate.sso.saml.certificates import bare, certificate_facts, read_certificate
from tests.sso.saml.provider import key_pair, now_us

_DER = serialization.Encoding.DER


def test_facts_are_what_an_owner_compares() -> None:
    facts = certificate_facts(key_pair("idp").certificate)
    assert (facts.subject, facts.key, len(facts.sha256)) == ("CN=idp", "RSA 3072", 64)
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


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
@settings(max_examples=300)
@given(st.data())
def test_spoilt_certificates_are_refused_and_nothing_else_is_raised(data: st.DataObject) -> None:
    """A certificate's parts are parsed when they are asked for: each may be what no parser takes."""
    der = bytearray(x509.load_pem_x509_certificate(key_pair("idp").certificate.encode()).public_bytes(_DER))
    for _ in range(data.draw(st.integers(1, 4))):
        der[data.draw(st.integers(0, len(der) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(Unprocessable):
        read_certificate(base64.b64encode(bytes(der)).decode())


@pytest.mark.parametrize(
    ("place", "octet"),
    [
        (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01", 0x7F),  # the kind of its key: rsaEncryption
        (b"\x03\x82\x01\x8f\x00\x30\x82\x01\x8a\x02\x82\x01\x81", 0xB1),  # the key itself
        (b"\x0c\x03idp", 0xFF),  # its name
    ],
    ids=["kind", "key", "name"],
)
def test_a_certificate_with_a_part_that_cannot_be_read_is_none(place: bytes, octet: int) -> None:
    der = x509.load_pem_x509_certificate(key_pair("idp").certificate.encode()).public_bytes(_DER)
    end = der.rindex(place) + len(place) - 1
    with pytest.raises(Unprocessable):
        read_certificate(base64.b64encode(der[:end] + bytes([octet]) + der[end + 1 :]).decode())


def test_two_in_one_field_are_refused() -> None:
    with pytest.raises(Unprocessable, match="more than one"):
        read_certificate(key_pair("idp").certificate + key_pair("idp2").certificate)


def certificate(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> str:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "idp")])
    like = x509.load_pem_x509_certificate(key_pair("idp").certificate.encode())
    builder = (
        x509.CertificateBuilder(name, name, key.public_key(), 1)
        .not_valid_before(like.not_valid_before_utc)
        .not_valid_after(like.not_valid_after_utc)
    )
    if isinstance(key, ed25519.Ed25519PrivateKey):
        made = builder.sign(key, None)
    else:
        made = builder.sign(key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM).decode()


def test_a_key_is_rsa_or_a_long_enough_curve() -> None:
    assert certificate_facts(certificate(ec.generate_private_key(ec.SECP256R1()))).key == "EC secp256r1"
    for key in (ec.generate_private_key(ec.SECP192R1()), ed25519.Ed25519PrivateKey.generate()):
        with pytest.raises(Unprocessable, match="neither RSA nor EC"):
            read_certificate(certificate(key))
