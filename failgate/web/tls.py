"""The server's certificate, its key, and what client certificates are judged by: read from files into one SSL context.

A context is never changed: new files make a new one, for connections that come later. What is wrong with the files is a
`Fault`; `failgate check` shows all of them, the server refuses to start (or goes on with what it has) on those that
nothing can be spoken with. When files are read anew: `renewal.py`.
Sources: RFC 5280; RFC 9325 (recommendations for TLS).
"""

from __future__ import annotations

import itertools
import ssl
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from failgate.base.errors import StartRefused

if TYPE_CHECKING:
    from cryptography import x509

    from failgate.config.tls import TlsSection

Key = Literal["certificate", "key", "client_ca", "crl"]
T = TypeVar("T")
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"  # of TLS 1.2; those of TLS 1.3 are all sound
STRONG = ":@SECLEVEL=3"  # of OpenSSL: 128 bits, so RSA of 3072, in every certificate of ours and of clients
RSA_BITS = 3072  # the least for 128 bits of security: NIST SP 800-57 part 1 revision 5 table 2
_LONGER = "Use RSA of 3072 bits or more or an elliptic curve, or say rsa_bits = 2048 in [server.tls]."
_LARGEST_FILE = 64 * 1024 * 1024
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong with the file of the setting `key`. With a fatal one no connection can be opened."""

    key: Key
    sentence: str
    hint: str
    is_fatal: bool = True


class TlsRefused(StartRefused):
    """The files of `[server.tls]` cannot be used; `faults` says why."""

    slug = "tls-refused"
    title = "The certificates cannot be used"

    def __init__(self, faults: Sequence[Fault]) -> None:
        """Keep the faults; the first one gives the mend."""
        super().__init__(" ".join(f"[server.tls] {each.key}: {each.sentence}." for each in faults), hint=faults[0].hint)
        self.faults = tuple(faults)


@dataclass(frozen=True, slots=True)
class Material:
    """What connections are opened with.

    `expiries` names when the first of each kind of file ends, in seconds since 1970. `faults` are those that are not
    fatal. `crls` are as the authorities signed them, by the DER of their issuer's name.
    """

    context: ssl.SSLContext
    expiries: dict[Key, int]
    crls: dict[bytes, x509.CertificateRevocationList] = field(
        default_factory=dict[bytes, "x509.CertificateRevocationList"]
    )
    client_ca: bytes = b""
    faults: tuple[Fault, ...] = ()


def load(tls: TlsSection, host: str | None, now_us: int, artifact_host: str | None = None) -> Material:
    """Return what the files of `tls` hold. `host` is the name that people reach the server by, None when unknown.

    `artifact_host` is the one from which they download, None without one.

    Raises: TlsRefused.
    """
    material, faults = read(tls, host, now_us, artifact_host)
    if material is None:
        raise TlsRefused([fault for fault in faults if fault.is_fatal])
    return material


def read(
    tls: TlsSection, host: str | None, now_us: int, artifact_host: str | None = None
) -> tuple[Material | None, list[Fault]]:
    """Return what the files hold, None when nothing can be spoken with them, and everything that is wrong with them."""
    reading = _Reading(tls, datetime.fromtimestamp(now_us / 1_000_000, UTC))
    chain = reading.chain({"public_url": host, "artifact_url": artifact_host})
    reading.key(chain)
    authorities = reading.authorities()
    crls = reading.crls(authorities)
    context = None
    if not any(fault.is_fatal for fault in reading.faults):
        context = reading.context()
    if context is None:
        return None, reading.faults
    expiries: dict[Key, int] = {"certificate": min(_ends(each) for each in chain)}
    if authorities:
        expiries["client_ca"] = min(_ends(each) for each in authorities)
    ends = [int(each.next_update_utc.timestamp()) for each in crls if each.next_update_utc is not None]
    if ends:
        expiries["crl"] = min(ends)
    by_issuer = {each.issuer.public_bytes(): each for each in crls}
    roots = b"".join(sorted(_der(each) for each in authorities))
    return Material(context, expiries, by_issuer, roots, tuple(reading.faults)), reading.faults


class _Reading:
    """One reading of the files; `faults` grows."""

    def __init__(self, tls: TlsSection, now: datetime) -> None:
        self._tls = tls
        self._now = now
        self.faults: list[Fault] = []

    def chain(self, hosts: Mapping[str, str | None]) -> list[x509.Certificate]:
        """Return the server's certificate and what it was issued by."""
        path = self._tls.certificate
        chain = self._parsed("certificate", path, _certificates, "certificate")
        if not chain:
            return []
        leaf = chain[0]
        self._check_time(
            "certificate", leaf, f"the certificate in {path}", "Renew it; the server takes the new file by itself."
        )
        for each in chain:
            bits = _rsa_bits(each)
            if bits is not None and bits < self._tls.rsa_bits:
                sentence = f"in {path} the key of {each.subject.rfc4514_string()} is RSA of {bits} bits"
                self._fail("certificate", sentence, _LONGER)
        for place, (lower, upper) in enumerate(itertools.pairwise(chain), 1):
            if not _was_issued_by(lower, upper):
                sentence = f"in {path} certificate {place + 1} did not issue certificate {place}"
                self._warn(
                    "certificate",
                    sentence,
                    "Put the server's own certificate first, then what issued it, one after another.",
                )
        for setting, host in hosts.items():
            if host is not None and not _names(leaf, host):
                sentence = f"the certificate in {path} is not for {host}, the name in {setting}"
                self._warn("certificate", sentence, "Have one issued with that subject alternative name.")
        return chain

    def key(self, chain: Sequence[x509.Certificate]) -> None:
        """Check the private key: nobody else can read it, and it is the certificate's."""
        from cryptography.hazmat.primitives import serialization

        path = self._tls.key
        octets = self._octets("key", path)
        if octets is None:
            return
        if stat.S_IMODE(path.stat().st_mode) & _OTHERS:
            self._fail("key", f"the key {path} can be read by other accounts of this machine", f"chmod 600 {path}")
        try:
            key = serialization.load_pem_private_key(octets, None)
        except TypeError:
            self._fail(
                "key",
                f"the key {path} is encrypted",
                f"openssl pkey -in {path} -out KEY writes it without a passphrase.",
            )
            return
        except Exception:  # noqa: BLE001 - the parser raises several kinds for what is no key
            self._fail("key", f"{path} holds no private key in PEM form", "It begins with -----BEGIN PRIVATE KEY-----.")
            return
        public = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        if chain and key.public_key().public_bytes(*public) != chain[0].public_key().public_bytes(*public):
            sentence = f"the key {path} does not belong to the first certificate in {self._tls.certificate}"
            self._fail("key", sentence, "Name the key that the certificate was requested with.")

    def authorities(self) -> list[x509.Certificate]:
        """Return the authorities of client certificates."""
        path = self._tls.client_ca
        if path is None:
            return []
        found = self._parsed("client_ca", path, _certificates, "certificate")
        for each in found:
            name = each.subject.rfc4514_string()
            bits = _rsa_bits(each)
            if bits is not None and bits < self._tls.rsa_bits:
                self._fail("client_ca", f"{path}: the key of {name} is RSA of {bits} bits", _LONGER)
            if not _is_authority(each):
                self._fail(
                    "client_ca",
                    f"{path}: {name} is no certificate authority",
                    "Name the file of the issuer, not of a client.",
                )
            self._check_time(
                "client_ca", each, f"{path}: the authority {name}", "None of its clients gets in; renew it."
            )
        return found

    def crls(self, authorities: Sequence[x509.Certificate]) -> list[x509.CertificateRevocationList]:
        """Return the revocation lists: one of each authority at least, when there are any."""
        found: list[x509.CertificateRevocationList] = []
        for path in self._tls.crl:
            for each in self._parsed("crl", path, _crls, "revocation list"):
                issuers = [one for one in authorities if one.subject == each.issuer]
                if issuers and not any(_was_signed_by(each, one) for one in issuers):
                    self._fail("crl", f"{path} is not signed by {each.issuer.rfc4514_string()}", "Fetch it again.")
                if each.next_update_utc is None or each.next_update_utc <= self._now:
                    sentence = f"{path} is out of date, so that no client certificate of its issuer is accepted"
                    self._warn("crl", sentence, "Fetch the current one; the server takes the new file by itself.")
                found.append(each)
        if self._tls.crl:
            for one in authorities:
                if not any(each.issuer == one.subject for each in found):
                    sentence = f"there is no revocation list of {one.subject.rfc4514_string()}"
                    self._fail("crl", sentence, "With crl every authority in client_ca needs one.")
        return found

    def context(self) -> ssl.SSLContext | None:
        """Return the context of these files."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
        context.set_ciphers(CIPHERS + (STRONG if self._tls.rsa_bits >= RSA_BITS else ""))
        context.set_alpn_protocols(["http/1.1"])
        try:
            context.load_cert_chain(self._tls.certificate, self._tls.key, password=lambda: b"")
        except (ssl.SSLError, OSError) as error:
            sentence = f"{self._tls.certificate} and its key are not accepted: {_reason(error)}"
            self._fail(
                "certificate",
                sentence,
                f"Use RSA of {self._tls.rsa_bits} bits or more, or an elliptic curve, signed with SHA-256.",
            )
            return None
        if self._tls.client_ca is not None and not self._ask_for_certificates(context, self._tls.client_ca):
            return None
        return context

    def _ask_for_certificates(self, context: ssl.SSLContext, authorities: Path) -> bool:
        """Let clients show certificates of `authorities`; tell whether those and their lists were taken."""
        is_required = self._tls.client_certificates == "required"
        context.verify_mode = ssl.CERT_REQUIRED if is_required else ssl.CERT_OPTIONAL
        if not self._take(context, "client_ca", authorities):
            return False
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # an issuing authority may stand there without its root
        context.options |= ssl.OP_NO_TICKET  # a resumed session is not verified again
        context.num_tickets = 0
        for path in self._tls.crl:
            if not self._take(context, "crl", path):
                return False
            context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
        return True

    def _take(self, context: ssl.SSLContext, key: Key, path: Path) -> bool:
        """Load a file that was read before by a parser which takes some that OpenSSL does not; tell whether it was."""
        try:
            context.load_verify_locations(path)
        except (ssl.SSLError, OSError) as error:
            self._fail(key, f"{path} is not accepted: {_reason(error)}", "Fetch it again.")
            return False
        return True

    def _parsed(self, key: Key, path: Path, parse: Callable[[bytes], list[T]], what: str) -> list[T]:
        octets = self._octets(key, path)
        if octets is None:
            return []
        try:
            return parse(octets)
        except Exception:  # noqa: BLE001 - the parser raises several kinds for bytes that are not as they were signed
            self._fail(
                key, f"{path} holds no {what} in PEM form", f"openssl x509 -inform DER -in {path} turns DER into PEM."
            )
            return []

    def _octets(self, key: Key, path: Path) -> bytes | None:
        try:
            with path.open("rb") as stream:
                return stream.read(_LARGEST_FILE)
        except OSError as error:
            sentence = f"{path} cannot be read: {error.strerror}"
            self._fail(key, sentence, "Name a file that the account of the server can read.")
            return None

    def _check_time(self, key: Key, each: x509.Certificate, what: str, hint: str) -> None:
        if each.not_valid_after_utc <= self._now:
            self._warn(key, f"{what} expired on {each.not_valid_after_utc:%Y-%m-%d %H:%M} UTC", hint)
        if each.not_valid_before_utc > self._now:
            self._warn(
                key, f"{what} is valid only from {each.not_valid_before_utc:%Y-%m-%d %H:%M} UTC", "Check the clock."
            )

    def _fail(self, key: Key, sentence: str, hint: str) -> None:
        self.faults.append(Fault(key, sentence, hint))

    def _warn(self, key: Key, sentence: str, hint: str) -> None:
        self.faults.append(Fault(key, sentence, hint, is_fatal=False))


def _certificates(octets: bytes) -> list[x509.Certificate]:
    from cryptography import x509

    found = x509.load_pem_x509_certificates(octets)
    for each in found:  # the parser reads a part when it is asked for: what is broken shows here and not later
        _ = (each.subject, each.issuer, each.not_valid_before_utc, each.not_valid_after_utc, each.public_key())
    return found


def _crls(octets: bytes) -> list[x509.CertificateRevocationList]:
    from cryptography import x509

    end = b"-----END X509 CRL-----"
    found = [x509.load_pem_x509_crl(piece + end) for piece in octets.split(end)[:-1]]
    found = found or [x509.load_pem_x509_crl(octets)]
    for each in found:
        _ = (each.issuer, each.signature, each.next_update_utc, each.get_revoked_certificate_by_serial_number(0))
    return found


def _der(each: x509.Certificate) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return each.public_bytes(Encoding.DER)


def _ends(each: x509.Certificate) -> int:
    return int(each.not_valid_after_utc.timestamp())


def _was_issued_by(lower: x509.Certificate, upper: x509.Certificate) -> bool:
    try:
        lower.verify_directly_issued_by(upper)
    except Exception:  # noqa: BLE001 - another issuer, another signature, an algorithm that is not supported
        return False
    return True


def _was_signed_by(crl: x509.CertificateRevocationList, authority: x509.Certificate) -> bool:
    try:
        return crl.is_signature_valid(authority.public_key())  # type: ignore[arg-type]  # it refuses keys that do not sign
    except Exception:  # noqa: BLE001 - a key that does not sign, an algorithm that is not supported
        return False


def _rsa_bits(certificate: x509.Certificate) -> int | None:
    """Return how many bits the RSA key of `certificate` has, None of another kind or where it cannot be read."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import rsa

    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):  # OpenSSL says what it is
        return None
    return key.key_size if isinstance(key, rsa.RSAPublicKey) else None


def _is_authority(each: x509.Certificate) -> bool:
    from cryptography import x509

    try:
        return each.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType, ValueError):
        return False


def _names(leaf: x509.Certificate, host: str) -> bool:
    """Tell whether `leaf` is for `host`. Source: RFC 9525 section 6.3."""
    from cryptography import x509

    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType, ValueError):
        return False
    wildcard = f"*.{host.partition('.')[2]}"
    addresses = {str(address) for address in names.get_values_for_type(x509.IPAddress)}
    return host in addresses or bool(
        {host, wildcard} & {name.lower() for name in names.get_values_for_type(x509.DNSName)}
    )


def _reason(error: OSError) -> str:
    reason = getattr(error, "reason", None)
    return str(reason).replace("_", " ").lower() if reason else str(error.strerror or error)
