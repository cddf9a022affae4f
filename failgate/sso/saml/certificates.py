"""Certificates of providers: only their keys count, and only as they were pinned. Pure.

A certificate that has expired is shown and warned of, not refused: the trust lies in the pin, and the metadata's own
`validUntil` is what ends it (saml-metadata-2.0-os section 2.4.1.1 gives a certificate no further meaning).
"""

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from failgate.base.clock import MICROSECONDS
from failgate.base.errors import Unprocessable
from failgate.sso.protocol import RSA_BITS, short_key

MEND: Final = "Have the provider make another one, or say rsa_bits = 2048 in [sso] (docs/sso.md)."
_PEM: Final = re.compile(r"-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", re.DOTALL)


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """What an owner compares with the provider's page. `sha256` is the hex fingerprint of the DER form."""

    sha256: str
    subject: str
    key: str
    not_before_us: int
    not_after_us: int

    def is_expired(self, now_us: int) -> bool:
        """Tell whether its end has passed."""
        return self.not_after_us <= now_us


def read_certificate(text: str, rsa_bits: int = RSA_BITS) -> str:
    """Return the one certificate in `text` (PEM, or the bare base64 of metadata) as PEM, its key strong enough.

    Raises: Unprocessable (not one, or an RSA key of fewer than `rsa_bits`, or a key of another kind).
    """
    pem = _load(text).public_bytes(serialization.Encoding.PEM).decode()
    certificate_facts(pem)
    bits = _rsa_bits(pem)
    if bits is not None and bits < rsa_bits:
        raise Unprocessable(f"The certificate's RSA key has {bits} bits; {short_key(rsa_bits)}", hint=MEND)
    return pem


def is_strong(pem: str, rsa_bits: int) -> bool:
    """Tell whether the key of the certificate `pem`, once read, has `rsa_bits` at least where it is of RSA."""
    bits = _rsa_bits(pem)
    return bits is None or bits >= rsa_bits


def _rsa_bits(pem: str) -> int | None:
    key = _load(pem).public_key()
    return key.key_size if isinstance(key, rsa.RSAPublicKey) else None


def certificate_facts(text: str) -> CertificateFacts:
    """Return what a page shows of the certificate in `text`.

    Raises: Unprocessable (no certificate, or a key that is not accepted).
    """
    certificate = _load(text)
    try:
        return _facts_of(certificate)
    except (ValueError, UnsupportedAlgorithm):  # parts of a certificate are parsed when they are asked for
        raise _no_certificate() from None


def _facts_of(certificate: x509.Certificate) -> CertificateFacts:
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        kind = f"RSA {key.key_size}"
    elif isinstance(key, ec.EllipticCurvePublicKey) and key.key_size >= 256:
        kind = f"EC {key.curve.name}"
    else:
        raise Unprocessable("The certificate's key is neither RSA nor EC.", hint="Sign with an RSA key of 3072 bits.")
    return CertificateFacts(
        sha256=certificate.fingerprint(hashes.SHA256()).hex(),
        subject=certificate.subject.rfc4514_string(),
        key=kind,
        not_before_us=int(certificate.not_valid_before_utc.timestamp()) * MICROSECONDS,
        not_after_us=int(certificate.not_valid_after_utc.timestamp()) * MICROSECONDS,
    )


def bare(pem: str) -> str:
    """Return the base64 of a PEM certificate without its armour, as metadata writes it."""
    match = _PEM.search(pem)
    assert match is not None
    return "".join(match[1].split())


def _load(text: str) -> x509.Certificate:
    found = _PEM.findall(text)
    if len(found) > 1:
        raise Unprocessable("There is more than one certificate in one field.", hint="Give each one its own field.")
    try:
        der = base64.b64decode("".join((found[0] if found else text).split()), validate=True)
        return x509.load_der_x509_certificate(der)
    except (binascii.Error, ValueError, x509.InvalidVersion):  # the last one is no ValueError
        raise _no_certificate() from None


def _no_certificate() -> Unprocessable:
    return Unprocessable("That is not an X.509 certificate.", hint="Give it as PEM or as base64.")
