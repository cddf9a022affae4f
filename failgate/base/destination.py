"""Where this server may connect to: the URL's spelling and every address behind its name. Pure; no socket, no clock.

An operator or a provider's document names the URL, so it could name the cloud's metadata service, a database on the
loopback address, or a machine of the company's network (server-side request forgery, OWASP ASVS 5.0 V1.3.6). Whatever
is not provably an address of the public internet is refused; so is every spelling that two parsers could read apart.
"""

import ipaddress
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from failgate.base.errors import Unprocessable

MAX_URL_CHARACTERS: Final = 2048
_NAME: Final = re.compile(
    r"(?=.{1,253}\Z)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?\Z", re.ASCII
)
_IPV4: Final = re.compile(r"(?:0|[1-9][0-9]{0,2})(?:\.(?:0|[1-9][0-9]{0,2})){3}\Z", re.ASCII)
_URL: Final = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<target>(?:/[^\\#?]*)?(?:\?[^\\#]*)?)\Z",
    re.ASCII,
)

# Source: the IANA special-purpose address registries (RFC 6890). `is_global` of the standard library differs between
# its patch releases and counts multicast and translated addresses as global, so it is asked as well, never alone.
_REFUSED_V4: Final = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT, RFC 6598
        "127.0.0.0/8",
        "169.254.0.0/16",  # link-local, where clouds keep their metadata service
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
_GLOBAL_UNICAST_V6: Final = ipaddress.IPv6Network("2000::/3")
_REFUSED_V6: Final = tuple(
    ipaddress.IPv6Network(network)
    for network in (
        "2001::/23",  # Teredo (2001::/32), ORCHID, benchmarking: each wraps or stands for something else
        "2001:db8::/32",
        "2002::/16",  # 6to4 wraps an IPv4 address
        "3fff::/20",
    )
)

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class OutboundRefused(Unprocessable):
    """This server does not connect there, or what came back cannot be used; `reason` is a word for the audit record."""

    slug = "outbound-refused"
    title = "The address cannot be fetched"

    def __init__(self, reason: str, sentence: str, *, hint: str | None = None) -> None:
        """Keep the `reason` word beside the sentence."""
        super().__init__(sentence, hint=hint)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Destination:
    """A URL taken apart; `host` is lower case, without brackets; `target` is path and query."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """Return what stands in the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.scheme == "https" else 80) else f"{host}:{self.port}"

    @property
    def literal(self) -> IPAddress | None:
        """Return the address when the host is one, else None."""
        try:
            return ipaddress.ip_address(self.host)
        except ValueError:
            return None


def parse_destination(url: str) -> Destination:
    """Return the parts of `url`: https (or http) with a DNS name or a plainly written address.

    Raises: OutboundRefused (credentials, fragment, white space, a backslash, characters beyond ASCII, an address in
    octal, hexadecimal, decimal or short form, a zone, a trailing dot, a port out of range, another scheme).
    """
    is_plain = len(url) <= MAX_URL_CHARACTERS and url.isascii() and url.isprintable() and " " not in url
    found = _URL.match(url) if is_plain else None
    if found is None:
        raise _malformed()
    host = found["host"].lower()
    port = int(found["port"]) if found["port"] else (443 if found["scheme"] == "https" else 80)
    if host.startswith("["):
        host = host[1:-1]
        is_plain = _is_address(host)
    elif _IPV4.match(host):
        is_plain = _is_address(host)
    else:
        # The last label begins with a letter, as every top-level domain does: `0x7f.1` and `2130706433` are no names.
        is_plain = _NAME.match(host) is not None
    if not is_plain or not 0 < port < 65536:
        raise _malformed()
    return Destination(found["scheme"], host, port, found["target"] or "/")


def check_addresses(
    destination: Destination, addresses: tuple[str, ...], *, allow_loopback: bool, networks: tuple[Network, ...] = ()
) -> None:
    """Do nothing when this server may connect to `addresses`, all that `destination` resolves to.

    One bad address among good ones refuses them all: which one is dialled is the attacker's choice. Plain http goes to
    the loopback address alone, when `allow_loopback` is on. `networks` are private ones that the operator opened.

    Raises: OutboundRefused.
    """
    if not addresses:
        raise OutboundRefused("unresolved", "The host name of this address does not resolve.", hint="Check the name.")
    read = tuple(_read(address) for address in addresses)
    if allow_loopback and all(address is not None and _is_plain_loopback(address) for address in read):
        return
    if destination.scheme != "https":
        raise OutboundRefused("not-https", "This address does not begin with https.", hint="Write https://.")
    if not all(address is not None and (is_public(address) or _is_opened(address, networks)) for address in read):
        raise OutboundRefused(
            "not-public",
            "The host of this address is not on the public internet.",
            hint="Name its network in [server] outbound_networks when it is meant to be reached.",
        )


def check_host_pattern(pattern: str) -> None:
    """Refuse what `check_listed` could not read: takes a host, `*.` and a domain, or `*`. Raises: ValueError."""
    name = pattern.removeprefix("*.")
    if pattern != "*" and not (_NAME.match(name) or (name == pattern and _is_address(name))):
        raise ValueError('takes a host in lower case, "*.acme.example" for what is below a domain, or "*" for all')


def check_listed(destination: Destination, patterns: Collection[str]) -> None:
    """Do nothing when the host of `destination` is one that the operator lists; its name is not looked up before.

    Raises: OutboundRefused.
    """
    host = destination.host
    if not is_listed(host, patterns):
        raise OutboundRefused(
            "not-listed",
            f"This server may not connect to {host}.",
            hint=f'Whoever runs it adds "{host}" to outbound_hosts in [server] of the config.',
        )


def is_listed(host: str, patterns: Collection[str]) -> bool:
    """Tell whether `host`, a name or an address, is one of `patterns` or below one of them."""
    above = {f"*.{host[place + 1 :]}" for place, character in enumerate(host) if character == "."}
    if _is_address(host):
        above = set()  # no address is below another one
    return bool({"*", host, *above} & set(patterns))


def is_public(address: IPAddress) -> bool:
    """Tell whether `address` is a unicast address of the public internet, and neither wraps nor translates another."""
    if address.is_multicast or address.is_reserved or not address.is_global:
        return False
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _REFUSED_V4)
    if address.scope_id is not None:
        return False
    # Outside 2000::/3 lie v4-mapped, v4-compatible, NAT64 (64:ff9b::/96, 64:ff9b:1::/48), unique local, link-local.
    return address in _GLOBAL_UNICAST_V6 and not any(address in network for network in _REFUSED_V6)


def _malformed() -> OutboundRefused:
    return OutboundRefused(
        "malformed",
        "This is not an address that can be fetched.",
        hint="Write it like https://login.example.com/path, without credentials and fragment.",
    )


def _is_address(host: str) -> bool:
    return _read(host) is not None


def _read(text: str) -> IPAddress | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _is_plain_loopback(address: IPAddress) -> bool:
    # `::ffff:127.0.0.1` is loopback for some releases of the standard library: only the two plain spellings are.
    if isinstance(address, ipaddress.IPv6Address):
        return address == ipaddress.IPv6Address("::1") and address.scope_id is None
    return address.is_loopback


def _is_opened(address: IPAddress, networks: tuple[Network, ...]) -> bool:
    # Never, whatever is opened: loopback, link-local with its metadata service, multicast, the unspecified address.
    if address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified:
        return False
    if isinstance(address, ipaddress.IPv6Address) and (address.ipv4_mapped or address.scope_id is not None):
        return False
    return any(address.version == network.version and address in network for network in networks)
