"""The server's address, taken apart without the weight of urllib."""

from __future__ import annotations

from failgate.base.quick import NamedTuple
from failgate.client.exits import NotConfigured

_LOOPBACK = ("localhost", "::1")


class Address(NamedTuple):
    """Where the server listens; `prefix` is the path before `/api`, without a slash at its end."""

    is_tls: bool
    host: str
    port: int
    prefix: str

    @property
    def authority(self) -> str:
        """Return what stands in the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.is_tls else 80) else f"{host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Tell whether the address is of this machine."""
        return self.host in _LOOPBACK or (self.host.startswith("127.") and self.host.replace(".", "").isdigit())

    def __str__(self) -> str:
        """Return the address as a person writes it."""
        return f"{'https' if self.is_tls else 'http'}://{self.authority}{self.prefix}"


def parse_address(url: str, named: str = "FAILGATE_URL") -> Address:
    """Return the parts of `url`: http or https, host, port, path; `named` is what a person calls it.

    Raises: NotConfigured (another scheme, credentials, a query, no host, a port that is none).
    """
    scheme, sign, rest = url.partition("://")
    if not sign or scheme.lower() not in ("http", "https") or not url.isascii() or not url.isprintable() or " " in url:
        raise NotConfigured(
            f"{named} is {url!r}, which is no http or https address.",
            hint="Write it like https://failgate.example.",
        )
    authority, slash, path = rest.partition("/")
    if "@" in authority or any(sign in rest for sign in "?#"):
        raise NotConfigured(
            f"{named} has credentials, a query or a fragment, which are not shown here.",
            hint="Write scheme, host and port alone.",
        )
    host, port = _host_and_port(authority)
    is_tls = scheme.lower() == "https"
    if not host or (port and not (port.isdigit() and 0 < int(port) < 65536)):
        raise NotConfigured(
            f"{named} is {url!r}; its host or port is missing or wrong.",
            hint="Write it like http://127.0.0.1:8440.",
        )
    return Address(is_tls, host, int(port) if port else (443 if is_tls else 80), (slash + path).rstrip("/"))


def _host_and_port(authority: str) -> tuple[str, str]:
    if authority.startswith("["):
        host, _, rest = authority[1:].partition("]")
        return host, rest.removeprefix(":")
    host, _, port = authority.partition(":")
    return host.lower(), port
