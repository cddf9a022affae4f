"""TLS to a server that an operator names: whom it is trusted by, and the certificate that is shown to it."""

import ssl
from pathlib import Path

from failgate.base.errors import StartRefused


def client_tls(whom: str, ca_file: Path | None, certificate: Path | None, key: Path | None) -> ssl.SSLContext:
    """Return a context of TLS 1.2 or later that verifies name and chain of the server; the files are PEM.

    `ca_file` holds the authorities (None: those of this machine); `certificate` and `key` are shown when asked for.
    `whom` names the server in the refusal, which says why and nothing that stands in a file.

    Raises: StartRefused (a file is missing, or is none), naming the mend.
    """
    try:
        context = ssl.create_default_context(cafile=str(ca_file) if ca_file is not None else None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if certificate is not None:
            context.load_cert_chain(certificate, key)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        raise StartRefused(
            f"The files for TLS to {whom} cannot be used: {why}.",
            hint="ca_file, certificate and key are PEM; the account of Failgate has to be able to read them.",
        ) from None
    return context
