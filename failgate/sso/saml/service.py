"""What we are to an identity provider: our entity id, our addresses, our keys. Pure.

Every address is built from the configured base URL, never from a request's Host header.
"""

from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlsplit

from failgate.base.secret import Secret

KEY_BITS: Final = 3072
CERTIFICATE_DAYS: Final = 5 * 365


@dataclass(frozen=True, slots=True)
class KeyPair:
    """An RSA key and the self-signed certificate that carries its public half, both PEM."""

    certificate: str
    private_key: Secret


@dataclass(frozen=True, slots=True)
class ServiceProvider:
    """We, as one connection's provider knows us.

    `keys` holds the key that signs first; during a rollover the other one follows: the metadata names both, and what
    is encrypted to either is read. All addresses are absolute and compared byte for byte.
    """

    entity_id: str
    acs_url: str
    logout_url: str
    keys: tuple[KeyPair, ...]

    @property
    def signing(self) -> KeyPair:
        """The key that signs what we send."""
        return self.keys[0]


def service_of(base_url: str, connection_slug: str, keys: tuple[KeyPair, ...]) -> ServiceProvider:
    """Return what we are to the provider of `connection_slug`; its entity id is the address of its metadata."""
    root = f"{base_url.rstrip('/')}/sso/{quote(connection_slug, safe='')}"
    return ServiceProvider(entity_id=f"{root}/metadata", acs_url=f"{root}/acs", logout_url=f"{root}/logout", keys=keys)


def toolkit_request(url: str) -> dict[str, object]:
    """Return the request that python3-saml derives its own address from: `url`, whatever the real request said."""
    parts = urlsplit(url)
    return {
        "https": "on" if parts.scheme == "https" else "off",
        "http_host": parts.netloc,
        "script_name": parts.path,
        "get_data": {},
        "post_data": {},
    }


def make_key_pair(name: str, now_us: int, *, key_bits: int = KEY_BITS) -> KeyPair:
    """Make an RSA key of 3072 bits and a self-signed certificate for five years. Takes up to seconds: in a thread.

    Providers pin the certificate; nothing is derived from its subject or its signature.
    """
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=key_bits)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name[:64])])
    now = datetime.fromtimestamp(now_us // 1_000_000, UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=CERTIFICATE_DAYS))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return KeyPair(certificate.public_bytes(serialization.Encoding.PEM).decode(), Secret(private.decode()))
