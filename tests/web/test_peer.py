"""What a client certificate says of itself, once its chain is verified (E9)."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from failgate.web.peer import PeerCertificate, read_peer
from tests.web.authority import AGENT, CLIENT, SERVER, Authority


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


@pytest.mark.parametrize("octets", [b"", b"\x30\x00", b"nonsense"])
def test_what_cannot_be_read_is_none(octets: bytes) -> None:
    assert read_peer(octets) is None
