"""`[server.tls]`: which files the server speaks TLS with, and whether it asks for client certificates.

What stands in the files is read and judged in `failgate/web/tls.py`.
"""

from pathlib import Path
from typing import Literal

import msgspec

from failgate.config.errors import SettingRefused


class TlsSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[server.tls]`: the server's certificate and key, and the client certificates that it takes.

    `certificate` holds the leaf first and then its chain, `client_ca` the authorities that may name agents, `crl` one
    revocation list for each of them; all PEM. `rsa_bits` is what an RSA key has at least, ours and those of clients.
    """

    certificate: Path
    key: Path
    client_certificates: Literal["off", "optional", "required"] = "off"
    client_ca: Path | None = None
    crl: tuple[Path, ...] = ()
    rsa_bits: Literal[2048, 3072] = 3072

    def __post_init__(self) -> None:
        """Refuse client certificates without an authority, and an authority that nobody asks.

        Raises: SettingRefused.
        """
        if self.client_certificates != "off" and self.client_ca is None:
            raise SettingRefused(
                "client_certificates", "needs client_ca, the file of the authorities that issue client certificates"
            )
        if self.client_certificates == "off" and self.client_ca is not None:
            raise SettingRefused(
                "client_ca", 'has no effect with client_certificates = "off": say "optional" or "required"'
            )
        if self.crl and self.client_ca is None:
            raise SettingRefused("crl", "revokes client certificates: it needs client_ca")
