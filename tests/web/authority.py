"""A certificate authority for tests, and the files that a server of `[server.tls]` reads."""

import datetime as dt
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)
DAY = dt.timedelta(days=1)
CLIENT = (ExtendedKeyUsageOID.CLIENT_AUTH,)
SERVER = (ExtendedKeyUsageOID.SERVER_AUTH,)
AGENT = "spiffe://acme.example/builder"


def name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


@dataclass(frozen=True)
class Pair:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey = field(repr=False)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def write(self, folder: Path, stem: str, *chain: "Pair") -> tuple[Path, Path]:
        """Write certificate (and chain) and key; return both paths."""
        certificate, key = folder / f"{stem}.pem", folder / f"{stem}.key"
        certificate.write_bytes(b"".join([self.pem, *(each.pem for each in chain)]))
        key.write_bytes(self.key_pem)
        key.chmod(0o600)
        return certificate, key


def issue(
    common: str,
    issuer: "Pair | None",
    *,
    sans: Sequence[x509.GeneralName] = (),
    purposes: Sequence[x509.ObjectIdentifier] = (),
    is_ca: bool = False,
    begins: dt.datetime = NOW - DAY,
    ends: dt.datetime = NOW + 90 * DAY,
    rsa_bits: int | None = None,
) -> Pair:
    key = rsa.generate_private_key(65537, rsa_bits) if rsa_bits else ec.generate_private_key(ec.SECP256R1())
    signer = issuer or Pair(None, key)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(common))
        .issuer_name(issuer.certificate.subject if issuer else name(common))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
    )
    if sans:
        builder = builder.add_extension(x509.SubjectAlternativeName(sans), critical=False)
    if purposes:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    return Pair(builder.sign(signer.key, hashes.SHA256()), key)


class Authority:
    """A root that issues certificates and takes them back."""

    def __init__(self, common: str = "Acme root", parent: "Authority | None" = None, **how) -> None:
        self.pair = issue(common, parent.pair if parent else None, is_ca=True, **how)
        self.revoked: list[x509.Certificate] = []

    def server(self, *hosts: str, **how) -> Pair:
        sans: list[x509.GeneralName] = [x509.DNSName(host) for host in hosts or ("localhost",)]
        sans.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
        return issue("the server", self.pair, sans=sans, purposes=SERVER, **how)

    def client(self, *uris: str, purposes: Sequence[x509.ObjectIdentifier] = CLIENT, **how) -> Pair:
        sans = [x509.UniformResourceIdentifier(uri) for uri in uris]
        return issue("a client", self.pair, sans=how.pop("sans", sans), purposes=purposes, **how)

    def crl(self, *, ends: dt.datetime = NOW + DAY) -> bytes:
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.pair.certificate.subject)
            .last_update(min(NOW, ends) - DAY)
            .next_update(ends)
        )
        for each in self.revoked:
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder().serial_number(each.serial_number).revocation_date(NOW - DAY).build()
            )
        return builder.sign(self.pair.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
