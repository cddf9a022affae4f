"""The certificate that the other side of a connection has shown, as far as anybody asks.

Whether its chain, its dates and its revocation are in order was decided in the handshake; what it says is read here,
once for each connection. Who it is: `failgate/workspaces/certificates.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from failgate.base.clock import MICROSECONDS


@dataclass(frozen=True, slots=True)
class PeerCertificate:
    """A verified client certificate.

    `names` are its subject alternative names, as `uri:…`, `dns:…` (lower case) and `email:…`. `issuer` is the DER of
    the name of who issued it. `ends_us` is when it ends, in microseconds since 1970.
    """

    names: frozenset[str]
    issuer: bytes
    serial: int
    ends_us: int


def read_peer(der: bytes) -> PeerCertificate | None:
    """Return what the client certificate `der` says; None when it is not made for clients or cannot be read.

    Source: RFC 5280 sections 4.2.1.6 and 4.2.1.12. The purpose `anyExtendedKeyUsage` is not enough.
    """
    try:
        certificate = x509.load_der_x509_certificate(der)
        purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        if ExtendedKeyUsageOID.CLIENT_AUTH not in purposes:
            return None
        return PeerCertificate(
            names=_names(certificate),
            issuer=certificate.issuer.public_bytes(),
            serial=certificate.serial_number,
            ends_us=round(certificate.not_valid_after_utc.timestamp()) * MICROSECONDS,
        )
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return None


def _names(certificate: x509.Certificate) -> frozenset[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return frozenset()
    return frozenset(
        [f"uri:{name}" for name in names.get_values_for_type(x509.UniformResourceIdentifier)]
        + [f"dns:{name.lower()}" for name in names.get_values_for_type(x509.DNSName)]
        + [f"email:{name}" for name in names.get_values_for_type(x509.RFC822Name)]
    )
