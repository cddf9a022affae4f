"""What reverse proxies in front of the server are believed: the address of the peer and that it came by https. Pure.

Of `X-Forwarded-For` the last address that is not a trusted proxy's counts, read from the right: what stands left of it
was written by somebody else. No other header says who is there: not `Forwarded`, not `X-Real-IP`, nor any that names a
user or a certificate.
Source: RFC 7239 section 8.1 (such headers are worth what the peer is worth).
"""

import ipaddress
from collections.abc import Collection, Iterable
from functools import lru_cache

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Headers = Iterable[tuple[bytes, bytes]]
MOST_HOPS = 32


class TrustedProxies:
    """The networks whose headers are believed."""

    def __init__(self, networks: Collection[str] = ()) -> None:
        self._networks: list[Network] = [ipaddress.ip_network(text) for text in networks]

    def address_of(self, peer: str | None, headers: Headers) -> tuple[str | None, bool]:
        """Return the address that speaks, and whether the headers of `peer` are believed.

        A malformed hop ends the reading: then the last proxy before it is who speaks.
        """
        address = read_address(peer) if peer is not None else None
        if address is None or not self._trusts(address):
            return (peer if address is None else _written(address)), False
        named = b",".join(value for key, value in headers if key == b"x-forwarded-for").decode("latin-1")
        for text in reversed(named.split(",")[-MOST_HOPS:]):
            hop = read_address(text.strip(" \t"))
            if hop is None:
                break
            address = hop
            if not self._trusts(hop):
                break
        return str(address), True

    def _trusts(self, address: Address) -> bool:
        return any(address in network for network in self._networks)


def is_https_said(headers: Headers) -> bool:
    """Tell whether `X-Forwarded-Proto`, sent once, says https."""
    return [value.strip().lower() for key, value in headers if key == b"x-forwarded-proto"] == [b"https"]


@lru_cache(maxsize=4096)
def _written(address: Address) -> str:
    return str(address)


@lru_cache(maxsize=4096)
def read_address(text: str) -> Address | None:
    """Return the address that `text` is, with or without a port; an IPv4 address in IPv6 form as IPv4."""
    if text.startswith("["):
        text, _, port = text[1:].partition("]")
        if port and not (port[0] == ":" and port[1:].isdigit()):
            return None
    elif text.count(":") == 1:
        text, _, port = text.partition(":")
        if not port.isdigit():
            return None
    if "%" in text:  # the name of an interface, which may be anything
        return None
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
