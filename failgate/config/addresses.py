"""How the file writes addresses: of hosts, networks, databases, people; what names this machine alone. Pure."""

import ipaddress
import os
import re
import socket
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

from failgate.base.destination import OutboundRefused, parse_destination
from failgate.base.ids import is_id
from failgate.base.secret import Secret
from failgate.base.vkey import WITNESS, read_vkey

_HOST_PORT = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.%a-z]+)\]|(?P<host>[A-Za-z0-9.-]+)):(?P<port>[0-9]{1,5})\Z", re.ASCII)
_ENCRYPTED: Final = frozenset({"require", "verify-ca", "verify-full"})  # of libpq's sslmode: the rest fall back
_ORIGIN = re.compile(r"[^\s+]{1,200}\Z")


def split_listen(listen: str) -> tuple[str, int]:
    """Return address and port of HOST:PORT or [IPV6]:PORT.

    Raises: ValueError.
    """
    found = _HOST_PORT.match(listen)
    if not found or int(found["port"]) > 65535:
        raise ValueError('takes HOST:PORT with a port up to 65535: say "127.0.0.1:8440" or "[::1]:8440"')
    return found["v6"] or found["host"], int(found["port"])


def is_loopback_host(host: str) -> bool:
    """Tell whether `host` names this machine alone; a name other than `localhost` never does."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_wildcard(host: str) -> bool:
    """Tell whether `host` stands for every address of this machine, which nobody can open in a browser."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def machine_name() -> str:
    """Return this machine's own name in lower case, by which others may reach it."""
    return socket.gethostname().lower() or "localhost"


def check_web_origin(url: str) -> None:
    """Refuse a URL that is more than an origin. Raises: ValueError."""
    try:
        parts = urlsplit(url)
        is_origin = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        rest = (parts.path, parts.query, parts.fragment, parts.username, parts.password)
    except ValueError:
        is_origin, rest = False, ("", "", "", None, None)
    if not is_origin or any(rest) or re.search(r"[\s\\?#@]", url):
        raise ValueError('takes scheme, host and port alone: say "https://failgate.example"')


def check_network(network: str) -> None:
    """Refuse what is neither an address nor a network. Raises: ValueError."""
    try:
        ipaddress.ip_network(network)
    except ValueError:
        raise ValueError('neither an address nor a network: say "10.0.0.7" or "10.0.0.0/8"') from None


def check_database_url(url: str | Secret) -> None:
    """Refuse another database, and a password in the file itself. Raises: ValueError."""
    text = url if isinstance(url, str) else url.reveal()
    if not re.match(r"sqlite:///[^?#]|postgres(ql)?://", text):
        raise ValueError('say "sqlite:////absolute/file.sqlite" or "postgresql://user@host/database"')
    if isinstance(url, str) and (has_password(text) or "sslpassword" in parse_qs(urlsplit(text).query)):
        raise ValueError(
            'a password does not stand in this file: say password = { file = "/path" }, or url = { env = "NAME" }'
        )


def has_password(url: str) -> bool:
    """Tell whether the database URL holds a password, before its host or behind it."""
    parts = urlsplit(url)
    return bool(parts.password) or "password" in parse_qs(parts.query)


def is_way_to_database_open(url: str) -> bool:
    """Tell whether what is said to the database at `url` could travel to another machine in the clear.

    A socket of this machine and its loopback address are no such way; without `sslmode=require` or more the driver
    falls back to plain TCP where the server has no TLS.
    """
    parts = urlsplit(url)
    if not parts.scheme.startswith("postgres"):
        return False
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    if query.get("sslmode") in _ENCRYPTED:
        return False
    # As the driver reads it: the URL's hosts, its `host`, the environment's, else sockets of this machine.
    named = parts.netloc.rpartition("@")[2] or query.get("host") or os.environ.get("PGHOST", "")
    hosts = [_without_port(unquote(each)) for each in named.split(",") if each]
    return "service" in query or any(not (host[:1] in {"/", "@"} or is_loopback_host(host)) for host in hosts)


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host if host.startswith("/") or host.count(":") > 1 else host.partition(":")[0]


def check_log_origin(origin: str) -> None:
    """Refuse an origin that no checkpoint could carry. Raises: ValueError.

    Source: https://c2sp.org/tlog-checkpoint.
    """
    if not _ORIGIN.match(origin):
        raise ValueError('takes 1 to 200 characters without space or plus: say "failgate.example"')


def check_exported_log(log: str) -> None:
    """Refuse what names no log of the server. Raises: ValueError."""
    if log not in {"*", "system", "workspaces"} and not is_id(log):
        raise ValueError('takes "system", "workspaces" (all others), "*", or the id of a workspace')


def check_witness_url(url: str) -> None:
    """Refuse what is no submission prefix of a witness: https, or http on this machine. Raises: ValueError.

    Source: https://c2sp.org/tlog-witness.
    """
    try:
        parts = parse_destination(url)
        is_known = parts.scheme == "https" or is_loopback_host(parts.host)
    except OutboundRefused:
        parts, is_known = None, False
    if parts is None or not is_known or "?" in parts.target:
        raise ValueError('is no witness\'s address: say "https://witness.example/path"')


def check_witness_key(vkey: str) -> None:
    """Refuse what is no key of a witness. Raises: ValueError."""
    read_vkey(vkey, WITNESS)


def check_sender(sender: str) -> None:
    """Refuse what no letter could come from. Raises: ValueError."""
    _, at, domain = sender.rpartition("@")
    if not at or not domain.strip(" >") or not sender.isprintable() or len(sender) > 320:
        raise ValueError('takes an address: say "failgate@acme.example" or "Failgate <failgate@acme.example>"')
