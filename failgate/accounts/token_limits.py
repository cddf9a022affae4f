"""What a token may be limited to: permissions, networks, a time. Pure.

A token never gives more than the role of who answers for it: the guard asks the role anew each time, and a scope only
takes away from that.
"""

import ipaddress
from collections.abc import Iterable, Sequence
from typing import Final

from failgate.access.decision import PERSON_ONLY
from failgate.access.permission import Permission
from failgate.access.role import GRANTS, Role
from failgate.base.errors import BadInput

MAX_LABEL: Final = 100
MAX_NETWORKS: Final = 32
_MAPPED_BITS: Final = 96  # RFC 4291 section 2.5.5.2
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def check_label(label: str) -> str:
    """Return `label` without outer spaces.

    Raises: BadInput (empty, over 100 characters, or with a character that does not print).
    """
    text = label.strip()
    if not text or len(text) > MAX_LABEL or not text.isprintable():
        raise BadInput(f"The label needs 1 to {MAX_LABEL} printable characters.", hint="Name where it is used.")
    return text


def offered_scopes(role: Role) -> tuple[Permission, ...]:
    """Return what a token of somebody with `role` may be limited to, in the order of the permissions."""
    return tuple(one for one in Permission if one in GRANTS[role] and one not in PERSON_ONLY)


def check_scopes(scopes: Iterable[str] | None, role: Role) -> tuple[str, ...] | None:
    """Return `scopes` sorted, each once; None stays None: all that the role gives.

    Raises: BadInput (none at all, or one that a token under this role cannot have, by its name).
    """
    if scopes is None:
        return None
    chosen, offered = sorted(set(scopes)), set(offered_scopes(role))
    if not chosen:
        raise BadInput("The token would be allowed nothing.", hint="Choose at least one permission.")
    for scope in chosen:
        if scope not in offered:
            raise BadInput(
                f"A token of the role {role.value} cannot have {scope[:64]!r}.",
                hint="Choose among the permissions that the role gives to tokens.",
            )
    return tuple(str(scope) for scope in chosen)


def check_networks(networks: Iterable[str]) -> tuple[str, ...]:
    """Return the addresses and networks as networks in canonical writing, each once.

    Raises: BadInput (over 32, or one that is neither an address nor a network).
    """
    found: dict[str, None] = {}
    for text in networks:
        try:
            found[str(_plain(ipaddress.ip_network(text.strip())))] = None
        except ValueError:
            raise BadInput(
                f"{text.strip()[:64]!r} is neither an address nor a network.",
                hint='Write it like "10.0.0.7" or "10.0.0.0/8"; a network has no bits beyond its length.',
            ) from None
    if len(found) > MAX_NETWORKS:
        raise BadInput(f"A token has at most {MAX_NETWORKS} addresses and networks.", hint="Join some of them.")
    return tuple(found)


def _plain(network: Network) -> Network:
    """Return the IPv4 network that a network of IPv4-mapped addresses stands for, else `network`."""
    mapped = network.network_address.ipv4_mapped if isinstance(network, ipaddress.IPv6Network) else None
    if mapped is None or network.prefixlen < _MAPPED_BITS:
        return network
    return ipaddress.IPv4Network((mapped, network.prefixlen - _MAPPED_BITS))


def parsed_networks(networks: Sequence[str]) -> tuple[Network, ...]:
    """Return what `check_networks` returned, ready to compare."""
    return tuple(ipaddress.ip_network(text) for text in networks)


def is_within(address: str | None, networks: Sequence[Network]) -> bool:
    """Tell whether the IP `address` lies in one of `networks`; no address and no address of ours lies in none."""
    try:
        place = ipaddress.ip_address(address or "")
    except ValueError:
        return False
    mapped = place.ipv4_mapped if isinstance(place, ipaddress.IPv6Address) else None
    return any((mapped or place) in network for network in networks)
