"""What a client certificate says of itself, once its chain is verified (E9)."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from failgate.web.peer import PeerCertificate, read_peer
from tests.web.authority import AGENT, CLIENT, DAY, NOW, SERVER, Authority, name


def read(**how) -> PeerCertificate | None:
    sans = how.pop("sans", [x509.UniformResourceIdentifier(AGENT)])
    return read_peer(Authority().client(sans=sans, **how).certificate.public_bytes(Encoding.DER))


def test_names_come_with_their_kind_and_hosts_in_lower_case() -> None:
    found = read(
        sans=[
            x509.UniformResourceIdentifier(AGENT),
            x509.DNSName("Build-1.Acme.example"),
            x509.RFC822Name("Bot@acme.example"),
            x509.DirectoryName(x509.Name([])),
        ]
    )
    assert found is not None
    assert found.names == {f"uri:{AGENT}", "dns:build-1.acme.example", "email:Bot@acme.example"}


@pytest.mark.parametrize("purposes", [SERVER, (), (ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,)])
def test_a_certificate_that_is_not_made_for_clients_is_none(purposes) -> None:
    assert read(purposes=purposes) is None


def test_one_for_servers_and_clients_is_one_for_clients() -> None:
    assert read(purposes=(*SERVER, *CLIENT)) is not None


def test_a_name_of_a_kind_that_nobody_reads_makes_it_none() -> None:
    """An x400Address (RFC 5280 section 4.2.1.6), which the library refuses in a way of its own."""
    key = ec.generate_private_key(ec.SECP256R1())
    strange = x509.UnrecognizedExtension(x509.ExtensionOID.SUBJECT_ALTERNATIVE_NAME, b"\x30\x02\xa3\x00")
    made = (
        x509.CertificateBuilder(name("a"), name("a"), key.public_key(), 1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + DAY)
        .add_extension(x509.ExtendedKeyUsage(CLIENT), critical=False)
        .add_extension(strange, critical=False)
        .sign(key, hashes.SHA256())
    )
    assert read_peer(made.public_bytes(Encoding.DER)) is None


@pytest.mark.parametrize("octets", [b"", b"\x30\x00", b"nonsense"])
def test_what_cannot_be_read_is_none(octets: bytes) -> None:
    assert read_peer(octets) is None
