"""TLS to the server: whom this machine trusts, what it shows, and what it says when that fails.

Loaded only for https: importing `ssl` would double the start-up time of a command over a loopback address.
"""
# ruff: noqa: PTH116 -- pathlib would slow the start

import os
import ssl
import stat
from socket import socket
from typing import Final

from failgate.client.address import Address
from failgate.client.exits import NotConfigured, Unreachable
from failgate.client.settings import TlsFiles

_CA: Final = "Set FAILGATE_CA (or ca_file in client.toml) to the file of the authority that issued it."
# Source: X509_V_ERR_… in OpenSSL's x509_vfy.h.
_FAULTS: Final = {
    7: ("was issued by an authority that is not trusted here", _CA),
    9: ("is not valid yet", "Check the clock of this machine and of the server."),
    10: ("has expired", "Ask whoever runs the server to renew it."),
    18: ("is signed by itself and not trusted here", _CA),
    19: ("was issued by an authority that is not trusted here", _CA),
    20: ("was issued by an authority that is not trusted here", _CA),
    21: ("was issued by an authority that is not trusted here", _CA),
    23: ("was revoked", "Ask whoever runs the server."),
    62: ("is for another name", "Use the name in FAILGATE_URL that the certificate is for."),
    64: ("is for another address", "Use the name in FAILGATE_URL that the certificate is for."),
}
_ALERTS: Final = {
    "CERTIFICATE_REQUIRED": "it asks for a client certificate: set FAILGATE_CERTIFICATE and FAILGATE_KEY",
    "HANDSHAKE_FAILURE": "it accepts no TLS that this machine speaks, or asks for a client certificate",
    "UNKNOWN_CA": "it does not know the authority that issued this machine's certificate",
    "CERTIFICATE_EXPIRED": "this machine's certificate has expired",
    "CERTIFICATE_REVOKED": "this machine's certificate was revoked",
    "UNSUPPORTED_CERTIFICATE": "this machine's certificate is not made for clients",
    "BAD_CERTIFICATE": "it does not accept this machine's certificate",
    "CERTIFICATE_UNKNOWN": "it does not accept this machine's certificate",
    "WRONG_VERSION_NUMBER": "it does not speak TLS at this port",
    "PROTOCOL_VERSION": "it speaks only older versions of TLS",
}


class Untrusted(Unreachable):
    """The server showed a certificate that this machine does not trust: nothing was sent to it."""


def wrapped(link: socket, address: Address, files: TlsFiles) -> ssl.SSLSocket:
    """Return `link` with TLS over it, to the server named in `address` and to no other.

    Raises: NotConfigured (a file cannot be used), Untrusted, OSError.
    """
    context = _context(files)
    try:
        return context.wrap_socket(_whole(link), server_hostname=address.host)
    except ssl.SSLCertVerificationError as error:
        fault, mend = _FAULTS.get(error.verify_code, (f"cannot be verified: {error.verify_message}", _CA))
        raise Untrusted(f"The certificate of {address} {fault}.", hint=mend) from error


def _whole(link: socket) -> socket:
    """Return `link` as the library's own kind, which TLS needs; a quick one gives its connection away."""
    seconds = link.gettimeout()
    whole = socket(link.family, link.type, link.proto, fileno=link.detach())
    whole.settimeout(seconds)
    return whole


def explained(error: Exception, link: socket | None) -> str | None:
    """Return what ended a connection that speaks TLS, None when TLS has nothing to say of it.

    The other side's last word may lie there unread: with TLS 1.3 it judges a client certificate after the handshake.
    """
    if isinstance(link, ssl.SSLSocket) and not isinstance(error, TimeoutError):
        try:
            link.settimeout(0.2)
            link.recv(1)
        except ssl.SSLError as last:
            error = last if last.reason else error
        except (OSError, ValueError):
            pass
    if isinstance(error, EOFError | ConnectionError | ssl.SSLEOFError):
        return "it ended the connection, as a server does that accepts no such client certificate, or asks for one"
    if not isinstance(error, ssl.SSLError):
        return None
    reason = str(error.reason or type(error).__name__)
    found = next((text for word, text in _ALERTS.items() if word in reason), None)
    return found or f"TLS failed: {reason.replace('_', ' ').lower()}"


def _context(files: TlsFiles) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=files.ca)
    except (OSError, ssl.SSLError) as error:
        raise NotConfigured(
            f"{files.ca} holds no certificate of an authority: {_reason(error)}.", hint="FAILGATE_CA names a PEM file."
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if files.ca is not None:
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # the server's own certificate may stand there
    if files.certificate is not None:
        _show(context, files.certificate, files.key or files.certificate)
    return context


def _show(context: ssl.SSLContext, certificate: str, key: str) -> None:
    try:
        if stat.S_IMODE(os.stat(key).st_mode) & 0o077:
            raise NotConfigured(f"{key} can be read by other accounts of this machine.", hint=f"chmod 600 {key}")
        context.load_cert_chain(certificate, key, password=lambda: b"")
    except OSError as error:
        raise NotConfigured(
            f"The client certificate {certificate} with the key {key} cannot be used: {_reason(error)}.",
            hint="FAILGATE_CERTIFICATE and FAILGATE_KEY name PEM files that belong together; the key is not encrypted.",
        ) from error


def _reason(error: OSError) -> str:
    reason = getattr(error, "reason", None)
    return str(reason).replace("_", " ").lower() if reason else error.strerror or "it is not PEM"
